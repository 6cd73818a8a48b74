//! `statekeep.retention/1`: which backups stay; a pure function over the whole list.

use abi_stable::StableAbi;

use crate::{Bytes, ErrorOut, Instance, Interface, OutBuf, Status};

/// Kind of backup: everything.
pub const BACKUP_FULL: u32 = 1;
/// Kind of backup: what changed since its parent.
pub const BACKUP_INCREMENTAL: u32 = 2;
/// Kind of backup: a full merged from a chain.
pub const BACKUP_SYNTHETIC: u32 = 3;

/// Backup flag: never forget.
pub const BACKUP_PINNED: u32 = 1;
/// Backup flag: its last verify was good.
pub const BACKUP_VERIFIED: u32 = 2;
/// Backup flag: a restore or verify is reading it.
pub const BACKUP_IN_USE: u32 = 4;
/// Backup flag: made by the host before a restore.
pub const BACKUP_SAFETY: u32 = 8;

/// Verdict: no opinion; an abstention is not a vote.
pub const VERDICT_ABSTAIN: u32 = 0;
/// Verdict: the backup stays.
pub const VERDICT_KEEP: u32 = 1;
/// Verdict: the backup may go.
pub const VERDICT_FORGET: u32 = 2;

/// One backup as a policy sees it.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct BackupInfo {
    /// Identifier, UTF-8.
    pub id: Bytes,
    /// Series it belongs to, UTF-8; a call sees one series.
    pub series: Bytes,
    /// Label given by the user, UTF-8, may be empty.
    pub label: Bytes,
    /// Tags, UTF-8.
    pub tags: *const Bytes,
    /// Number of tags.
    pub tags_len: usize,
    /// `BACKUP_FULL`, `BACKUP_INCREMENTAL` or `BACKUP_SYNTHETIC`.
    pub kind: u32,
    /// `BACKUP_*` flags.
    pub flags: u32,
    /// Index of the parent in the list, -1 when it has none.
    pub parent: i64,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub created_unix_ms: i64,
    /// The state's sequence that it holds.
    pub sequence: u64,
    /// Records in it.
    pub records: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes that only this backup holds in the repository.
    pub stored_bytes: u64,
    /// How often it was restored.
    pub restores: u64,
}

/// The circumstances of an evaluation.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct RetentionContext {
    /// The moment of the evaluation, milliseconds since 1970-01-01 UTC.
    pub now_unix_ms: i64,
    /// Bytes that all backups of the repository wrote, of every series, but for deleted ones.
    pub storage_bytes: u64,
    /// Configured limit of the repository, `UINT64_MAX` when none.
    pub storage_bytes_max: u64,
    /// IANA time zone for calendar rules, UTF-8; empty means UTC.
    pub time_zone: Bytes,
}

/// What a policy says about one backup.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Decision {
    /// `VERDICT_*`; the host sets ABSTAIN before the call; an unknown one fails the evaluation.
    pub verdict: u32,
    /// Among backups to forget, lower goes first.
    pub priority: i32,
    /// The reason in words, UTF-8, into memory of the host; cut at its capacity.
    pub reason: OutBuf,
}

/// The functions of a retention policy.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct RetentionV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` Writes one decision for each backup. `backups` is sorted by creation, oldest
    /// first. The same input gives the same output; nothing is read from outside.
    pub evaluate: unsafe extern "C" fn(
        instance: *const Instance,
        backups: *const BackupInfo,
        backups_len: usize,
        context: *const RetentionContext,
        decisions: *mut Decision,
        err: *mut ErrorOut,
    ) -> Status,
}

// SAFETY: repr(C), two leading words, then non-NULL function pointers only.
unsafe impl Interface for RetentionV1 {
    const ID: &'static str = crate::RETENTION_V1_ID;
    const ABI_HASH: u64 = 0xcb0a_0871_8983_9abc;
}
