//! Settings of backups, their schedules, retention and alerts, as the backup engine takes them.

use std::path::PathBuf;

use serde_json::Value;
use statekeep_backup::{
    AlertConfig, Daily, KeySource, Passphrase, RetentionConfig, RetentionRule, ScheduleConfig, When,
};
use statekeep_core::{Error, Keep, Result};

use super::{Config, value};

/// What `backup.dir` begins with where it names an object store.
pub(super) const REMOTE: &str = "s3://";

impl Config {
    /// The backup repository; by default `backups` in the state directory.
    pub fn backup_dir(&self) -> Option<PathBuf> {
        self.path_of("backup.dir")
            .or_else(|| Some(self.path()?.join("backups")))
    }

    /// Whether the backup repository is in an object store: `backup.dir` is `s3://BUCKET/PREFIX`.
    pub fn backup_is_remote(&self) -> bool {
        self.text("backup.dir").starts_with(REMOTE)
    }

    /// A setting of the object store, `backup.s3.NAME`, also a secret one.
    pub fn backup_s3(&self, name: &str) -> Option<String> {
        let value = self.named(&format!("backup.s3.{name}"));
        value.as_str().map(str::to_owned)
    }

    /// Whether the object store may be reached by `http:`.
    pub fn backup_s3_allow_http(&self) -> bool {
        self.flag("backup.s3.allow_http")
    }

    /// What opens the backup repository; `None` for one that is not encrypted. Reads no file.
    ///
    /// # Errors
    /// `InvalidArgument` for more than one, and for a passphrase that is too long.
    pub fn backup_key(&self) -> Result<Option<KeySource>> {
        let path = |name: &str| self.path_of(&format!("backup.encryption.{name}"));
        let passphrase = self.named("backup.encryption.passphrase");
        match (
            passphrase.as_str(),
            path("passphrase_file"),
            path("key_file"),
        ) {
            (None, None, None) => Ok(None),
            (Some(text), None, None) => Ok(Some(KeySource::passphrase(Passphrase::new(text)?))),
            (None, Some(path), None) => Ok(Some(KeySource::passphrase_file(path))),
            (None, None, Some(path)) => Ok(Some(KeySource::key_file(path))),
            _ => {
                let reason = "more than one of `backup.encryption.passphrase`, \
                              `backup.encryption.passphrase_file` and `backup.encryption.key_file` \
                              is set; keep one";
                Err(Error::invalid("configuration", reason))
            }
        }
    }

    /// The codec of backups.
    pub fn backup_codec(&self) -> String {
        self.text("backup.codec")
    }

    /// The compression level of backups; `None` is the codec's own default.
    pub fn backup_level(&self) -> Option<i32> {
        self.named("backup.level")
            .as_i64()
            .and_then(|level| i32::try_from(level).ok())
    }

    /// Backups are incremental, unless asked for otherwise.
    pub fn backup_incremental(&self) -> bool {
        self.flag("backup.incremental_enabled")
    }

    /// Backups hold the kept past, unless asked for otherwise.
    pub fn backup_history(&self) -> bool {
        self.flag("backup.history")
    }

    /// Most incremental backups on one full.
    pub fn backup_chain_max(&self) -> u32 {
        u32::try_from(self.number("backup.chain_max")).unwrap_or(u32::MAX)
    }

    /// How long the past is held for the next incremental backup, in milliseconds.
    pub fn backup_hold_ms(&self) -> u64 {
        self.number("backup.hold_ms")
    }

    /// When backups are made; `None` for only when asked.
    ///
    /// # Errors
    /// `InvalidArgument` for both an interval and a time of the day.
    pub fn backup_schedule(&self) -> Result<Option<ScheduleConfig>> {
        let zone = self.named("backup.time_zone");
        let when = self.when("backup", zone.as_str())?;
        Ok(when.map(|when| ScheduleConfig {
            when,
            full_every_ms: self.span("backup.full_backup_interval"),
            jitter_ms: self.jitter_ms(),
            past_ms: self.past_ms().filter(|_| self.backup_incremental()),
        }))
    }

    /// When cleanups are made, beside those that follow backups; `None` for not.
    ///
    /// # Errors
    /// As [`Config::backup_schedule`].
    pub fn cleanup_schedule(&self) -> Result<Option<ScheduleConfig>> {
        let zone = self.named("retention.time_zone");
        let when = self.when("retention", Some(zone.as_str().unwrap_or("UTC")))?;
        Ok(when.map(|when| ScheduleConfig {
            when,
            full_every_ms: None,
            jitter_ms: self.jitter_ms(),
            past_ms: None,
        }))
    }

    fn jitter_ms(&self) -> u64 {
        self.span("backup.jitter").unwrap_or_default()
    }

    /// The settings `every` and `daily_at` of a section.
    fn when(&self, section: &str, zone: Option<&str>) -> Result<Option<When>> {
        let (every, daily_at) = (format!("{section}.every"), format!("{section}.daily_at"));
        match (self.span(&every), self.named(&daily_at).as_str()) {
            (None, None) => Ok(None),
            (Some(ms), None) => Ok(Some(When::EveryMs(ms))),
            (None, Some(at)) => Ok(Some(When::Daily(Daily::parse(at, zone)?))),
            (Some(_), Some(_)) => {
                let reason = format!("`{every}` and `{daily_at}` are both set; remove one");
                Err(Error::invalid("configuration", reason))
            }
        }
    }

    /// How long the past is kept for certain for who comes back to it; `None` for ever.
    fn past_ms(&self) -> Option<u64> {
        let hold = self.backup_hold_ms();
        match self.keep() {
            Keep {
                age_ms: None,
                commits: None,
            } => None,
            Keep {
                age_ms: Some(age),
                commits: None,
            } => Some(hold.max(age)),
            Keep {
                commits: Some(_), ..
            } => Some(hold),
        }
    }

    /// Which backups stay.
    pub fn retention(&self) -> Result<RetentionConfig> {
        let mut members = Vec::new();
        if let Some(count) = self.named("backup.max_backups").as_u64() {
            members.push(RetentionRule::policy("count", &[("keep", count.into())]));
        }
        if let Some(ms) = self.span("backup.max_backup_age") {
            let age = Value::from(format!("{ms}ms"));
            members.push(RetentionRule::policy("age", &[("max_age", age)]));
        }
        let policies = value::policies(&self.named("retention.policies"))?;
        if !policies.is_empty() {
            members.push(match self.text("retention.mode").as_str() {
                "all" => RetentionRule::All { all: policies },
                _ => RetentionRule::Any { any: policies },
            });
        }
        let span = |name| self.span(name).unwrap_or_default();
        Ok(RetentionConfig {
            rule: (!members.is_empty()).then_some(RetentionRule::All { all: members }),
            grace_ms: span("retention.grace"),
            safety_grace_ms: span("retention.safety_grace"),
            time_zone: self.text("retention.time_zone"),
            storage_bytes_max: self.named("retention.storage_bytes_max").as_u64(),
            policy_time_limit_ms: span("retention.policy_timeout"),
            automatic: self.flag("retention.automatic"),
            state: self.flag("retention.state"),
        })
    }

    /// The limits of alerts.
    pub fn alerts(&self) -> AlertConfig {
        let span = |name| self.span(name).unwrap_or_default();
        let chain = self.named("alerts.chain_length").as_u64();
        AlertConfig {
            interval_ms: span("alerts.interval"),
            storage_percent: self.number("alerts.storage_percent"),
            disk_percent: self.number("alerts.disk_percent"),
            limit_within_ms: span("alerts.limit_within"),
            backup_age_ms: self.span("alerts.backup_age"),
            verified_age_ms: span("alerts.verified_age"),
            restore_test_age_ms: span("alerts.restore_test_age"),
            chain_length: chain.map(|length| u32::try_from(length).unwrap_or(u32::MAX)),
        }
    }

    /// What is valid and will not work as it was meant, each with what to do.
    pub fn warnings(&self) -> Vec<String> {
        match self.backup_schedule() {
            Ok(Some(schedule)) => schedule.warning().into_iter().collect(),
            Ok(None) if self.span("backup.full_backup_interval").is_some() => {
                let warning = "`backup.full_backup_interval` makes no backup by itself; set `backup.every` or \
                               `backup.daily_at` too";
                vec![warning.to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// The most bytes of the repository in a second; 0 for no limit.
    pub fn backup_bytes_per_second_max(&self) -> u64 {
        self.number("backup.bytes_per_second_max")
    }

    /// How many processors work on backups leaves to others.
    pub fn backup_cores_free(&self) -> usize {
        usize::try_from(self.number("backup.cores_free")).unwrap_or(usize::MAX)
    }

    /// How many threads pack a backup.
    pub fn backup_threads(&self) -> Option<usize> {
        self.named("backup.threads")
            .as_u64()
            .and_then(|threads| usize::try_from(threads).ok())
    }
}
