//! The schedule in force and its thread: set, started, asked and ended from any thread.
//!
//! No lock is held while a thread is waited for, since what it does may ask for the status.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use statekeep_core::{Clock, Error, ErrorKind, Progress, Result};

use super::plan::ScheduleConfig;
use super::run::Turns;
use super::status::ScheduleStatus;
use super::work::{Backups, Cleanups, Work};
use crate::manager::BackupManager;

/// The scheduled backups, or cleanups, of a state. Dropped, it is closed.
pub struct Scheduler<W: Work> {
    work: Arc<W>,
    clock: Arc<dyn Clock>,
    salt: u64,
    current: Mutex<Current<W>>,
}

/// The schedule in force, if there is one, and what runs by it.
struct Current<W: Work> {
    turns: Option<Arc<Turns<W>>>,
    thread: Option<JoinHandle<()>>,
    /// It makes what is due of itself.
    is_started: bool,
}

impl Scheduler<Backups> {
    /// The scheduled backups of a state; without a schedule there are none. It does nothing of itself
    /// before [`Scheduler::start`].
    pub fn backups(
        backups: &Arc<BackupManager>,
        config: Option<ScheduleConfig>,
        clock: Arc<dyn Clock>,
    ) -> Scheduler<Backups> {
        Scheduler::of(backups, Backups(Arc::clone(backups)), config, clock)
    }
}

impl Scheduler<Cleanups> {
    /// The scheduled cleanups of a state, see [`Scheduler::backups`].
    pub fn cleanups(
        backups: &Arc<BackupManager>,
        config: Option<ScheduleConfig>,
        clock: Arc<dyn Clock>,
    ) -> Scheduler<Cleanups> {
        Scheduler::of(backups, Cleanups::new(Arc::clone(backups)), config, clock)
    }
}

impl<W: Work> Scheduler<W> {
    fn of(
        backups: &BackupManager,
        work: W,
        config: Option<ScheduleConfig>,
        clock: Arc<dyn Clock>,
    ) -> Scheduler<W> {
        let id = backups.state().state_id();
        let salt = id.bytes().fold(0, |salt: u64, byte| {
            salt.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let scheduler = Scheduler {
            work: Arc::new(work),
            clock,
            salt,
            current: Mutex::new(Current {
                turns: None,
                thread: None,
                is_started: false,
            }),
        };
        scheduler.current.lock().turns = scheduler.turns_by(config);
        scheduler
    }

    fn turns_by(&self, config: Option<ScheduleConfig>) -> Option<Arc<Turns<W>>> {
        let (work, clock) = (Arc::clone(&self.work), Arc::clone(&self.clock));
        config.map(|config| Arc::new(Turns::new(work, clock, config, self.salt)))
    }

    fn turns(&self) -> Option<Arc<Turns<W>>> {
        self.current.lock().turns.clone()
    }

    /// Starts its thread, if there is a schedule and it has none yet.
    ///
    /// # Errors
    /// `Unavailable` when the system has no more threads to give.
    pub fn start(&self) -> Result<()> {
        let mut current = self.current.lock();
        current.is_started = true;
        current.spawn()
    }

    /// Puts another schedule in force, or none. What the one before is just doing is cancelled, and is
    /// due by the next one; the same schedule once more changes nothing.
    ///
    /// # Errors
    /// `Unavailable` when the system has no more threads to give; then nothing is made of itself.
    pub fn set(&self, config: Option<ScheduleConfig>) -> Result<()> {
        let (ended, started) = {
            let mut current = self.current.lock();
            if current.turns.as_ref().map(|turns| &turns.config) == config.as_ref() {
                return Ok(());
            }
            let ended = current.end();
            current.turns = self.turns_by(config);
            let started = match current.is_started {
                true => current.spawn(),
                false => Ok(()),
            };
            (ended, started)
        };
        join(ended);
        started
    }

    /// What it does and did since it was set. Without a thread it looks into the repository for what is
    /// next.
    pub fn status(&self) -> ScheduleStatus<W::Done> {
        self.turns()
            .map_or_else(ScheduleStatus::default, |turns| turns.status())
    }

    /// Does it now if it is due, as the thread would; for programs that run now and then. `None` when it
    /// is not due, or somebody is making a backup.
    ///
    /// # Errors
    /// As [`BackupManager::create`] or [`BackupManager::cleanup`]; `Unsupported` when there is no schedule.
    pub fn run_due(&self, progress: &Progress) -> Result<Option<W::Done>> {
        let turns = self
            .turns()
            .ok_or_else(|| Error::other(ErrorKind::Unsupported, W::NO_SCHEDULE))?;
        turns.turn(progress).1
    }

    /// Ends it: what is in progress is cancelled. A backup leaves nothing behind, a cleanup nothing that
    /// the next one does not end.
    pub fn close(&self) {
        let ended = {
            let mut current = self.current.lock();
            current.is_started = false;
            current.end()
        };
        join(ended);
    }
}

/// Waits for a thread without a lock: what it does may ask for the status.
fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // A panic of it was counted where it was caught.
        let _ = thread.join();
    }
}

impl<W: Work> Current<W> {
    fn spawn(&mut self) -> Result<()> {
        if let (Some(turns), None) = (&self.turns, &self.thread) {
            let name = W::THREAD;
            let turns = Arc::clone(turns);
            let builder = std::thread::Builder::new().name(name.to_owned());
            let started = builder.spawn(move || turns.run());
            self.thread = Some(started.map_err(|error| {
                let message = format!("cannot start the thread `{name}`: {error}");
                Error::other(ErrorKind::Unavailable, message)
            })?);
        }
        Ok(())
    }

    /// Tells the thread to end; answers it.
    fn end(&mut self) -> Option<JoinHandle<()>> {
        if let Some(turns) = &self.turns {
            turns.close();
        }
        self.thread.take()
    }
}

impl<W: Work> Drop for Scheduler<W> {
    fn drop(&mut self) {
        self.close();
    }
}
