//! Faults at every call of the file layer: no acknowledged backup is lost, a failed one leaves
//! nothing, and the repository opens.

use std::io;
use std::path::Path;
use std::sync::Arc;

use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{ErrorKind, Progress, Result};

use crate::create::CreateOptions;
use crate::manifest::{Manifest, parse_manifest};
use crate::name::{BackupId, ObjectName};
use crate::sealed::seal;
use statekeep_core::oracle::Oracle;

use crate::store::Put;
use crate::testing::{
    MemoryRows, ROOT, backup, backup_with, disk, objects, path, read_task, record, repository, rows,
};
use crate::verify::{VerifyLevel, verify};

/// Every listed backup is whole, and these are among them.
pub(crate) fn expect_whole(
    disk: &SimDisk,
    acknowledged: &[BackupId],
    story: &str,
) -> Vec<BackupId> {
    let repository = repository(disk).unwrap_or_else(|error| panic!("{story}: {error}"));
    repository.store.sweep().unwrap();
    let list = repository.list().unwrap();
    assert!(list.problems.is_empty(), "{story}: {:?}", list.problems);
    // Each was asked for with a pin, which is there before the backup is.
    assert!(list.backups.iter().all(|backup| backup.pin), "{story}");
    let ids: Vec<_> = list.backups.iter().map(|backup| backup.id).collect();
    for id in &ids {
        let progress = Progress::new();
        let task = read_task(&repository, &progress);
        let report = verify(&repository, &task, *id, VerifyLevel::Full, None).unwrap();
        assert!(report.is_valid, "{story}: {report:?}");
    }
    let mut oracle = Oracle::new();
    for id in acknowledged {
        let commit = oracle.begin([(*id, Some(()))]);
        oracle.acknowledge(commit);
    }
    let verdict = oracle.check(|id| ids.contains(id).then_some(()));
    verdict.unwrap_or_else(|lost| panic!("{story}: an acknowledged backup is lost: {lost}"));
    let left = objects(&disk.vfs());
    assert!(
        !left.iter().any(|name| name.contains("/.tmp-")),
        "{story}: {left:?}"
    );
    ids
}

pub(crate) fn attempt(disk: &SimDisk) -> Result<Manifest> {
    let repository = repository(disk)?;
    repository.store.sweep()?;
    let options = CreateOptions {
        pin: true,
        ..CreateOptions::default()
    };
    let (rows, progress) = (rows(1500, 1000), Progress::new());
    backup_with(&repository, &rows, "none", &options, &progress)
}

/// A disk with one acknowledged backup, and one without a repository.
fn starts() -> Vec<(SimDisk, Vec<BackupId>)> {
    let with = disk();
    let id = attempt(&with).unwrap().id;
    vec![(disk(), Vec::new()), (with, vec![id])]
}

#[test]
fn an_error_at_any_call_loses_nothing_and_leaves_nothing() {
    for (start, before) in starts() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            for n in 1.. {
                let disk = start.restart();
                disk.fail_at(n, kind, Times::Once);
                let outcome = attempt(&disk);
                let struck = disk.fault_struck();
                disk.clear_faults();
                let story = format!(
                    "{kind} once at call {n}: {:?}",
                    outcome.as_ref().map(|m| m.id)
                );
                let mut ids = before.clone();
                ids.extend(outcome.as_ref().ok().map(|manifest| manifest.id));
                let found = expect_whole(&disk, &ids, &story);
                match &outcome {
                    Err(error) if error.kind() != ErrorKind::Indeterminate => {
                        assert_eq!(found, ids, "{story}: a failed backup is listed");
                    }
                    _ => {}
                }
                for seed in 0..6 {
                    expect_whole(
                        &disk.crash(seed),
                        &ids,
                        &format!("{story}, then power loss {seed}"),
                    );
                }
                if !struck {
                    assert!(n > 30, "only {n} calls");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_disk_that_stays_full_fails_the_backup_and_keeps_the_others() {
    for (start, before) in starts() {
        for n in 1.. {
            let disk = start.restart();
            disk.fail_at(n, io::ErrorKind::StorageFull, Times::Forever);
            let outcome = attempt(&disk);
            let struck = disk.fault_struck();
            let mut ids = before.clone();
            ids.extend(outcome.as_ref().ok().map(|manifest| manifest.id));
            expect_whole(&disk.restart(), &ids, &format!("full from call {n} on"));
            if !struck {
                break;
            }
        }
    }
}

#[test]
fn a_kill_or_power_cut_at_any_call_loses_nothing() {
    for (start, before) in starts() {
        for n in 1.. {
            let disk = start.restart();
            disk.kill_at(n);
            let outcome = attempt(&disk);
            let struck = disk.fault_struck();
            let mut ids = before.clone();
            ids.extend(outcome.as_ref().ok().map(|manifest| manifest.id));
            expect_whole(&disk.restart(), &ids, &format!("killed at call {n}"));
            for seed in 0..8 {
                let after = disk.crash(seed);
                expect_whole(&after, &ids, &format!("power cut {seed} at call {n}"));
                if n % 5 == 0 {
                    let again = attempt(&after).unwrap();
                    expect_whole(&after.crash(0), &[again.id], "the next backup");
                }
            }
            if !struck {
                break;
            }
        }
    }
}

/// The harness proves itself: with a sync left out, it finds a loss.
#[test]
fn the_harness_finds_a_sync_that_is_left_out() {
    for planted in ["sync", "sync_dir"] {
        let disk = disk();
        disk.skip_syncs(move |call| call.name == planted);
        let id = attempt(&disk).unwrap().id;
        let lost = (0..8).any(|seed| {
            let after = disk.crash(seed);
            let check = || expect_whole(&after, &[id], "planted");
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
        });
        assert!(lost, "a left-out {planted} went unnoticed");
    }
}

#[test]
fn a_cancelled_backup_leaves_no_object() {
    struct Cancels(MemoryRows, Progress, usize);
    impl crate::write_run::Rows for Cancels {
        fn next_batch(
            &mut self,
            rows_max: usize,
            visit: &mut dyn FnMut(&[u8], &[u8]),
        ) -> Result<usize> {
            if self.0.at >= self.2 {
                self.1.cancel();
            }
            self.0.next_batch(rows_max, visit)
        }
    }
    for at in [0, 700, 1499, 1500] {
        let disk = disk();
        let repository = repository(&disk).unwrap();
        let progress = Progress::new();
        let mut source = Cancels(rows(1500, 1000), progress.clone(), at);
        let written = parking_lot::Mutex::default();
        let task = crate::write_run::RunTask {
            store: repository.store.as_ref(),
            id: BackupId::after(None),
            content: crate::RunContent::Records,
            first_segment: 0,
            codec: None,
            threads: 2,
            progress: &progress,
            segment_bytes_max: 1 << 20,
            written: &written,
        };
        let error = crate::write_run::write_run(&task, &mut source)
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let cancelled = Progress::new();
        cancelled.cancel();
        let error = backup(&repository, &rows(1500, 1000), "none", &cancelled).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        for name in written.lock().iter() {
            repository.store.delete(name).unwrap();
        }
        assert_eq!(objects(&disk.vfs()), Vec::<String>::new());
    }
}

#[test]
fn a_codec_that_lies_or_panics_makes_no_backup() {
    for (codec, kind) in [("liar", ErrorKind::Plugin), ("panics", ErrorKind::Panic)] {
        let disk = disk();
        let repository = repository(&disk).unwrap();
        let error = backup(&repository, &rows(1500, 1000), codec, &Progress::new()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(objects(&disk.vfs()), Vec::<String>::new());
    }
}

#[test]
fn a_record_that_cannot_be_read_fails_the_backup_by_name() {
    let disk = disk();
    let repository = repository(&disk).unwrap();
    let mut rows = rows(900, 1000);
    rows.rows[444].1[40] ^= 1;
    let error = backup(&repository, &rows, "rle", &Progress::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("key key-"), "{error}");
    assert_eq!(objects(&disk.vfs()), Vec::<String>::new());
    rows.rows[444].1[40] ^= 1;
    rows.rows.swap(3, 4);
    let error = backup(&repository, &rows, "rle", &Progress::new()).unwrap_err();
    assert!(error.to_string().contains("do not rise"), "{error}");
}

#[test]
fn a_record_larger_than_a_block_and_than_the_budget_fits() {
    let disk = disk();
    let repository = repository(&disk).unwrap();
    let mut rows = rows(30, 100);
    let big = record(5, &vec![7; 20 << 20]);
    for at in [0, 13, 29] {
        rows.rows[at].1.clone_from(&big);
    }
    let manifest = backup(&repository, &rows, "rle", &Progress::new()).unwrap();
    let progress = Progress::new();
    let task = read_task(&repository, &progress);
    let report = verify(&repository, &task, manifest.id, VerifyLevel::Full, None).unwrap();
    assert!(report.is_valid && report.records == 30, "{report:?}");
}

/// The first put wins: a collector that claimed the slot fences the writer off.
#[test]
fn a_claimed_slot_is_never_overwritten() {
    let disk = disk();
    let store = repository(&disk).unwrap().store;
    let name = ObjectName::manifest(BackupId::after(None));
    let aborted = serde_json::json!({"format": 1, "type": "aborted", "by": "collector"});
    let bytes = seal("slot", &aborted).unwrap();
    assert_eq!(parse_manifest(&name, &bytes).unwrap(), None);
    assert_eq!(store.put_new(&name, &bytes).unwrap(), Put::Created);
    assert_eq!(store.put_new(&name, b"manifest").unwrap(), Put::Exists);
    assert_eq!(disk.peek(&path(&name.to_string())).unwrap(), bytes);
    let list = repository(&disk).unwrap().list().unwrap();
    assert!(list.backups.is_empty() && list.problems.is_empty());
}

/// A sweep takes nothing from a writer that is alive, and all from one that is gone.
#[test]
fn a_sweep_waits_for_writers() {
    let disk = disk();
    let writer = repository(&disk).unwrap();
    let sweeper = repository(&disk).unwrap();
    let name = ObjectName::segment(BackupId::after(None), 0);
    let mut object = writer.store.create(&name).unwrap();
    object.write(b"half").unwrap();
    assert_eq!(sweeper.store.sweep().unwrap(), 0);
    assert_eq!(writer.store.sweep().unwrap(), 0);
    let foreign = path("seg/.tmp-notes");
    disk.vfs().create(&foreign).unwrap();
    let gone = disk.restart();
    assert_eq!(repository(&gone).unwrap().store.sweep().unwrap(), 1);
    assert!(
        gone.vfs().exists(&foreign).unwrap(),
        "only files of our own pattern are swept"
    );
    object.write(b" whole").unwrap();
    assert_eq!(object.finish().unwrap(), Put::Created);
    assert_eq!(disk.peek(&path(&name.to_string())).unwrap(), b"half whole");
}

#[test]
fn a_folder_with_other_files_is_never_taken() {
    let disk = disk();
    let vfs = disk.vfs();
    vfs.create_dir(Path::new("/backups")).unwrap();
    vfs.create_dir(Path::new(ROOT)).unwrap();
    let file = path("thesis.txt");
    vfs.create(&file).unwrap();
    let error = repository(&disk).err().unwrap();
    assert!(error.to_string().contains("not empty"), "{error}");
    vfs.remove_file(&file).unwrap();
    assert!(Arc::strong_count(&repository(&disk).unwrap().store) == 1);
}

#[test]
fn a_repository_of_another_format_is_named() {
    let disk = disk();
    drop(repository(&disk).unwrap());
    let document = serde_json::json!({"format": 3, "repository": "x"});
    disk.edit(&path("FORMAT"), |bytes| {
        *bytes = seal("FORMAT", &document).unwrap();
    })
    .unwrap();
    let error = repository(&disk).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.to_string().contains("format is 3"), "{error}");
}
