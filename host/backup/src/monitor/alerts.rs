//! What an alert is, the limits of alerts, and what the rules look at.

use serde::Serialize;

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// How much an alert matters. The later is the worse.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look at it within days.
    Warning,
    /// Backups are missing, damaged or about to fail.
    Critical,
}

impl Severity {
    /// The word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $id:ident $name:literal;)*) => {
        /// A rule that raises alerts.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AlertRule {
            $($(#[$doc])* $id),*
        }

        impl AlertRule {
            /// All of them.
            pub const ALL: &[AlertRule] = &[$(AlertRule::$id),*];

            /// The word for people and JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $(AlertRule::$id => $name),*
                }
            }
        }
    };
}

rules! {
    /// The repository cannot be listed.
    RepositoryUnreadable "repository_unreadable";
    /// Something in the repository is damaged or does not belong there.
    RepositoryProblems "repository_problems";
    /// The newest backup is too old, or a scheduled one is missing.
    NoBackup "no_backup";
    /// No backup was read wholly and found good for too long.
    NoVerifiedBackup "no_verified_backup";
    /// No restore was tried for too long.
    RestoreDrillOverdue "restore_drill_overdue";
    /// Scheduled backups fail.
    ScheduleFailing "schedule_failing";
    /// Cleanups fail.
    CleanupFailing "cleanup_failing";
    /// The repository is near the bytes that it may have, at or above them, or will be soon.
    StorageLimitNear "storage_limit_near";
    /// A disk is nearly full, or will be soon.
    DiskNearlyFull "disk_nearly_full";
    /// More incrementals stand on one full than should.
    ChainTooLong "chain_too_long";
}

impl Serialize for AlertRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Something that somebody should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The rule.
    pub id: AlertRule,
    /// How much it matters.
    pub severity: Severity,
    /// What it concerns, such as a disk or a backup; with `id` it names the alert.
    pub subject: String,
    /// What is wrong, in words.
    pub message: String,
    /// Since when, milliseconds since 1970-01-01 UTC; where that is not known, since it was noticed.
    pub since_unix_ms: i64,
    /// What to do about it.
    pub next_step: String,
}

impl Alert {
    /// What names it among all alerts.
    pub fn key(&self) -> String {
        format!("{} {}", self.id.name(), self.subject)
    }
}

/// The limits of alerts. 0 is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertConfig {
    /// How often they are looked at, milliseconds; 0 for only when asked.
    pub interval_ms: u64,
    /// Part of `retention.storage_bytes_max`, percent.
    pub storage_percent: u64,
    /// Part of a disk, percent.
    pub disk_percent: u64,
    /// How long before a limit is reached, by the forecast, milliseconds.
    pub limit_within_ms: u64,
    /// Age of the newest backup, milliseconds; `None` for two hours more than the schedule's interval.
    pub backup_age_ms: Option<u64>,
    /// Age of the last good verification of any backup, milliseconds.
    pub verified_age_ms: u64,
    /// Age of the last good restore test, milliseconds.
    pub restore_test_age_ms: u64,
    /// Incrementals on one full; `None` for `backup.chain_max`.
    pub chain_length: Option<u32>,
}

impl Default for AlertConfig {
    fn default() -> AlertConfig {
        let days = |days: i64| (days * DAY_MS).unsigned_abs();
        AlertConfig {
            interval_ms: MINUTE_MS.unsigned_abs(),
            storage_percent: 90,
            disk_percent: 90,
            limit_within_ms: days(7),
            backup_age_ms: None,
            verified_age_ms: days(8),
            restore_test_age_ms: days(32),
            chain_length: None,
        }
    }
}

/// A disk that state or backups are on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskFacts {
    /// What is on it: `state`, `backups`, or both.
    pub holds: String,
    /// A folder on it.
    pub path: String,
    /// Bytes that are used or can be.
    pub bytes: u64,
    /// Bytes that can be used.
    pub free_bytes: u64,
    /// When it is full, by the forecast, milliseconds since 1970-01-01 UTC.
    pub full_unix_ms: Option<i64>,
}

impl DiskFacts {
    /// How full it is, percent.
    pub fn used_percent(&self) -> u64 {
        percent(self.bytes.saturating_sub(self.free_bytes), self.bytes)
    }
}

/// What the rules look at. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertFacts {
    /// Where the repository is.
    pub repository: String,
    /// Since when the state has been open here.
    pub opened_unix_ms: i64,
    /// Why the repository cannot be listed; then all that follows of it is empty.
    pub unreadable: Option<String>,
    /// Things that are wrong in it.
    pub problems: u64,
    /// The first of them.
    pub problem: Option<String>,
    /// Backups in it.
    pub backups: u64,
    /// When the oldest of them was begun.
    pub oldest_unix_ms: Option<i64>,
    /// When the newest of them was begun.
    pub newest_unix_ms: Option<i64>,
    /// When any of them was last read wholly and found good.
    pub verified_unix_ms: Option<i64>,
    /// When a restore of any of them was last tried and found good.
    pub restore_tested_unix_ms: Option<i64>,
    /// The newest backup.
    pub newest: Option<String>,
    /// Incrementals on the full that it needs, itself counted.
    pub chain_length: u32,
    /// How many there may be, by `backup.chain_max`.
    pub chain_max: u32,
    /// Bytes of its segments and runs.
    pub storage_bytes: u64,
    /// How many there may be, by `retention.storage_bytes_max`.
    pub storage_bytes_max: Option<u64>,
    /// When it has that many, by the forecast.
    pub storage_full_unix_ms: Option<i64>,
    /// Backups that are deleted and not removed yet.
    pub trash_backups: u64,
    /// Bytes of segments that these wrote; what others need of them stays.
    pub trash_bytes: u64,
    /// The disks of state and repository.
    pub disks: Vec<DiskFacts>,
    /// Backups are scheduled.
    pub scheduled: bool,
    /// Milliseconds from one scheduled backup to the next.
    pub schedule_every_ms: u64,
    /// Times that the schedule failed since it last succeeded.
    pub schedule_failures: u32,
    /// Why.
    pub schedule_error: Option<String>,
    /// Since when each cleanup failed.
    pub cleanup_failing_since_unix_ms: Option<i64>,
    /// Why.
    pub cleanup_error: Option<String>,
}

pub(super) fn percent(part: u64, of: u64) -> u64 {
    let share = u128::from(part) * 100 / u128::from(of.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}
