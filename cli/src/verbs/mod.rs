//! The verbs, one file each: its arguments, what it does, what it prints.

pub mod backup;
pub mod config;
pub mod delete;
pub mod get;
pub mod list;
pub mod plugin;
pub mod set;

use statekeep::Result;

use crate::args::{Cli, Verb};
use crate::exit::Exit;
use crate::output::Output;

/// Runs the verb that was asked for.
pub fn run(cli: &Cli, out: &mut Output) -> Result<Exit> {
    let globals = &cli.globals;
    match &cli.verb {
        Verb::Get(verb) => verb.run(globals, out),
        Verb::Set(verb) => verb.run(globals, out),
        Verb::Delete(verb) => verb.run(globals, out),
        Verb::List(verb) => verb.run(globals, out),
        Verb::Backup(verb) => verb.run(globals, out),
        Verb::Plugin(verb) => verb.run(globals, out),
        Verb::Config(verb) => verb.run(globals, out),
    }
}
