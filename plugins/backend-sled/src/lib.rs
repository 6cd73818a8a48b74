//! sled 0.34, for states that other programs keep in it. Not the default: it has no snapshots, no
//! release since 2021, and writes more.
//!
//! All spaces live in one tree, so a commit is one atomic batch. `sync` flushes sled's buffers and
//! then does what sled leaves out (see `stable`). sled offers nothing between a buffer in the
//! process and its flush, so `relaxed` flushes too, without the final sync: it survives kill -9 and
//! costs nearly as much. Reads may touch the disk, hence `blocking_reads`. Scans have no snapshot.
//! Closed after a write that failed, sled waits for ever, so commits are refused before the disk is
//! full (the SDK's `room`).
//! sled's worker threads belong to the process, not to an instance.
#![deny(unsafe_code)]

mod cursor;
mod fault;
mod options;
mod stable;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use sled::{Batch, Db, IVec, Mode};
use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Durability, Host, Level, Op, Outcome, Plugin, Result,
    ScanRange, Sink, export_plugin, one_keyspace, room::Room,
};

pub use cursor::Rows;
use options::Options;
use stable::Stable;

/// Far above what the host needs, far below what one page of sled can hold.
const VALUE_BYTES_MAX: u64 = 256 << 20;
const COMMIT_BYTES_MAX: u64 = 1 << 30;

export_plugin!(Sled: backend);

/// One open store. Fields are dropped in this order: `released` last, when the tree is closed.
pub struct Sled {
    rows: Db,
    /// Held for the whole of a commit: preconditions and what they guard are one step.
    writer: Mutex<Writer>,
    #[expect(dead_code, reason = "its drop waits for the engine's lock")]
    released: Released,
}

struct Writer {
    room: Room,
    stable: Stable,
}

impl Plugin for Sled {
    const ID: &'static str = "statekeep.sled";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "sled 0.34: embedded B+ tree on a log";

    fn create(host: Host, config: &Config) -> Result<Sled> {
        let options = Options::read(config)?;
        let directory = config.directory()?;
        stable::prepare(directory)?;
        let rows = sled::Config::new()
            .path(directory)
            .cache_capacity(options.cache_bytes)
            .mode(match options.throughput {
                true => Mode::HighThroughput,
                false => Mode::LowSpace,
            })
            .flush_every_ms(None)
            .open()
            .map_err(|error| fault::of(error, "open"))?;
        let released = Released {
            path: stable::data_file(directory),
            host,
        };
        let room = Room::new(directory, options.free_bytes_min);
        let stable = Stable::open(directory)?;
        let sled = Sled {
            rows,
            writer: Mutex::new(Writer { room, stable }),
            released,
        };
        // A commit syncs the files it finds, so their names must be on disk before the first one.
        sled.flush()?;
        sync_names(directory)?;
        Ok(sled)
    }
}

fn sync_names(directory: &Path) -> Result<()> {
    for name in ["conf", "blobs", "."] {
        File::open(directory.join(name))?.sync_all()?;
    }
    Ok(())
}

impl Backend for Sled {
    type Cursor = Rows;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            persistent: true,
            blocking_reads: true,
            preconditions: true,
            shared: false,
            snapshot_scans: false,
            key_bytes_max: u64::from(u16::MAX),
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
        let mut writer = self.writer.lock();
        if let Some(index) = commit.conflict(|space, key| self.value(space, key))? {
            return Ok(Outcome::Conflict { index });
        }
        writer.room.take(commit)?;
        // A batch is a map, so the last operation on a row wins.
        let mut batch = Batch::default();
        for op in commit.ops() {
            match op {
                Op::Put { space, key, value } => {
                    one_keyspace::with_stored(space, key, |stored| batch.insert(stored, value));
                }
                Op::Delete { space, key } => {
                    one_keyspace::with_stored(space, key, |stored| batch.remove(stored));
                }
            }
        }
        self.rows
            .apply_batch(batch)
            .map_err(|error| fault::of(error, "commit"))?;
        self.settle(&mut writer.stable, commit.durability())?;
        Ok(Outcome::COMMITTED)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Rows> {
        let (lo, hi) = one_keyspace::bounds(range);
        Ok(Rows::new(self.rows.range(lo..hi), range.reverse))
    }

    fn flush(&self) -> Result<()> {
        self.settle(&mut self.writer.lock().stable, Durability::Sync)
    }
}

impl Sled {
    /// Takes what was applied out of the process and, for `Sync`, to stable storage.
    fn settle(&self, stable: &mut Stable, durability: Durability) -> Result<()> {
        let synced = durability == Durability::Sync;
        if synced {
            stable.sync_blobs()?;
        }
        self.rows
            .flush()
            .map_err(|error| fault::of(error, "flush"))?;
        if synced {
            stable.sync_data()?;
        }
        Ok(())
    }

    fn value(&self, space: u32, key: &[u8]) -> Result<Option<IVec>> {
        one_keyspace::with_stored(space, key, |stored| self.rows.get(stored))
            .map_err(|error| fault::of(error, "get"))
    }
}

/// Waits, when dropped, until the store can be opened again.
///
/// sled's threads may hold the file, and with it the lock, a moment longer than the tree.
struct Released {
    path: PathBuf,
    host: Host,
}

impl Drop for Released {
    fn drop(&mut self) {
        const STEP: Duration = Duration::from_micros(200);
        const STEPS: u32 = 25_000;
        for _ in 0..STEPS {
            // The lock that this takes ends with the file, at the end of the round.
            match File::open(&self.path) {
                Ok(file) if file.try_lock().is_err() => std::thread::sleep(STEP),
                Ok(_) | Err(_) => return,
            }
        }
        let text = "the store is still locked 5 s after its end: a cursor was not closed";
        self.host.log(Level::Warn, text);
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
