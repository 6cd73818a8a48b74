//! `repository check`: is all there that the backups need, and what is there besides?

use clap::Args;
use statekeep::{RepositoryReport, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time, work};

/// Arguments of `repository check`.
#[derive(Args)]
pub struct Check {}

impl Check {
    /// Prints what was found; damage is exit code 5, strays are not.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let report = work::run(out, "check", |progress| {
            host.backups.check_repository(progress)
        })?;
        if out.json() {
            out.document(&report)?;
        } else {
            print(&report, out)?;
        }
        Ok(if report.is_valid {
            Exit::Ok
        } else {
            Exit::Corrupt
        })
    }
}

fn print(report: &RepositoryReport, out: &mut Output) -> Result<()> {
    out.line(format_args!(
        "{}  {}, {}, {}{}",
        if report.is_valid {
            "present"
        } else {
            "damaged"
        },
        text::count(report.backups, "backup"),
        text::count(report.objects, "object"),
        text::size(report.bytes),
        if report.encrypted { ", encrypted" } else { "" },
    ))?;
    let [first @ .., last] = &report.looked_at;
    let mut looked = format!("looked at {} and {last}", first.join(", "));
    if report.unread_objects > 0 {
        looked += &format!(
            "; {}, {}, not read: `backup verify --all` reads them",
            text::count(report.unread_objects, "segment"),
            text::size(report.unread_bytes)
        );
    }
    out.line(looked)?;
    for problem in &report.problems {
        let problem = text::shown_text(&problem.to_string());
        out.line(format_args!("  error: {problem}"))?;
    }
    if report.problems_unlisted > 0 {
        let more = text::count(report.problems_unlisted, "more error");
        out.line(format_args!("  and {more}"))?;
    }
    for warning in &report.warnings {
        out.line(format_args!("  warning: {}", text::shown_text(warning)))?;
    }
    for made in &report.creations {
        let verdict = if made.is_alive {
            "is being made"
        } else {
            "was never finished; its writer is gone"
        };
        out.line(format_args!(
            "backup {} {verdict}: begun {}, {}, {}",
            made.backup,
            time::seconds(UnixMs(made.started_unix_ms)),
            text::count(made.objects, "object"),
            text::size(made.bytes),
        ))?;
    }
    if report.strays.objects > 0 {
        let sum = super::sum(&report.strays);
        out.line(format_args!("{sum}; `backup prune-strays` removes them:"))?;
        super::list(&report.strays, out)?;
    }
    if let Some(why) = &report.undecided {
        let why = text::shown_text(why);
        out.line(format_args!(
            "other objects may be strays; kept, since {why}"
        ))?;
    }
    if report.leftovers > 0 {
        let files = text::count(report.leftovers, "half-written file");
        out.line(format_args!("{files}, swept by the next backup"))?;
    }
    Ok(())
}
