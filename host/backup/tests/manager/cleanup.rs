//! What policies forget is deleted at once, can come back for a grace, and then goes for good; what
//! stays can be restored all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use statekeep_backup::{
    BackupId, BackupManager, CleanupOptions, CleanupReport, CreateOptions, Floor, Progress,
    RetentionConfig, RetentionRule, VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, HistoryLimits, Rule, StateManager};

use crate::support::{TestClock, bare, create, open, open_with, read, set};

/// Keeps the newest `n`.
pub(crate) fn newest(n: u64) -> RetentionRule {
    RetentionRule::policy("newest", &[("keep", json!(n))])
}

/// A cleanup that keeps the newest `keep`, and lets what goes come back for `grace_ms`.
pub(crate) fn clean(
    backups: &BackupManager,
    keep: u64,
    grace_ms: u64,
) -> statekeep_core::Result<CleanupReport> {
    let options = CleanupOptions {
        rule: Some(newest(keep)),
        grace_ms: Some(grace_ms),
        principal: "a test".to_owned(),
        ..CleanupOptions::default()
    };
    backups.cleanup(&options, &Progress::new())
}

fn ids(backups: &BackupManager) -> Vec<BackupId> {
    let list = backups.list().unwrap();
    assert!(list.problems.is_empty(), "{list:?}");
    list.backups.iter().map(|backup| backup.id).collect()
}

fn verify_all(backups: &BackupManager) {
    for id in ids(backups) {
        let report = backups.verify(id, VerifyLevel::Full, &Progress::new());
        let report = report.unwrap();
        assert!(report.is_valid && report.warnings.is_empty(), "{report:?}");
    }
    let report = backups.check_repository(&Progress::new()).unwrap();
    assert!(report.is_valid && report.strays.objects == 0, "{report:?}");
}

/// Fulls with an incremental on each, as they come.
fn filled(disk: &SimDisk, count: usize) -> (Arc<StateManager>, BackupManager, Vec<BackupId>) {
    let (manager, backups) = open(disk).unwrap();
    let made = (0..count).map(|n| {
        set(&manager, "", "global", "k", &format!("value {n}")).unwrap();
        let options = CreateOptions {
            incremental: Some(n % 2 == 1),
            ..CreateOptions::default()
        };
        backups.create(&options, &Progress::new()).unwrap().id
    });
    let made = made.collect();
    (manager, backups, made)
}

#[test]
fn what_is_forgotten_goes_and_what_stays_can_be_restored() {
    let disk = SimDisk::new();
    let (manager, backups, made) = filled(&disk, 6);
    let before = backups.check_repository(&Progress::new()).unwrap().bytes;

    let dry = CleanupOptions {
        dry_run: true,
        rule: Some(newest(2)),
        ..CleanupOptions::default()
    };
    let plan = backups.cleanup(&dry, &Progress::new()).unwrap();
    assert_eq!(
        (
            plan.evaluated,
            plan.retained,
            plan.would_delete,
            plan.deleted
        ),
        (6, 2, 4, 0)
    );
    assert_eq!(ids(&backups), made, "a dry run deletes nothing");
    assert!(backups.trash().unwrap().is_empty());

    let report = clean(&backups, 2, 0).unwrap();
    assert_eq!((report.deleted, report.would_delete), (4, 0));
    assert_eq!(report.collected.purged.len(), 4, "{report:?}");
    let after = backups.check_repository(&Progress::new()).unwrap().bytes;
    assert!(report.space_freed > 0 && after < before, "{report:?}");
    assert_eq!(ids(&backups), made[4..]);
    verify_all(&backups);
    // Of the records one end stays: that of the backup after which the oldest one was made.
    let listing = disk.listing();
    let left = |folder: &str| {
        let rows = listing.iter();
        let rows = rows.filter(|row| row.contains(&format!("/{folder}/0")));
        rows.cloned().collect::<Vec<_>>()
    };
    assert_eq!(left("del").len(), 0);
    let [end] = &left("fin")[..] else {
        panic!("{:?}", left("fin"));
    };
    assert!(end.contains(&made[3].to_string()), "{end}");
    backups.restore(made[4], &bare(), &Progress::new()).unwrap();
    assert_eq!(read(&manager)["/global/k"], "value 4");
    let error = backups.show(made[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn parents_of_what_stays_stay() {
    let disk = SimDisk::new();
    let (_manager, backups, made) = filled(&disk, 6);
    let report = clean(&backups, 1, 0).unwrap();
    assert_eq!(ids(&backups), made[4..]);
    assert_eq!(report.decisions[4].floor, Some(Floor::NewestFull));
    verify_all(&backups);
}

#[test]
fn a_policy_that_forgets_everything_leaves_the_newest() {
    let disk = SimDisk::new();
    let (_manager, backups, made) = filled(&disk, 5);
    let report = clean(&backups, 0, 0).unwrap();
    assert_eq!(report.retained, 1, "{report:?}");
    assert_eq!(ids(&backups), made[4..]);
    let again = clean(&backups, 0, 0).unwrap();
    assert_eq!((again.evaluated, again.deleted), (1, 0));
    verify_all(&backups);
}

#[test]
fn what_is_deleted_comes_back_within_its_grace_and_not_after() {
    let disk = SimDisk::new();
    let (manager, backups, made) = filled(&disk, 6);
    let report = clean(&backups, 2, 3_600_000).unwrap();
    assert_eq!((report.deleted, report.space_freed), (4, 0));
    assert_eq!(ids(&backups), made[4..]);
    let trash = backups.trash().unwrap();
    assert_eq!(
        trash.iter().map(|row| row.id).collect::<Vec<_>>(),
        made[..4]
    );
    assert!(
        trash
            .iter()
            .all(|row| !row.purged && row.principal == "a test")
    );
    for refused in [
        backups.show(made[0]).map(drop),
        backups.pin(made[0]).map(drop),
        backups
            .verify(made[0], VerifyLevel::Quick, &Progress::new())
            .map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("undelete"), "{error}");
    }
    backups.undelete(made[1]).unwrap();
    backups.undelete(made[1]).unwrap_err();
    let mut back = vec![made[1]];
    back.extend(&made[4..]);
    assert_eq!(ids(&backups), back);
    verify_all(&backups);
    backups.restore(made[1], &bare(), &Progress::new()).unwrap();
    assert_eq!(read(&manager)["/global/k"], "value 1");

    // What came back can be deleted again, and goes with the rest.
    let report = clean(&backups, 2, 0).unwrap();
    assert_eq!(report.deleted, 1, "{report:?}");
    assert!(backups.undelete(made[1]).is_err());
    assert_eq!(report.collected.purged, [made[1]]);
    assert_eq!(backups.trash().unwrap().len(), 3);
}

/// Damage in the records of deletions hides no backup that stays, removes none, and is told.
#[test]
fn damaged_records_of_deletions_hide_nothing_and_remove_nothing() {
    for folder in ["del", "fin"] {
        let disk = SimDisk::new();
        let (_manager, backups, made) = filled(&disk, 6);
        clean(&backups, 2, 3_600_000).unwrap();
        backups.undelete(made[1]).unwrap();
        let listing = disk.listing();
        let row = listing
            .iter()
            .find(|row| row.contains(&format!("/backups/{folder}/0")))
            .unwrap();
        let path = row.split(' ').next().unwrap();
        disk.edit(path.as_ref(), |bytes| bytes[10] ^= 1).unwrap();

        let list = backups.list().unwrap();
        assert!(
            list.problems
                .iter()
                .any(|problem| problem.object.contains(folder))
        );
        let listed: Vec<_> = list.backups.iter().map(|backup| backup.id).collect();
        assert!(
            made[4..]
                .iter()
                .chain(&made[1..2])
                .all(|id| listed.contains(id))
        );
        let check = backups.check_repository(&Progress::new()).unwrap();
        assert!(
            !check.is_valid && check.problems[0].object.contains(folder),
            "{check:?}"
        );
        let report = clean(&backups, 0, 0).unwrap();
        assert!(
            report.failure.is_some() && report.deleted == 0,
            "{report:?}"
        );
        for id in listed {
            let report = backups.verify(id, VerifyLevel::Full, &Progress::new());
            assert!(report.unwrap().is_valid);
        }
    }
}

#[test]
fn a_pin_holds_and_takes_a_deletion_back() {
    let disk = SimDisk::new();
    let (_manager, backups, made) = filled(&disk, 6);
    backups.pin(made[0]).unwrap();
    let report = clean(&backups, 2, 0).unwrap();
    assert_eq!(report.decisions[0].floor, Some(Floor::Pinned));
    assert_eq!(ids(&backups), [made[0], made[4], made[5]]);
    verify_all(&backups);
}

#[test]
fn without_a_policy_or_with_a_broken_one_nothing_goes() {
    let disk = SimDisk::new();
    let (_manager, backups, made) = filled(&disk, 3);
    let none = backups.cleanup(&CleanupOptions::default(), &Progress::new());
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Unsupported);
    let unknown = CleanupOptions {
        rule: Some(RetentionRule::Any {
            any: vec![newest(0), RetentionRule::policy("unheard", &[])],
        }),
        ..CleanupOptions::default()
    };
    let report = backups.cleanup(&unknown, &Progress::new()).unwrap();
    assert!(report.failure.unwrap().contains("unheard"));
    assert_eq!((report.deleted, report.evaluated), (0, 0));
    assert_eq!(ids(&backups), made);
}

#[test]
fn an_empty_repository_has_nothing_to_clean() {
    let disk = SimDisk::new();
    let (_manager, backups) = open(&disk).unwrap();
    let report = clean(&backups, 0, 0).unwrap();
    assert_eq!((report.evaluated, report.deleted), (0, 0));
    assert!(backups.trash().unwrap().is_empty());
    create(&backups);
    assert_eq!(clean(&backups, 0, 0).unwrap().retained, 1);
    assert_eq!(*backups.retention(), RetentionConfig::default());
}

/// The state itself is swept and trimmed only where that is asked for, and a dry run counts what goes.
#[test]
fn the_state_is_cleaned_up_where_that_is_asked_for() {
    let disk = SimDisk::new();
    let clock = Arc::new(TestClock(AtomicI64::new(1_000)));
    let (manager, backups) = open_with(&disk, |options| {
        options.clock = clock.clone();
        options.upkeep_interval_ms = 0;
        options.keep.age_ms = Some(50_000);
        let rule = |scope: &str| Rule {
            scope: Some(scope.to_owned()),
            ..Rule::default()
        };
        options.rules = vec![
            Rule {
                ttl_ms: Some(20_000),
                ..rule("user:*")
            },
            Rule {
                history: Some(HistoryLimits {
                    versions: Some(1),
                    ..HistoryLimits::default()
                }),
                ..rule("custom:*")
            },
        ];
    })
    .unwrap();
    for n in 0..3 {
        set(
            &manager,
            "",
            "user:1",
            &format!("k{n}"),
            "lives for a while",
        )
        .unwrap();
        set(&manager, "", "custom:a:b", "k", &format!("version {n}")).unwrap();
        set(&manager, "", "global", "k", &format!("version {n}")).unwrap();
    }
    clock.0.store(40_000, Ordering::SeqCst);
    create(&backups);
    let run = |state, dry_run| {
        let options = CleanupOptions {
            dry_run,
            state,
            ..CleanupOptions::default()
        };
        backups.cleanup(&options, &Progress::new())
    };
    assert_eq!(run(None, false).unwrap_err().kind(), ErrorKind::Unsupported);
    let left_alone = clean(&backups, 3, 0).unwrap().state;
    let limits = &left_alone.limits;
    assert_eq!((limits.ttl_patterns, limits.history_patterns), (1, 1));
    assert_eq!(limits.keep.age_ms, Some(50_000));
    assert_eq!((left_alone.removed, left_alone.would_remove), (None, None));

    let dry = run(Some(true), true).unwrap().state;
    let would = dry.would_remove.unwrap();
    assert_eq!(dry.removed, None);
    assert_eq!(
        (would.expired_keys, would.journal_rows, would.history_rows),
        (Some(3), 0, 1),
        "of the two old versions of a key one goes"
    );
    let done = run(Some(true), false).unwrap();
    assert_eq!((done.evaluated, done.failure), (0, None));
    let removed = done.state.removed.unwrap();
    assert_eq!(
        (removed.expired_keys, removed.history_rows),
        (would.expired_keys, would.history_rows)
    );
    assert!(removed.bytes > 0 && done.state.would_remove.is_none());

    // A cleanup that failed to judge leaves the state to go on; one that cannot be done says so.
    manager.pause_upkeep();
    let paused = run(Some(true), false).unwrap().state;
    assert!(paused.failure.unwrap().contains("paused"));
    manager.resume_upkeep();
    clock.0.store(200_000, Ordering::SeqCst);
    let backups = backups.with_retention(RetentionConfig {
        state: true,
        automatic: true,
        rule: Some(newest(3)),
        ..RetentionConfig::default()
    });
    set(&manager, "", "global", "k", "later").unwrap();
    let before = manager.snapshot().unwrap().sequence();
    create(&backups);
    let (last, options) = (manager.upkeep().last_trim, CleanupOptions::default());
    assert!(last.is_some_and(|trim| trim.journal_rows > 0), "{before:?}");
    let again = backups.cleanup(&options, &Progress::new()).unwrap().state;
    assert_eq!(again.removed.unwrap().journal_rows, 0);
    let listed = backups.list().unwrap().backups;
    assert_eq!(
        (listed[0].started_unix_ms, listed[1].started_unix_ms),
        (40_000, 200_000),
        "by the clock of the state"
    );
}

/// Each verification and restore left an object for ever: a repository that is verified daily grew by them
/// although its backups went.
#[test]
fn what_was_found_out_of_a_backup_goes_with_it_and_not_before() {
    let disk = SimDisk::new();
    let (manager, backups, made) = filled(&disk, 4);
    let verify = |id, level| {
        let report = backups.verify(id, level, &Progress::new()).unwrap();
        assert!(report.is_valid, "{report:?}");
    };
    for id in &made {
        verify(*id, VerifyLevel::Full);
    }
    verify(made[0], VerifyLevel::RestoreTest);
    backups.restore(made[1], &bare(), &Progress::new()).unwrap();
    let count = || {
        let listing = disk.listing().into_iter();
        listing.filter(|row| row.contains("/att/0")).count()
    };
    assert_eq!(count(), 6);

    // Within their grace they keep it.
    clean(&backups, 2, 1_000_000_000).unwrap();
    assert_eq!((count(), backups.trash().unwrap().len()), (6, 2));
    backups.undelete(made[1]).unwrap();
    let shown = backups.show(made[1]).unwrap();
    assert!(shown.last_verified_unix_ms.is_some() && shown.restores == 1);

    // Of those that go only the newest test of a restore stays, which is told of the repository.
    let report = clean(&backups, 2, 0).unwrap();
    assert_eq!(report.collected.purged, [made[1]]);
    assert_eq!(count(), 4, "made[0] is still within its grace");
    for id in [made[2], made[3]] {
        let shown = backups.show(id).unwrap();
        assert!(shown.last_verified_unix_ms.is_some(), "{id}");
    }
    verify(made[3], VerifyLevel::RestoreTest);
    for n in 0..2 {
        set(&manager, "", "global", "k", &format!("later {n}")).unwrap();
        let full = CreateOptions {
            incremental: Some(false),
            ..CreateOptions::default()
        };
        let later = backups.create(&full, &Progress::new()).unwrap();
        verify(later.id, VerifyLevel::Full);
    }
    clean(&backups, 2, 0).unwrap();
    assert_eq!(ids(&backups).len(), 2);
    assert_eq!(
        count(),
        5,
        "two of those that stay, the newest test, and two of the one within its grace"
    );
    verify_all(&backups);
}
