//! Two states whose schedules look into one repository at the same moment and both find nobody there.
//!
//! Nothing is done against it, since it harms nobody: a backup takes over only runs of its own state,
//! has an id of its own, and puts objects under that id only. That the schedule waits for another
//! writer spares the disk, and is no lock.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Clock, Key, OpenOptions, Progress, Result, SetOptions, StateManager, SystemClock, UnixMs, Value,
};

use super::decide::Made;
use super::plan::{ScheduleConfig, When};
use super::run::Turns;
use super::work::{Backups, Work};
use crate::manager::{BackupConfig, BackupManager, CHAIN_DEFAULT};
use crate::manifest::{BackupKind, Manifest};
use crate::name::BackupId;
use crate::verify::VerifyLevel;

const HOUR: i64 = 3_600_000;

/// Goes on once both have looked for other writers.
struct AtOnce {
    backups: Backups,
    looked: Arc<Barrier>,
}

impl Work for AtOnce {
    type Done = BackupId;
    const WHAT: &'static str = Backups::WHAT;
    const THREAD: &'static str = Backups::THREAD;
    const SETTLES: Duration = Backups::SETTLES;
    const NO_SCHEDULE: &'static str = Backups::NO_SCHEDULE;

    fn made(&self) -> Result<Vec<Made>> {
        self.backups.made()
    }

    fn is_busy(&self, since: UnixMs) -> Result<bool> {
        let busy = self.backups.is_busy(since);
        self.looked.wait();
        busy
    }

    fn run(&self, is_full: bool, progress: &Progress) -> Result<BackupId> {
        self.backups.run(is_full, progress)
    }
}

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(SeqCst))
    }
}

struct Side {
    manager: Arc<StateManager>,
    backups: Arc<BackupManager>,
    turns: Turns<AtOnce>,
}

impl Side {
    fn new(disk: &SimDisk, path: &str, looked: &Arc<Barrier>, clock: &Arc<TestClock>) -> Side {
        let mut options = OpenOptions::new(path, "log");
        options.vfs = disk.vfs();
        let manager = StateManager::open(options, TestPlugins::shared(disk.vfs())).unwrap();
        let config = BackupConfig {
            dir: "/backups".into(),
            codec: "store".to_owned(),
            level: None,
            threads: 1,
            cores_free: 0,
            incremental: true,
            history: false,
            chain_max: CHAIN_DEFAULT,
            bytes_per_second_max: 0,
        };
        let backups = Arc::new(BackupManager::open(manager.clone(), config).unwrap());
        let work = AtOnce {
            backups: Backups(backups.clone()),
            looked: looked.clone(),
        };
        let config = ScheduleConfig {
            when: When::EveryMs(HOUR.cast_unsigned()),
            full_every_ms: None,
            jitter_ms: 0,
            past_ms: None,
        };
        Side {
            turns: Turns::new(Arc::new(work), clock.clone(), config, 7),
            manager,
            backups,
        }
    }

    fn set(&self, value: &str) {
        let tenant = self.manager.default_tenant().blocking();
        let (scope, key) = ("global".parse().unwrap(), Key::new("k").unwrap());
        let value = Value::bytes(value.as_bytes());
        tenant
            .set(&scope, &key, value, SetOptions::default())
            .unwrap();
    }

    fn turn(&self) -> Manifest {
        let made = self.turns.turn(&Progress::new()).1.unwrap();
        self.backups.show(made.unwrap()).unwrap().manifest
    }
}

#[test]
fn schedules_of_two_states_that_begin_at_once_do_not_harm_each_other() {
    let disk = SimDisk::new();
    let (looked, clock) = (
        Arc::new(Barrier::new(2)),
        Arc::new(TestClock(AtomicI64::new(SystemClock.now().0))),
    );
    let sides = ["/one", "/two"].map(|path| Side::new(&disk, path, &looked, &clock));
    let mut last: [Option<Manifest>; 2] = [None, None];
    for round in 0..3 {
        sides.iter().for_each(|side| side.set(&round.to_string()));
        let made = std::thread::scope(|scope| {
            let turns = sides.each_ref().map(|side| scope.spawn(|| side.turn()));
            turns.map(|turn| turn.join().unwrap())
        });
        for ((side, made), last) in sides.iter().zip(&made).zip(&last) {
            assert_eq!(made.state, side.manager.state_id());
            assert_eq!(made.full_reason.is_some(), round == 0);
            let wanted = last.as_ref().map(|last| last.id);
            assert_eq!(made.parent, wanted, "it stands on its own state's");
            let kind = match round {
                0 => BackupKind::Full,
                _ => BackupKind::Incremental,
            };
            assert_eq!(made.kind, kind);
        }
        assert_ne!(made[0].series, made[1].series);
        last = made.map(Some);
        clock.0.fetch_add(2 * HOUR, SeqCst);
    }
    let [one, _] = &sides;
    for made in last.into_iter().flatten() {
        let level = VerifyLevel::Full;
        let report = one.backups.verify(made.id, level, &Progress::new());
        assert!(report.unwrap().is_valid);
    }
    let report = one.backups.check_repository(&Progress::new()).unwrap();
    assert!(report.is_valid, "{report:?}");
    assert_eq!(
        (
            report.backups,
            report.strays.objects,
            report.creations.len()
        ),
        (6, 0, 0)
    );
}
