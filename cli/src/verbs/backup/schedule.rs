//! `backup schedule`: when backups are made of themselves, and what is due now.

use clap::Args;
use serde::Serialize;
use statekeep::{BackupId, Result, ScheduleStatus, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time, work};

/// Arguments of `backup schedule`.
#[derive(Args)]
pub struct Schedule {
    /// Make the backup that is due, if one is
    #[arg(long)]
    run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a ScheduleStatus,
    /// The backup that `--run` made.
    made: Option<BackupId>,
}

impl Schedule {
    /// Prints the schedule; with `--run` also what was made.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let made = match self.run {
            true => work::run(out, "backup", |progress| host.schedule.run_due(progress))?,
            false => None,
        };
        let status = &host.schedule.status();
        if out.json() {
            out.document(&Answer { status, made })?;
            return Ok(Exit::Ok);
        }
        for line in lines(status) {
            out.line(line)?;
        }
        if let Some(id) = made {
            out.line(format_args!("made    {id}"))?;
        }
        Ok(Exit::Ok)
    }
}

fn lines(status: &ScheduleStatus) -> Vec<String> {
    if !status.enabled {
        let none = "runs    only when asked; set `backup.every` or `backup.daily_at`";
        return vec![none.to_owned()];
    }
    let runs = match (status.every_ms, &status.daily_at, &status.time_zone) {
        (Some(ms), ..) => format!("every {}", time::span(ms)),
        (None, Some(at), Some(zone)) => format!("daily at {at}, {}", text::shown(zone)),
        _ => String::new(),
    };
    let mut lines = vec![format!("runs    {runs}, while the state is open")];
    if let Some(ms) = status.full_every_ms {
        lines.push(format!("full    every {}", time::span(ms)));
    }
    let moment = |at: Option<UnixMs>| at.map_or("never".to_owned(), time::seconds);
    lines.push(format!("newest  {}", moment(status.newest_backup)));
    lines.push(format!("next    {}", moment(status.next_run)));
    if status.waits_for_other {
        lines.push("waits   another backup is being made in the repository".to_owned());
    }
    if let Some(warning) = &status.warning {
        lines.push(format!("warning {warning}"));
    }
    if let Some(error) = &status.last_error {
        lines.push(format!("failed  {}", text::shown_text(error)));
    }
    lines
}
