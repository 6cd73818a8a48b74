//! `backup cleanup`: deletes what the policies forget, and removes what was deleted long enough ago.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use serde_json::Value;
use statekeep::{CleanupOptions, CleanupReport, Error, Judgement, Result, RetentionRule, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time, work};

const WHAT: &str = "it deletes backups";

/// How several policies make one verdict.
#[derive(Copy, Clone, Debug, ValueEnum)]
enum Mode {
    /// A backup stays when any policy keeps it
    Any,
    /// A backup stays only when all policies keep it that have an opinion
    All,
}

/// Arguments of `backup cleanup`.
#[derive(Args)]
pub struct Cleanup {
    /// Only show what would be deleted
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Show what each policy says of each backup
    #[arg(long)]
    explain: bool,
    /// Use this policy in place of the configured ones; may be repeated
    #[arg(long, value_name = "NAME[:OPTION=VALUE,...]", value_parser = policy)]
    policy: Vec<RetentionRule>,
    /// Whether a backup stays when any policy keeps it, or only when all do
    #[arg(long, value_enum, requires = "policy", default_value_t = Mode::Any)]
    mode: Mode,
    /// How long what is deleted can be undeleted, such as `7d`
    #[arg(long, value_name = "SPAN")]
    grace: Option<String>,
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

/// A policy as an argument: `count:keep=7`.
pub(super) fn policy(text: &str) -> Result<RetentionRule> {
    let (name, options) = text.split_once(':').unwrap_or((text, ""));
    let mut pairs = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').ok_or_else(|| {
            let reason = format!("`{}` is not OPTION=VALUE", text::shown(option));
            Error::invalid("policy", reason)
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        pairs.push((key, value));
    }
    Ok(RetentionRule::policy(name, &pairs))
}

impl Cleanup {
    fn options(&self) -> Result<CleanupOptions> {
        let members = self.policy.clone();
        let rule = match self.mode {
            Mode::Any => RetentionRule::Any { any: members },
            Mode::All => RetentionRule::All { all: members },
        };
        let zero = |text: &str| matches!(text, "0" | "0s");
        let grace_ms = match self.grace.as_deref() {
            None => None,
            Some(text) if zero(text) => Some(0),
            Some(text) => Some(time::span_ms(text)?),
        };
        Ok(CleanupOptions {
            dry_run: true,
            rule: (!self.policy.is_empty()).then_some(rule),
            grace_ms,
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
        let clean = |out: &Output, options: &CleanupOptions| {
            work::run(out, "cleanup", |progress| {
                host.backups.cleanup(options, progress)
            })
        };
        let mut report = clean(out, &options)?;
        if !self.dry_run && report.failure.is_none() {
            if !self.yes && report.would_delete > 0 {
                show(&report, self.explain, out)?;
                out.finish()?;
                let question = || {
                    Ok(format!(
                        "Delete {}?",
                        text::count(report.would_delete, "backup")
                    ))
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
        Ok(match &report.failure {
            Some(why) => {
                out.warning(format_args!(
                    "nothing was deleted: {}",
                    text::shown_text(why)
                ));
                Exit::Error
            }
            None => Exit::Ok,
        })
    }
}

/// One row a backup, with the vote of each policy when that is asked for.
fn show(report: &CleanupReport, explain: bool, out: &mut Output) -> Result<()> {
    if report.decisions.is_empty() {
        return Ok(());
    }
    let mut table = Table::titled(&[], &["BACKUP", "MADE", "RESULT", "WHY"]);
    for judged in &report.decisions {
        table.row(vec![
            judged.backup.clone(),
            time::seconds(UnixMs(judged.created_unix_ms)),
            if judged.keep { "keep" } else { "delete" }.to_owned(),
            text::shown_text(&judged.reason),
        ]);
        if explain {
            votes(judged, &mut table);
        }
    }
    out.table(&table)
}

fn votes(judged: &Judgement, table: &mut Table) {
    for vote in &judged.votes {
        let verdict = serde_json::to_value(vote.vote.verdict);
        let verdict = verdict
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned));
        table.row(vec![
            String::new(),
            format!("  {}", text::shown(&vote.policy)),
            verdict.unwrap_or_default(),
            text::shown_text(&vote.vote.reason),
        ]);
    }
}

/// The sums in a line or two.
fn say(report: &CleanupReport, out: &mut Output) -> Result<()> {
    let kept = text::count(report.retained, "backup");
    if report.dry_run {
        let going = text::count(report.would_delete, "backup");
        return out.line(format_args!("would delete {going}, keep {kept}"));
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_name_with_options() {
        let RetentionRule::Policy(rule) = policy("calendar:daily=7,within=30d").unwrap() else {
            panic!("a group");
        };
        assert_eq!(rule.policy, "calendar");
        assert_eq!(rule.options["daily"], Value::from(7));
        assert_eq!(rule.options["within"], Value::from("30d"));
        assert_eq!(
            policy("count").unwrap(),
            RetentionRule::policy("count", &[])
        );
        assert!(
            policy("count:keep")
                .unwrap_err()
                .to_string()
                .contains("OPTION=VALUE")
        );
    }
}
