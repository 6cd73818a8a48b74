//! How far a long operation is - a backup, a restore, a swap of the backend - and the wish to stop it.
//!
//! The operation counts, any thread may look or cancel; clones are the same operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::{Error, ErrorKind, Result};

/// What an operation is doing.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It has not started.
    #[default]
    Waiting = 0,
    /// It opens what it reads from and writes to.
    Preparing = 1,
    /// It reads, encodes and writes records, or reads and checks them.
    Copying = 2,
    /// It makes the result visible; from here on it cannot be cancelled.
    Committing = 3,
    /// It has ended, well or not.
    Done = 4,
    /// A swap takes over what was committed since it began to copy.
    Following = 5,
    /// A swap compares both sides.
    Verifying = 6,
}

impl Phase {
    /// The word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Preparing => "preparing",
            Phase::Copying => "copying",
            Phase::Committing => "committing",
            Phase::Done => "done",
            Phase::Following => "following",
            Phase::Verifying => "verifying",
        }
    }
}

/// Shared counters of one operation; clones are the same operation. Any thread may read or cancel.
#[derive(Clone, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Default)]
struct Counters {
    phase: AtomicU8,
    records: AtomicU64,
    records_total: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    bytes_total: AtomicU64,
    commits_behind: AtomicU64,
    cancelled: AtomicBool,
}

/// The counters at one moment. A total of 0 is not known.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ProgressSnapshot {
    /// What it is doing, see [`Phase::name`].
    pub phase: &'static str,
    /// Records that went through.
    pub records: u64,
    /// Records expected.
    pub records_total: u64,
    /// Bytes read: keys and records of a backup, stored bytes of a verification or restore, rows of a
    /// swap.
    pub bytes_in: u64,
    /// Bytes written: segments of a backup, keys and records of a restore, rows of a swap.
    pub bytes_out: u64,
    /// Bytes expected to be read.
    pub bytes_total: u64,
    /// Commits that a swap has still to take over.
    pub commits_behind: u64,
    /// Somebody asked it to stop.
    pub cancelled: bool,
}

impl Progress {
    /// Counters at zero.
    pub fn new() -> Progress {
        Progress::default()
    }

    /// What the counters say now.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let counters = &*self.0;
        let phase = match counters.phase.load(Relaxed) {
            1 => Phase::Preparing,
            2 => Phase::Copying,
            3 => Phase::Committing,
            4 => Phase::Done,
            5 => Phase::Following,
            6 => Phase::Verifying,
            _ => Phase::Waiting,
        };
        ProgressSnapshot {
            phase: phase.name(),
            records: counters.records.load(Relaxed),
            records_total: counters.records_total.load(Relaxed),
            bytes_in: counters.bytes_in.load(Relaxed),
            bytes_out: counters.bytes_out.load(Relaxed),
            bytes_total: counters.bytes_total.load(Relaxed),
            commits_behind: counters.commits_behind.load(Relaxed),
            cancelled: counters.cancelled.load(Relaxed),
        }
    }

    /// Asks the operation to stop; it ends with `cancelled` and leaves nothing behind, unless it is
    /// already committing.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Relaxed);
    }

    /// Says what the operation is doing.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Relaxed);
    }

    /// Says how much there is to do.
    pub fn expect(&self, records: u64, bytes: u64) {
        self.0.records_total.store(records, Relaxed);
        self.0.bytes_total.store(bytes, Relaxed);
    }

    /// Counts what was done.
    pub fn add(&self, records: u64, bytes_in: u64, bytes_out: u64) {
        self.0.records.fetch_add(records, Relaxed);
        self.0.bytes_in.fetch_add(bytes_in, Relaxed);
        self.0.bytes_out.fetch_add(bytes_out, Relaxed);
    }

    /// Says how many commits are still to be taken over.
    pub fn behind(&self, commits: u64) {
        self.0.commits_behind.store(commits, Relaxed);
    }

    /// Fails with `Cancelled` once somebody asked the operation to stop.
    pub fn check(&self) -> Result<()> {
        if self.0.cancelled.load(Relaxed) {
            return Err(Error::other(
                ErrorKind::Cancelled,
                "the operation was cancelled",
            ));
        }
        Ok(())
    }
}
