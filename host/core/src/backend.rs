//! What the core needs of a storage engine: `get`, `commit` and `scan` over ordered rows.
//!
//! The loader adapts backend plugins to these traits. A backend instance keeps everything in one
//! folder, that of its namespace.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Codec, Error, ErrorKind, Result, RetentionPolicy};

/// A keyspace of a backend. The numbers are those of the plugin ABI and of the formats.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Space {
    /// key → record
    Data = 0,
    /// key and first sequence → end sequence and superseded record
    History = 1,
    /// sequence → what changed
    Journal = 2,
    /// secondary indexes
    Index = 3,
    /// the state's own facts
    Meta = 4,
}

/// How safe a commit is when it is acknowledged.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Handed to the operating system; on stable storage within `flush_interval_ms`.
    Relaxed,
    /// On stable storage.
    #[default]
    Sync,
}

/// One change of a row.
#[derive(Copy, Clone, Debug)]
pub enum RowOp<'a> {
    /// Write the row, replacing what is there.
    Put {
        /// Where.
        space: Space,
        /// The row's key.
        key: &'a [u8],
        /// The row's value.
        value: &'a [u8],
    },
    /// Remove the row; a missing row is no error.
    Delete {
        /// Where.
        space: Space,
        /// The row's key.
        key: &'a [u8],
    },
}

/// What a backend can do; limits of `u64::MAX` mean "none that matters".
#[derive(Copy, Clone, Debug)]
pub struct Capabilities {
    /// Rows outlive the process.
    pub persistent: bool,
    /// Reads may wait for a disk or network and do not belong on an async executor's thread.
    pub blocking_reads: bool,
    /// A scan sees one instant.
    pub snapshot_scans: bool,
    /// Longest key in bytes.
    pub key_bytes_max: u64,
    /// Longest value in bytes.
    pub value_bytes_max: u64,
    /// Most operations in one commit.
    pub commit_ops_max: u64,
    /// Most bytes of keys and values in one commit.
    pub commit_bytes_max: u64,
}

/// How a commit failed.
#[derive(Debug)]
pub enum CommitError {
    /// Nothing was applied; the backend can go on.
    Refused(Error),
    /// Part, all or nothing may have been applied; writing must stop.
    Unknown(Error),
}

/// A range of keys: `lo <= key < hi`; `hi = None` has no upper end.
#[derive(Copy, Clone, Debug, Default)]
pub struct KeyRange<'a> {
    /// First key that belongs.
    pub lo: &'a [u8],
    /// First key that does not belong.
    pub hi: Option<&'a [u8]>,
    /// From the last row to the first.
    pub reverse: bool,
}

/// A storage engine opened on one namespace folder. Shared by all threads.
pub trait Backend: Send + Sync {
    /// What it can do; the same for its life.
    fn capabilities(&self) -> Capabilities;

    /// Appends the row's value to `out` and answers true, or answers false when there is no row.
    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool>;

    /// Applies all operations or none, at the durability asked for.
    ///
    /// What a power cut leaves is a prefix of the commits in the order in which they were made, so a
    /// commit with [`Durability::Sync`] makes every commit before it durable too.
    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError>;

    /// Opens a cursor. A row that stays unchanged is delivered exactly once, in order; a row
    /// changed meanwhile appears as before or as after.
    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>>;

    /// Returns when every commit that returned before it is on stable storage.
    fn flush(&self) -> Result<()>;
}

/// A scan in progress; used by one thread at a time.
pub trait Cursor: Send {
    /// Hands up to `rows_max` rows to `visit`, in order, and answers how many; 0 is the end. Fewer
    /// than `rows_max` is not the end.
    fn next_batch(&mut self, rows_max: usize, visit: &mut dyn FnMut(&[u8], &[u8]))
    -> Result<usize>;
}

/// What a backend is opened with.
#[derive(Clone, Debug)]
pub struct BackendConfig {
    /// An existing folder of its own.
    pub directory: PathBuf,
    /// The user's settings for this backend, a JSON object.
    pub options: serde_json::Value,
}

/// The error of a plugin without which something stored cannot be read: `Plugin` where it is not there,
/// since "not found" would be said of what is stored.
pub(crate) fn needed(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::other(ErrorKind::Plugin, error.to_string()),
        _ => error,
    }
}

/// Where backends and codecs come from; the loader implements it over plugins.
pub trait Plugins: Send + Sync {
    /// Opens the backend `name` on a folder; `NotFound` when there is none of the name, as of the others.
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>>;

    /// The codec `name`.
    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>>;

    /// A retention policy of its own: `name` with `options`.
    fn retention(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn RetentionPolicy>> {
        let _ = options;
        let message = format!("retention policy `{name}`: this program has no policies");
        Err(Error::other(ErrorKind::Unsupported, message))
    }
    /// Whether a plugin has this name, so that no other policy may. Opens none.
    ///
    /// # Errors
    /// `InvalidArgument` for what cannot be a name.
    fn has_retention(&self, name: &str) -> Result<bool> {
        let _ = name;
        Ok(false)
    }
}
