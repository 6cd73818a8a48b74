//! How far a long operation is - a backup, a restore, a swap of the backend - and the wish to stop it.
//!
//! The operation counts, any thread may look or cancel; clones are the same operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::pace::{Bucket, Times};
use crate::{Error, ErrorKind, Result};

/// Longest sleep of an operation that is held back, after which it looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(20);

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
    bytes_per_second_max: AtomicU64,
    bucket: Mutex<Bucket>,
    times: Mutex<Times>,
}

/// The counters at one moment. A total of 0 is not known.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ProgressSnapshot {
    /// What it is doing, see [`Phase::name`].
    pub phase: &'static str,
    /// Records that went through.
    pub records: u64,
    /// Records expected; of a full backup, as many as the last backup shows.
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
    /// Milliseconds since it began, or that it took.
    pub elapsed_ms: u64,
    /// Bytes read in a second, on average since the first one.
    pub bytes_per_second: u64,
    /// Milliseconds until all bytes that are expected were read at that rate; `None` when not known.
    pub left_ms: Option<u64>,
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
        let bytes_in = counters.bytes_in.load(Relaxed);
        let bytes_total = counters.bytes_total.load(Relaxed);
        let times = *counters.times.lock();
        let speed = times.speed(Instant::now(), bytes_in, bytes_total);
        ProgressSnapshot {
            phase: phase.name(),
            records: counters.records.load(Relaxed),
            records_total: counters.records_total.load(Relaxed),
            bytes_in,
            bytes_out: counters.bytes_out.load(Relaxed),
            bytes_total,
            commits_behind: counters.commits_behind.load(Relaxed),
            cancelled: counters.cancelled.load(Relaxed),
            elapsed_ms: speed.elapsed_ms,
            bytes_per_second: speed.bytes_per_second,
            left_ms: speed.left_ms,
        }
    }

    /// Asks the operation to stop; it ends with `cancelled` and leaves nothing behind, unless it is
    /// already committing.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Relaxed);
    }

    /// Begins to count anew, for what comes after a first part of the operation.
    pub fn restart(&self) {
        let counters = &*self.0;
        for counter in [
            &counters.records,
            &counters.records_total,
            &counters.bytes_in,
            &counters.bytes_out,
            &counters.bytes_total,
            &counters.commits_behind,
        ] {
            counter.store(0, Relaxed);
        }
        let mut times = counters.times.lock();
        (times.moving, times.ended) = (None, None);
    }

    /// Says what the operation is doing.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Relaxed);
        let mut times = self.0.times.lock();
        let now = Some(Instant::now());
        match phase {
            Phase::Waiting => {}
            Phase::Done => times.ended = times.ended.or(now),
            _ => times.started = times.started.or(now),
        }
        if matches!(phase, Phase::Copying | Phase::Verifying) {
            times.moving = times.moving.or(now);
        }
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

    /// Limits the bytes that a backup writes into the repository, a verification or restore reads
    /// from it, an export reads from it and writes, or an import reads, in a second; 0 for no limit. It may be changed while the operation runs.
    pub fn limit_rate(&self, bytes_per_second: u64) {
        self.0.bytes_per_second_max.store(bytes_per_second, Relaxed);
        // What was taken at the old rate is not owed at the new one.
        *self.0.bucket.lock() = Bucket::default();
    }

    /// As [`Progress::limit_rate`], unless there is a limit already.
    pub fn limit_rate_by_default(&self, bytes_per_second: u64) {
        let limit = &self.0.bytes_per_second_max;
        let _ = limit.compare_exchange(0, bytes_per_second, Relaxed, Relaxed);
    }

    /// The limit, 0 for none.
    pub fn rate_limit(&self) -> u64 {
        self.0.bytes_per_second_max.load(Relaxed)
    }

    /// Waits after a piece of `bytes` as long as the limit wants it, or until `is_stopped`.
    ///
    /// # Errors
    /// `Cancelled`, within a few hundredths of a second.
    pub fn pace(&self, bytes: u64, is_stopped: impl Fn() -> bool) -> Result<()> {
        let rate = self.rate_limit();
        if rate == 0 {
            return self.check();
        }
        let paid = self.0.bucket.lock().take(Instant::now(), bytes, rate);
        loop {
            self.check()?;
            let left = paid.saturating_duration_since(Instant::now());
            if left.is_zero() || is_stopped() || self.rate_limit() != rate {
                return Ok(());
            }
            std::thread::sleep(left.min(SLICE));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_back_goes_on_when_cancelled_stopped_or_let_go() {
        let progress = Progress::new();
        progress.limit_rate_by_default(1);
        progress.limit_rate_by_default(2);
        assert_eq!(progress.rate_limit(), 1);
        // A day's worth: each of these would not end of itself.
        progress.pace(86_400, || true).unwrap();
        let other = progress.clone();
        let held = std::thread::spawn(move || other.pace(86_400, || false));
        progress.limit_rate(1 << 40);
        held.join().unwrap().unwrap();

        progress.limit_rate(1);
        let other = progress.clone();
        let held = std::thread::spawn(move || other.pace(86_400, || false));
        progress.cancel();
        let error = held.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn an_operation_that_has_not_begun_has_no_time_and_no_rate() {
        let now = Progress::new().snapshot();
        assert_eq!(
            (now.elapsed_ms, now.bytes_per_second, now.left_ms),
            (0, 0, None)
        );
    }
}
