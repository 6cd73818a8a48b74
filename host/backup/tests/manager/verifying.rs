//! What a verification leaves behind: a note that it was done, and nothing of a restore test.

use serde_json::json;
use statekeep_backup::{
    BackupId, BackupManager, CreateOptions, Floor, Progress, RestoreAt, RestoreOptions, RestoreTo,
    VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Selection};

use crate::cleanup::clean;
use crate::support::{bare, create, fill, open, read, set};

#[test]
fn a_restore_test_is_noted_and_leaves_nothing() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let id = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap()
        .id;
    let verify = |level| backups.verify(id, level, &Progress::new()).unwrap();
    let folders = || disk.vfs().read_dir("/state".as_ref()).unwrap().len();
    let namespaces = folders();
    assert!(verify(VerifyLevel::Quick).is_valid);
    assert_eq!(backups.show(id).unwrap().last_verified_unix_ms, None);
    assert!(verify(VerifyLevel::Full).is_valid);
    assert!(backups.show(id).unwrap().last_verified_unix_ms.is_some());
    assert_eq!(backups.list().unwrap().last_restore_test_unix_ms, None);
    let report = verify(VerifyLevel::RestoreTest);
    assert!(report.is_valid && report.warnings.is_empty(), "{report:?}");
    assert_eq!(report.records, before.len() as u64);
    let list = backups.list().unwrap();
    assert!(list.last_restore_test_unix_ms.is_some() && list.problems.is_empty());
    assert_eq!(
        list.backups[0].last_verified_unix_ms,
        list.last_restore_test_unix_ms
    );
    assert_eq!((folders(), read(&manager)), (namespaces, before));
}

#[test]
fn a_point_that_no_backup_has_is_refused_with_the_nearest() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let first = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    set(&manager, "", "user:1", "k1", "second").unwrap();
    set(&manager, "", "user:1", "k1", "third").unwrap();
    let second = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    let ranges = backups.ranges(&Progress::new()).unwrap().timelines;
    assert_eq!(
        (ranges.len(), ranges[0].ranges.len(), ranges[0].gaps.len()),
        (1, 2, 1)
    );
    assert!(ranges[0].is_current);
    assert_eq!(ranges[0].gaps[0].before_sequence, second.sequence_to);
    let restore = |at| backups.restore(at, &bare(), &Progress::new());
    let error = restore(RestoreAt::Sequence(first.sequence_to + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for id in [first.id, second.id] {
        assert!(error.to_string().contains(&id.to_string()), "{error}");
    }
    let report = restore(RestoreAt::Sequence(first.sequence_to)).unwrap();
    assert_eq!((report.id, read(&manager)), (first.id, before));
    // The state is on another timeline now; the old one is still the only one that has backups.
    let report = restore(RestoreAt::Sequence(second.sequence_to)).unwrap();
    assert_eq!(report.id, second.id);
    backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    // What it was restored from is its past.
    let report = restore(RestoreAt::Sequence(first.sequence_to)).unwrap();
    assert_eq!(report.id, first.id);
    backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    // What that restore took back is not, and has to be named.
    let at = RestoreAt::Sequence(second.sequence_to);
    let error = restore(at).unwrap_err();
    assert!(error.to_string().contains(&first.timeline.id), "{error}");
    let options = RestoreOptions {
        timeline: Some(first.timeline.id.clone()),
        ..bare()
    };
    assert_eq!(
        backups.restore(at, &options, &Progress::new()).unwrap().id,
        second.id
    );
}

/// Changes a byte of an object, and changes it back when it is called again.
fn damage(disk: &SimDisk, folder: &str, id: BackupId) {
    let listing = disk.listing();
    let start = format!("/backups/{folder}/{id}");
    let row = listing.iter().find(|row| row.contains(&start)).unwrap();
    let path = row.split(' ').next().unwrap();
    disk.edit(path.as_ref(), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    })
    .unwrap();
}

/// What is known of a backup: verified, and found to be wrong.
fn standing(backups: &BackupManager, id: BackupId) -> (bool, bool) {
    let shown = backups.show(id).unwrap();
    let list = backups.list().unwrap().backups;
    let listed = list.iter().find(|backup| backup.id == id).unwrap();
    let times = (shown.last_verified_unix_ms, shown.verify_failed_unix_ms);
    assert_eq!(
        times,
        (listed.last_verified_unix_ms, listed.verify_failed_unix_ms)
    );
    (times.0.is_some(), times.1.is_some())
}

/// The floor of the newest verified backup was held by one whose damage had been found since.
#[test]
fn a_verification_that_fails_withdraws_an_earlier_good_one() {
    for (level, folder) in [(VerifyLevel::Full, "seg"), (VerifyLevel::Quick, "run")] {
        let disk = SimDisk::new();
        let (manager, backups) = open(&disk).unwrap();
        let made: Vec<_> = (0..4)
            .map(|n| {
                set(&manager, "", "global", "k", &n.to_string()).unwrap();
                create(&backups).id
            })
            .collect();
        let verify = |id, level| {
            let report = backups.verify(id, level, &Progress::new());
            report.unwrap().is_valid
        };
        assert!(verify(made[0], VerifyLevel::Full) && verify(made[2], VerifyLevel::Full));
        assert_eq!(standing(&backups, made[2]), (true, false));
        damage(&disk, folder, made[2]);
        assert!(!verify(made[2], level));
        assert_eq!(standing(&backups, made[2]), (false, true), "{level:?}");
        damage(&disk, folder, made[2]);
        assert!(verify(made[2], VerifyLevel::Quick));
        let after_quick = standing(&backups, made[2]);
        assert_eq!(after_quick, (false, true), "a quick one reads no records");
        let report = clean(&backups, 1, 3_600_000).unwrap();
        let floors: Vec<_> = report.decisions.iter().map(|judged| judged.floor).collect();
        let held = Some(Floor::NewestVerifiedFull);
        assert_eq!(floors, [held, None, None, None], "{report:?}");
        backups.undelete(made[2]).unwrap();
        assert!(verify(made[2], VerifyLevel::RestoreTest));
        assert_eq!(standing(&backups, made[2]), (true, false));
    }
}

#[test]
fn restores_of_the_whole_are_counted() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let (first, second) = (create(&backups), create(&backups));
    let restores = |id| {
        let shown = backups.show(id).unwrap();
        assert_eq!(shown.restores > 0, shown.last_restored_unix_ms.is_some());
        let list = backups.list().unwrap().backups;
        let listed = list.iter().find(|backup| backup.id == id).unwrap();
        assert_eq!(listed.restores, shown.restores);
        assert_eq!(
            shown.last_verified_unix_ms, None,
            "a restore verifies nothing"
        );
        shown.restores
    };
    let restore = |at: RestoreAt, options: RestoreOptions| {
        let report = backups.restore(at, &options, &Progress::new()).unwrap();
        assert!(report.warnings.is_empty(), "{report:?}");
    };
    restore(first.id.into(), bare());
    restore(RestoreAt::Sequence(first.sequence_to), bare());
    let to = |to| RestoreOptions { to, ..bare() };
    let elsewhere = |path: &str| RestoreTo::Dir {
        path: path.into(),
        backend: None,
        options: json!({}),
    };
    restore(first.id.into(), to(elsewhere("/elsewhere")));
    assert_eq!((restores(first.id), restores(second.id)), (3, 0));
    // Neither of these restored the whole of anything.
    let dry = RestoreOptions {
        dry_run: true,
        ..bare()
    };
    restore(second.id.into(), dry);
    let part = RestoreOptions {
        selection: Some(Selection::new(Some("acme"), None, None).unwrap()),
        ..to(elsewhere("/part"))
    };
    restore(second.id.into(), part);
    let tested = backups.verify(first.id, VerifyLevel::Quick, &Progress::new());
    assert!(tested.unwrap().is_valid);
    assert_eq!((restores(first.id), restores(second.id)), (3, 0));
}
