//! Retention policy `statekeep.count`: so many of the newest backups stay.
//!
//! Backups that were made before a restore are not counted, so a row of restores pushes nothing out.
#![deny(unsafe_code)]

use statekeep_plugin_sdk::{
    Backup, Config, Context, Decision, Host, Plugin, Result, Retention, export_plugin,
};

/// Most backups that the option can ask for.
pub const COUNT_MAX: u64 = 1_000_000;

/// The policy.
pub struct Count {
    keep: usize,
}

impl Plugin for Count {
    const ID: &'static str = "statekeep.count";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "Keeps so many of the newest backups";

    fn create(_host: Host, config: &Config) -> Result<Count> {
        config.known_options(&["keep"])?;
        let keep = config.number("keep", 10, 0..=COUNT_MAX)?;
        Ok(Count {
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
        })
    }
}

impl Retention for Count {
    fn evaluate(&self, backups: &[Backup<'_>], _context: &Context<'_>) -> Result<Vec<Decision>> {
        let mut newer = 0;
        let decide = |backup: &Backup<'_>| {
            if backup.safety {
                return Decision::forget("made before a restore, which is not counted");
            }
            newer += 1;
            match newer <= self.keep {
                true => Decision::keep(format!("number {newer} of the newest {}", self.keep)),
                false => Decision::forget(format!("number {newer}, and {} stay", self.keep)),
            }
        };
        let mut decisions: Vec<Decision> = backups.iter().rev().map(decide).collect();
        decisions.reverse();
        Ok(decisions)
    }
}

export_plugin!(Count: retention);
