//! What the thread of a schedule does, turn by turn.
//!
//! A turn decides by what was done when it last looked; before it does anything it looks again, also for a
//! writer that is at work in the repository. That is no lock: two who look at once both go on, which is
//! safe, since a backup stands on none of another state and writes under its own id only, and cleanups are
//! made to run beside one another. Closing cancels what is in progress and ends the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use statekeep_core::{Clock, Error, ErrorKind, Progress, Result, UnixMs};

use super::decide::{Failure, Made, Next, next};
use super::plan::ScheduleConfig;
use super::status::{ScheduleStatus, ScheduledRun};
use super::work::Work;

/// Longest sleep: the clock of the wall may have been put forward meanwhile.
const SLEEP_MS_MAX: i64 = 60_000;
/// Wait while somebody makes a backup.
const OTHER_MS: i64 = 30_000;
/// Age at which a backup that is being made no longer holds the schedule up; two at once are safe.
const OTHER_AGE_MS_MAX: i64 = 6 * 3_600_000;

/// What the thread and its owner share.
pub(super) struct Turns<W: Work> {
    work: Arc<W>,
    clock: Arc<dyn Clock>,
    pub(super) config: ScheduleConfig,
    salt: u64,
    /// Held by whoever takes a turn.
    turn: Mutex<Memory>,
    state: Mutex<State<W::Done>>,
    wake: Condvar,
}

/// What one turn leaves to the next.
#[derive(Default)]
struct Memory {
    /// What was done, as it was last seen; nothing before that, so that it seems due.
    made: Vec<Made>,
    failure: Option<Failure>,
}

struct State<D> {
    status: ScheduleStatus<D>,
    running: Option<Progress>,
    closed: bool,
}

impl<W: Work> Turns<W> {
    pub(super) fn new(
        work: Arc<W>,
        clock: Arc<dyn Clock>,
        config: ScheduleConfig,
        salt: u64,
    ) -> Turns<W> {
        let state = State {
            status: ScheduleStatus::of(&config),
            running: None,
            closed: false,
        };
        Turns {
            work,
            clock,
            config,
            salt,
            turn: Mutex::default(),
            state: Mutex::new(state),
            wake: Condvar::new(),
        }
    }

    pub(super) fn run(&self) {
        let mut state = self.state.lock();
        if !state.closed && !W::SETTLES.is_zero() {
            self.wake.wait_for(&mut state, W::SETTLES);
        }
        drop(state);
        // Each turn has a progress of its own: one that was cancelled stays so.
        loop {
            let (until, _) = self.turn(&Progress::new());
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            let ms = until.0.saturating_sub(self.clock.now().0);
            let ms = ms.clamp(0, SLEEP_MS_MAX).unsigned_abs();
            self.wake.wait_for(&mut state, Duration::from_millis(ms));
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        if let Some(running) = &state.running {
            running.cancel();
        }
        self.wake.notify_all();
    }

    pub(super) fn status(&self) -> ScheduleStatus<W::Done> {
        let is_known = self.state.lock().status.next_run.is_some();
        if let (false, Some(mut memory)) = (is_known, self.turn.try_lock()) {
            if let Err(error) = self.look(&mut memory) {
                self.state.lock().status.last_error = Some(error.to_string());
            }
            self.upcoming(&memory);
        }
        let state = self.state.lock();
        ScheduleStatus {
            running: state.running.as_ref().map(Progress::snapshot),
            ..state.status.clone()
        }
    }

    /// Does it if it is due. Answers when to look again, and what was done.
    pub(super) fn turn(&self, progress: &Progress) -> (UnixMs, Result<Option<W::Done>>) {
        let mut memory = self.turn.lock();
        let outcome = self.attempt(&mut memory, progress);
        if outcome.as_ref().is_ok_and(Option::is_some)
            && let Err(error) = self.look(&mut memory)
        {
            tracing::warn!(%error, what = W::WHAT, "what was done could not be read");
        }
        (self.upcoming(&memory), outcome)
    }

    /// When to look again, as far as is known what was done.
    fn upcoming(&self, memory: &Memory) -> UnixMs {
        let now = self.clock.now();
        let next = self.decide(memory);
        let status = &mut self.state.lock().status;
        let again = match next {
            Next::Wait(until) => until,
            Next::Due { .. } if status.waits_for_other => UnixMs(now.0 + OTHER_MS),
            Next::Due { .. } => now,
        };
        status.next_run = Some(again);
        again
    }

    /// Does it; `None` when it is not due, or somebody makes a backup.
    fn attempt(&self, memory: &mut Memory, progress: &Progress) -> Result<Option<W::Done>> {
        if let Next::Wait(_) = self.decide(memory) {
            return Ok(None);
        }
        let started = self.clock.now();
        let outcome = self.attempt_fresh(memory, progress);
        let finished = self.clock.now();
        let mut state = self.state.lock();
        state.running = None;
        let (closed, status) = (state.closed, &mut state.status);
        let (done, error) = match &outcome {
            Ok(None) => return outcome,
            Ok(done) => (done.clone(), None),
            // No failure: the state is being closed, or a caller gave up.
            Err(error) if closed || error.kind() == ErrorKind::Cancelled => return outcome,
            Err(error) => (None, Some(error.to_string())),
        };
        match &error {
            None => {
                status.runs += 1;
                status.failures_in_row = 0;
                *memory = Memory::default();
            }
            Some(error) => {
                tracing::warn!(
                    error,
                    "a scheduled {} failed and will be tried again",
                    W::WHAT
                );
                status.failures += 1;
                status.failures_in_row = status.failures_in_row.saturating_add(1);
                memory.failure = Some(Failure {
                    at: finished,
                    in_row: status.failures_in_row,
                });
            }
        }
        status.last_error.clone_from(&error);
        status.last_run = Some(ScheduledRun {
            started,
            finished,
            done,
            error,
        });
        outcome
    }

    fn attempt_fresh(&self, memory: &mut Memory, progress: &Progress) -> Result<Option<W::Done>> {
        self.look(memory)?;
        let Next::Due { full } = self.decide(memory) else {
            return Ok(None);
        };
        let since = UnixMs(self.clock.now().0.saturating_sub(OTHER_AGE_MS_MAX));
        let is_busy = self.work.is_busy(since)?;
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Error::Closed);
            }
            state.status.waits_for_other = is_busy;
            if is_busy {
                return Ok(None);
            }
            state.running = Some(progress.clone());
        }
        let run = || self.work.run(full, progress);
        let done = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            let message = format!("a panic stopped the {}", W::WHAT);
            Err(Error::other(ErrorKind::Panic, message))
        });
        done.map(Some)
    }

    /// Reads what was done.
    fn look(&self, memory: &mut Memory) -> Result<()> {
        memory.made = Vec::new();
        memory.made = self.work.made()?;
        let newest = memory.made.iter().map(|made| made.at).max();
        self.state.lock().status.newest = newest;
        Ok(())
    }

    fn decide(&self, memory: &Memory) -> Next {
        let now = self.clock.now();
        next(now, &memory.made, &self.config, self.salt, memory.failure)
    }
}
