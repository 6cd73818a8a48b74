//! `--policy` and `--mode`: a retention rule as arguments, and what it said as a table.

use clap::{Args, ValueEnum};
use serde_json::Value;
use statekeep::engine::Plugins;
use statekeep::{Error, Judgement, Result, RetentionRule, UnixMs};

use crate::table::Table;
use crate::{text, time};

/// How several policies make one verdict.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A backup stays when any policy keeps it
    Any,
    /// A backup stays only when all policies keep it that have an opinion
    All,
}

/// Policies in place of the configured ones.
#[derive(Args)]
pub struct Policies {
    /// Use this policy in place of the configured ones; may be repeated
    #[arg(long, value_name = "NAME[:OPTION=VALUE,...]", value_parser = policy)]
    pub policy: Vec<RetentionRule>,
    /// Whether a backup stays when any policy keeps it, or only when all do
    #[arg(long, value_enum, requires = "policy", default_value_t = Mode::Any)]
    pub mode: Mode,
}

/// A policy as an argument: `count:keep=7`.
fn policy(text: &str) -> Result<RetentionRule> {
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

impl Policies {
    /// The rule, if policies were given.
    pub fn rule(&self) -> Option<RetentionRule> {
        let members = self.policy.clone();
        (!members.is_empty()).then_some(match self.mode {
            Mode::Any => RetentionRule::Any { any: members },
            Mode::All => RetentionRule::All { all: members },
        })
    }

    /// The rule, whose policies are all there: a name that no plugin has is a mistake in the arguments,
    /// not a policy that failed.
    pub fn known_rule(&self, plugins: &dyn Plugins) -> Result<Option<RetentionRule>> {
        for rule in &self.policy {
            if let RetentionRule::Policy(choice) = rule
                && !plugins.has_retention(&choice.policy)?
            {
                plugins.retention(&choice.policy, &choice.options)?;
            }
        }
        Ok(self.rule())
    }
}

/// One row a backup, with the vote of each policy when that is asked for.
pub fn decisions(decisions: &[Judgement], explain: bool) -> Table {
    let mut table = Table::titled(&[], &["BACKUP", "MADE", "RESULT", "WHY"]);
    for judged in decisions {
        table.row(vec![
            text::shown(&judged.backup),
            time::seconds(UnixMs(judged.created_unix_ms)),
            if judged.keep { "keep" } else { "delete" }.to_owned(),
            text::shown_text(&judged.reason),
        ]);
        if explain {
            votes(judged, &mut table);
        }
    }
    table
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
