//! redb: a copy-on-write B+ tree in one file, opened at once and small to build.
//!
//! All spaces live in one table, so a commit is one transaction and one sync, whatever spaces it
//! touches. redb knows two kinds of commit, on stable storage or in this process's memory, and
//! nothing between them: `relaxed` must survive kill -9, so it costs what `sync` costs. Reads may
//! touch the disk, hence `blocking_reads`. Scans see one instant, and pages that they may still
//! need are not used again while they live.
//! The options are in `options`.
#![deny(unsafe_code)]

mod cursor;
mod fault;
mod options;

use std::fs::File;
use std::path::Path;

use parking_lot::Mutex;
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};
use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Host, Level, Op, Outcome, Plugin, Result, ScanRange,
    Sink, export_plugin, one_keyspace, room::Room,
};

pub use cursor::{Bytes, Rows};
use fault::During;
use options::Options;

const FILE: &str = "rows.redb";
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// Far above what the host needs, far below what redb can hold.
const KEY_BYTES_MAX: u64 = u16::MAX as u64;
const COMMIT_BYTES_MAX: u64 = 1 << 30;

export_plugin!(Redb: backend);

/// One open store.
pub struct Redb {
    database: Database,
    quick_repair: bool,
    /// Held for the whole of a commit: preconditions and what they guard are one step.
    room: Mutex<Room>,
}

impl Plugin for Redb {
    const ID: &'static str = "statekeep.redb";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "redb: embedded copy-on-write B+ tree in one file";

    fn create(host: Host, config: &Config) -> Result<Redb> {
        let options = Options::read(config)?;
        let directory = config.directory()?;
        let redb = Redb {
            database: open(host, directory, &options)?,
            quick_repair: options.quick_repair,
            room: Mutex::new(Room::new(directory, options.free_bytes_min)),
        };
        // Reads expect the table, and the first commit expects the file's name on the disk.
        redb.write(|_| Ok(())).during("open")?;
        File::open(directory)?.sync_all()?;
        Ok(redb)
    }
}

fn open(host: Host, directory: &Path, options: &Options) -> Result<Database> {
    let said = std::cell::Cell::new(false);
    Database::builder()
        .set_cache_size(usize::try_from(options.cache_bytes).unwrap_or(usize::MAX))
        .set_repair_callback(move |_| {
            if !said.replace(true) {
                let text = "the store was not closed; all of it is read to check it";
                host.log(Level::Info, text);
            }
        })
        .create(directory.join(FILE))
        .during("open")
}

impl Backend for Redb {
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
            Some(value) => out.put(value.as_ref()).map(|()| true),
            None => Ok(false),
        }
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        let mut room = self.room.lock();
        if let Some(index) = commit.conflict(|space, key| self.value(space, key))? {
            return Ok(Outcome::Conflict { index });
        }
        room.take(commit)?;
        self.write(|rows| {
            for op in commit.ops() {
                match op {
                    Op::Put { space, key, value } => {
                        one_keyspace::with_stored(space, key, |key| rows.insert(key, value))?
                    }
                    Op::Delete { space, key } => {
                        one_keyspace::with_stored(space, key, |key| rows.remove(key))?
                    }
                };
            }
            Ok(())
        })
        .during("commit")?;
        Ok(Outcome::COMMITTED)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Rows> {
        let (lo, hi) = one_keyspace::bounds(range);
        let rows = self
            .table()
            .and_then(|table| Ok(table.range_owned::<&[u8]>(&lo[..]..&hi[..])?))
            .during("scan")?;
        Ok(Rows::new(rows, range.reverse))
    }

    /// Every commit was on stable storage when it returned.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

impl Redb {
    /// One transaction, on stable storage when this returns.
    fn write(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(self.quick_repair);
        change(&mut transaction.open_table(TABLE)?)?;
        Ok(transaction.commit()?)
    }

    /// The rows as of now.
    fn table(&self) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, redb::Error> {
        Ok(self.database.begin_read()?.open_table(TABLE)?)
    }

    fn value(&self, space: u32, key: &[u8]) -> Result<Option<Bytes>> {
        let found = self.table().and_then(|table| {
            let found = one_keyspace::with_stored(space, key, |key| table.get_owned(key))?;
            Ok(found.map(Bytes::from))
        });
        found.during("get")
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
