//! What the host needs of a retention policy: one opinion on each backup of a list.

use std::sync::Arc;

use crate::{Result, UnixMs};

/// How a backup was made, as a policy sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BackupSort {
    /// Everything.
    Full,
    /// What changed since its parent.
    Incremental,
    /// A full merged from a chain.
    Synthetic,
}

/// One backup as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFacts {
    /// Its id.
    pub id: String,
    /// Backups that replace one another; a list is of one series.
    pub series: String,
    /// A name for people; may be empty.
    pub label: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How it was made.
    pub sort: BackupSort,
    /// Never forget.
    pub is_pinned: bool,
    /// It was read wholly, and the last time was good.
    pub is_verified: bool,
    /// A restore or a verification is reading it.
    pub is_in_use: bool,
    /// The host made it before a restore.
    pub is_safety: bool,
    /// Where its parent is in the list.
    pub parent: Option<usize>,
    /// When it was made.
    pub created: UnixMs,
    /// The sequence that it shows.
    pub sequence: u64,
    /// Its records.
    pub records: u64,
    /// Bytes that it wrote, before the codec.
    pub raw_bytes: u64,
    /// Bytes of the objects that it wrote. They are freed once nothing needs them that stays.
    pub stored_bytes: u64,
    /// How often it was restored.
    pub restores: u64,
}

/// The circumstances of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The moment of the evaluation.
    pub now: UnixMs,
    /// Bytes that all backups of the repository wrote, of every series, but for deleted ones.
    pub storage_bytes: u64,
    /// How many it may have.
    pub storage_bytes_max: Option<u64>,
    /// A time zone for calendars; empty for UTC.
    pub time_zone: String,
}

/// What a policy says of a backup.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No opinion; not a vote.
    Abstain,
    /// It stays.
    Keep,
    /// It may go.
    Forget,
}

/// Longest reason of a vote that is kept; more is cut.
pub const REASON_BYTES_MAX: usize = 256;

/// What a policy says of a backup, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Vote {
    /// Keep, forget or abstain.
    pub verdict: Verdict,
    /// Of what is forgotten, lower goes first.
    pub priority: i32,
    /// The reason in words.
    pub reason: String,
}

/// Says which backups stay: a pure function of a list and its circumstances. Shared by all threads.
pub trait RetentionPolicy: Send + Sync {
    /// The short name that reports show, such as `count`.
    fn name(&self) -> &str;

    /// One vote for each backup, in the order of the list, which is sorted by creation, oldest first.
    ///
    /// # Errors
    /// What keeps it from saying so; nothing may be deleted then.
    fn evaluate(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
    ) -> Result<Vec<Vote>>;
}
