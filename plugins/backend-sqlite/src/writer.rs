//! The one connection that writes: commits, syncs, and the way from the log back to the main file.
//!
//! Every commit runs with `synchronous=NORMAL`, which appends it to the log; a synced one then syncs
//! the log itself. `FULL` would do that inside the commit, but not for a commit that changes no page,
//! which must make all earlier ones durable too. The log's frames carry a running checksum, so what a
//! power cut leaves is a prefix of the commits.
//!
//! SQLite's automatic checkpoint is off, since it drops errors: a sync that fails there is reported
//! once, and the next one could acknowledge commits that the disk does not have. Here such an error
//! ends all writing, and the log is left for the next open, which checks every frame.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, TransactionBehavior};
use statekeep_plugin_sdk::room::Room;
use statekeep_plugin_sdk::{Commit, Durability, Error, Host, Level, Op, Outcome, Result, Status};

use crate::fault::{self, During};
use crate::{rows, sql};

/// Bytes of a frame's header in the log.
const FRAME_HEADER_BYTES: u64 = 24;

pub(crate) struct Writer {
    connection: Connection,
    log: File,
    room: Room,
    host: Host,
    /// Frames in the log, as the engine said after the last commit that wrote any.
    frames: Arc<AtomicU64>,
    frames_seen: u64,
    /// Frames between two attempts to write the log back.
    step: u64,
    due: u64,
    /// Why nothing is written any more.
    failed: Option<String>,
}

impl Writer {
    /// Takes a connection that is set up, and its log.
    ///
    /// # Errors
    /// The engine's own.
    pub(crate) fn new(
        mut connection: Connection,
        log: File,
        room: Room,
        checkpoint_bytes: u64,
        host: Host,
    ) -> Result<Writer> {
        let page_bytes: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .during("open")?;
        let frames = Arc::new(AtomicU64::new(0));
        let said = Arc::clone(&frames);
        // In the place of SQLite's automatic checkpoint.
        connection
            .wal_hook(Some(move |_: &mut Wal, frames: i32| {
                said.store(u64::try_from(frames).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .during("open")?;
        let step = (checkpoint_bytes / (page_bytes + FRAME_HEADER_BYTES)).max(1);
        Ok(Writer {
            connection,
            log,
            room,
            host,
            frames,
            frames_seen: 0,
            step,
            due: step,
            failed: None,
        })
    }

    /// Applies all or nothing; see `Backend::commit`.
    pub(crate) fn commit(&mut self, commit: &Commit<'_>) -> Result<Outcome> {
        self.check()?;
        let outcome = match self.apply(commit) {
            Ok(outcome) => outcome,
            Err(error) if error.status() == Status::IO || !self.connection.is_autocommit() => {
                return Err(self.fail(error));
            }
            Err(error) => return Err(error),
        };
        if outcome == Outcome::COMMITTED {
            if commit.durability() == Durability::Sync {
                self.sync()?;
            }
            self.write_back()?;
        }
        Ok(outcome)
    }

    /// Returns when every commit is on stable storage.
    ///
    /// # Errors
    /// IO, after which nothing is written any more; POISONED from then on.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.check()?;
        self.sync()
    }

    fn apply(&mut self, commit: &Commit<'_>) -> Result<Outcome> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .during("commit")?;
        let conflict = commit.conflict(|space, key| rows::value(&transaction, space, key))?;
        if let Some(index) = conflict {
            return Ok(Outcome::Conflict { index });
        }
        self.room.take(commit)?;
        for op in commit.ops() {
            let changed = match op {
                Op::Put { space, key, value } => transaction
                    .prepare_cached(sql::of(space)?.put)
                    .and_then(|mut put| put.execute([key, value])),
                Op::Delete { space, key } => transaction
                    .prepare_cached(sql::of(space)?.delete)
                    .and_then(|mut delete| delete.execute([key])),
            };
            changed.during("commit")?;
        }
        transaction.commit().during("commit")?;
        Ok(Outcome::COMMITTED)
    }

    /// Syncs the log. What is no longer in it was synced with the main file.
    fn sync(&mut self) -> Result<()> {
        self.log.sync_data().map_err(|error| {
            let error = Error::from(error).context("the sync of sqlite's log failed");
            self.fail(error)
        })
    }

    /// Writes the log back to the main file when it is long enough. A scan that stays open keeps the
    /// rows of its instant in the log, so what is left then is tried again a step later.
    fn write_back(&mut self) -> Result<()> {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < self.frames_seen {
            // The log was begun anew.
            self.due = self.step;
        }
        self.frames_seen = frames;
        if frames < self.due {
            return Ok(());
        }
        self.due = frames.saturating_add(self.step);
        let mode = CheckpointMode::PASSIVE;
        match self.connection.wal_checkpoint_v2(None::<&str>, mode) {
            Ok(_) => Ok(()),
            Err(error) if fault::is_sync(&error) => Err(self.fail(fault::of(&error, "checkpoint"))),
            Err(error) => {
                // The log still holds everything: nothing but room is lost.
                self.host.counter_add("checkpoint_failures", 1);
                let text = fault::of(&error, "checkpoint").to_string();
                self.host.log(Level::Warn, &text);
                Ok(())
            }
        }
    }

    fn check(&self) -> Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(first) => Err(Error::new(
                Status::POISONED,
                format!(
                    "an earlier write failed and nothing more is written ({first}); check the disk, \
                     then open the state again"
                ),
            )),
        }
    }

    /// Ends all writing; answers the error.
    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.to_string());
        // After a failed sync the log may read otherwise than it was written, and closing would copy
        // it to the main file unchecked.
        let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = self.connection.set_db_config(keep, true) {
            let text = fault::of(&error, "setting").to_string();
            self.host.log(Level::Error, &text);
        }
        error
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
