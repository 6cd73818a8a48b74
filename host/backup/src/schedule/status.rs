//! What a schedule does and did, for people and programs.

use serde::Serialize;
use statekeep_core::{ProgressSnapshot, UnixMs};

use super::plan::{ScheduleConfig, When};
use crate::name::BackupId;

/// What the schedule does and did since the state was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScheduleStatus {
    /// Backups are scheduled; otherwise all that follows is empty.
    pub enabled: bool,
    /// Milliseconds from one backup to the next.
    pub every_ms: Option<u64>,
    /// The time of the day.
    pub daily_at: Option<String>,
    /// The zone of that time.
    pub time_zone: Option<String>,
    /// The age of the newest full backup at which the next one is a full one.
    pub full_every_ms: Option<u64>,
    /// Longest delay that spreads backups.
    pub jitter_ms: u64,
    /// How far the backup is that is being made.
    pub running: Option<ProgressSnapshot>,
    /// When the next one is due, or is tried again; in the past when it is due now.
    #[serde(rename = "next_run_unix_ms")]
    pub next_run: Option<UnixMs>,
    /// When the newest backup of this state was begun, whoever made it.
    #[serde(rename = "newest_backup_unix_ms")]
    pub newest_backup: Option<UnixMs>,
    /// The last one that the schedule made or tried.
    pub last_run: Option<ScheduledRun>,
    /// Why the last one failed, until one succeeds.
    pub last_error: Option<String>,
    /// Backups that the schedule made.
    pub runs: u64,
    /// Times that it failed.
    pub failures: u64,
    /// Times that it failed since it last succeeded.
    pub failures_in_row: u32,
    /// What will not be as it was meant, and what to do about it.
    pub warning: Option<String>,
    /// It waits, since somebody else makes a backup in the repository.
    pub waits_for_other: bool,
}

/// A backup that the schedule made or tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduledRun {
    /// When it began.
    #[serde(rename = "started_unix_ms")]
    pub started: UnixMs,
    /// When it ended.
    #[serde(rename = "finished_unix_ms")]
    pub finished: UnixMs,
    /// The backup; `None` when it failed.
    pub backup: Option<BackupId>,
    /// Why it failed.
    pub error: Option<String>,
}

impl ScheduleStatus {
    /// The status before anything was done.
    pub(super) fn of(config: &ScheduleConfig) -> ScheduleStatus {
        let mut status = ScheduleStatus {
            enabled: true,
            full_every_ms: config.full_every_ms,
            jitter_ms: config.jitter_ms,
            warning: config.warning(),
            ..ScheduleStatus::default()
        };
        match &config.when {
            When::EveryMs(ms) => status.every_ms = Some(*ms),
            When::Daily(daily) => {
                status.daily_at = Some(daily.at());
                status.time_zone = Some(daily.zone().to_owned());
            }
        }
        status
    }
}
