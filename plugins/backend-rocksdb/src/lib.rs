//! RocksDB, a log-structured merge tree in C++, for states that outgrow the other engines.
//!
//! All spaces live in one column family, so a commit is one record of one log, and the log's end is the
//! end of all spaces alike. `sync` syncs the log before the commit returns; `relaxed` hands the record
//! to the operating system and survives kill -9. Reads take no lock but may touch the disk, hence
//! `blocking_reads`. Scans see one instant. The options are in `options`.
#![deny(unsafe_code)]

mod cursor;
mod fault;
mod options;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBPinnableSlice, DBRecoveryMode, LogLevel,
    Options as EngineOptions, WriteBatch, WriteOptions,
};
use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Durability, Host, Op, Outcome, Plugin, Result,
    ScanRange, Sink, export_plugin, one_keyspace, room::Room,
};

pub use cursor::Rows;
use fault::During;
use options::Options;

const KEY_BYTES_MAX: u64 = u16::MAX as u64 - one_keyspace::PREFIX_BYTES as u64;
/// RocksDB takes 4 GiB; a batch of that size would be in memory three times.
const COMMIT_BYTES_MAX: u64 = 1 << 30;
const VALUE_BYTES_MAX: u64 = 256 << 20;
/// Write buffers that exist at most, full ones that wait for the disk included.
const WRITE_BUFFERS_MAX: i32 = 3;
/// RocksDB's own recommendation: one wrong answer of a filter in a hundred.
const FILTER_BITS_PER_KEY: f64 = 10.0;
/// Of the engine's own log, `LOG`.
const LOG_BYTES_MAX: usize = 1 << 20;
const LOG_FILES_MAX: usize = 2;

export_plugin!(Rocksdb: backend);

/// One open store.
pub struct Rocksdb {
    db: Arc<DB>,
    /// Held for the whole of a commit: preconditions and what they guard are one step.
    room: Mutex<Room>,
}

impl Plugin for Rocksdb {
    const ID: &'static str = "statekeep.rocksdb";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "RocksDB: embedded log-structured storage in C++";

    fn create(_host: Host, config: &Config) -> Result<Rocksdb> {
        let options = Options::read(config)?;
        let directory = config.directory()?;
        Ok(Rocksdb {
            db: Arc::new(open(directory, &options)?),
            room: Mutex::new(Room::new(directory, options.free_bytes_min)),
        })
    }
}

fn open(directory: &Path, options: &Options) -> Result<DB> {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let count = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(size(options.cache_bytes)));
    // Within the cache they are bounded by it; without, they grow with the store.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(FILTER_BITS_PER_KEY, false);

    let mut engine = EngineOptions::default();
    engine.create_if_missing(true);
    engine.set_block_based_table_factory(&blocks);
    engine.set_compression_type(DBCompressionType::Lz4);
    engine.set_write_buffer_size(size(options.write_buffer_bytes));
    engine.set_max_write_buffer_number(WRITE_BUFFERS_MAX);
    engine.set_max_background_jobs(count(options.worker_threads));
    engine.set_max_open_files(count(options.files_open_max));
    // Opens at the last whole record before the first that is torn: a prefix of the commits. The
    // stricter modes keep a store closed for the torn end that a power cut leaves.
    engine.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    engine.set_log_level(LogLevel::Warn);
    engine.set_max_log_file_size(LOG_BYTES_MAX);
    engine.set_keep_log_file_num(LOG_FILES_MAX);
    engine.set_stats_dump_period_sec(0);
    engine.set_stats_persist_period_sec(0);
    DB::open(&engine, directory).during("open")
}

impl Backend for Rocksdb {
    type Cursor = Rows;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            persistent: true,
            blocking_reads: true,
            preconditions: true,
            shared: false,
            snapshot_scans: true,
            key_bytes_max: KEY_BYTES_MAX,
            value_bytes_max: VALUE_BYTES_MAX,
            commit_ops_max: u64::from(u32::MAX),
            commit_bytes_max: COMMIT_BYTES_MAX,
        }
    }

    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool> {
        match self.value(space, key)? {
            Some(value) => out.put(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        let mut room = self.room.lock();
        if let Some(index) = commit.conflict(|space, key| self.value(space, key))? {
            return Ok(Outcome::Conflict { index });
        }
        room.take(commit)?;
        let is_synced = commit.durability() == Durability::Sync;
        if commit.ops().len() == 0 {
            // Nothing to write, but what was written before is to be on stable storage.
            if is_synced {
                self.flush()?;
            }
            return Ok(Outcome::COMMITTED);
        }
        let mut batch = WriteBatch::default();
        for op in commit.ops() {
            match op {
                Op::Put { space, key, value } => {
                    one_keyspace::with_stored(space, key, |stored| batch.put(stored, value));
                }
                Op::Delete { space, key } => {
                    one_keyspace::with_stored(space, key, |stored| batch.delete(stored));
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(is_synced);
        self.db.write_opt(batch, &options).during("commit")?;
        Ok(Outcome::COMMITTED)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Rows> {
        Ok(Rows::open(&self.db, range))
    }

    fn flush(&self) -> Result<()> {
        self.db.flush_wal(true).during("flush")
    }
}

impl Rocksdb {
    fn value(&self, space: u32, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>> {
        one_keyspace::with_stored(space, key, |stored| self.db.get_pinned(stored)).during("get")
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
