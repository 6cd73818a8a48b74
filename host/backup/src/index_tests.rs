//! Indexes save reading and decide nothing: lists with and without them are the same, wherever the
//! writing of one stops.

use std::io;

use statekeep_core::Progress;
use statekeep_core::vfs::sim::{SimDisk, Times};

use crate::fault_tests::attempt;
use crate::index::{INDEX_AFTER, Known};
use crate::list::BackupList;
use crate::name::{BackupId, ObjectName};
use crate::sealed::seal;
use crate::store::Put;
use crate::testing::chain::put_manifest;
use crate::testing::{disk, objects, path, repository};

fn list(disk: &SimDisk) -> BackupList {
    repository(disk).unwrap().list().unwrap()
}

fn indexes(disk: &SimDisk) -> Vec<String> {
    let mut objects = objects(&disk.vfs());
    objects.retain(|name| name.starts_with("idx/"));
    objects
}

/// How many manifests a list reads.
fn reads(disk: &SimDisk) -> usize {
    let before = disk.calls().len();
    list(disk);
    let calls = disk.calls();
    let opens = calls[before..].iter().filter(|call| call.name == "open");
    opens
        .filter(|call| call.path.to_string_lossy().contains("/man/"))
        .count()
}

fn start() -> SimDisk {
    let disk = disk();
    attempt(&disk).unwrap();
    attempt(&disk).unwrap();
    let repository = repository(&disk).unwrap();
    let gone = ObjectName::manifest(BackupId::after(None));
    let aborted = serde_json::json!({"format": 1, "type": "aborted"});
    let put = repository
        .store
        .put_new(&gone, &seal("slot", &aborted).unwrap());
    assert_eq!(put.unwrap(), Put::Created);
    disk.restart()
}

#[test]
fn a_list_by_an_index_is_the_list_and_reads_only_what_came_after() {
    let disk = start();
    let before = list(&disk);
    assert_eq!((before.backups.len(), reads(&disk)), (2, 3));
    let report = repository(&disk).unwrap().repair(&Progress::new()).unwrap();
    assert_eq!((report.indexed, report.indexes_removed), (2, 0));
    assert_eq!((list(&disk), reads(&disk)), (before.clone(), 0));
    let newer = attempt(&disk).unwrap().id;
    let listed = list(&disk);
    assert_eq!(listed.backups.last().unwrap().id, newer);
    assert_eq!(reads(&disk), 1);
    let report = repository(&disk).unwrap().repair(&Progress::new()).unwrap();
    assert_eq!((report.indexed, report.indexes_removed), (3, 1));
    assert_eq!((indexes(&disk).len(), reads(&disk)), (1, 0));
    // What is gone from `man/` is gone, whatever the index says.
    disk.vfs()
        .remove_file(&path(&ObjectName::manifest(newer).to_string()))
        .unwrap();
    assert_eq!(list(&disk), before);
    // A damaged index is none, and a check names it.
    disk.edit(&path(&indexes(&disk)[0]), |bytes| bytes[20] ^= 1)
        .unwrap();
    assert_eq!((list(&disk), reads(&disk)), (before, 3));
    let report = repository(&disk).unwrap().check(&Progress::new()).unwrap();
    assert!(report.problems[0].object.starts_with("idx/"), "{report:?}");
}

#[test]
fn a_manifest_of_another_length_is_read_whatever_the_index_says() {
    let disk = start();
    repository(&disk).unwrap().repair(&Progress::new()).unwrap();
    let id = list(&disk).backups[0].id;
    let manifest = path(&ObjectName::manifest(id).to_string());
    disk.edit(&manifest, |bytes| bytes.truncate(bytes.len() / 2))
        .unwrap();
    let listed = list(&disk);
    assert_eq!(
        (listed.backups.len(), listed.problems.len()),
        (1, 1),
        "{listed:?}"
    );
}

#[test]
fn an_index_is_written_when_many_manifests_are_in_none() {
    let disk = start();
    let repository = repository(&disk).unwrap();
    let (manifest, _) = repository.manifest(list(&disk).backups[0].id).unwrap();
    for made in 0..=INDEX_AFTER {
        repository.index_when_due().unwrap();
        // Two backups and the aborted slot are there besides.
        assert_eq!(
            indexes(&disk).len(),
            usize::from(made + 3 > INDEX_AFTER),
            "{made}"
        );
        let mut copy = manifest.clone();
        copy.id = BackupId::after(repository.newest().unwrap().0);
        put_manifest(&repository, &copy);
    }
}

#[test]
fn the_writing_of_an_index_that_stops_anywhere_changes_no_list() {
    let start = start();
    repository(&start)
        .unwrap()
        .repair(&Progress::new())
        .unwrap();
    attempt(&start).unwrap();
    let expected = list(&start);
    for fault in ["fail", "kill"] {
        for n in 1.. {
            let disk = start.restart();
            let repository = repository(&disk).unwrap();
            let slots = repository.slots(Known::Ignored, &mut Vec::new()).unwrap();
            let done = disk.call_count();
            match fault {
                "fail" => disk.fail_at(done + n, io::ErrorKind::Other, Times::Once),
                _ => disk.kill_at(done + n),
            }
            let outcome = repository.write_index(slots);
            let struck = disk.fault_struck();
            for after in [disk.restart(), disk.crash(n)] {
                assert_eq!(list(&after), expected, "{fault} at call {n}: {outcome:?}");
                let report = self::repository(&after).unwrap().repair(&Progress::new());
                assert_eq!(report.unwrap().indexed, 3);
                assert_eq!(indexes(&after).len(), 1, "{fault} at call {n}");
            }
            if !struck {
                assert!(n > 5, "only {n} calls");
                break;
            }
        }
    }
}

/// Ten thousand backups are listed whole, oldest first, by any process, which reads the manifests only
/// that are in no index.
#[test]
fn ten_thousand_backups_are_listed() {
    const BACKUPS: usize = 10_000;
    let disk = disk();
    let mut manifest = attempt(&disk).unwrap();
    let repository = self::repository(&disk).unwrap();
    let mut ids = vec![manifest.id];
    while ids.len() < BACKUPS {
        manifest.id = BackupId::after(Some(manifest.id));
        manifest.label = Some(ids.len().to_string());
        put_manifest(&repository, &manifest);
        ids.push(manifest.id);
    }
    let listed = list(&disk);
    assert_eq!(listed.problems, []);
    assert!(
        listed
            .backups
            .iter()
            .map(|backup| backup.id)
            .eq(ids.iter().copied())
    );
    let labels = listed
        .backups
        .iter()
        .skip(1)
        .map(|backup| backup.label.clone());
    assert!(labels.eq((1..BACKUPS).map(|n| Some(n.to_string()))));
    repository.index_when_due().unwrap();
    assert_eq!((indexes(&disk).len(), reads(&disk)), (1, 0));
    assert_eq!(list(&disk), listed);
    // The next one is found without reading those before it.
    manifest.id = BackupId::after(Some(manifest.id));
    put_manifest(&repository, &manifest);
    assert_eq!(reads(&disk), 1);
    assert_eq!(list(&disk).backups.len(), BACKUPS + 1);
}
