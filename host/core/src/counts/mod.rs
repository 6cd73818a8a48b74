//! What a state counts from its opening on, beside what its parts know of themselves.
//!
//! Callers count reads on lanes of their own; the committer alone counts commits, between two of
//! them. A hot get counts nothing here: the cache knows its hits and misses. `host` makes metrics of
//! all of it; a count can never fail what it counts.

mod histogram;
mod lanes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::histogram::Histogram;
pub use self::histogram::HistogramCounts;
#[cfg(test)]
pub(crate) use self::lanes::LANES;
pub(crate) use self::lanes::Lanes;
use crate::commit::Done;
use crate::{ErrorKind, Result, StateManager};

/// What readers ask for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    GetPast,
    List,
    Scan,
    Scopes,
    Query,
    History,
    Diff,
    Snapshot,
    Transaction,
    Watch,
}

/// The operations by number, as they are shown.
const OPERATIONS: [&str; 10] = [
    "get_past",
    "list",
    "scan",
    "list_scopes",
    "query",
    "history",
    "diff",
    "snapshot",
    "transaction",
    "watch",
];

/// Nanoseconds: five microseconds to five seconds.
const TIMES_NS: [u64; 19] = [
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
];

/// Commits of a group; no group has more than its changes.
const GROUPS: [u64; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048];

/// The counters of one open state.
pub(crate) struct Counts {
    operations: Lanes<{ OPERATIONS.len() }>,
    committed: AtomicU64,
    unchanged: AtomicU64,
    conflicts: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    groups: Histogram,
    backend_ns: Histogram,
    commit_ns: Histogram,
}

/// What a state has counted since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCounts {
    /// Reads by what was asked for, other than gets of the state as it is: those are the hits and
    /// misses of the cache.
    pub operations: Vec<(&'static str, u64)>,
    /// Commits that changed something.
    pub committed: u64,
    /// Commits that had nothing to change.
    pub unchanged: u64,
    /// Commits whose conditions did not hold, or that lost a race.
    pub conflicts: u64,
    /// Commits that were not taken because too many waited.
    pub refused: u64,
    /// Commits that failed otherwise once they had been taken.
    pub failed: u64,
    /// Bytes of keys and values handed to the backend by commits.
    pub commit_bytes: u64,
    /// Commits in each group that the backend took as one.
    pub groups: HistogramCounts,
    /// Nanoseconds that the backend took for each group.
    pub backend_ns: HistogramCounts,
    /// Nanoseconds from handing a commit in to its outcome.
    pub commit_ns: HistogramCounts,
    /// Commits that wait for the committer.
    pub queue_commits: u64,
    /// Bytes of their changes.
    pub queue_bytes: u64,
    /// Keys that sweeps removed.
    pub swept_keys: u64,
    /// Journal rows that trims removed.
    pub trimmed_journal_rows: u64,
    /// History rows that trims removed.
    pub trimmed_history_rows: u64,
    /// Sweeps and trims that failed.
    pub upkeep_failures: u64,
    /// Live watches.
    pub watches: u64,
    /// Snapshots, running backups and watches that hold on to a commit.
    pub pins: u64,
    /// The backend is being swapped.
    pub swap_is_running: bool,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            operations: Lanes::default(),
            committed: AtomicU64::default(),
            unchanged: AtomicU64::default(),
            conflicts: AtomicU64::default(),
            refused: AtomicU64::default(),
            failed: AtomicU64::default(),
            bytes: AtomicU64::default(),
            groups: Histogram::new(&GROUPS),
            backend_ns: Histogram::new(&TIMES_NS),
            commit_ns: Histogram::new(&TIMES_NS),
        }
    }
}

impl Counts {
    pub(crate) fn operation(&self, operation: Operation) {
        self.operations.add_one(operation as usize);
    }

    /// A commit was not taken because too many wait.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A commit that was handed in at `since` has its outcome.
    pub(crate) fn outcome(&self, since: Instant, outcome: &Result<Done>) {
        let counter = match outcome {
            Ok(done) if done.sequence.is_some() => &self.committed,
            Ok(_) => &self.unchanged,
            Err(error) if error.kind() == ErrorKind::Conflict => &self.conflicts,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.commit_ns.observe(ns(since.elapsed()));
    }

    /// The backend took a group.
    pub(crate) fn group(&self, commits: u64, bytes: u64, took: Duration) {
        self.groups.observe(commits);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.backend_ns.observe(ns(took));
    }
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl StateManager {
    /// What the state has counted since it was opened; not one instant's picture while others use
    /// it. What its parts know of themselves is in [`StateManager::info`] and
    /// [`StateManager::upkeep`].
    ///
    /// # Errors
    /// `Closed`.
    pub fn counts(&self) -> Result<StateCounts> {
        let namespace = self.committer.namespace_arc()?;
        let counts = &self.committer.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (queue_commits, queue_bytes) = self.committer.queued();
        let upkeep = self.upkeep.totals();
        Ok(StateCounts {
            operations: OPERATIONS
                .into_iter()
                .zip(counts.operations.sums())
                .collect(),
            committed: read(&counts.committed),
            unchanged: read(&counts.unchanged),
            conflicts: read(&counts.conflicts),
            refused: read(&counts.refused),
            failed: read(&counts.failed),
            commit_bytes: read(&counts.bytes),
            groups: counts.groups.read(),
            backend_ns: counts.backend_ns.read(),
            commit_ns: counts.commit_ns.read(),
            queue_commits,
            queue_bytes,
            swept_keys: upkeep.swept_keys,
            trimmed_journal_rows: upkeep.trimmed_journal_rows,
            trimmed_history_rows: upkeep.trimmed_history_rows,
            upkeep_failures: upkeep.failures,
            watches: self.committer.watches.count(),
            pins: namespace.pins(),
            swap_is_running: namespace.swap_feed.holds_past(),
        })
    }
}
