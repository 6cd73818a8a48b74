//! Turns of the schedule on a clock of the test's own, over backups that are only written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use statekeep_core::{Clock, Error, ErrorKind, Progress, Result, UnixMs};

use super::decide::Made;
use super::plan::{ScheduleConfig, When};
use super::run::Turns;
use super::work::Work;
use crate::name::BackupId;

const HOUR: i64 = 3_600_000;
const START: i64 = 1_000_000 * HOUR;

#[derive(Default)]
struct World {
    now: AtomicI64,
    made: Mutex<Vec<Made>>,
    busy: AtomicBool,
    /// What the next attempt meets.
    trouble: Mutex<Option<Trouble>>,
    unreadable: AtomicBool,
}

enum Trouble {
    Error,
    Panic,
    /// Closed while the backup is made.
    Close(Arc<Mutex<Option<Arc<Turns<Shared>>>>>),
}

impl Clock for World {
    fn now(&self) -> UnixMs {
        UnixMs(self.now.load(SeqCst))
    }
}

/// The world, as what works in it.
struct Shared(Arc<World>);

impl Work for Shared {
    type Done = BackupId;
    const WHAT: &'static str = "backup";
    const THREAD: &'static str = "test";
    const SETTLES: Duration = Duration::ZERO;
    const NO_SCHEDULE: &'static str = "";

    fn made(&self) -> Result<Vec<Made>> {
        match self.0.unreadable.load(SeqCst) {
            true => Err(Error::other(ErrorKind::Io, "the repository is away")),
            false => Ok(self.0.made.lock().clone()),
        }
    }

    fn is_busy(&self, since: UnixMs) -> Result<bool> {
        assert!(since < self.0.now());
        Ok(self.0.busy.load(SeqCst))
    }

    fn run(&self, is_full: bool, progress: &Progress) -> Result<BackupId> {
        match self.0.trouble.lock().take() {
            None => {}
            Some(Trouble::Error) => {
                return Err(Error::other(ErrorKind::NoSpace, "the disk is full"));
            }
            Some(Trouble::Panic) => panic!("planted"),
            Some(Trouble::Close(turns)) => turns.lock().take().unwrap().close(),
        }
        progress.check()?;
        let at = self.0.now();
        self.0.made.lock().push(Made { at, is_full });
        Ok(BackupId::after(None))
    }
}

fn hourly(full_every_ms: Option<i64>) -> (Arc<World>, Arc<Turns<Shared>>) {
    let world = Arc::new(World::default());
    world.now.store(START, SeqCst);
    let config = ScheduleConfig {
        when: When::EveryMs(HOUR.cast_unsigned()),
        full_every_ms: full_every_ms.map(i64::cast_unsigned),
        jitter_ms: 0,
        past_ms: None,
    };
    let turns = Turns::new(Arc::new(Shared(world.clone())), world.clone(), config, 7);
    (world, Arc::new(turns))
}

fn turn(turns: &Turns<Shared>) -> (i64, Result<Option<BackupId>>) {
    let (again, outcome) = turns.turn(&Progress::new());
    (again.0, outcome)
}

#[test]
fn a_day_of_turns_makes_a_backup_an_hour_and_a_full_one_when_it_is_time() {
    let (world, turns) = hourly(Some(6 * HOUR));
    while world.now().0 < START + 24 * HOUR {
        let (again, outcome) = turn(&turns);
        assert!(outcome.unwrap().is_some() && again == world.now().0 + HOUR);
        // Woken too early, as by a jump of the clock, it makes none.
        world.now.store(again - 1, SeqCst);
        assert!(matches!(turn(&turns), (same, Ok(None)) if same == again));
        world.now.store(again, SeqCst);
    }
    let fulls: Vec<_> = (world.made.lock().iter().enumerate())
        .filter_map(|(at, made)| made.is_full.then_some(at))
        .collect();
    assert_eq!((world.made.lock().len(), fulls), (24, vec![0, 6, 12, 18]));
    let status = turns.status();
    assert_eq!((status.runs, status.failures), (24, 0));
    assert_eq!(status.newest, Some(UnixMs(START + 23 * HOUR)));
    assert_eq!(status.next_run, Some(UnixMs(START + 24 * HOUR)));
}

#[test]
fn a_failure_is_told_and_tried_again_ever_later_until_one_succeeds() {
    let (world, turns) = hourly(None);
    for (trouble, wait, said) in [
        (Trouble::Error, 60_000, "the disk is full"),
        (Trouble::Panic, 120_000, "a panic stopped the backup"),
        (Trouble::Error, 240_000, "the disk is full"),
    ] {
        *world.trouble.lock() = Some(trouble);
        let (again, outcome) = turn(&turns);
        assert!(outcome.unwrap_err().to_string().contains(said));
        assert_eq!(again, world.now().0 + wait);
        assert!(turns.status().last_error.unwrap().contains(said));
        // Until then nothing is tried.
        assert!(matches!(turn(&turns), (same, Ok(None)) if same == again));
        world.now.store(again, SeqCst);
    }
    let (again, outcome) = turn(&turns);
    assert!(outcome.unwrap().is_some() && again == world.now().0 + HOUR);
    let status = turns.status();
    assert_eq!(
        (status.runs, status.failures, status.failures_in_row),
        (1, 3, 0)
    );
    assert_eq!(status.last_error, None);
    let run = status.last_run.unwrap();
    assert!(run.done.is_some() && run.error.is_none() && run.started == world.now());
}

#[test]
fn a_repository_that_cannot_be_read_is_a_failure_and_no_second_backup() {
    let (world, turns) = hourly(None);
    turn(&turns).1.unwrap().unwrap();
    world.now.fetch_add(HOUR, SeqCst);
    world.unreadable.store(true, SeqCst);
    let (again, outcome) = turn(&turns);
    assert!(outcome.is_err() && again == world.now().0 + 60_000);
    assert!(matches!(turn(&turns), (_, Ok(None))));
    assert_eq!(turns.status().failures, 1);
}

#[test]
fn while_somebody_else_makes_a_backup_it_waits_and_theirs_counts() {
    let (world, turns) = hourly(None);
    world.busy.store(true, SeqCst);
    let (again, outcome) = turn(&turns);
    assert!(matches!(outcome, Ok(None)) && again == START + 30_000);
    assert!(turns.status().waits_for_other && turns.status().failures == 0);

    world.busy.store(false, SeqCst);
    let at = UnixMs(START + 10_000);
    world.made.lock().push(Made { at, is_full: true });
    world.now.store(again, SeqCst);
    assert!(matches!(turn(&turns), (next, Ok(None)) if next == at.0 + HOUR));
    assert_eq!(world.made.lock().len(), 1);
}

#[test]
fn closing_cancels_the_backup_in_progress_which_is_no_failure() {
    let (world, turns) = hourly(None);
    let closer = Arc::new(Mutex::new(Some(turns.clone())));
    *world.trouble.lock() = Some(Trouble::Close(closer));
    let (_, outcome) = turn(&turns);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(world.made.lock().is_empty());
    assert_eq!(turns.status().failures, 0);
    assert_eq!(turn(&turns).1.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn the_status_of_a_schedule_that_has_no_thread_says_what_is_next() {
    let (world, turns) = hourly(None);
    let at = UnixMs(START - HOUR / 2);
    world.made.lock().push(Made { at, is_full: true });
    let status = turns.status();
    assert!(status.enabled && status.every_ms == Some(HOUR.cast_unsigned()));
    assert_eq!(status.next_run, Some(UnixMs(START + HOUR / 2)));
    assert_eq!(status.newest, Some(at));
}
