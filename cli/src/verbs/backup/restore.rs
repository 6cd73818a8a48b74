//! `backup restore`: the state as it was.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use statekeep::{Error, ErrorKind, Manifest, RestoreOptions, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, work};

/// Arguments of `backup restore`.
#[derive(Args)]
pub struct Restore {
    /// The backup, or the start of its id
    id: String,
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

impl Restore {
    /// Replaces the whole state, or leaves it as it is.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        if !self.yes && !io::stdin().is_terminal() {
            let reason = "it replaces the state; give --yes, since nobody can be asked here";
            return Err(Error::invalid("restore", reason));
        }
        // A state that is not there is made only where its backups are.
        let config = session::settings(globals)?.config;
        let has_backups = config
            .backup_dir()
            .is_some_and(|dir| dir.join("FORMAT").exists());
        let access = if has_backups {
            Access::Create
        } else {
            Access::Existing
        };
        let host = session::open(globals, access)?;
        let id = super::resolve(&host.backups, &self.id)?;
        if !self.yes {
            ask(
                &host.backups.show(id)?,
                &text::shown(&host.manager.path().display().to_string()),
            )?;
        }
        let report = work::run(out, "restore", |progress| {
            host.backups
                .restore(id, &RestoreOptions::default(), progress)
        })?;
        host.close()?;
        if out.json() {
            out.document(&super::document(&report)?)?;
        } else {
            let records = text::count(report.records, "record");
            out.line(format_args!(
                "restored {id}: {records} at sequence {}",
                report.sequence
            ))?;
        }
        Ok(Exit::Ok)
    }
}

fn ask(manifest: &Manifest, path: &str) -> Result<()> {
    let time = text::time(UnixMs(manifest.time_unix_ms));
    let records = text::count(manifest.records, "record");
    let cancelled = || Error::other(ErrorKind::Cancelled, "the state was left as it is");
    let mut terminal = io::stderr();
    let question = format!("Replace all of {path} by {records} as of {time}? [y/N] ");
    terminal
        .write_all(question.as_bytes())
        .and_then(|()| terminal.flush())
        .map_err(|_| cancelled())?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|_| cancelled())?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(cancelled()),
    }
}
