//! How a state is opened: where, on which backend, with which limits and clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::vfs::{RealVfs, Vfs};
use crate::{Durability, Rule, UnixMs, VALUE_BYTES_MAX};

/// Where the time of commits comes from.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> UnixMs;
}

/// The operating system's clock.
#[derive(Copy, Clone, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMs {
        let ms =
            |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => UnixMs(ms(since)),
            Err(before) => UnixMs(-ms(before.duration())),
        }
    }
}

/// The limits of a state; an error of kind `TooLarge` names the one that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest value in bytes.
    pub value_bytes_max: u64,
    /// Most changes in a batch.
    pub batch_ops_max: u64,
    /// Most bytes of keys and values in a batch.
    pub batch_bytes_max: u64,
    /// Most keys in a page of a list or scan, and in one `get_many`.
    pub page_keys_max: u64,
    /// Bytes of values after which a page ends early.
    pub page_bytes_max: u64,
    /// Most keys that one clear, copy or move of a scope may touch.
    pub scope_keys_max: u64,
    /// Most bytes of keys and records that one clear, copy or move of a scope may touch.
    pub scope_bytes_max: u64,
    /// Most bytes of changes that may wait for the committer.
    pub queue_bytes_max: u64,
    /// Most commits that may wait for the committer.
    pub queue_commits_max: u64,
    /// Most bytes of values of class `ephemeral`.
    pub ephemeral_bytes_max: u64,
    /// Most keys and ranges that one transaction may read or write.
    pub transaction_keys_max: u64,
    /// Most bytes of keys and values that one transaction may hold.
    pub transaction_bytes_max: u64,
    /// Longest life of a transaction in milliseconds.
    pub transaction_age_ms_max: u64,
    /// Most bytes of rows that one query may hold to put them in order.
    pub query_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            value_bytes_max: VALUE_BYTES_MAX as u64,
            batch_ops_max: 10_000,
            batch_bytes_max: 64 << 20,
            page_keys_max: 10_000,
            page_bytes_max: 8 << 20,
            scope_keys_max: 100_000,
            scope_bytes_max: 256 << 20,
            queue_bytes_max: 256 << 20,
            queue_commits_max: 65_536,
            ephemeral_bytes_max: 256 << 20,
            transaction_keys_max: 10_000,
            transaction_bytes_max: 64 << 20,
            transaction_age_ms_max: 60_000,
            query_bytes_max: 64 << 20,
        }
    }
}

/// Within how many milliseconds a relaxed commit reaches stable storage, unless told otherwise.
pub const FLUSH_INTERVAL_MS: u64 = 100;

/// Bytes of hot records kept in memory, unless told otherwise.
pub const CACHE_BYTES: u64 = 64 << 20;
/// How long the past is held for the next incremental backup, unless told otherwise: 7 days.
pub const BACKUP_HOLD_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Milliseconds between two runs of the upkeep, unless told otherwise.
pub const UPKEEP_INTERVAL_MS: u64 = 60_000;

/// How much of the past of the whole state is kept; what no limit reaches stays, and so does what a
/// snapshot, a backup or a cursor still needs. Rules may keep less of single keys.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Commits older than this are forgotten, in milliseconds.
    pub age_ms: Option<u64>,
    /// At most this many commits; the newest stay.
    pub commits: Option<u64>,
}

impl Default for Keep {
    /// 30 days, however many commits.
    fn default() -> Keep {
        Keep {
            age_ms: Some(30 * 24 * 60 * 60 * 1000),
            commits: None,
        }
    }
}

/// What a state is opened with.
#[derive(Clone)]
pub struct OpenOptions {
    /// The state directory.
    pub path: PathBuf,
    /// The backend of a state that is created; an existing one knows its own.
    pub backend: String,
    /// The user's settings for the backend, a JSON object.
    pub backend_options: serde_json::Value,
    /// Create the state when there is none.
    pub create: bool,
    /// The durability of changes that do not ask for one.
    pub durability: Durability,
    /// Within how many milliseconds a relaxed commit reaches stable storage.
    pub flush_interval_ms: u64,
    /// The limits.
    pub limits: Limits,
    /// Class, life time and history of keys by patterns.
    pub rules: Vec<Rule>,
    /// The codec that packs values of class `archive`.
    pub archive_codec: String,
    /// Most bytes of hot records that are kept in memory; 0 for none.
    pub cache_bytes: u64,
    /// What of the past is kept.
    pub keep: Keep,
    /// How often expired keys are removed and the past is trimmed, in milliseconds; 0 for only when
    /// asked.
    pub upkeep_interval_ms: u64,
    /// How long the past that the next incremental backup needs is held, in milliseconds; 0 for not
    /// at all.
    pub backup_hold_ms: u64,
    /// The file layer.
    pub vfs: Arc<dyn Vfs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl OpenOptions {
    /// Options with all defaults: created when absent, durable, real files, the system's clock.
    pub fn new(path: impl Into<PathBuf>, backend: impl Into<String>) -> OpenOptions {
        OpenOptions {
            path: path.into(),
            backend: backend.into(),
            backend_options: serde_json::Value::Object(serde_json::Map::new()),
            create: true,
            durability: Durability::Sync,
            flush_interval_ms: FLUSH_INTERVAL_MS,
            limits: Limits::default(),
            rules: Vec::new(),
            archive_codec: "zstd".to_owned(),
            cache_bytes: CACHE_BYTES,
            keep: Keep::default(),
            upkeep_interval_ms: UPKEEP_INTERVAL_MS,
            backup_hold_ms: BACKUP_HOLD_MS,
            vfs: Arc::new(RealVfs),
            clock: Arc::new(SystemClock),
        }
    }
}
