//! SQLite in WAL mode, for states that should be one file that other tools can read.
//!
//! Each space is a table, ordered by its keys. One connection writes (`writer`), others read and never
//! wait for it (`readers`). `sync` syncs SQLite's log before the commit returns; `relaxed` has written
//! to it, which survives kill -9. A scan sees one instant and, while it lives, keeps the log from being
//! begun anew. Reads may touch the disk, hence `blocking_reads`. The options are in `options`.
#![deny(unsafe_code)]

mod cursor;
mod fault;
mod files;
mod options;
mod readers;
mod rows;
mod sql;
mod writer;

use std::sync::Arc;

use parking_lot::Mutex;
use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Host, Outcome, Plugin, Result, ScanRange, Sink,
    export_plugin, room::Room, store_lock::StoreLock,
};

pub use cursor::Rows;
use files::Files;
use options::Options;
use readers::Readers;
use writer::Writer;

const KEY_BYTES_MAX: u64 = u16::MAX as u64;
/// Far above what the host needs, below SQLite's 10^9 bytes for a row.
const VALUE_BYTES_MAX: u64 = 256 << 20;
const COMMIT_BYTES_MAX: u64 = 1 << 30;

export_plugin!(Sqlite: backend);

/// One open store. Fields are dropped in this order: the writer's connection is the last one, which
/// decides what becomes of the log, and the lock goes when all files are closed.
pub struct Sqlite {
    readers: Arc<Readers>,
    /// Held for the whole of a commit: preconditions and what they guard are one step.
    writer: Mutex<Writer>,
    #[expect(dead_code, reason = "its drop lets others open the store")]
    lock: StoreLock,
}

impl Plugin for Sqlite {
    const ID: &'static str = "statekeep.sqlite";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "SQLite in WAL mode: one file that other tools can read";

    fn create(host: Host, config: &Config) -> Result<Sqlite> {
        let options = Options::read(config)?;
        let directory = config.directory()?;
        let files = Files::new(directory, options);
        let lock = files.lock()?;
        let room = Room::new(directory, options.free_bytes_min);
        let connection = files.writer()?;
        let log = files.log()?;
        let writer = Writer::new(connection, log, room, options.checkpoint_bytes, host)?;
        Ok(Sqlite {
            readers: Arc::new(Readers::new(files, options.scans_max)),
            writer: Mutex::new(writer),
            lock,
        })
    }
}

impl Backend for Sqlite {
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
        self.readers
            .get(|connection| rows::deliver(connection, space, key, out))
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        self.writer.lock().commit(commit)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Rows> {
        Rows::open(Arc::clone(&self.readers), range)
    }

    fn flush(&self) -> Result<()> {
        self.writer.lock().flush()
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
