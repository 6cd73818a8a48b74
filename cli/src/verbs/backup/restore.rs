//! `backup restore`: the state as it was.

use std::io::{self, IsTerminal};

use clap::Args;
use statekeep::{RestoreOptions, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::{text, time, work};

const WHAT: &str = "it replaces the state";

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
        // Before anything is opened, let alone made.
        if !self.yes && !io::stdin().is_terminal() {
            output::confirm(false, WHAT, || Ok(String::new()))?;
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
        output::confirm(self.yes, WHAT, || {
            let manifest = host.backups.show(id)?.manifest;
            Ok(format!(
                "Replace all of {} by {} as of {}?",
                text::shown(&host.manager.path().display().to_string()),
                text::count(manifest.records, "record"),
                time::seconds(UnixMs(manifest.time_unix_ms)),
            ))
        })?;
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
