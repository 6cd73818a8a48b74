//! What a verification leaves behind: a note that it was done, and nothing of a restore test.

use statekeep_backup::{CreateOptions, Progress, RestoreAt, RestoreOptions, VerifyLevel};
use statekeep_core::ErrorKind;
use statekeep_core::vfs::sim::SimDisk;

use crate::support::{bare, fill, open, read, set};

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
    let error = restore(RestoreAt::Sequence(first.sequence_to)).unwrap_err();
    assert!(error.to_string().contains(&first.timeline.id), "{error}");
    let options = RestoreOptions {
        timeline: Some(first.timeline.id.clone()),
        ..bare()
    };
    let at = RestoreAt::Sequence(first.sequence_to);
    assert_eq!(
        backups.restore(at, &options, &Progress::new()).unwrap().id,
        first.id
    );
}
