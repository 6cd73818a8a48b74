//! `backup ranges`: which moments can be restored.

use clap::Args;
use statekeep::{Progress, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time};

/// Arguments of `backup ranges`.
#[derive(Args)]
pub struct Ranges {}

impl Ranges {
    /// One line a stretch, and one a gap; with `--json` one document.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let ranges = host.backups.ranges(&Progress::new())?;
        if out.json() {
            out.document(&super::document(&ranges)?)?;
            return Ok(Exit::Ok);
        }
        for timeline in &ranges.timelines {
            let own = if timeline.is_current { "  current" } else { "" };
            let fork = match (&timeline.parent, timeline.fork_sequence) {
                (Some(parent), Some(sequence)) => {
                    format!("  from {} at {sequence}", text::shown(parent))
                }
                _ => String::new(),
            };
            out.line(format_args!("timeline {}{own}{fork}", timeline.timeline))?;
            let mut gaps = timeline.gaps.iter();
            for range in &timeline.ranges {
                let from = range
                    .time_from_unix_ms
                    .map_or_else(|| "?".to_owned(), |at| time::millis(UnixMs(at)));
                out.line(format_args!(
                    "  {:>12} to {:<12}  {from} to {}  {}",
                    range.sequence_from,
                    range.sequence_to,
                    time::millis(UnixMs(range.time_to_unix_ms)),
                    text::count(range.backups.len() as u64, "backup"),
                ))?;
                if let Some(gap) = gaps.next() {
                    let lost = gap.before_sequence - gap.after_sequence - 1;
                    out.line(format_args!("  gap of {}", text::count(lost, "sequence")))?;
                }
            }
        }
        Ok(Exit::Ok)
    }
}
