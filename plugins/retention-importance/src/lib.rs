//! Retention policy `statekeep.importance`: backups stay while they score enough.
//!
//! The score goes from 0 to 100: up to 40 for age (40 when new, 20 at `half_life`, then less), 15 for a
//! backup that needs no other, up to 25 for a checkpoint (first of a year 25, of a month 20, of a week
//! 10, of a day 5), and 4 for each time that it was restored, up to 20. The score is also the priority:
//! of what is forgotten, the least important goes first.
#![deny(unsafe_code)]

use statekeep_plugin_sdk::calendar::{Period, moments};
use statekeep_plugin_sdk::{
    Backup, BackupKind, Config, Context, Decision, Error, Host, Plugin, Result, Retention,
    export_plugin,
};

const DAY_MS: u64 = 86_400_000;

/// What a first of a period is worth.
const CHECKPOINTS: [(Period, u64); 4] = [
    (Period::Day, 5),
    (Period::Week, 10),
    (Period::Month, 20),
    (Period::Year, 25),
];

/// The policy.
pub struct Importance {
    min_score: u64,
    half_life_ms: u64,
}

impl Plugin for Importance {
    const ID: &'static str = "statekeep.importance";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str =
        "Keeps backups that score enough by age, kind, restores and checkpoints";

    fn create(_host: Host, config: &Config) -> Result<Importance> {
        config.known_options(&["min_score", "half_life"])?;
        let half_life_ms = config.span_ms("half_life")?.unwrap_or(30 * DAY_MS);
        if half_life_ms == 0 {
            return Err(Error::invalid("option `half_life` cannot be 0"));
        }
        Ok(Importance {
            min_score: config.number("min_score", 30, 0..=100)?,
            half_life_ms,
        })
    }
}

impl Retention for Importance {
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>> {
        let moments = moments(backups, context.time_zone)?;
        let mut checkpoints = vec![(0, String::new()); backups.len()];
        for (period, worth) in CHECKPOINTS {
            for (i, name) in period.firsts(&moments, u64::MAX) {
                checkpoints[i] = (worth, format!(", {worth} as first of {name}"));
            }
        }
        let decide = |(backup, (checkpoint, first)): (&Backup<'_>, &(u64, String))| {
            let age = context.now_unix_ms.saturating_sub(backup.created_unix_ms);
            let age = self.worth_of_age(u64::try_from(age).unwrap_or(0));
            let kind = match backup.kind {
                BackupKind::Full | BackupKind::Synthetic => 15,
                BackupKind::Incremental | BackupKind::Other(_) => 0,
            };
            let restores = backup.restores.saturating_mul(4).min(20);
            let score = age + kind + checkpoint + restores;
            let verdict = match score >= self.min_score {
                true => Decision::keep,
                false => Decision::forget,
            };
            let decision = verdict(format!(
                "scores {score} of {}: {age} for age, {kind} for its kind{first}, {restores} for restores",
                self.min_score
            ));
            Decision {
                priority: i32::try_from(score).unwrap_or(i32::MAX),
                ..decision
            }
        };
        Ok(backups.iter().zip(&checkpoints).map(decide).collect())
    }
}

impl Importance {
    fn worth_of_age(&self, age_ms: u64) -> u64 {
        let (half, age) = (u128::from(self.half_life_ms), u128::from(age_ms));
        u64::try_from(40 * half / (half + age)).unwrap_or(40)
    }
}

export_plugin!(Importance: retention);
