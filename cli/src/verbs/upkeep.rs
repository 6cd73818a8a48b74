//! `upkeep`: what is kept, what upkeep does while the state is open, and what it would do now.

use clap::Args;
use serde::Serialize;
use statekeep::{Result, StateInfo, TrimOptions, TrimReport, UpkeepStatus};

use super::trim;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::time;

/// Arguments of `upkeep`.
#[derive(Args)]
pub struct Upkeep {}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a UpkeepStatus,
    due: &'a TrimReport,
}

impl Upkeep {
    /// Removes nothing.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let status = host.manager.upkeep();
        let due = host.manager.trim(&TrimOptions { dry_run: true })?;
        if out.json() {
            let (status, due) = (&status, &due);
            out.document(&Answer { status, due })?;
            return Ok(Exit::Ok);
        }
        let keep = host.config.keep();
        let info: StateInfo = host.manager.info()?;
        let runs = match status.interval_ms {
            0 => "only when asked".to_owned(),
            ms => format!("every {} while the state is open", time::span(ms)),
        };
        let age = keep.age_ms.map(|ms| format!("{} of it", time::span(ms)));
        let commits = keep.commits.map(|commits| format!("{commits} commits"));
        let kept: Vec<_> = age.into_iter().chain(commits).collect();
        let kept = match kept.as_slice() {
            [] => "all of it".to_owned(),
            limits => format!("at most {}", limits.join(" and ")),
        };
        out.line(format_args!("runs   {runs}"))?;
        out.line(format_args!("keeps  {kept}"))?;
        out.line(format_args!(
            "head   sequence {} of {}",
            info.head,
            time::millis(info.head_time)
        ))?;
        for (at, line) in trim::lines(&due).iter().enumerate() {
            out.line(format_args!(
                "{:<5}  {line}",
                if at == 0 { "due" } else { "" }
            ))?;
        }
        Ok(Exit::Ok)
    }
}
