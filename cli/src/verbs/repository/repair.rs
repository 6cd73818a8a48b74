//! `repository repair`: what crashes left unfinished.

use clap::Args;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, work};

/// Arguments of `repository repair`.
#[derive(Args)]
pub struct Repair {}

impl Repair {
    /// Prints what was done; what is damaged stays as it is and is exit code 5.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let report = work::run(out, "repair", |progress| {
            host.backups.repair_repository(progress)
        })?;
        if out.json() {
            out.document(&report)?;
        } else {
            out.line(format_args!(
                "removed {} and {}; indexed {}",
                text::count(report.leases, "finished lease"),
                text::count(report.leftovers, "half-written file"),
                text::count(report.indexed, "backup"),
            ))?;
            for problem in &report.problems {
                let problem = text::shown_text(&problem.to_string());
                out.line(format_args!("  left as it is: {problem}"))?;
            }
        }
        Ok(if report.problems.is_empty() {
            Exit::Ok
        } else {
            Exit::Corrupt
        })
    }
}
