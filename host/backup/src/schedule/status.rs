//! What a schedule does and did, for people and programs.

use serde::Serialize;
use statekeep_core::{ProgressSnapshot, UnixMs};

use super::plan::{ScheduleConfig, When};

/// What the schedule does and did since the state was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduleStatus<D> {
    /// There is a schedule; otherwise all that follows is empty.
    pub enabled: bool,
    /// Milliseconds from one to the next.
    pub every_ms: Option<u64>,
    /// The time of the day.
    pub daily_at: Option<String>,
    /// The zone of that time.
    pub time_zone: Option<String>,
    /// Of backups, the age of the newest full one at which the next one is a full one.
    pub full_every_ms: Option<u64>,
    /// Longest delay that spreads them.
    pub jitter_ms: u64,
    /// How far it is, while it is being done.
    pub running: Option<ProgressSnapshot>,
    /// When the next one is due, or is tried again; in the past when it is due now.
    #[serde(rename = "next_run_unix_ms")]
    pub next_run: Option<UnixMs>,
    /// When the newest one was begun that counts: a backup of this state, whoever made it; a cleanup that
    /// a schedule of this state made, in whichever process.
    #[serde(rename = "newest_unix_ms")]
    pub newest: Option<UnixMs>,
    /// The last one that the schedule made or tried.
    pub last_run: Option<ScheduledRun<D>>,
    /// Why the last one failed, until one succeeds.
    pub last_error: Option<String>,
    /// How many the schedule made.
    pub runs: u64,
    /// Times that it failed.
    pub failures: u64,
    /// Times that it failed since it last succeeded.
    pub failures_in_row: u32,
    /// What will not be as it was meant, and what to do about it.
    pub warning: Option<String>,
    /// It waits, since somebody makes a backup in the repository.
    pub waits_for_other: bool,
}

/// What the schedule made or tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduledRun<D> {
    /// When it began.
    #[serde(rename = "started_unix_ms")]
    pub started: UnixMs,
    /// When it ended.
    #[serde(rename = "finished_unix_ms")]
    pub finished: UnixMs,
    /// What was done: the id of the backup, or what the cleanup did; `None` when it failed.
    pub done: Option<D>,
    /// Why it failed.
    pub error: Option<String>,
}

impl<D> Default for ScheduleStatus<D> {
    fn default() -> ScheduleStatus<D> {
        ScheduleStatus {
            enabled: false,
            every_ms: None,
            daily_at: None,
            time_zone: None,
            full_every_ms: None,
            jitter_ms: 0,
            running: None,
            next_run: None,
            newest: None,
            last_run: None,
            last_error: None,
            runs: 0,
            failures: 0,
            failures_in_row: 0,
            warning: None,
            waits_for_other: false,
        }
    }
}

impl<D> ScheduleStatus<D> {
    /// The status before anything was done.
    pub(super) fn of(config: &ScheduleConfig) -> ScheduleStatus<D> {
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
