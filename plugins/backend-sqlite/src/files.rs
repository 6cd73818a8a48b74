//! The store's files: who may open them, what they hold, how each connection is set up.
//!
//! `rows.sqlite` is the main file, `rows.sqlite-wal` the log. The engine's file layer is `unix-excl`:
//! it locks the store for this process, so that a read takes no lock of the system and the log's index
//! lies in memory. SQLite's locks do not hold between two copies of SQLite in one process, so `lock`
//! is locked as well.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use statekeep_plugin_sdk::store_lock::StoreLock;
use statekeep_plugin_sdk::{Error, Result, Status};

use crate::fault::During;
use crate::options::Options;
use crate::sql;

const MAIN: &str = "rows.sqlite";
const LOG: &str = "rows.sqlite-wal";
const LOCK: &str = "lock";
/// Marks the main file as this plugin's: "STKP".
const APPLICATION_ID: i32 = 0x5354_4b50;
/// Number of the layout in `sql`.
const FORMAT: i32 = 1;

/// Where a store is and how its connections are set up.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    options: Options,
}

impl Files {
    pub(crate) fn new(directory: &Path, options: Options) -> Files {
        Files {
            directory: directory.to_owned(),
            options,
        }
    }

    /// Keeps every other opener away until it is dropped.
    ///
    /// # Errors
    /// BUSY when the store is open.
    pub(crate) fn lock(&self) -> Result<StoreLock> {
        StoreLock::take(File::create(self.directory.join(LOCK))?)
    }

    /// The connection that writes; makes the store when there is none.
    ///
    /// # Errors
    /// INCOMPATIBLE for a file of another program or format, UNSUPPORTED on a file system without
    /// what the log needs, and the engine's own.
    pub(crate) fn writer(&self) -> Result<Connection> {
        let mut connection = self.connect(self.options.cache_bytes)?;
        self.prepare(&mut connection)?;
        // The names of new files; SQLite leaves that of the main file to the system.
        File::open(&self.directory)?.sync_all()?;
        Ok(connection)
    }

    /// A connection that only reads.
    pub(crate) fn reader(&self) -> Result<Connection> {
        let connection = self.connect(self.options.reader_cache_bytes)?;
        connection
            .pragma_update(None, "query_only", true)
            .during("open")?;
        Ok(connection)
    }

    /// The log, to be synced; it stays the same file while a connection is open.
    pub(crate) fn log(&self) -> Result<File> {
        Ok(File::open(self.directory.join(LOG))?)
    }

    fn connect(&self, cache_bytes: u64) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let set_up = || -> rusqlite::Result<Connection> {
            let path = self.directory.join(MAIN);
            let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-excl")?;
            connection.set_prepared_statement_cache_capacity(sql::CACHED_MAX);
            // Negative: KiB, not pages.
            let cache_kib = i64::try_from(cache_bytes >> 10).unwrap_or(i64::MAX);
            connection.pragma_update(None, "cache_size", -cache_kib)?;
            connection.pragma_update(None, "mmap_size", self.options.mmap_bytes)?;
            connection.pragma_update(None, "temp_store", "memory")?;
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        };
        set_up().during("open")
    }

    fn prepare(&self, connection: &mut Connection) -> Result<()> {
        // Has no effect on a store that exists.
        connection
            .pragma_update(None, "page_size", self.options.page_bytes)
            .during("open")?;
        self.tables(connection)?;
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .during("open")?;
        if mode != "wal" {
            return Err(Error::unsupported(format!(
                "sqlite keeps the journal mode `{mode}` in {}, and this plugin needs `wal`",
                self.directory.display()
            )));
        }
        // A log that one large commit or a long scan made grow is cut when it begins anew.
        connection
            .pragma_update(None, "journal_size_limit", self.options.checkpoint_bytes)
            .during("open")?;
        connection
            .pragma_update(None, "synchronous", "normal")
            .during("open")?;
        // The first read makes the log.
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .during("open")
    }

    /// Makes the tables of a new store, checks the format of one that exists. Comes before anything
    /// that would change another program's file.
    fn tables(&self, connection: &mut Connection) -> Result<()> {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .during("open")?;
        let number = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i32>(0));
        let id = number("PRAGMA application_id").during("open")?;
        let format = number("PRAGMA user_version").during("open")?;
        let tables = number("SELECT count(*) FROM sqlite_schema").during("open")?;
        match (id, format, tables) {
            (APPLICATION_ID, FORMAT, _) => return Ok(()),
            (0, 0, 0) => {}
            (APPLICATION_ID, other, _) => {
                return Err(Error::new(
                    Status::INCOMPATIBLE,
                    format!("the store has the format {other}, this plugin reads {FORMAT}"),
                ));
            }
            _ => {
                return Err(Error::new(
                    Status::INCOMPATIBLE,
                    format!(
                        "{} is another program's database; a state needs a folder of its own",
                        self.directory.join(MAIN).display()
                    ),
                ));
            }
        }
        for space in sql::SPACES {
            transaction.execute_batch(space.create).during("open")?;
        }
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .during("open")?;
        transaction
            .pragma_update(None, "user_version", FORMAT)
            .during("open")?;
        transaction.commit().during("open")
    }
}
