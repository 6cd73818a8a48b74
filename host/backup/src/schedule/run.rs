//! The thread that makes scheduled backups, and one turn of it.
//!
//! A turn decides by a list of backups that may be old; before it makes one it looks again, also for a
//! writer that is at work in the repository. That is no lock: two who look at once both go on, which is
//! safe, since a backup stands on none of another state and writes under its own id only. Closing cancels the backup in progress, which leaves no
//! trace, and ends the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use statekeep_core::{Clock, Error, ErrorKind, Progress, Result, UnixMs};

use super::decide::{Failure, Made, Next, next};
use super::plan::ScheduleConfig;
use super::status::{ScheduleStatus, ScheduledRun};
use crate::create::CreateOptions;
use crate::index::Known;
use crate::manager::BackupManager;
use crate::manifest::BackupKind;
use crate::name::BackupId;

/// The word that finds scheduled backups.
const TAG: &str = "scheduled";
/// Longest sleep: the clock of the wall may have been put forward meanwhile.
const SLEEP_MS_MAX: i64 = 60_000;
/// Wait while somebody else makes a backup.
const OTHER_MS: i64 = 30_000;
/// Age at which another writer's backup no longer holds the schedule up; two at once are safe.
const OTHER_AGE_MS_MAX: i64 = 6 * 3_600_000;

/// What the schedule needs of the backups of a state.
pub(super) trait Work: Send + Sync {
    /// The backups of this state.
    fn made(&self) -> Result<Vec<Made>>;
    /// Whether somebody is making a backup in the repository that began after `since`.
    fn is_busy(&self, since: UnixMs) -> Result<bool>;
    /// Makes a backup, a full one if asked for.
    fn create(&self, full: bool, progress: &Progress) -> Result<BackupId>;
}

impl Work for BackupManager {
    fn made(&self) -> Result<Vec<Made>> {
        let Some(repository) = self.find()? else {
            return Ok(Vec::new());
        };
        // Manifests that cannot be read are told by `list`.
        let slots = repository.slots(Known::Used, &mut Vec::new())?;
        let state = self.state().state_id();
        let rows = slots.into_iter().filter_map(|slot| slot.backup);
        let made = rows.filter(|row| row.state == state).map(|row| Made {
            at: UnixMs(row.started_unix_ms),
            is_full: row.kind != BackupKind::Incremental,
        });
        Ok(made.collect())
    }

    fn is_busy(&self, since: UnixMs) -> Result<bool> {
        let Some(repository) = self.find()? else {
            return Ok(false);
        };
        // Leases that cannot be read hold nobody up.
        let leases = repository.leases(&mut Vec::new())?;
        let mut leases = leases.writers.values().filter(|held| held.is_alive);
        Ok(leases.any(|held| {
            let lease = held.lease.as_ref();
            lease.is_some_and(|lease| lease.started_unix_ms > since.0)
        }))
    }

    fn create(&self, full: bool, progress: &Progress) -> Result<BackupId> {
        let options = CreateOptions {
            tags: vec![TAG.to_owned()],
            incremental: full.then_some(false),
            ..CreateOptions::default()
        };
        Ok(self.create(&options, progress)?.id)
    }
}

/// The scheduled backups of a state. Dropped, it is closed.
pub struct Scheduler {
    turns: Option<Arc<Turns>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and its owner share.
pub(super) struct Turns {
    work: Arc<dyn Work>,
    clock: Arc<dyn Clock>,
    config: ScheduleConfig,
    salt: u64,
    /// Held by whoever takes a turn.
    turn: Mutex<Memory>,
    state: Mutex<State>,
    wake: Condvar,
}

/// What one turn leaves to the next.
#[derive(Default)]
struct Memory {
    /// The backups as they were last seen; none before that, so that a backup seems due.
    made: Vec<Made>,
    failure: Option<Failure>,
}

struct State {
    status: ScheduleStatus,
    running: Option<Progress>,
    closed: bool,
}

impl Scheduler {
    /// The scheduled backups of `backups`; without a schedule there are none. It does nothing of
    /// itself before [`Scheduler::start`].
    pub fn new(
        backups: &Arc<BackupManager>,
        config: Option<ScheduleConfig>,
        clock: Arc<dyn Clock>,
    ) -> Scheduler {
        let id = backups.state().state_id();
        let salt = id.bytes().fold(0, |salt: u64, byte| {
            salt.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let work = Arc::clone(backups) as Arc<dyn Work>;
        let turns = config.map(|config| Arc::new(Turns::new(work, clock, config, salt)));
        Scheduler {
            turns,
            thread: Mutex::default(),
        }
    }

    /// Starts its thread, if there is a schedule and it has none yet.
    ///
    /// # Errors
    /// `Unavailable` when the system has no more threads to give.
    pub fn start(&self) -> Result<()> {
        let (Some(turns), mut thread) = (&self.turns, self.thread.lock()) else {
            return Ok(());
        };
        if thread.is_none() {
            let name = "statekeep-schedule";
            let turns = Arc::clone(turns);
            let builder = std::thread::Builder::new().name(name.to_owned());
            let started = builder.spawn(move || turns.run());
            *thread = Some(started.map_err(|error| {
                let message = format!("cannot start the thread `{name}`: {error}");
                Error::other(ErrorKind::Unavailable, message)
            })?);
        }
        Ok(())
    }

    /// What it does and did. Without a thread it looks into the repository for what is next.
    pub fn status(&self) -> ScheduleStatus {
        match &self.turns {
            Some(turns) => turns.status(),
            None => ScheduleStatus::default(),
        }
    }

    /// Makes a backup now if one is due, as the thread would; for programs that run now and then.
    /// `None` when none is due, or somebody else is making one.
    ///
    /// # Errors
    /// As [`BackupManager::create`]; `Unsupported` when there is no schedule.
    pub fn run_due(&self, progress: &Progress) -> Result<Option<BackupId>> {
        let turns = self.turns.as_ref().ok_or_else(|| {
            let message = "no backups are scheduled; set `backup.every` or `backup.daily_at`";
            Error::other(ErrorKind::Unsupported, message)
        })?;
        turns.turn(progress).1
    }

    /// Ends it: a backup in progress is cancelled and leaves nothing behind.
    pub fn close(&self) {
        if let Some(turns) = &self.turns {
            turns.close();
        }
        if let Some(thread) = self.thread.lock().take() {
            // A panic of it was counted where it was caught.
            let _ = thread.join();
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.close();
    }
}

impl Turns {
    pub(super) fn new(
        work: Arc<dyn Work>,
        clock: Arc<dyn Clock>,
        config: ScheduleConfig,
        salt: u64,
    ) -> Turns {
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

    fn run(&self) {
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

    pub(super) fn status(&self) -> ScheduleStatus {
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

    /// Makes a backup if one is due. Answers when to look again, and what was made.
    pub(super) fn turn(&self, progress: &Progress) -> (UnixMs, Result<Option<BackupId>>) {
        let mut memory = self.turn.lock();
        let outcome = self.attempt(&mut memory, progress);
        if outcome.as_ref().is_ok_and(Option::is_some)
            && let Err(error) = self.look(&mut memory)
        {
            tracing::warn!(%error, "the backups could not be listed");
        }
        (self.upcoming(&memory), outcome)
    }

    /// When to look again, as far as the backups that are known tell.
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

    /// Makes a backup; `None` when none is due, or somebody else makes one.
    fn attempt(&self, memory: &mut Memory, progress: &Progress) -> Result<Option<BackupId>> {
        if let Next::Wait(_) = self.decide(memory) {
            return Ok(None);
        }
        let started = self.clock.now();
        let outcome = self.attempt_fresh(memory, progress);
        let finished = self.clock.now();
        let mut state = self.state.lock();
        state.running = None;
        let (closed, status) = (state.closed, &mut state.status);
        let (backup, error) = match &outcome {
            Ok(None) => return outcome,
            Ok(made) => (*made, None),
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
                tracing::warn!(error, "a scheduled backup failed and will be tried again");
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
            backup,
            error,
        });
        outcome
    }

    fn attempt_fresh(&self, memory: &mut Memory, progress: &Progress) -> Result<Option<BackupId>> {
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
        let create = || self.work.create(full, progress);
        let made = catch_unwind(AssertUnwindSafe(create)).unwrap_or_else(|_| {
            let message = "a panic stopped the backup; nothing was made";
            Err(Error::other(ErrorKind::Panic, message))
        });
        made.map(Some)
    }

    /// Reads which backups there are.
    fn look(&self, memory: &mut Memory) -> Result<()> {
        memory.made = Vec::new();
        memory.made = self.work.made()?;
        let newest = memory.made.iter().map(|made| made.at).max();
        self.state.lock().status.newest_backup = newest;
        Ok(())
    }

    fn decide(&self, memory: &Memory) -> Next {
        let now = self.clock.now();
        next(now, &memory.made, &self.config, self.salt, memory.failure)
    }
}
