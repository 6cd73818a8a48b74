//! Restores that meet a fault or a kill at any call of the file layer.

use statekeep_backup::{
    BackupId, CreateOptions, Progress, RestoreMode, RestoreOptions, VerifyLevel,
};
use statekeep_core::oracle::Oracle;
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{Result, Selection};

use crate::support::{State, bare, fill, open, read, set};

/// A state with a backup of `old`, that shows `new` now.
fn start() -> (SimDisk, State, State, BackupId) {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let old = fill(&manager);
    let id = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap()
        .id;
    set(&manager, "", "user:1", "k1", "newer").unwrap();
    set(&manager, "", "user:1", "more", "x").unwrap();
    let new = read(&manager);
    manager.close().unwrap();
    (disk.restart(), old, new, id)
}

fn attempt(disk: &SimDisk, id: BackupId, options: &RestoreOptions) -> Result<()> {
    let (manager, backups) = open(disk)?;
    let outcome = backups.restore(id, options, &Progress::new());
    drop(backups);
    let closed = manager.close();
    outcome.map(drop).and(closed)
}

#[test]
fn a_restore_that_stops_anywhere_leaves_one_of_the_two_states() {
    stops_anywhere(&bare(), 40);
}

#[test]
fn so_does_one_that_makes_a_backup_before() {
    stops_anywhere(&RestoreOptions::default(), 80);
}

#[test]
fn so_does_one_of_a_part() {
    let part = RestoreOptions {
        selection: Some(Selection::new(Some(""), Some("user:*"), None).unwrap()),
        mode: Some(RestoreMode::Replace),
        ..bare()
    };
    stops_anywhere(&part, 15);
}

/// Wherever a restore stops, the state is the old one or the restored one, whole, and the backup is
/// still there.
#[expect(clippy::panic, reason = "a test stops at what it did not expect")]
fn stops_anywhere(options: &RestoreOptions, calls_min: u64) {
    let (start, old, new, id) = start();
    let check = |disk: &SimDisk, acknowledged: bool, story: &str| {
        let (manager, backups) = open(disk).unwrap_or_else(|error| panic!("{story}: {error}"));
        let found = read(&manager);
        let mut oracle = Oracle::new();
        let before = oracle.begin([("state", Some(&new))]);
        oracle.acknowledge(before);
        let restore = oracle.begin([("state", Some(&old))]);
        if acknowledged {
            oracle.acknowledge(restore);
        }
        let verdict = oracle.check(|_| [&old, &new].into_iter().find(|state| **state == found));
        verdict.unwrap_or_else(|lost| panic!("{story}: {lost}; found {found:?}"));
        let report = backups
            .verify(id, VerifyLevel::Full, &Progress::new())
            .unwrap();
        assert!(report.is_valid, "{story}: {report:?}");
        set(&manager, "", "user:1", "after", "writes go on").unwrap();
    };
    for fault in ["fail", "full", "kill"] {
        for n in 1.. {
            let disk = start.restart();
            match fault {
                "fail" => disk.fail_at(n, std::io::ErrorKind::Other, Times::Once),
                "full" => disk.fail_at(n, std::io::ErrorKind::StorageFull, Times::Forever),
                _ => disk.kill_at(n),
            }
            let done = attempt(&disk, id, options).is_ok();
            let struck = disk.fault_struck();
            check(&disk.restart(), done, &format!("{fault} at call {n}"));
            for seed in 0..4 {
                check(
                    &disk.crash(seed),
                    done,
                    &format!("{fault} at call {n}, power cut {seed}"),
                );
            }
            if !struck {
                assert!(n > calls_min, "only {n} calls");
                break;
            }
        }
    }
}
