//! `index`: secondary indexes over JSON documents.

mod create;
mod drop;
mod list;

use clap::Subcommand;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;

/// Verbs on indexes.
#[derive(Subcommand)]
pub enum Index {
    /// Declare an index and build it over what is there
    Create(create::Create),
    /// List the indexes
    List(list::List),
    /// Drop an index
    Drop(drop::Drop),
}

impl Index {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Index::Create(verb) => verb.run(globals, out),
            Index::List(verb) => verb.run(globals, out),
            Index::Drop(verb) => verb.run(globals, out),
        }
    }
}
