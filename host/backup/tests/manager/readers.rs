//! What is being read stays until it was read, here and in other processes; what nobody reads any more
//! keeps nothing.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use statekeep_backup::{
    BackupId, BackupManager, CleanupReport, ExportFrom, ExportOptions, ExportTo, Floor, Progress,
    RestoreAt, RestoreMode, RestoreOptions, RestoreTo, RetentionConfig, StrayKind, VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Result, Selection, StateManager};

use crate::bucket::Bucket;
use crate::cleanup::clean;
use crate::support::{self, backups_of, bare, read, secret, set};

/// A state with three fulls in a bucket, and another process that has it open too.
struct Stage {
    manager: Arc<StateManager>,
    bucket: Bucket,
    backups: BackupManager,
    made: Vec<BackupId>,
}

/// What is deleted by hand may be removed at once.
fn at_once() -> RetentionConfig {
    RetentionConfig {
        grace_ms: 0,
        ..RetentionConfig::default()
    }
}

fn in_bucket(manager: &Arc<StateManager>, bucket: &Bucket) -> BackupManager {
    let local = backups_of(manager, support::config()).unwrap();
    let opened = bucket.clone();
    let opener = Box::new(move || Ok(opened.open()));
    BackupManager::open_in_store(manager.clone(), local.config().clone(), opener)
        .with_key(secret())
        .with_retention(at_once())
}

fn fulls(manager: &Arc<StateManager>, backups: &BackupManager) -> Vec<BackupId> {
    let made = (0..3).map(|n| {
        set(manager, "", "global", "k", &format!("value {n}")).unwrap();
        support::create(backups).id
    });
    made.collect()
}

fn stage() -> Stage {
    let (manager, _) = support::open(&SimDisk::new()).unwrap();
    let bucket = Bucket::default();
    let backups = in_bucket(&manager, &bucket);
    let made = fulls(&manager, &backups);
    Stage {
        manager,
        bucket,
        backups,
        made,
    }
}

impl Stage {
    /// Has another process act once, when the first segment of a backup is opened; what it found.
    fn meanwhile<T: Send + 'static>(
        &self,
        backup: BackupId,
        act: impl Fn(&BackupManager) -> T + Send + Sync + 'static,
    ) -> Arc<Mutex<Option<T>>> {
        let (found, is_on) = (Arc::new(Mutex::new(None)), AtomicBool::new(true));
        let other = in_bucket(&self.manager, &self.bucket);
        let (own, start) = (found.clone(), format!("seg/{backup}"));
        self.bucket.watch(move |name| {
            if name.starts_with(&start) && is_on.swap(false, Ordering::SeqCst) {
                let answer = act(&other);
                *own.lock() = Some(answer);
            }
        });
        found
    }
}

type Read<'a> = &'a dyn Fn(&BackupManager, BackupId) -> Result<()>;

/// All that reads a backup for long.
fn all_reads() -> Vec<(&'static str, Read<'static>)> {
    fn restore(backups: &BackupManager, id: BackupId, options: &RestoreOptions) -> Result<()> {
        backups.restore(id, options, &Progress::new()).map(drop)
    }
    fn verify(backups: &BackupManager, id: BackupId, level: VerifyLevel) -> Result<()> {
        let report = backups.verify(id, level, &Progress::new())?;
        assert!(report.is_valid && report.warnings.is_empty(), "{report:?}");
        Ok(())
    }
    vec![
        ("restore", &|backups, id| restore(backups, id, &bare())),
        ("restore elsewhere", &|backups, id| {
            let to = RestoreTo::Dir {
                path: "/elsewhere".into(),
                backend: None,
                options: serde_json::json!({}),
            };
            restore(backups, id, &RestoreOptions { to, ..bare() })
        }),
        ("restore of a part", &|backups, id| {
            let part = Selection::new(Some(""), None, None).unwrap();
            let options = RestoreOptions {
                selection: Some(part),
                mode: Some(RestoreMode::Replace),
                ..bare()
            };
            restore(backups, id, &options)
        }),
        ("dry run", &|backups, id| {
            let options = RestoreOptions {
                dry_run: true,
                ..bare()
            };
            restore(backups, id, &options)
        }),
        ("diff", &|backups, id| {
            let whole = Selection::whole();
            backups.diff(id, None, &whole, &Progress::new()).map(drop)
        }),
        ("verify", &|backups, id| {
            verify(backups, id, VerifyLevel::Full)
        }),
        ("quick verify", &|backups, id| {
            verify(backups, id, VerifyLevel::Quick)
        }),
        ("restore test", &|backups, id| {
            verify(backups, id, VerifyLevel::RestoreTest)
        }),
        ("export", &|backups, id| {
            let options = ExportOptions {
                from: ExportFrom::Backup(id),
                ..ExportOptions::default()
            };
            let report = backups.export(
                ExportTo::Stream(&mut std::io::sink()),
                &options,
                &Progress::new(),
            )?;
            assert!(report.warnings.is_empty(), "{report:?}");
            Ok(())
        }),
    ]
}

fn purges(report: &CleanupReport) -> usize {
    report.collected.purged.len()
}

/// A policy that forgets what is being read does not get it.
#[test]
fn what_another_process_reads_no_policy_forgets() {
    for (what, read) in all_reads() {
        let stage = stage();
        let first = stage.made[0];
        let found = stage.meanwhile(first, |other| clean(other, 1, 0).unwrap());
        read(&stage.backups, first).unwrap_or_else(|error| panic!("{what}: {error}"));
        let report = found.lock().take().unwrap();
        assert_eq!(report.decisions[0].floor, Some(Floor::InUse), "{what}");
        assert_eq!((report.deleted, purges(&report)), (1, 1), "{what}");
        assert_eq!(report.collected.postponed, None, "{what}");
        assert!(
            stage.bucket.names("lease").is_empty(),
            "{what}: a mark is left"
        );
        let newest = (stage.backups).verify(stage.made[2], VerifyLevel::Full, &Progress::new());
        assert!(newest.unwrap().is_valid);
        let report = clean(&stage.backups, 1, 0).unwrap();
        assert!(purges(&report) == 1, "{what}: it can go when it was read");
    }
}

/// What was deleted by hand and is purged meanwhile keeps its objects until it was read.
#[test]
fn what_is_purged_while_it_is_read_keeps_its_objects_until_then() {
    for (what, read) in all_reads() {
        let stage = stage();
        let (first, second) = (stage.made[0], stage.made[1]);
        let found = stage.meanwhile(first, move |other| {
            other.delete(&[first, second], "").unwrap();
            clean(other, 10, 0).unwrap()
        });
        read(&stage.backups, first).unwrap_or_else(|error| panic!("{what}: {error}"));
        let report = found.lock().take().unwrap().collected;
        assert_eq!(report.purged, [second], "{what}: the other one goes");
        let postponed = report.postponed.unwrap();
        assert!(postponed.contains(&first.to_string()), "{postponed}");
        let error = read(&stage.backups, first).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{what}: {error}");
        assert!(
            stage.bucket.names("lease").is_empty(),
            "{what}: a mark is left"
        );
        let report = clean(&stage.backups, 10, 0).unwrap();
        assert_eq!(report.collected.purged, [first], "{what}");
        assert_eq!(stage.bucket.names("seg").len(), 1, "{what}");
    }
}

type Tidy = fn(&BackupManager);

/// The mark of a reader that is gone holds nothing, and is taken away by whoever tidies.
#[test]
fn a_reader_that_died_holds_nothing() {
    let tidies: [(&str, Tidy); 3] = [
        ("cleanup", |backups| {
            let report = clean(backups, 1, 0).unwrap();
            assert_eq!(report.collected.purged.len(), 2, "{report:?}");
        }),
        ("repair", |backups| {
            let report = backups.repair_repository(&Progress::new()).unwrap();
            assert_eq!(report.leases, 1, "{report:?}");
        }),
        ("prune", |backups| {
            let report = backups.prune_strays(false, &Progress::new()).unwrap();
            assert_eq!(report.removed.objects, 1, "{report:?}");
        }),
    ];
    for (what, tidy) in tidies {
        let stage = stage();
        let first = stage.made[0];
        let dead = Arc::new(Mutex::new(Bucket::default()));
        let (copy, bucket) = (dead.clone(), stage.bucket.clone());
        let _found = stage.meanwhile(first, move |other| {
            // Nobody of the copy is alive.
            *copy.lock() = bucket.fork();
            let list = other.list().unwrap().backups;
            assert!(list[0].in_use && !list[1].in_use, "{list:?}");
            let report = other.check_repository(&Progress::new()).unwrap();
            assert_eq!(report.strays.objects, 0, "{report:?}");
        });
        let verified = stage
            .backups
            .verify(first, VerifyLevel::Full, &Progress::new());
        assert!(verified.unwrap().is_valid);
        let dead = dead.lock().clone();
        assert_eq!(dead.names("lease").len(), 1, "{what}");
        let backups = in_bucket(&stage.manager, &dead);
        assert!(!backups.list().unwrap().backups[0].in_use);
        let report = backups.check_repository(&Progress::new()).unwrap();
        assert!(report.is_valid, "{report:?}");
        assert_eq!(report.strays.listed[0].kind, StrayKind::Finished);
        assert_eq!(report.strays.listed[0].backup, first);
        tidy(&backups);
        assert!(dead.names("lease").is_empty(), "{what}: the mark is left");
    }
}

/// A stream that has somebody act when it is written to.
struct Acting<F>(Option<F>);

impl<F: FnOnce()> Write for Acting<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(act) = self.0.take() {
            act();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same in a folder, where the kernel tells who is alive.
#[test]
fn what_is_read_from_a_folder_stays_until_then() {
    let disk = SimDisk::new();
    let (manager, backups) = support::open(&disk).unwrap();
    let made = fulls(&manager, &backups);
    let other = backups_of(&manager, support::config()).unwrap();
    let other = other.with_retention(at_once());
    let mut reports = None;
    let act = || {
        let first = clean(&other, 1, 0).unwrap();
        other.delete(&made[..1], "").unwrap();
        reports = Some((first, clean(&other, 1, 0).unwrap()));
    };
    let options = ExportOptions {
        from: ExportFrom::Backup(made[0]),
        ..ExportOptions::default()
    };
    let mut stream = Acting(Some(act));
    backups
        .export(ExportTo::Stream(&mut stream), &options, &Progress::new())
        .unwrap();
    let (first, second) = reports.unwrap();
    assert_eq!(first.decisions[0].floor, Some(Floor::InUse));
    assert_eq!(first.collected.purged, [made[1]]);
    assert_eq!(second.collected.purged, []);
    assert!(second.collected.postponed.is_some(), "{second:?}");
    let marks = |disk: &SimDisk| {
        let listing = disk.listing();
        listing
            .iter()
            .filter(|row| row.contains("/lease/0"))
            .count()
    };
    assert_eq!(marks(&disk), 0);
    assert_eq!(clean(&other, 1, 0).unwrap().collected.purged, [made[0]]);
    let report = other.check_repository(&Progress::new()).unwrap();
    assert!(report.is_valid && report.strays.objects == 0, "{report:?}");
}

/// A moment that two backups have is restored from the one that stays.
#[test]
fn a_moment_is_read_from_another_backup_when_its_own_is_removed_meanwhile() {
    let stage = stage();
    // It shows the same commit as the last of the stage, which comes first.
    let again = support::create(&stage.backups);
    let chosen = stage.made[2];
    let (other, is_on) = (
        in_bucket(&stage.manager, &stage.bucket),
        AtomicBool::new(true),
    );
    let found = Arc::new(Mutex::new(None));
    let own = found.clone();
    stage.bucket.watch(move |name| {
        if name == format!("man/{chosen}") && is_on.swap(false, Ordering::SeqCst) {
            other.delete(&[chosen], "").unwrap();
            *own.lock() = Some(clean(&other, 10, 0).unwrap());
        }
    });
    let at = RestoreAt::Sequence(again.sequence_to);
    let report = stage.backups.restore(at, &bare(), &Progress::new());
    let cleanup = found.lock().take().unwrap();
    assert_eq!(cleanup.collected.purged, [chosen]);
    assert_eq!(report.unwrap().id, again.id);
    assert_eq!(read(&stage.manager)["/global/k"], "value 2");
}

/// Who may only read the repository can restore and verify, and is told what that lacks.
#[test]
fn a_repository_that_cannot_be_written_is_read_all_the_same() {
    let stage = stage();
    let first = stage.made[0];
    stage.bucket.make_read_only();
    let report = stage
        .backups
        .verify(first, VerifyLevel::Full, &Progress::new())
        .unwrap();
    assert!(report.is_valid, "{report:?}");
    let warned = |warnings: &[String]| {
        assert!(warnings[0].contains("without a mark"), "{warnings:?}");
    };
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    warned(&warnings);
    assert!(warnings[1].contains("could not be kept"), "{warnings:?}");
    let options = ExportOptions {
        from: ExportFrom::Backup(first),
        ..ExportOptions::default()
    };
    let mut sink = std::io::sink();
    let to = ExportTo::Stream(&mut sink);
    warned(
        &stage
            .backups
            .export(to, &options, &Progress::new())
            .unwrap()
            .warnings,
    );
    let report = stage
        .backups
        .restore(first, &bare(), &Progress::new())
        .unwrap();
    warned(&report.warnings);
    assert!(report.warnings[1].contains("not counted"), "{report:?}");
    assert_eq!(read(&stage.manager)["/global/k"], "value 0");
    assert_eq!(stage.backups.list().unwrap().backups.len(), 3);
}
