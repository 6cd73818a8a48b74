//! `backup prune-strays`: removes what no manifest leads to.

use std::io::{self, IsTerminal};

use clap::Args;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::verbs::repository::{list, sum};
use crate::{text, work};

const WHAT: &str = "it removes objects from the backup repository";

/// Arguments of `backup prune-strays`.
#[derive(Args)]
pub struct PruneStrays {
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
    /// Only show what would be removed
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

impl PruneStrays {
    /// Shows the strays, asks, and removes them.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        if !self.yes && !self.dry_run && !io::stdin().is_terminal() {
            output::confirm(false, WHAT, || Ok(String::new()))?;
        }
        let host = session::open(globals, Access::Existing)?;
        let prune = |out: &Output, dry_run| {
            work::run(out, "strays", |progress| {
                host.backups.prune_strays(dry_run, progress)
            })
        };
        let mut report = prune(out, true)?;
        if !self.dry_run && report.would_remove.objects > 0 {
            if !self.yes {
                list(&report.would_remove, out)?;
                out.finish()?;
            }
            let question = || Ok(format!("Remove {}?", sum(&report.would_remove)));
            output::confirm(self.yes, WHAT, question)?;
            report = prune(out, false)?;
        }
        // With nothing to remove there was nothing to ask.
        report.dry_run = self.dry_run;
        if out.json() {
            out.document(&report)?;
            return Ok(Exit::Ok);
        }
        if self.dry_run {
            out.line(format_args!("would remove {}", sum(&report.would_remove)))?;
            list(&report.would_remove, out)?;
        } else {
            out.line(format_args!("removed {}", sum(&report.removed)))?;
        }
        if let Some(why) = &report.undecided {
            let why = text::shown_text(why);
            out.remark(format_args!(
                "other objects may be strays; kept, since {why}"
            ));
        }
        Ok(Exit::Ok)
    }
}
