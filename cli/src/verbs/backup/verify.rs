//! `backup verify`: is a backup what was written?

use clap::{ArgGroup, Args};
use serde_json::json;
use statekeep::{BackupId, Error, ErrorKind, Host, Result, VerifyLevel, VerifyReport};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{rate, text, work};

/// Arguments of `backup verify`.
#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "all"]))]
pub struct Verify {
    /// The backup, or the start of its id
    id: Option<String>,
    /// Every backup of the repository
    #[arg(long)]
    all: bool,
    /// Only that all parts are there; records are not read
    #[arg(long)]
    quick: bool,
    /// Also restore it into a place that nobody sees, and compare what is there
    #[arg(long, conflicts_with = "quick")]
    restore_test: bool,
    /// Most bytes a second, such as 500K or 10M [default: the setting backup.bytes_per_second_max]
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    limit_rate: Option<u64>,
}

impl Verify {
    /// Prints what was found; damage is exit code 5.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let Some(id) = &self.id else {
            return self.all(&host, out);
        };
        let id = super::resolve(&host.backups, id)?;
        let is_valid = self.one(&host, id, out)?;
        Ok(if is_valid { Exit::Ok } else { Exit::Corrupt })
    }

    fn all(&self, host: &Host, out: &mut Output) -> Result<Exit> {
        let list = host.backups.list()?;
        if list.backups.is_empty() && list.problems.is_empty() {
            return Err(session::not_found(super::none_in(host)));
        }
        let mut bad = list.problems.len();
        // What is no usable manifest is no backup that could be verified.
        for problem in &list.problems {
            if out.json() {
                out.document(&json!({ "problem": super::document(problem)? }))?;
            } else {
                out.line(format_args!(
                    "damaged  {}",
                    text::shown_text(&problem.to_string())
                ))?;
            }
        }
        let mut gone = 0;
        for backup in &list.backups {
            match self.one(host, backup.id, out) {
                Ok(true) => {}
                Ok(false) => bad += 1,
                Err(error) if is_gone(host, backup.id, &error)? => {
                    gone += 1;
                    out.warning(format_args!("not checked: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        let checked = list.backups.len() + list.problems.len() - gone;
        out.remark(format_args!(
            "{} checked, {bad} damaged",
            text::count(checked as u64, "backup")
        ));
        Ok(if bad == 0 { Exit::Ok } else { Exit::Corrupt })
    }

    fn one(&self, host: &Host, id: BackupId, out: &mut Output) -> Result<bool> {
        let level = match (self.quick, self.restore_test) {
            (true, _) => VerifyLevel::Quick,
            (_, true) => VerifyLevel::RestoreTest,
            _ => VerifyLevel::Full,
        };
        let report = work::run(out, "verify", |progress| {
            progress.limit_rate(self.limit_rate.unwrap_or_default());
            host.backups.verify(id, level, progress)
        })?;
        print(&report, out)?;
        Ok(report.is_valid)
    }
}

/// Whether a backup that was listed is deleted meanwhile, as lists then show.
fn is_gone(host: &Host, id: BackupId, error: &Error) -> Result<bool> {
    if error.kind() != ErrorKind::NotFound {
        return Ok(false);
    }
    let list = host.backups.list()?;
    Ok(list.backups.iter().all(|backup| backup.id != id))
}

fn print(report: &VerifyReport, out: &mut Output) -> Result<()> {
    if out.json() {
        return out.document(&super::document(report)?);
    }
    let verdict = match (report.is_valid, report.level) {
        (false, _) => "damaged",
        (true, VerifyLevel::Quick) => "present",
        (true, VerifyLevel::Full) => "valid",
        (true, VerifyLevel::RestoreTest) => "restored",
    };
    let bytes = text::size(report.bytes);
    let read = match report.level {
        // It reads none.
        VerifyLevel::Quick => bytes,
        _ => format!("{}, {bytes}", text::count(report.records, "record")),
    };
    out.line(format_args!("{verdict:<8} {}  {read}", report.id))?;
    for problem in &report.errors {
        out.line(format_args!(
            "  error: {}",
            text::shown_text(&problem.to_string())
        ))?;
    }
    if report.errors_unlisted > 0 {
        out.line(format_args!(
            "  and {} more",
            text::count(report.errors_unlisted, "error")
        ))?;
    }
    for problem in &report.warnings {
        out.line(format_args!(
            "  warning: {}",
            text::shown_text(&problem.to_string())
        ))?;
    }
    Ok(())
}
