//! `trim`: the past that is older than the settings keep.

use clap::Args;
use statekeep::{Result, TrimOptions, TrimReport};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

const EXAMPLES: &str = "\
How much of the past is kept: the settings keep.age_ms, keep.commits and the history of rules.

Examples:
  statekeep trim --dry-run
  statekeep --set keep.commits=1000 trim";

/// Arguments of `trim`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Trim {
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Trim {
    /// Forgets what no snapshot, backup or cursor needs.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let options = TrimOptions {
            dry_run: self.dry_run,
        };
        let report = host.manager.trim(&options)?;
        host.close()?;
        if out.json() {
            out.document(&report)?;
        } else {
            lines(&report).iter().try_for_each(|line| out.line(line))?;
        }
        Ok(Exit::Ok)
    }
}

/// What a trim did or would do, for people.
pub fn lines(report: &TrimReport) -> Vec<String> {
    let done = match report.dry_run {
        true => "would be forgotten",
        false => "forgotten",
    };
    let mut lines = vec![format!(
        "{} and {} {done}, {}",
        text::count(report.journal_rows, "commit"),
        text::count(report.history_rows, "old version"),
        text::size(report.bytes),
    )];
    if report.floor == report.floor_before {
        lines.push(format!(
            "the past can be read from sequence {} on",
            report.floor
        ));
    } else {
        lines.push(format!(
            "the past can be read from sequence {} on, before from {}",
            report.floor, report.floor_before
        ));
    }
    let held = |by: &String| format!("kept for longer by {}", text::shown_text(by));
    lines.extend(report.held_by.iter().map(held));
    lines
}
