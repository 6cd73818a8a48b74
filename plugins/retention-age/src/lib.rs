//! Retention policy `statekeep.age`: backups stay until they are too old.
#![deny(unsafe_code)]

use statekeep_plugin_sdk::{
    Backup, Config, Context, Decision, Error, Host, Plugin, Result, Retention, export_plugin, span,
};

/// The policy.
pub struct Age {
    max_age_ms: u64,
}

impl Plugin for Age {
    const ID: &'static str = "statekeep.age";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "Keeps backups up to an age";

    fn create(_host: Host, config: &Config) -> Result<Age> {
        config.known_options(&["max_age"])?;
        let max_age_ms = config.span_ms("max_age")?.ok_or_else(|| {
            Error::invalid(
                "option `max_age` is missing: how old a backup may become, such as `30d`",
            )
        })?;
        Ok(Age { max_age_ms })
    }
}

impl Retention for Age {
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>> {
        let limit = span::text(self.max_age_ms);
        let decide = |backup: &Backup<'_>| {
            let age = context.now_unix_ms.saturating_sub(backup.created_unix_ms);
            // One of the future has no age: a clock was set back.
            match u64::try_from(age).unwrap_or(0) <= self.max_age_ms {
                true => Decision::keep(format!("not older than {limit}")),
                false => Decision::forget(format!("older than {limit}")),
            }
        };
        Ok(backups.iter().map(decide).collect())
    }
}

export_plugin!(Age: retention);
