//! `cursor`: how far the named readers of changes have come.

mod delete;
mod list;

use clap::Subcommand;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;

/// Verbs on cursors.
#[derive(Subcommand)]
pub enum Cursor {
    /// List the cursors
    List(list::List),
    /// Forget a cursor, so that it keeps no past any more
    Delete(delete::Delete),
}

impl Cursor {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Cursor::List(verb) => verb.run(globals, out),
            Cursor::Delete(verb) => verb.run(globals, out),
        }
    }
}
