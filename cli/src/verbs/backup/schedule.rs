//! `backup schedule`: when backups and cleanups are made of themselves, and what is due now.

use clap::Args;
use serde::Serialize;
use statekeep::{
    BackupId, Cleaned, Error, ErrorKind, Host, Result, ScheduleStatus, Schedules, UnixMs,
};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time, work};

/// Arguments of `backup schedule`.
#[derive(Args)]
pub struct Schedule {
    /// Make the backup that is due, if one is, and then the cleanup
    #[arg(long)]
    run: bool,
}

/// What `--run` did.
#[derive(Default, Serialize)]
struct Done {
    /// The backup that it made.
    made: Option<BackupId>,
    /// What the cleanup did that it made.
    cleaned: Option<Cleaned>,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    schedules: Schedules,
    #[serde(flatten)]
    done: Done,
}

impl Schedule {
    /// Prints the schedules; with `--run` also what was done.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let done = match self.run {
            true => run_due(&host, out)?,
            false => Done::default(),
        };
        let schedules = host.schedules();
        if out.json() {
            out.document(&Answer { schedules, done })?;
            return Ok(Exit::Ok);
        }
        let settings = "`backup.every` or `backup.daily_at`";
        let mut shown = lines("backups", settings, &schedules.backups);
        let settings = "`retention.every` or `retention.daily_at`";
        shown.extend(lines("cleanups", settings, &schedules.cleanups));
        for line in shown {
            out.line(line)?;
        }
        if let Some(id) = done.made {
            out.line(format_args!("made {id}"))?;
        }
        if let Some(cleaned) = done.cleaned {
            out.line(format_args!(
                "cleaned up: {} deleted, {} removed for good, {} freed",
                cleaned.deleted,
                cleaned.purged,
                text::size(cleaned.space_freed)
            ))?;
        }
        Ok(Exit::Ok)
    }
}

fn run_due(host: &Host, out: &mut Output) -> Result<Done> {
    let Schedules { backups, cleanups } = host.schedules();
    if !backups.enabled && !cleanups.enabled {
        let message = "nothing is scheduled; set `backup.every` or `backup.daily_at`, or \
                       `retention.every` or `retention.daily_at`";
        return Err(Error::other(ErrorKind::Unsupported, message));
    }
    let mut done = Done::default();
    if backups.enabled {
        done.made = work::run(out, "backup", |progress| host.schedule.run_due(progress))?;
    }
    if cleanups.enabled {
        done.cleaned = work::run(out, "cleanup", |progress| host.cleanups.run_due(progress))?;
    }
    Ok(done)
}

fn lines<D>(what: &str, settings: &str, status: &ScheduleStatus<D>) -> Vec<String> {
    if !status.enabled {
        return vec![format!("{what:<9} only when asked; set {settings}")];
    }
    let runs = match (status.every_ms, &status.daily_at, &status.time_zone) {
        (Some(ms), ..) => format!("every {}", time::span(ms)),
        (None, Some(at), Some(zone)) => format!("daily at {at}, {}", text::shown(zone)),
        _ => String::new(),
    };
    let mut lines = vec![format!("{what:<9} {runs}, while the state is open")];
    if let Some(ms) = status.full_every_ms {
        lines.push(format!("  full    every {}", time::span(ms)));
    }
    let moment = |at: Option<UnixMs>| at.map_or("never".to_owned(), time::seconds);
    lines.push(format!("  newest  {}", moment(status.newest)));
    lines.push(format!("  next    {}", moment(status.next_run)));
    if status.waits_for_other {
        lines.push("  waits   a backup is being made in the repository".to_owned());
    }
    if let Some(warning) = &status.warning {
        lines.push(format!("  warning {warning}"));
    }
    if let Some(error) = &status.last_error {
        lines.push(format!("  failed  {}", text::shown_text(error)));
    }
    lines
}
