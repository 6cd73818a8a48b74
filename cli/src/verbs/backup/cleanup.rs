//! `backup cleanup`: deletes what the policies forget, and removes what was deleted long enough ago.

use std::io::{self, IsTerminal};

use clap::Args;
use statekeep::{CleanupOptions, CleanupReport, Result, StateCleanup, StateRows, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::policies::{self, Policies};
use crate::session::{self, Access};
use crate::{text, time, work};

const WHAT: &str = "it deletes backups";

/// Arguments of `backup cleanup`.
#[derive(Args)]
pub struct Cleanup {
    /// Only show what would be deleted
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Show what each policy says of each backup
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    policies: Policies,
    /// How long what is deleted can be undeleted, such as `7d`
    #[arg(long, value_name = "SPAN")]
    grace: Option<String>,
    /// Also remove what has expired in the state itself, and the past that its settings do not keep
    #[arg(long)]
    state: bool,
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

impl Cleanup {
    fn options(&self) -> Result<CleanupOptions> {
        let zero = |text: &str| matches!(text, "0" | "0s");
        let grace_ms = match self.grace.as_deref() {
            None => None,
            Some(text) if zero(text) => Some(0),
            Some(text) => Some(time::span_ms(text)?),
        };
        Ok(CleanupOptions {
            dry_run: true,
            rule: None,
            grace_ms,
            state: self.state.then_some(true),
            principal: String::new(),
        })
    }

    /// Shows the plan, asks, and carries it out.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        if !self.yes && !self.dry_run && !io::stdin().is_terminal() {
            output::confirm(false, WHAT, || Ok(String::new()))?;
        }
        let mut options = self.options()?;
        let host = session::open(globals, Access::Existing)?;
        options.rule = self.policies.known_rule(&*host.plugins)?;
        let clean = |out: &Output, options: &CleanupOptions| {
            work::run(out, "cleanup", |progress| {
                host.backups.cleanup(options, progress)
            })
        };
        let mut report = clean(out, &options)?;
        if !self.dry_run && report.failure.is_none() {
            let rows = report.state.would_remove.as_ref();
            let rows = rows.filter(|rows| !rows.is_nothing());
            if !self.yes && (report.would_delete > 0 || rows.is_some()) {
                show(&report, self.explain, out)?;
                out.finish()?;
                let question = || {
                    let backups = text::count(report.would_delete, "backup");
                    let rows = rows.map(|rows| format!(", and remove {} for good", of_state(rows)));
                    Ok(format!("Delete {backups}{}?", rows.unwrap_or_default()))
                };
                output::confirm(self.yes, WHAT, question)?;
            }
            options.dry_run = false;
            report = clean(out, &options)?;
        }
        if out.json() {
            out.document(&report)?;
        } else {
            if self.dry_run || self.explain {
                show(&report, self.explain, out)?;
            }
            say(&report, out)?;
        }
        let failures = [
            ("nothing was deleted", &report.failure),
            ("the state was not cleaned up", &report.state.failure),
        ];
        for (what, why) in failures {
            if let Some(why) = why {
                out.warning(format_args!("{what}: {}", text::shown_text(why)));
            }
        }
        Ok(match failures {
            [(_, None), (_, None)] => Exit::Ok,
            _ => Exit::Error,
        })
    }
}

/// Rows of the state in words.
fn of_state(rows: &StateRows) -> String {
    let expired = match rows.expired_keys {
        Some(keys) => text::count(keys, "expired value"),
        None => "an unknown number of expired values".to_owned(),
    };
    let commits = text::count(rows.journal_rows, "commit");
    let versions = text::count(rows.history_rows, "old version");
    format!("{expired}, {commits} and {versions}")
}

/// What became of the state itself, and the limits that it has.
fn say_state(state: &StateCleanup, out: &mut Output) -> Result<()> {
    let (would, rows) = match (&state.would_remove, &state.removed) {
        (Some(rows), _) => ("would remove", rows),
        (None, Some(rows)) => ("removed", rows),
        (None, None) => return Ok(()),
    };
    let size = text::size(rows.bytes);
    out.line(format_args!(
        "{would} of the state {}, {size}",
        of_state(rows)
    ))?;
    let keep = &state.limits.keep;
    let age = keep.age_ms.map_or_else(
        || "of any age".to_owned(),
        |ms| format!("of {}", time::span(ms)),
    );
    let most = keep.commits.map(|most| format!(", at most {most}"));
    out.remark(format_args!(
        "it keeps commits {age}{}; {} with a life time, {} with limits of their own",
        most.unwrap_or_default(),
        text::count(state.limits.ttl_patterns, "pattern"),
        text::count(state.limits.history_patterns, "pattern"),
    ));
    for by in &state.held_by {
        out.remark(format_args!("kept for longer by {}", text::shown_text(by)));
    }
    Ok(())
}

/// One row a backup, with the vote of each policy when that is asked for.
fn show(report: &CleanupReport, explain: bool, out: &mut Output) -> Result<()> {
    if report.decisions.is_empty() {
        return Ok(());
    }
    out.table(&policies::decisions(&report.decisions, explain))
}

/// The sums in a line or two.
fn say(report: &CleanupReport, out: &mut Output) -> Result<()> {
    let kept = text::count(report.retained, "backup");
    if report.dry_run {
        let going = text::count(report.would_delete, "backup");
        out.line(format_args!("would delete {going}, keep {kept}"))?;
        return say_state(&report.state, out);
    }
    let gone = text::count(report.deleted, "backup");
    out.line(format_args!("deleted {gone}, kept {kept}"))?;
    if let Some(until) = report
        .grace_until_unix_ms
        .filter(|_| report.deleted > 0 && report.collected.purged.is_empty())
    {
        let until = time::seconds(UnixMs(until));
        out.remark(format_args!(
            "`backup undelete ID` takes it back until {until}"
        ));
    }
    let collected = &report.collected;
    if !collected.purged.is_empty() || report.space_freed > 0 {
        let purged = text::count(collected.purged.len() as u64, "backup");
        let freed = text::size(report.space_freed);
        out.line(format_args!(
            "removed {purged} deleted before, freed {freed}"
        ))?;
    }
    if let Some(why) = &collected.postponed {
        out.remark(format_args!("not removed yet: {}", text::shown_text(why)));
    }
    for problem in &collected.problems {
        out.warning(text::shown_text(&problem.to_string()));
    }
    say_state(&report.state, out)
}
