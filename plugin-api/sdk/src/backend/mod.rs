//! Backends: ordered rows in numbered spaces, with atomic commits.
//!
//! The traits are here, what the host passes in is in `view`, and the functions of the ABI table in
//! `table`. Before a backend sees a call, kinds, spaces, flags and its own limits were checked.

mod table;
mod view;

use std::fmt;

use statekeep_plugin_api as api;

use crate::{Plugin, Result};

pub use table::table;
pub use view::{Commit, Op, Precondition, ScanRange, Sink};

/// A storage engine. All of it is called from any thread, at the same time.
pub trait Backend: Plugin {
    /// A scan in progress.
    type Cursor: Cursor;

    /// What it can do; asked once for an instance.
    fn capabilities(&self) -> Capabilities;

    /// Delivers the row's value to `out` and answers true, or answers false when there is no row.
    /// Sees every commit that returned before it was called.
    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool>;

    /// Applies all operations, in order, or none, at the durability asked for. A later operation on
    /// the same row wins. Preconditions are checked first; there are none without the capability.
    ///
    /// # Errors
    /// TOO_LARGE, NO_SPACE, UNAVAILABLE, UNSUPPORTED and INVALID_ARGUMENT promise that nothing was
    /// applied. After any other error the host takes the outcome as unknown and stops writing.
    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome>;

    /// Opens a cursor. A row that stays unchanged is delivered exactly once, in order; a row changed
    /// meanwhile appears as before or as after. Never blocks commits, for as long as the cursor
    /// lives. Is not called for an empty range.
    fn scan(&self, range: &ScanRange<'_>) -> Result<Self::Cursor>;

    /// Returns when every commit that returned before it is on stable storage.
    fn flush(&self) -> Result<()>;
}

/// A scan in progress; used by one thread at a time. The SDK batches its rows.
pub trait Cursor: Send + 'static {
    /// Keys and values: `Vec<u8>`, `Arc<[u8]>`, or the engine's own shared bytes.
    type Bytes: AsRef<[u8]>;

    /// The next row, `None` at the end. Is not called again after the end or an error.
    fn next(&mut self) -> Option<Result<(Self::Bytes, Self::Bytes)>>;
}

/// What a backend can do. The default can nothing special and has no limits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Rows outlive the process.
    pub persistent: bool,
    /// `get` and scans may wait for a disk or a network.
    pub blocking_reads: bool,
    /// Preconditions are honoured atomically with the commit.
    pub preconditions: bool,
    /// Several hosts may share the data; implies preconditions.
    pub shared: bool,
    /// A scan sees one instant, that of its opening.
    pub snapshot_scans: bool,
    /// Longest key in bytes; at least [`api::KEY_BYTES_NEEDED`].
    pub key_bytes_max: u64,
    /// Longest value in bytes; at least 17 MiB.
    pub value_bytes_max: u64,
    /// Most operations in one commit.
    pub commit_ops_max: u64,
    /// Most bytes of keys and values in one commit.
    pub commit_bytes_max: u64,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            persistent: false,
            blocking_reads: false,
            preconditions: false,
            shared: false,
            snapshot_scans: false,
            key_bytes_max: u64::MAX,
            value_bytes_max: u64::MAX,
            commit_ops_max: u64::MAX,
            commit_bytes_max: u64::MAX,
        }
    }
}

impl Capabilities {
    fn to_raw(self) -> api::BackendCapabilities {
        let flags = [
            (self.persistent, api::CAPABILITY_PERSISTENT),
            (self.blocking_reads, api::CAPABILITY_BLOCKING_READS),
            (
                self.preconditions || self.shared,
                api::CAPABILITY_PRECONDITIONS,
            ),
            (self.shared, api::CAPABILITY_SHARED),
            (self.snapshot_scans, api::CAPABILITY_SNAPSHOT_SCANS),
        ];
        api::BackendCapabilities {
            flags: flags
                .iter()
                .filter(|(has, _)| *has)
                .fold(0, |all, (_, flag)| all | flag),
            key_bytes_max: self.key_bytes_max,
            value_bytes_max: self.value_bytes_max,
            commit_ops_max: self.commit_ops_max,
            commit_bytes_max: self.commit_bytes_max,
        }
    }
}

/// How safe a commit is when it returns.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Handed to the operating system (survives kill -9), on stable storage after the next flush.
    Relaxed,
    /// On stable storage, through the engine's strongest sync.
    Sync,
}

/// How a commit ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied.
    Committed {
        /// The backend's own number of this commit, 0 when it has none.
        sequence: u64,
    },
    /// Nothing was applied, since a precondition did not hold.
    Conflict {
        /// Index of the first precondition that did not hold.
        index: usize,
    },
}

impl Outcome {
    /// Applied, by a backend that does not number its commits.
    pub const COMMITTED: Outcome = Outcome::Committed { sequence: 0 };
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Relaxed => "relaxed",
            Durability::Sync => "sync",
        })
    }
}
