//! The verbs, one file each: its arguments, what it does, what it prints.

pub mod backup;
pub mod config;
pub mod cursor;
pub mod delete;
pub mod diff;
pub mod doctor;
pub mod get;
pub mod history;
pub mod increment;
pub mod index;
pub mod list;
pub mod metrics;
pub mod namespace;
pub mod patch;
pub mod plugin;
pub mod query;
pub mod repository;
pub mod retention;
pub mod set;
pub mod swap;
pub mod sweep;
pub mod trim;
pub mod upkeep;
pub mod watch;

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
        Verb::Increment(verb) => verb.run(globals, out),
        Verb::Patch(verb) => verb.run(globals, out),
        Verb::History(verb) => verb.run(globals, out),
        Verb::Diff(verb) => verb.run(globals, out),
        Verb::Query(verb) => verb.run(globals, out),
        Verb::Index(verb) => verb.run(globals, out),
        Verb::Watch(verb) => verb.run(globals, out),
        Verb::Cursor(verb) => verb.run(globals, out),
        Verb::Trim(verb) => verb.run(globals, out),
        Verb::Sweep(verb) => verb.run(globals, out),
        Verb::Upkeep(verb) => verb.run(globals, out),
        Verb::Doctor(verb) => verb.run(globals, out),
        Verb::Metrics(verb) => verb.run(globals, out),
        Verb::Swap(verb) => verb.run(globals, out),
        Verb::Namespace(verb) => verb.run(globals, out),
        Verb::Backup(verb) => verb.run(globals, out),
        Verb::Repository(verb) => verb.run(globals, out),
        Verb::Retention(verb) => verb.run(globals, out),
        Verb::Plugin(verb) => verb.run(globals, out),
        Verb::Config(verb) => verb.run(globals, out),
    }
}
