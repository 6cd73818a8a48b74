//! Retention policy `statekeep.calendar`: the first backup of so many hours, days, weeks, months and
//! years stays, and with it the newest few, those of a last stretch of time, and those with a tag.
//!
//! Checkpoints are the first of their period, so that a later backup never displaces one: what is kept
//! today for its month is kept for it tomorrow. Periods are those of the calendar in the zone of the
//! evaluation, weeks begin on Monday, and an hour that the clocks show twice is two. Periods without a
//! backup do not count. Backups that were made before a restore are nobody's checkpoint.
#![deny(unsafe_code)]

use std::collections::BTreeSet;

use statekeep_plugin_sdk::calendar::{Period, moments};
use statekeep_plugin_sdk::{
    Backup, Config, Context, Decision, Error, Host, Plugin, Result, Retention, export_plugin, span,
};

/// Most backups or periods that one rule can ask for.
pub const COUNT_MAX: u64 = 1_000_000;

/// The policy.
pub struct Calendar {
    last: u64,
    periods: Vec<(Period, u64)>,
    within_ms: Option<u64>,
    tags: BTreeSet<String>,
}

impl Plugin for Calendar {
    const ID: &'static str = "statekeep.calendar";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str =
        "Keeps the first backup of so many hours, days, weeks, months and years";

    fn create(_host: Host, config: &Config) -> Result<Calendar> {
        let mut known = vec!["last", "within", "tags"];
        known.extend(Period::ALL.map(Period::option));
        config.known_options(&known)?;
        let mut periods = Vec::new();
        for period in Period::ALL {
            match config.number(period.option(), 0, 0..=COUNT_MAX)? {
                0 => {}
                count => periods.push((period, count)),
            }
        }
        let calendar = Calendar {
            last: config.number("last", 0, 0..=COUNT_MAX)?,
            periods,
            within_ms: config.span_ms("within")?,
            tags: config.option("tags")?.unwrap_or_default(),
        };
        if calendar.last == 0
            && calendar.periods.is_empty()
            && calendar.within_ms.is_none()
            && calendar.tags.is_empty()
        {
            let known = known.join(", ");
            return Err(Error::invalid(format!(
                "a calendar without a rule keeps nothing; set at least one of {known}"
            )));
        }
        Ok(calendar)
    }
}

impl Retention for Calendar {
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>> {
        let moments = moments(backups, context.time_zone)?;
        let counted = moments.iter().map(|(i, _)| *i);
        let mut reasons: Vec<Vec<String>> = vec![Vec::new(); backups.len()];
        for (number, i) in (1..=self.last).zip(counted.clone().rev()) {
            reasons[i].push(format!("number {number} of the last {}", self.last));
        }
        if let Some(within) = self.within_ms {
            for i in counted {
                let age = context
                    .now_unix_ms
                    .saturating_sub(backups[i].created_unix_ms);
                if u64::try_from(age).unwrap_or(0) <= within {
                    reasons[i].push(format!("within {}", span::text(within)));
                }
            }
        }
        for (i, backup) in backups.iter().enumerate() {
            if let Some(tag) = backup.tags.iter().find(|tag| self.tags.contains(**tag)) {
                reasons[i].push(format!("has the tag {tag}"));
            }
        }
        for (period, count) in &self.periods {
            for (i, name) in period.firsts(&moments, *count) {
                reasons[i].push(format!("first of {name}"));
            }
        }
        let decide = |(backup, reasons): (&Backup<'_>, &Vec<String>)| match reasons.is_empty() {
            false => Decision::keep(reasons.join(", ")),
            true if backup.safety => {
                Decision::forget("made before a restore, which is no checkpoint")
            }
            true => Decision::forget("no checkpoint of the calendar"),
        };
        Ok(backups.iter().zip(&reasons).map(decide).collect())
    }
}

export_plugin!(Calendar: retention);
