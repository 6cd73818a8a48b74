//! `retention test`: what a rule says of the backups that there are, or of described ones.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use statekeep::engine::{Clock, SystemClock};
use statekeep::{DescribedBackup, Error, Result, RetentionRule, Trial, rule_in_force, try_rule};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::policies::{self, Policies};
use crate::session::{self, Access};
use crate::{input, text, time};

/// Arguments of `retention test`.
#[derive(Args)]
pub struct Test {
    #[command(flatten)]
    policies: Policies,
    /// Judge these instead of the present backups: a JSON list, or one object a line; `-` for stdin
    #[arg(long, value_name = "FILE")]
    backups: Option<PathBuf>,
    /// As if it were that time: 2026-03-01, "2026-03-01 14:03" (local), 2026-03-01T14:03:05Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// End with code 4 when anything would be deleted
    #[arg(long)]
    exit_code: bool,
}

impl Test {
    /// Shows the verdicts; nothing is deleted.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let at = self.at.as_deref().map(time::parse).transpose()?;
        let trial = match &self.backups {
            Some(file) => {
                let config = session::settings(globals)?.config;
                let rule = rule_in_force(self.policies.rule(), &config)?;
                let backups = described(&input::document("described backups", file)?)?;
                let plugins = super::plugins(&config)?;
                let retention = config.retention()?;
                try_rule(
                    &rule,
                    &retention,
                    &backups,
                    at.unwrap_or(SystemClock.now()),
                    &plugins,
                )?
            }
            None => {
                let host = session::open(globals, Access::Existing)?;
                let named = self.policies.known_rule(&*host.plugins)?;
                let rule: RetentionRule = rule_in_force(named, &host.config)?;
                host.backups.try_rule(&rule, None, at)?
            }
        };
        match out.json() {
            true => out.document(&trial)?,
            false => say(&trial, out)?,
        }
        Ok(match &trial.failure {
            Some(why) => {
                out.warning(format_args!(
                    "nothing was decided: {}",
                    text::shown_text(why)
                ));
                Exit::Error
            }
            None if self.exit_code && trial.would_delete > 0 => Exit::Conflict,
            None => Exit::Ok,
        })
    }
}

fn say(trial: &Trial, out: &mut Output) -> Result<()> {
    if trial.failure.is_some() {
        return Ok(());
    }
    if !trial.decisions.is_empty() {
        out.table(&policies::decisions(&trial.decisions, true))?;
    }
    out.line(format_args!(
        "would delete {}, keep {}, free up to {}",
        text::count(trial.would_delete, "backup"),
        text::count(trial.retained, "backup"),
        text::size(trial.would_free)
    ))
}

/// Backups as a JSON list, as an object with `backups`, or one object a line.
fn described(text: &str) -> Result<Vec<DescribedBackup>> {
    let wrong = |error: serde_json::Error| Error::invalid("described backups", error.to_string());
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(wrong)? {
            Value::Array(rows) => values.extend(rows),
            Value::Object(mut object) => match object.remove("backups") {
                Some(Value::Array(rows)) => values.extend(rows),
                _ => values.push(Value::Object(object)),
            },
            value => values.push(value),
        }
    }
    let rows = values.into_iter().map(serde_json::from_value);
    rows.collect::<Result<_, _>>().map_err(wrong)
}
