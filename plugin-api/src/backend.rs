//! `statekeep.backend/1`: ordered rows in numbered spaces, with atomic commits.
//!
//! A backend keeps rows (key bytes → value bytes) in spaces, ordered by the bytes of the key. The
//! host builds journal, history, snapshots, transactions and backups above it.

use abi_stable::StableAbi;

use crate::{Bytes, Cursor, ErrorOut, Instance, Interface, Sink, Status};

/// The space of records: key → record.
pub const SPACE_DATA: u32 = 0;
/// The space of superseded records.
pub const SPACE_HISTORY: u32 = 1;
/// The space of the journal: sequence → what changed.
pub const SPACE_JOURNAL: u32 = 2;
/// The space of secondary indexes.
pub const SPACE_INDEX: u32 = 3;
/// The space of the state's own facts.
pub const SPACE_META: u32 = 4;
/// Spaces a backend must offer: numbers 0 to `SPACE_COUNT - 1`.
pub const SPACE_COUNT: u32 = 8;

/// Longest key that every backend takes, in bytes: what two keys in a B-tree page of 4 KiB leave.
pub const KEY_BYTES_NEEDED: u64 = 1980;

/// Operation: write the row, replacing what is there.
pub const OP_PUT: u32 = 1;
/// Operation: remove the row; a missing row is no error.
pub const OP_DELETE: u32 = 2;

/// Precondition: the row's value equals `value`.
pub const PRECONDITION_EQUALS: u32 = 1;
/// Precondition: there is no such row.
pub const PRECONDITION_ABSENT: u32 = 2;

/// Durability: on stable storage, through the engine's strongest sync, before `commit` returns; so
/// is every commit that returned before this one was called.
pub const DURABILITY_SYNC: u32 = 1;
/// Durability: handed to the operating system before `commit` returns (survives kill -9), on stable
/// storage after the next `flush` or sync commit. A power cut may lose the latest of these commits,
/// never one from the middle: what survives is a prefix.
pub const DURABILITY_RELAXED: u32 = 2;

/// Scan flag: from the last row to the first.
pub const SCAN_REVERSE: u32 = 1;
/// Scan flag: `hi` is ignored, the range has no upper end.
pub const SCAN_UNBOUNDED: u32 = 2;

/// Capability flag: rows outlive the process.
pub const CAPABILITY_PERSISTENT: u64 = 1;
/// Capability flag: `get` and scans may wait for a disk or a network; call them off event loops.
pub const CAPABILITY_BLOCKING_READS: u64 = 2;
/// Capability flag: preconditions are honoured atomically with the commit.
pub const CAPABILITY_PRECONDITIONS: u64 = 4;
/// Capability flag: several hosts may share the data; implies preconditions.
pub const CAPABILITY_SHARED: u64 = 8;
/// Capability flag: a scan sees one instant, that of `scan_open`.
pub const CAPABILITY_SNAPSHOT_SCANS: u64 = 16;

/// What a backend can do. `u64::MAX` in a limit means "none that matters".
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct BackendCapabilities {
    /// `CAPABILITY_*` flags; unknown bits are ignored.
    pub flags: u64,
    /// Longest key in bytes; at least `KEY_BYTES_NEEDED`.
    pub key_bytes_max: u64,
    /// Longest value in bytes; at least 17 MiB.
    pub value_bytes_max: u64,
    /// Most operations in one commit.
    pub commit_ops_max: u64,
    /// Most bytes of keys and values in one commit.
    pub commit_bytes_max: u64,
}

/// One change of a row.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Op {
    /// `OP_*`; an unknown kind is UNSUPPORTED and nothing of the commit is applied.
    pub kind: u32,
    /// `SPACE_*`; a number of `SPACE_COUNT` or more is INVALID_ARGUMENT, here and everywhere.
    pub space: u32,
    /// The row's key, 1 byte or more.
    pub key: Bytes,
    /// The row's value; ignored by a delete.
    pub value: Bytes,
}

/// One condition of a commit.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Precondition {
    /// `PRECONDITION_*`; an unknown kind is UNSUPPORTED.
    pub kind: u32,
    /// `SPACE_*`.
    pub space: u32,
    /// The row's key.
    pub key: Bytes,
    /// The expected value, for `PRECONDITION_EQUALS`.
    pub value: Bytes,
}

/// One atomic commit: all operations over all spaces, in order, or none.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Commit {
    /// The operations; a later one on the same row wins.
    pub ops: *const Op,
    /// Number of operations.
    pub ops_len: usize,
    /// Checked before anything is applied; not empty only where the backend has the capability.
    pub preconditions: *const Precondition,
    /// Number of preconditions.
    pub preconditions_len: usize,
    /// `DURABILITY_*`; an unknown one is UNSUPPORTED.
    pub durability: u32,
    /// Reserved flags, 0; a backend answers UNSUPPORTED to any bit it does not know.
    pub flags: u32,
    /// Idempotency token, 16 bytes, unique to this commit; empty when the host does not ask for one.
    pub token: Bytes,
}

/// What a commit answers beside its status.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct CommitOutcome {
    /// On OK: the backend's own number of this commit, 0 when it has none.
    pub sequence: u64,
    /// On CONFLICT: index of the first precondition that did not hold.
    pub conflict_index: u64,
}

/// A half-open range of keys, `lo <= key < hi`; empty when `lo >= hi`.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct ScanRange {
    /// `SPACE_*`.
    pub space: u32,
    /// `SCAN_*` flags; an unknown bit is UNSUPPORTED.
    pub flags: u32,
    /// First key that belongs; empty means from the start.
    pub lo: Bytes,
    /// First key that does not belong; see `SCAN_UNBOUNDED`.
    pub hi: Bytes,
}

/// One row of a scan.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// The functions of a backend.
///
/// The host passes `create` a configuration with `directory`, an existing folder of the instance's
/// own in which it keeps everything, and `options`, the user's settings.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct BackendV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` What the backend can do; the same for the life of the instance.
    pub capabilities: unsafe extern "C" fn(
        instance: *const Instance,
        out: *mut BackendCapabilities,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[any-thread]` Delivers the row's value to the sink, or answers NOT_FOUND. Sees every commit
    /// that returned before it was called.
    pub get: unsafe extern "C" fn(
        instance: *const Instance,
        space: u32,
        key: Bytes,
        sink: *const Sink,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[any-thread]` Applies all or nothing, at the durability asked for. OK committed; CONFLICT,
    /// TOO_LARGE, NO_SPACE, UNAVAILABLE, UNSUPPORTED, INVALID_ARGUMENT: nothing was applied;
    /// INDETERMINATE: unknown; any other error: the host treats the outcome as unknown and stops
    /// writing. `out` is written on OK and CONFLICT; it may be NULL.
    pub commit: unsafe extern "C" fn(
        instance: *const Instance,
        commit: *const Commit,
        out: *mut CommitOutcome,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[any-thread]` Opens a cursor. A row that exists unchanged for the whole scan is delivered
    /// exactly once, in order; a row changed meanwhile appears as before or as after. Never blocks
    /// commits.
    pub scan_open: unsafe extern "C" fn(
        instance: *const Instance,
        range: *const ScanRange,
        out: *mut *mut Cursor,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[one-thread-at-a-time]` Fills up to `cap` (1 or more) entries, which borrow from the cursor
    /// until its next call; `*n = 0` means the end. Fewer than `cap` is not the end.
    pub scan_next: unsafe extern "C" fn(
        instance: *const Instance,
        cursor: *mut Cursor,
        entries: *mut Entry,
        cap: usize,
        n: *mut usize,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[one-thread-at-a-time]` Ends a cursor, once, before the instance is destroyed.
    pub scan_close: unsafe extern "C" fn(instance: *const Instance, cursor: *mut Cursor),
    /// `[any-thread]` Returns when every commit that returned before it is on stable storage.
    pub flush: unsafe extern "C" fn(instance: *const Instance, err: *mut ErrorOut) -> Status,
}

// SAFETY: repr(C), two leading words, then non-NULL function pointers only.
unsafe impl Interface for BackendV1 {
    const ID: &'static str = crate::BACKEND_V1_ID;
    const ABI_HASH: u64 = 0x611b_fd13_060f_c983;
}
