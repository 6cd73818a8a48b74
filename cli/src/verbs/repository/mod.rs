//! `repository`: the place where the backups are, as a whole.

mod check;
mod key;
mod repair;

use clap::Subcommand;
use statekeep::{Result, Strays};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::text;

/// Verbs on the backup repository.
#[derive(Subcommand)]
pub enum Repository {
    /// Look for what is damaged, missing or left over
    Check(check::Check),
    /// Finish what crashes left unfinished
    Repair(repair::Repair),
    /// Show, add, remove and change what opens an encrypted repository
    #[command(subcommand)]
    Key(key::Key),
}

impl Repository {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Repository::Check(verb) => verb.run(globals, out),
            Repository::Repair(verb) => verb.run(globals, out),
            Repository::Key(verb) => verb.run(globals, out),
        }
    }
}

/// Strays, one a line, and how many are not listed.
pub(super) fn list(strays: &Strays, out: &mut Output) -> Result<()> {
    for stray in &strays.listed {
        out.line(format_args!(
            "  {:<40}  {:>10}  begun {}",
            text::shown(&stray.object),
            text::size(stray.bytes),
            crate::time::seconds(statekeep::UnixMs(stray.since_unix_ms)),
        ))?;
    }
    match strays.objects - strays.listed.len() as u64 {
        0 => Ok(()),
        more => out.line(format_args!("  and {}", text::count(more, "more object"))),
    }
}

/// How many strays there are, and how large they are.
pub(super) fn sum(strays: &Strays) -> String {
    let objects = text::count(strays.objects, "stray object");
    format!("{objects}, {}", text::size(strays.bytes))
}
