//! A retention policy of one's own, as a plugin in Rust.
//!
//! Backups with a tag like `release-1.4` stay. The others may go once they are older than `days`. To
//! build it, allow it and see what it would do:
//!
//! ```text
//! $ cargo build --release
//! $ install -D -m 0755 target/release/libstatekeep_example_retention.so plugins/libreleases.so
//! $ statekeep --set plugins.lock=plugins.lock plugin add plugins/libreleases.so
//! $ statekeep --set plugins.paths=plugins --set plugins.lock=plugins.lock \
//!       backup cleanup --dry-run --explain --policy org.example.releases:days=30
//! ```
#![deny(unsafe_code)] // `export_plugin!` needs the permission back.

use statekeep_plugin_sdk::{
    Backup, Config, Context, Decision, Host, Plugin, Result, Retention, export_plugin,
};

const DAY_MS: i64 = 86_400_000;

/// One instance: its options. Several may live at once, and each may be asked by several threads.
struct Releases {
    prefix: String,
    days: u64,
}

// Who the plugin is, and how an instance is made from the options of a rule.
impl Plugin for Releases {
    const ID: &'static str = "org.example.releases";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "Keeps the backups of releases";

    fn create(_host: Host, config: &Config) -> Result<Releases> {
        // A misspelt option is an error, not a silent default.
        config.known_options(&["prefix", "days"])?;
        Ok(Releases {
            prefix: config
                .option("prefix")?
                .unwrap_or_else(|| "release-".to_owned()),
            days: config.number("days", 30, 0..=36_500)?,
        })
    }
}

// What it says: one decision a backup, oldest first. The same list gives the same answer, so the time is
// that of the context and never the clock's. Nothing is deleted here: floors and other policies count too.
impl Retention for Releases {
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>> {
        let decide = |backup: &Backup<'_>| {
            if let Some(tag) = backup.tags.iter().find(|tag| tag.starts_with(&self.prefix)) {
                return Decision::keep(format!("tagged {tag}"));
            }
            let age_days = context.now_unix_ms.saturating_sub(backup.created_unix_ms) / DAY_MS;
            // A negative age: a clock was set back.
            match u64::try_from(age_days).unwrap_or(0) >= self.days {
                true => Decision::forget(format!("no release, and {} days old", self.days)),
                false => Decision::abstain("no release, but young"),
            }
        };
        Ok(backups.iter().map(decide).collect())
    }
}

export_plugin!(Releases: retention);
