//! `doctor`: what is wrong with a state and its backups, and what to do.

use clap::Args;
use statekeep::{Diagnosis, Finding, Gravity, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;
use crate::{text, work};

/// Arguments of `doctor`.
#[derive(Args)]
pub struct Doctor {}

impl Doctor {
    /// A line a finding, worst first, or one JSON document.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let settings = session::settings_of_state(globals)?;
        let diagnosis = work::run(out, "doctor", |progress| {
            statekeep::examine(&settings.config, progress)
        })?;
        for name in &settings.ignored {
            out.warning(format_args!("{name} is no setting, and is ignored"));
        }
        if out.json() {
            out.document(&diagnosis)?;
        } else {
            print(&diagnosis, out)?;
        }
        Ok(match diagnosis.severity {
            Gravity::Fine | Gravity::Note => Exit::Ok,
            Gravity::Warning => Exit::Warned,
            Gravity::Error => Exit::Ailing,
        })
    }
}

fn print(diagnosis: &Diagnosis, out: &mut Output) -> Result<()> {
    for finding in &diagnosis.findings {
        let (colour, word) = match finding.severity {
            Gravity::Fine => (32, "ok"),
            Gravity::Note => (36, "note"),
            Gravity::Warning => (33, "warning"),
            Gravity::Error => (31, "error"),
        };
        let Finding { area, what, .. } = finding;
        let what = text::shown_text(what);
        out.coloured(colour, &format!("{word:<8} {area:<13}  {what}"))?;
        for (name, more) in [("because", &finding.cause), ("next", &finding.next_step)] {
            if let Some(more) = more {
                let more = text::shown_text(more);
                out.line(format_args!("{:24}{name}: {more}", ""))?;
            }
        }
    }
    Ok(())
}
