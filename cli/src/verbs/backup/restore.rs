//! `backup restore`: the state as it was.

use std::io::{self, IsTerminal};

use clap::{ArgGroup, Args};
use statekeep::{Error, Host, RestoreAt, RestoreOptions, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::{text, time, work};

const WHAT: &str = "it replaces the state";

/// Arguments of `backup restore`.
#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["id", "backup", "to", "to_seq"]))]
pub struct Restore {
    /// The backup, or the start of its id
    id: Option<String>,
    /// The same as ID
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// The state at a time: 2026-03-01, "2026-03-01 14:03:07" (local), 2026-03-01T14:03:05Z
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The state right after a commit
    #[arg(long, value_name = "SEQUENCE")]
    to_seq: Option<u64>,
    /// The past that --to or --to-seq means [default: the state's own]
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "backup"])]
    timeline: Option<String>,
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
            .is_some_and(|dir| config.backup_is_remote() || dir.join("FORMAT").exists());
        let access = if has_backups {
            Access::Create
        } else {
            Access::Existing
        };
        let host = session::open(globals, access)?;
        let at = self.at(&host)?;
        output::confirm(self.yes, WHAT, || {
            let state = host.manager.path().display().to_string();
            let by = match at {
                RestoreAt::Sequence(sequence) => format!("what it was at sequence {sequence}"),
                RestoreAt::Time(at) => format!("what it was at {}", time::millis(at)),
                RestoreAt::Backup(id) => {
                    let manifest = host.backups.show(id)?.manifest;
                    let records = text::count(manifest.records, "record");
                    let as_of = time::seconds(UnixMs(manifest.time_unix_ms));
                    format!("{records} as of {as_of}")
                }
            };
            Ok(format!("Replace all of {} by {by}?", text::shown(&state)))
        })?;
        let options = RestoreOptions {
            timeline: self.timeline.clone(),
        };
        let report = work::run(out, "restore", |progress| {
            host.backups.restore(at, &options, progress)
        })?;
        host.close()?;
        if out.json() {
            out.document(&super::document(&report)?)?;
        } else {
            let records = text::count(report.records, "record");
            out.line(format_args!(
                "restored {}: {records} at sequence {}",
                report.id, report.sequence
            ))?;
        }
        Ok(Exit::Ok)
    }

    fn at(&self, host: &Host) -> Result<RestoreAt> {
        match (
            self.id.as_ref().or(self.backup.as_ref()),
            &self.to,
            self.to_seq,
        ) {
            (Some(id), ..) => Ok(super::resolve(&host.backups, id)?.into()),
            (None, Some(to), _) => Ok(RestoreAt::Time(time::parse(to)?)),
            (None, None, Some(sequence)) => Ok(RestoreAt::Sequence(sequence)),
            (None, None, None) => Err(Error::invalid("backup", "name one, or a moment")),
        }
    }
}
