//! What a repository takes, and for whom, adds up to what is in its folders.

use std::sync::Arc;

use statekeep_backup::{BackupManager, CreateOptions, Progress, StorageReport};
use statekeep_core::StateManager;
use statekeep_core::vfs::sim::SimDisk;

use crate::cleanup::clean;
use crate::support::{create, fill, open, set};

fn storage(backups: &BackupManager) -> StorageReport {
    let report = backups.storage(&Progress::new()).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    let folders = report.folders.iter().map(|folder| folder.stored.bytes);
    assert_eq!(report.stored.bytes, folders.sum::<u64>());
    report
}

fn incremental(manager: &Arc<StateManager>, backups: &BackupManager, value: &str) {
    set(manager, "", "global", "k", value).unwrap();
    let options = CreateOptions {
        incremental: Some(true),
        ..CreateOptions::default()
    };
    backups.create(&options, &Progress::new()).unwrap();
}

#[test]
fn the_storage_of_an_empty_place_is_empty() {
    let disk = SimDisk::new();
    let (_manager, backups) = open(&disk).unwrap();
    let report = storage(&backups);
    assert_eq!((report.stored.bytes, report.backups.len()), (0, 0));
}

#[test]
fn storage_says_what_each_backup_wrote_shares_and_would_free() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let full = create(&backups);
    incremental(&manager, &backups, "one");
    incremental(&manager, &backups, "two");
    let second = create(&backups);

    let report = storage(&backups);
    let [first, one, two, last] = &report.backups[..] else {
        panic!("{report:?}");
    };
    assert_eq!((first.id, last.id), (full.id, second.id));
    // The incrementals stand on the full, so removing it alone frees only its manifest.
    assert!(first.only_bytes < first.own_bytes && first.shared_bytes > 0);
    assert_eq!(two.shared_bytes, one.shared_bytes);
    assert!(two.only_bytes > one.only_bytes);
    assert_eq!((last.only_bytes, last.shared_bytes), (last.own_bytes, 0));

    let chains: Vec<_> = (report.chains.iter())
        .map(|chain| (chain.full, chain.newest, chain.backups, chain.length))
        .collect();
    assert_eq!(
        chains,
        [(full.id, two.id, 3, 2), (second.id, second.id, 1, 0)]
    );
    let own: u64 = report.backups.iter().map(|backup| backup.own_bytes).sum();
    let chains: u64 = report.chains.iter().map(|chain| chain.bytes).sum();
    let series: u64 = report.series.iter().map(|series| series.bytes).sum();
    assert_eq!((chains, series), (own, own));
    let young = &report.ages[0];
    assert_eq!(
        (young.age, young.backups, young.bytes),
        ("under a day", 4, own)
    );

    // Of the newest backup, whose records are those of the state.
    let records: u64 = report.scopes.iter().map(|scope| scope.records).sum();
    assert_eq!(records, second.records);
    let share: f64 = report.scopes.iter().map(|scope| scope.share).sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    let tenants: Vec<_> = report.scopes.iter().map(|scope| &scope.tenant).collect();
    assert!(tenants.contains(&&Some("acme".to_owned())), "{tenants:?}");
    assert!(tenants.contains(&&Some(String::new())), "{tenants:?}");
}

#[test]
fn what_is_deleted_is_trash_until_it_is_removed_and_what_others_need_is_not() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    create(&backups);
    incremental(&manager, &backups, "one");
    create(&backups);
    let before = storage(&backups);
    clean(&backups, 1, 3_600_000).unwrap();
    let report = storage(&backups);
    assert_eq!(report.backups.len(), 1);
    let gone: u64 = before.backups[..2].iter().map(|one| one.own_bytes).sum();
    assert_eq!(report.trash.bytes, gone, "{report:?}");
    assert_eq!(report.unknown.objects, 0);
    // Their grace is over for a cleanup that gives none.
    for row in backups.trash().unwrap() {
        backups.undelete(row.id).unwrap();
    }
    clean(&backups, 1, 0).unwrap();
    let report = storage(&backups);
    assert_eq!(report.trash.bytes, 0, "{report:?}");
    assert!(before.stored.bytes > report.stored.bytes);
}
