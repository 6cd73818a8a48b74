//! LMDB: a copy-on-write B+ tree in a memory map, the fastest to read.
//!
//! All spaces live in LMDB's unnamed database, so a commit is one transaction, whatever spaces it
//! touches. LMDB syncs a commit's pages, then writes the meta page that makes them count; that one
//! is not synced by itself here (`MDB_NOMETASYNC`). So `relaxed` costs one sync, survives kill -9,
//! and a power cut takes back the last commit at most; `sync` adds the sync of the meta page.
//! `MDB_NOSYNC` would be faster and is not used: without the first sync a power cut may leave a
//! meta page whose pages are not there, which is a damaged store.
//! Reads may touch the disk, hence `blocking_reads`. Scans see one instant.
//! The options are in `options`.
#![deny(unsafe_code)]

mod cursor;
mod fault;
mod options;

use std::fs::File;
use std::path::Path;

use heed::types::Bytes;
use heed::{AnyTls, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls};
use parking_lot::Mutex;
use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Durability, Host, Op, Outcome, Plugin, Result,
    ScanRange, Sink, export_plugin, one_keyspace, room::Room, store_lock::StoreLock,
};

pub use cursor::Scan;
use fault::During;
use options::Options;

type Rows = Database<Bytes, Bytes>;

const COMMIT_BYTES_MAX: u64 = 1 << 30;

export_plugin!(Lmdb: backend);

/// One open store. Fields are dropped in this order: `lock` last, when the files are closed.
pub struct Lmdb {
    rows: Rows,
    env: Env<WithoutTls>,
    /// Asked under LMDB's writer lock.
    room: Mutex<Room>,
    #[expect(dead_code, reason = "held for as long as the store is open")]
    lock: StoreLock,
}

impl Plugin for Lmdb {
    const ID: &'static str = "statekeep.lmdb";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "LMDB: embedded memory-mapped B+ tree";

    fn create(_host: Host, config: &Config) -> Result<Lmdb> {
        let options = Options::read(config)?;
        let directory = config.directory()?;
        // LMDB would let other processes in, and its own locks do not tell two openings by one
        // process apart.
        let lock = StoreLock::take(File::open(directory)?)?;
        let env = open(directory, &options)?;
        let mut transaction = env.write_txn().during("open")?;
        let rows = env.create_database(&mut transaction, None).during("open")?;
        transaction.commit().during("open")?;
        // The first commit expects the files' names and sizes on the disk.
        env.force_sync().during("open")?;
        lock.file().sync_all()?;
        Ok(Lmdb {
            rows,
            env,
            room: Mutex::new(Room::new(directory, options.free_bytes_min)),
            lock,
        })
    }
}

#[expect(unsafe_code, reason = "opening a memory map is unsafe in heed")]
fn open(directory: &Path, options: &Options) -> Result<Env<WithoutTls>> {
    let mut opening = EnvOpenOptions::new().read_txn_without_tls();
    opening
        .map_size(options.map_bytes_max)
        .max_readers(options.readers_max);
    // SAFETY: the folder is this instance's own, locked against others, so nobody else changes or
    // truncates the mapped file. Without the sync of the meta page the store stays whole (see above).
    let env = unsafe { opening.flags(EnvFlags::NO_META_SYNC).open(directory) };
    env.during("open")
}

impl Backend for Lmdb {
    type Cursor = Scan;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            persistent: true,
            blocking_reads: true,
            preconditions: true,
            shared: false,
            snapshot_scans: true,
            key_bytes_max: (self.env.max_key_size() - one_keyspace::PREFIX_BYTES) as u64,
            value_bytes_max: COMMIT_BYTES_MAX,
            commit_ops_max: u64::from(u32::MAX),
            commit_bytes_max: COMMIT_BYTES_MAX,
        }
    }

    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool> {
        let transaction = self.env.read_txn().during("get")?;
        match self.value(&transaction, space, key)? {
            Some(value) => out.put(value).map(|()| true),
            None => Ok(false),
        }
    }

    /// LMDB's writer lock is held from the first read of a precondition to the end.
    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        let mut transaction = self.env.write_txn().during_commit()?;
        if let Some(index) = commit.conflict(|space, key| self.value(&transaction, space, key))? {
            return Ok(Outcome::Conflict { index });
        }
        self.room.lock().take(commit)?;
        for op in commit.ops() {
            match op {
                Op::Put { space, key, value } => one_keyspace::with_stored(space, key, |key| {
                    self.rows.put(&mut transaction, key, value)
                }),
                Op::Delete { space, key } => one_keyspace::with_stored(space, key, |key| {
                    self.rows.delete(&mut transaction, key).map(|_| ())
                }),
            }
            .during_commit()?;
        }
        transaction.commit().during_commit()?;
        match commit.durability() {
            Durability::Sync => self.flush()?,
            Durability::Relaxed => {}
        }
        Ok(Outcome::COMMITTED)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Scan> {
        let transaction = self.env.clone().static_read_txn().during("scan")?;
        Ok(Scan::new(transaction, self.rows, range))
    }

    fn flush(&self) -> Result<()> {
        self.env.force_sync().during("flush")
    }
}

impl Lmdb {
    fn value<'a>(
        &self,
        transaction: &'a RoTxn<'_, AnyTls>,
        space: u32,
        key: &[u8],
    ) -> Result<Option<&'a [u8]>> {
        one_keyspace::with_stored(space, key, |stored| self.rows.get(transaction, stored))
            .during("get")
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
