//! Scheduled cleanups: when they are made, what counts as one, and that only one is made at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use statekeep_backup::{
    BackupManager, Cleaned, CleanupOptions, Cleanups, Daily, Progress, RetentionConfig,
    RetentionRule, ScheduleConfig, Scheduler, VerifyLevel, When,
};
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{ErrorKind, StateManager, UnixMs};

use crate::cleanup::newest;
use crate::support::{TestClock, create, open_with, set};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// A midnight.
const START: i64 = 20_000 * DAY;

struct World {
    disk: SimDisk,
    clock: Arc<TestClock>,
}

impl World {
    fn new() -> World {
        World {
            disk: SimDisk::new(),
            clock: Arc::new(TestClock(AtomicI64::new(START))),
        }
    }

    /// The state as a process opens it, and its scheduled cleanups.
    fn opened(&self, when: When, rule: Option<RetentionRule>) -> Opened {
        let clock = self.clock.clone();
        let (state, backups) = open_with(&self.disk, |options| {
            options.clock = clock.clone();
            options.upkeep_interval_ms = 0;
        })
        .unwrap();
        let retention = RetentionConfig {
            rule,
            ..RetentionConfig::default()
        };
        let backups = Arc::new(backups.with_retention(retention));
        let config = ScheduleConfig {
            when,
            full_every_ms: None,
            jitter_ms: 0,
            past_ms: None,
        };
        let cleanups = Scheduler::cleanups(&backups, Some(config), clock);
        Opened {
            state,
            backups,
            cleanups,
        }
    }

    fn on(&self, ms: i64) {
        self.clock.0.fetch_add(ms, SeqCst);
    }
}

struct Opened {
    state: Arc<StateManager>,
    backups: Arc<BackupManager>,
    cleanups: Scheduler<Cleanups>,
}

impl Opened {
    fn back_up(&self, count: u64) {
        for n in 0..count {
            set(&self.state, "", "global", "k", &format!("value {n}")).unwrap();
            create(&self.backups);
        }
    }

    fn due(&self) -> statekeep_core::Result<Option<Cleaned>> {
        self.cleanups.run_due(&Progress::new())
    }

    fn alive(&self) -> usize {
        self.backups.list().unwrap().backups.len()
    }

    fn next(&self) -> i64 {
        self.cleanups.status().next_run.unwrap().0
    }
}

fn hourly() -> When {
    When::EveryMs(HOUR.cast_unsigned())
}

fn deleted(deleted: u64) -> Option<Cleaned> {
    Some(Cleaned {
        deleted,
        ..Cleaned::default()
    })
}

#[test]
fn what_was_deleted_by_hand_goes_after_its_grace_without_backups_and_policies() {
    let world = World::new();
    let opened = world.opened(hourly(), None);
    opened.back_up(3);
    let first = opened.backups.list().unwrap().backups[0].id;
    opened.backups.delete(&[first], "").unwrap();
    assert_eq!(opened.due().unwrap(), deleted(0), "it can still come back");
    assert_eq!(opened.backups.trash().unwrap().len(), 1);

    world.on(8 * DAY);
    let done = opened.due().unwrap().unwrap();
    assert_eq!((done.deleted, done.purged), (0, 1));
    assert!(done.space_freed > 0);
    assert!(opened.backups.trash().unwrap().is_empty());
    assert_eq!(opened.alive(), 2);
    for backup in opened.backups.list().unwrap().backups {
        let progress = Progress::new();
        let report = opened
            .backups
            .verify(backup.id, VerifyLevel::Full, &progress);
        assert!(report.unwrap().is_valid);
    }
    // By hand there has to be something to clean up by.
    let asked = opened
        .backups
        .cleanup(&CleanupOptions::default(), &Progress::new());
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn each_is_due_an_hour_after_the_last_one_also_in_another_process_and_after_downtime() {
    let world = World::new();
    let objects = {
        let opened = world.opened(hourly(), Some(newest(1)));
        opened.back_up(3);
        assert_eq!(opened.due().unwrap(), deleted(2));
        assert_eq!(opened.alive(), 1);
        assert_eq!(opened.due().unwrap(), None);
        assert_eq!(opened.next(), START + HOUR);
        let check = opened.backups.check_repository(&Progress::new()).unwrap();
        assert!(check.is_valid, "{check:?}");
        opened.state.close().unwrap();
        check.objects
    };
    world.on(HOUR - 1);
    let opened = world.opened(hourly(), Some(newest(1)));
    assert_eq!(
        opened.due().unwrap(),
        None,
        "the repository knows the last one"
    );
    assert_eq!(opened.next(), START + HOUR);
    world.on(1);
    assert_eq!(opened.due().unwrap(), deleted(0));
    opened.state.close().unwrap();
    drop(opened);

    // One for all that were missed.
    world.on(30 * DAY);
    let opened = world.opened(hourly(), None);
    assert_eq!(opened.due().unwrap().unwrap().purged, 2);
    assert_eq!(opened.due().unwrap(), None);
    let status = opened.cleanups.status();
    assert_eq!((status.runs, status.failures), (1, 0));
    assert_eq!(status.newest, Some(UnixMs(START + 30 * DAY + HOUR)));
    // Cleanups that find nothing to do do not fill the repository.
    let after = |hours: i64| {
        (0..hours).for_each(|_| {
            world.on(HOUR);
            assert_eq!(opened.due().unwrap(), deleted(0));
        });
        let check = opened.backups.check_repository(&Progress::new()).unwrap();
        assert!(check.is_valid, "{check:?}");
        check.objects
    };
    let few = after(1);
    assert_eq!(after(20), few);
    assert!(few < objects);
}

#[test]
fn a_time_of_the_day_is_met_once_a_day_whoever_cleans_up_meanwhile() {
    let world = World::new();
    let four = || When::Daily(Daily::parse("04:00", Some("UTC0")).unwrap());
    let opened = world.opened(four(), Some(newest(1)));
    opened.back_up(2);
    assert_eq!(opened.due().unwrap(), deleted(1));
    assert_eq!(opened.next(), START + 4 * HOUR);
    world.on(3 * HOUR);
    opened.back_up(1);
    let by_hand = opened
        .backups
        .cleanup(&CleanupOptions::default(), &Progress::new());
    assert_eq!(by_hand.unwrap().deleted, 1);
    world.on(HOUR);
    assert_eq!(opened.due().unwrap(), deleted(0));
    assert_eq!(opened.next(), START + DAY + 4 * HOUR);
}

#[test]
fn a_policy_that_fails_deletes_nothing_is_told_and_asked_again_later() {
    let world = World::new();
    let rule = RetentionRule::policy("broken", &[]);
    let opened = world.opened(hourly(), Some(rule));
    opened.back_up(2);
    let broken = Arc::new(|_: &Arc<[_]>, _: &_, _: &_| panic!("as planted"));
    opened.backups.register_policy("broken", broken).unwrap();
    let error = opened.due().unwrap_err().to_string();
    assert!(error.contains("broken"), "{error}");
    assert_eq!(opened.alive(), 2);
    let status = opened.cleanups.status();
    assert_eq!((status.failures, status.newest), (1, None));
    assert!(status.last_error.unwrap().contains("broken"));
    assert_eq!(opened.due().unwrap(), None, "not before a minute");
    assert_eq!(opened.next(), START + 60_000);

    let mended = RetentionConfig {
        rule: Some(newest(1)),
        ..RetentionConfig::default()
    };
    opened.backups.set_retention(mended).unwrap();
    world.on(60_000);
    assert_eq!(opened.due().unwrap(), deleted(1));
    assert_eq!(opened.cleanups.status().last_error, None);
}

#[test]
fn without_a_repository_there_is_nothing_to_do_and_none_is_made() {
    let world = World::new();
    let opened = world.opened(hourly(), Some(newest(1)));
    assert_eq!(opened.due().unwrap(), deleted(0));
    assert_eq!(opened.due().unwrap(), None, "not again and again");
    let check = opened.backups.check_repository(&Progress::new());
    assert_eq!(check.unwrap_err().kind(), ErrorKind::NotFound);
}

/// Each call of a run on a disk that is full from then on, or the last one of the process.
#[test]
fn a_run_that_meets_a_full_disk_or_a_kill_anywhere_is_gone_on_with_by_the_next() {
    let prepared = World::new();
    {
        let opened = prepared.opened(hourly(), Some(newest(1)));
        opened.back_up(2);
        assert_eq!(opened.due().unwrap(), deleted(1));
        opened.back_up(2);
        opened.state.close().unwrap();
    }
    prepared.on(HOUR);
    for is_kill in [false, true] {
        let mut struck = 0;
        loop {
            let world = World {
                disk: prepared.disk.restart(),
                clock: prepared.clock.clone(),
            };
            let opened = world.opened(hourly(), Some(newest(1)));
            let at = world.disk.call_count() + struck + 1;
            match is_kill {
                true => world.disk.kill_at(at),
                false => world
                    .disk
                    .fail_at(at, io::ErrorKind::StorageFull, Times::Forever),
            }
            let outcome = opened.due();
            if !world.disk.fault_struck() {
                assert_eq!(outcome.unwrap(), deleted(2));
                break;
            }
            struck += 1;
            // What a run that ends well could not write down, this process knows.
            assert_eq!(outcome.is_ok(), opened.cleanups.status().runs == 1);
            drop(opened);
            let next = World {
                disk: world.disk.restart(),
                clock: world.clock,
            };
            let opened = next.opened(hourly(), Some(newest(1)));
            opened.due().unwrap();
            assert_eq!(opened.alive(), 1, "call {struck}, killed: {is_kill}");
            let check = opened.backups.check_repository(&Progress::new()).unwrap();
            assert!(check.is_valid, "call {struck}: {check:?}");
            let left = next.disk.listing();
            let records = left.iter().filter(|path| path.contains("/backups/att/0"));
            assert!(
                (1..=2).contains(&records.count()),
                "call {struck}: {left:?}"
            );
        }
        assert!(struck > 20, "{struck} calls");
    }
}

#[test]
fn cleanups_of_a_state_wait_for_one_another_and_can_be_cancelled_meanwhile() {
    let world = World::new();
    let opened = world.opened(hourly(), Some(RetentionRule::policy("slow", &[])));
    opened.back_up(2);
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let begun = Arc::new(AtomicUsize::new(0));
    let counts = (inside.clone(), most.clone(), begun.clone());
    let slow = move |_: &Arc<[_]>, _: &_, _: &_| {
        let (inside, most, begun) = &counts;
        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
        // Leaves the other one the time to come in, if it could.
        let waited = Instant::now();
        while waited.elapsed() < Duration::from_millis(200) || begun.load(SeqCst) < 2 {
            most.fetch_max(inside.load(SeqCst), SeqCst);
            std::thread::yield_now();
        }
        inside.fetch_sub(1, SeqCst);
        Ok(Vec::new())
    };
    opened
        .backups
        .register_policy("slow", Arc::new(slow))
        .unwrap();
    let clean = |progress: &Progress| {
        begun.fetch_add(1, SeqCst);
        opened.backups.cleanup(&CleanupOptions::default(), progress)
    };
    let cancelled = Progress::new();
    std::thread::scope(|scope| {
        let both = [0; 2].map(|_| scope.spawn(|| clean(&Progress::new())));
        let third = scope.spawn(|| {
            while inside.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
            cancelled.cancel();
            clean(&cancelled)
        });
        let error = third.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        for one in both {
            one.join().unwrap().unwrap();
        }
    });
    assert_eq!(most.load(SeqCst), 1);
}
