//! The embedded default: fjall, a log-structured merge tree.
//!
//! All spaces live in one keyspace of one fjall database, so a commit is one journal entry and one
//! sync, whatever spaces it touches. `sync` is fjall's `SyncAll` (fsync of the journal) before the
//! commit returns; `relaxed` hands the journal entry to the operating system and survives kill -9.
//! A large commit whose rows rise is no journal entry but a table, and is synced whatever it asks.
//! Reads take no lock but may touch the disk, hence `blocking_reads`. Scans see one instant.
//! The options are in `options`.
#![deny(unsafe_code)]

mod cursor;
mod fault;
mod journal;
mod options;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use fjall::{
    Database, Error as Engine, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
    Readable,
};
use parking_lot::Mutex;
use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Durability, Host, Level, Op, Outcome, Plugin, Result,
    ScanRange, Sink, export_plugin, one_keyspace, room::Room,
};

pub use cursor::Rows;
use options::Options;

const KEYSPACE: &str = "rows";
const FILES_OPEN_MAX: usize = 256;
/// fjall's journal holds lengths of keys in 16 bits; one byte of it is the space.
const KEY_BYTES_MAX: u64 = u16::MAX as u64 - one_keyspace::PREFIX_BYTES as u64;
const COMMIT_BYTES_MAX: u64 = 1 << 30;
/// Commits up to this size look for repeated rows by comparison, larger ones by hashing.
const FEW: usize = 8;
/// So many rows of so many bytes that rise become a table at once, as those of a restore: they need no
/// journal, and no merging with what came before them.
const TABLE_ROWS_MIN: usize = 16;
const TABLE_BYTES_MIN: usize = 8 << 20;

export_plugin!(Fjall: backend);

/// One open store. Fields are dropped in this order: `gone` last, when the threads have ended.
pub struct Fjall {
    rows: Keyspace,
    database: Database,
    /// Held for the whole of a commit: preconditions and what they guard are one step.
    room: Mutex<Room>,
    #[expect(dead_code, reason = "its drop waits for the engine's threads")]
    gone: Gone,
}

impl Plugin for Fjall {
    const ID: &'static str = "statekeep.fjall";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "fjall: embedded log-structured storage, the default backend";

    fn create(host: Host, config: &Config) -> Result<Fjall> {
        let options = Options::read(config)?;
        let directory = config.directory()?;
        let database = match open(directory, &options) {
            Err(Engine::JournalRecovery(cause)) => {
                let repaired = journal::repair(directory, options.repair_journal)?;
                let Some(text) = repaired else {
                    return Err(fault::of(Engine::JournalRecovery(cause), "open"));
                };
                host.log(Level::Warn, &text);
                host.counter_add("journal_repairs", 1);
                open(directory, &options)
            }
            other => other,
        };
        let database = database.map_err(|error| fault::of(error, "open"))?;
        let gone = Gone::of(&database, host);
        let rows = database
            .keyspace(KEYSPACE, || {
                KeyspaceCreateOptions::default().max_memtable_size(options.write_buffer_bytes)
            })
            .map_err(|error| fault::of(error, "open"))?;
        Ok(Fjall {
            rows,
            database,
            room: Mutex::new(Room::new(directory, options.free_bytes_min)),
            gone,
        })
    }
}

fn open(directory: &Path, options: &Options) -> fjall::Result<Database> {
    let threads = usize::try_from(options.worker_threads).unwrap_or(1);
    Database::builder(directory)
        .cache_size(options.cache_bytes)
        .max_journaling_size(options.journal_bytes_max)
        .worker_threads(threads)
        .max_cached_files(Some(FILES_OPEN_MAX))
        .open()
}

impl Backend for Fjall {
    type Cursor = Rows;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            persistent: true,
            blocking_reads: true,
            preconditions: true,
            shared: false,
            snapshot_scans: true,
            key_bytes_max: KEY_BYTES_MAX,
            value_bytes_max: COMMIT_BYTES_MAX,
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
        let mode = match commit.durability() {
            Durability::Sync => PersistMode::SyncAll,
            Durability::Relaxed => PersistMode::Buffer,
        };
        let ops = commit.ops();
        let order = Order::of(ops.clone());
        if order.rises && ops.len() >= TABLE_ROWS_MIN && order.bytes >= TABLE_BYTES_MIN {
            return self
                .add_table(ops)
                .map(|()| Outcome::COMMITTED)
                .map_err(|error| fault::of(error, "commit"));
        }
        let mut batch =
            OwnedWriteBatch::with_capacity(self.database.clone(), ops.len()).durability(Some(mode));
        // All rows of a batch have one sequence number, so a row may be in it once only.
        if order.rises {
            ops.for_each(|op| self.add(&mut batch, &op));
        } else if ops.len() <= FEW {
            for (at, op) in ops.clone().enumerate() {
                let later = ops.clone().skip(at + 1);
                if !later.into_iter().any(|later| row_of(&later) == row_of(&op)) {
                    self.add(&mut batch, &op);
                }
            }
        } else {
            let all: Vec<Op<'_>> = ops.collect();
            let mut seen = HashSet::with_capacity(all.len());
            for op in all.iter().rev() {
                if seen.insert(row_of(op)) {
                    self.add(&mut batch, op);
                }
            }
        }
        batch.commit().map_err(|error| fault::of(error, "commit"))?;
        Ok(Outcome::COMMITTED)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Rows> {
        let (lo, hi) = one_keyspace::bounds(range);
        // A range of the keyspace itself would show commits that come while it is read.
        let snapshot = self.database.snapshot();
        let rows = snapshot.range(&self.rows, lo..hi);
        Ok(Rows::new(rows, range.reverse))
    }

    fn flush(&self) -> Result<()> {
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(|error| fault::of(error, "flush"))
    }
}

impl Fjall {
    fn value(&self, space: u32, key: &[u8]) -> Result<Option<fjall::Slice>> {
        one_keyspace::with_stored(space, key, |stored| self.rows.get(stored))
            .map_err(|error| fault::of(error, "get"))
    }

    /// Writes rows that rise as a table. With it all rows before it are made durable.
    fn add_table<'a>(&self, ops: impl Iterator<Item = Op<'a>>) -> fjall::Result<()> {
        let mut table = self.rows.start_ingestion()?;
        for op in ops {
            let (space, key) = row_of(&op);
            one_keyspace::with_stored(space, key, |stored| match op {
                Op::Put { value, .. } => table.write(stored, value),
                Op::Delete { .. } => table.write_tombstone(stored),
            })?;
        }
        table.finish()
    }

    fn add(&self, batch: &mut OwnedWriteBatch, op: &Op<'_>) {
        let (space, key) = row_of(op);
        one_keyspace::with_stored(space, key, |stored| match *op {
            Op::Put { value, .. } => batch.insert(&self.rows, stored, value),
            Op::Delete { .. } => batch.remove(&self.rows, stored),
        });
    }
}

/// How the rows of a commit stand.
struct Order {
    /// Each row comes behind the one before it.
    rises: bool,
    /// Bytes of all keys and values.
    bytes: usize,
}

impl Order {
    fn of<'a>(ops: impl Iterator<Item = Op<'a>>) -> Order {
        let mut order = Order {
            rises: true,
            bytes: 0,
        };
        let mut last = None;
        for op in ops {
            let row = row_of(&op);
            order.rises &= last.is_none_or(|last| last < row);
            order.bytes += match op {
                Op::Put { key, value, .. } => key.len() + value.len(),
                Op::Delete { key, .. } => key.len(),
            };
            last = Some(row);
        }
        order
    }
}

fn row_of<'a>(op: &Op<'a>) -> (u32, &'a [u8]) {
    match *op {
        Op::Put { space, key, .. } | Op::Delete { space, key } => (space, key),
    }
}

/// Waits, when dropped, until nothing of the database is alive.
///
/// fjall's own drop releases the lock when each worker has said that it ends, a moment before the
/// worker lets go of the journal. Every part of a database shares its cache, so the cache says when
/// the last one is gone.
struct Gone {
    cache: Weak<dyn Send + Sync>,
    host: Host,
}

impl Gone {
    fn of(database: &Database, host: Host) -> Gone {
        let cache = std::sync::Arc::downgrade(&database.config.cache);
        Gone { cache, host }
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        const STEP: Duration = Duration::from_micros(50);
        const STEPS: u32 = 100_000;
        for _ in 0..STEPS {
            if self.cache.strong_count() == 0 {
                return;
            }
            std::thread::sleep(STEP);
        }
        let text = "the store is still in use 5 s after its end: a cursor was not closed";
        self.host.log(Level::Warn, text);
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
