//! The upkeep of a state: removing what has expired, and forgetting the past that nobody needs.
//!
//! One thread does it every `upkeep_interval_ms`; callers may ask for a run at any time. Runs never
//! overlap, work in small batches through the commit path, and stop between two batches when they
//! are paused or the state is closed.

mod history;
mod limits;
mod sweep;
mod trim;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub use limits::{EXPIRED_COUNTED_MAX, StateLimits};
pub use sweep::SweepReport;
pub use trim::{TrimOptions, TrimReport};

use crate::commit::{Committer, OwnOp, Turn, TurnRows, Work};
use crate::index::IndexWorker;
use crate::namespace::Namespace;
use crate::rules::Rules;
use crate::thread::spawn;
use crate::{Durability, Error, ErrorKind, Keep, Result, Sequence, StateManager, UnixMs};

/// Rows that one batch writes or removes, and their bytes.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

/// What the upkeep does and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UpkeepStatus {
    /// What runs now: `sweep` or `trim`.
    pub running: Option<&'static str>,
    /// It was stopped by `pause_upkeep`.
    pub paused: bool,
    /// Milliseconds between two runs; 0 for only when asked.
    pub interval_ms: u64,
    /// When the last run ended.
    #[serde(rename = "last_run_unix_ms")]
    pub last_run: Option<UnixMs>,
    /// What the last sweep did.
    pub last_sweep: Option<SweepReport>,
    /// What the last trim did.
    pub last_trim: Option<TrimReport>,
    /// Why the last sweep or trim failed, until it succeeds.
    pub last_error: Option<String>,
    /// Why rows of dropped indexes are still there; each trim has it tried again.
    pub index_error: Option<String>,
}

/// What all runs did together.
#[derive(Copy, Clone, Default)]
pub(crate) struct UpkeepTotals {
    pub(crate) swept_keys: u64,
    pub(crate) trimmed_journal_rows: u64,
    pub(crate) trimmed_history_rows: u64,
    pub(crate) failures: u64,
}

pub(crate) struct Upkeep {
    committer: Arc<Committer>,
    index_worker: Arc<IndexWorker>,
    rules: Arc<Rules>,
    keep: Keep,
    backup_hold_ms: u64,
    /// Held by the run in progress.
    run: Mutex<()>,
    status: Mutex<UpkeepStatus>,
    totals: Mutex<UpkeepTotals>,
    paused: AtomicBool,
    closed: Mutex<bool>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    /// The upkeep of a state; it does nothing of itself before [`Upkeep::start`].
    pub(crate) fn new(
        committer: Arc<Committer>,
        index_worker: Arc<IndexWorker>,
        rules: Arc<Rules>,
        (keep, backup_hold_ms): (Keep, u64),
        interval_ms: u64,
    ) -> Arc<Upkeep> {
        Arc::new(Upkeep {
            committer,
            index_worker,
            rules,
            keep,
            backup_hold_ms,
            run: Mutex::new(()),
            status: Mutex::new(UpkeepStatus {
                interval_ms,
                ..UpkeepStatus::default()
            }),
            totals: Mutex::default(),
            paused: AtomicBool::new(false),
            closed: Mutex::new(false),
            wake: Condvar::new(),
            thread: Mutex::new(None),
        })
    }

    /// Starts its thread; with an interval of 0 it has none.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        let interval_ms = self.status.lock().interval_ms;
        if interval_ms > 0 {
            let own = self.clone();
            let interval = Duration::from_millis(interval_ms);
            let handle = spawn("statekeep-upkeep", move || own.run_thread(interval))?;
            *self.thread.lock() = Some(handle);
        }
        Ok(())
    }

    fn run_thread(&self, interval: Duration) {
        let mut closed = self.closed.lock();
        while !*closed {
            let waited = self.wake.wait_for(&mut closed, interval);
            if *closed || !waited.timed_out() || self.is_paused() {
                continue;
            }
            parking_lot::MutexGuard::unlocked(&mut closed, || {
                // The outcomes are kept in the status, and neither keeps the other from its turn.
                let _ = self.sweep();
                let _ = self.trim(&TrimOptions::default());
            });
        }
    }

    pub(crate) fn totals(&self) -> UpkeepTotals {
        *self.totals.lock()
    }

    /// How long the past is held for the next incremental backup.
    pub(crate) fn backup_hold_ms(&self) -> u64 {
        self.backup_hold_ms
    }

    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Fails when the run is to stop.
    fn go_on(&self) -> Result<()> {
        if self.is_paused() {
            let message = "the upkeep was paused; what it had done stays";
            return Err(Error::other(ErrorKind::Cancelled, message));
        }
        match *self.closed.lock() {
            true => Err(Error::Closed),
            false => Ok(()),
        }
    }

    /// Runs one piece of work after the one in progress, and keeps its outcome.
    fn run<T: Clone>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
        keep: impl FnOnce(&mut UpkeepStatus, T),
    ) -> Result<T> {
        let _run = self.run.lock();
        self.status.lock().running = Some(name);
        let outcome = work();
        let mut status = self.status.lock();
        status.running = None;
        status.last_run = Some(self.committer.clock.now());
        match &outcome {
            Ok(report) => {
                let own = |error: &String| error.starts_with(name);
                status.last_error.take_if(|error| own(error));
                keep(&mut status, report.clone());
            }
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed) => {}
            Err(error) => {
                tracing::warn!(work = name, %error, "the upkeep failed and will be tried again");
                status.last_error = Some(format!("{name}: {error}"));
                self.totals.lock().failures += 1;
            }
        }
        outcome
    }

    /// Writes rows of the host's own, relaxed: a crash takes back whole batches from the end. They
    /// were found in a namespace and belong into that one alone.
    ///
    /// # Errors
    /// `Conflict` once another namespace is in use, or somebody needs what ended before `free`.
    pub(crate) fn write(
        &self,
        of: &Arc<Namespace>,
        free: Option<Sequence>,
        ops: Vec<OwnOp>,
    ) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        self.go_on()?;
        let bytes = ops.iter().map(OwnOp::bytes).sum();
        let rows = TurnRows {
            ops,
            durability: Durability::Relaxed,
            ..TurnRows::default()
        };
        let of = of.clone();
        let work = Work::turn(bytes, move |turn| {
            check_in_use(turn, &of)?;
            if free.is_some_and(|free| of.allowed_floor(free) < free) {
                let message = "somebody began to read a past that was about to be trimmed; the \
                               next run looks again";
                return Err(Error::other(ErrorKind::Conflict, message));
            }
            Ok(rows)
        });
        self.committer.run_blocking(work).map(drop)
    }

    /// Ends the thread; a run in progress stops at its next batch.
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
        self.wake.notify_all();
        if let Some(handle) = self.thread.lock().take() {
            let _ = handle.join();
        }
    }
}

/// Checks that a namespace is still the one in use.
fn check_in_use(turn: &Turn<'_>, namespace: &Arc<Namespace>) -> Result<()> {
    if Arc::ptr_eq(turn.namespace, namespace) {
        return Ok(());
    }
    let message = "the state was restored, swapped or undone meanwhile; the next run trims it";
    Err(Error::other(ErrorKind::Conflict, message))
}

impl StateManager {
    /// Removes the keys whose time has come. They are absent for every reader already; this frees
    /// their room and tells watchers.
    pub fn sweep(&self) -> Result<SweepReport> {
        self.upkeep.sweep()
    }

    /// Forgets the past that is older than `keep` and the rules want, as far as no snapshot, backup
    /// or cursor needs it.
    pub fn trim(&self, options: &TrimOptions) -> Result<TrimReport> {
        self.upkeep.trim(options)
    }

    /// What the upkeep does and did.
    pub fn upkeep(&self) -> UpkeepStatus {
        let mut status = self.upkeep.status.lock().clone();
        status.paused = self.upkeep.is_paused();
        status.index_error = self.index_worker.failure();
        status
    }

    /// Stops the upkeep: a run in progress ends at its next batch with `Cancelled`, and none begins,
    /// until `resume_upkeep`.
    pub fn pause_upkeep(&self) {
        self.upkeep.paused.store(true, Ordering::Release);
    }

    /// Lets the upkeep run again.
    pub fn resume_upkeep(&self) {
        self.upkeep.paused.store(false, Ordering::Release);
    }
}
