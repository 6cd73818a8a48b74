//! Operations that are cancelled before each of their calls of the file layer: they come to their end,
//! or the disk has no name and the state no row that was not there.

use std::path::Path;

use serde_json::json;
use statekeep_backup::{
    BackupManager, CreateOptions, ExportOptions, ExportTo, ImportFrom, ImportMode, ImportOptions,
    Progress, RestoreMode, RestoreOptions, RestoreTo, VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Result, Selection};

use super::Subject;
use crate::support::{bare, open, read};

type Work<'a> = &'a dyn Fn(&BackupManager, &Progress) -> Result<()>;

/// Names on the disk; a log file of the state is none, since each opening that commits has its own.
fn names(disk: &SimDisk) -> Vec<String> {
    let listing = disk.listing().into_iter();
    let names = listing.map(|line| line.split(' ').next().unwrap_or_default().to_owned());
    names.filter(|name| !name.ends_with(".log")).collect()
}

/// Cancels an operation before each of its calls.
fn cancel(what: &str, cancelled_min: u64, start: &Subject, work: Work<'_>) {
    let mut cancelled = 0;
    for n in 1.. {
        let disk = start.disk.restart();
        let (manager, backups) = open(&disk).unwrap();
        let progress = Progress::new();
        let (at, stop) = (disk.call_count() + n, progress.clone());
        disk.meanwhile_at(at, move || stop.cancel());
        let outcome = work(&backups, &progress);
        let has_struck = disk.fault_struck();
        let story = format!("{what}, cancelled before call {n}: {outcome:?}");
        let rows = read(&manager);
        assert!(start.fits(&rows, outcome.is_ok()), "{story}: {rows:?}");
        drop(backups);
        manager.close().unwrap();
        drop(manager);
        // Or it was too late.
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{story}");
            assert_eq!(names(&disk), names(&start.disk), "{story}");
            start.check(&open(&disk).unwrap(), None, &story);
            cancelled += 1;
        }
        if !has_struck {
            break;
        }
    }
    println!("{what}: cancelled in {cancelled} places");
    assert!(
        cancelled > cancelled_min,
        "{what}: cancelled in {cancelled} places only"
    );
}

fn create(incremental: bool) -> CreateOptions {
    CreateOptions {
        incremental: Some(incremental),
        history: Some(true),
        ..CreateOptions::default()
    }
}

#[test]
fn a_backup() {
    let subject = Subject::chain();
    for (what, incremental) in [("a full backup", false), ("an incremental backup", true)] {
        cancel(what, 40, &subject, &|backups, progress| {
            backups.create(&create(incremental), progress).map(drop)
        });
    }
    cancel("a synthetic full", 40, &subject, &|backups, progress| {
        let made = backups.create_synthetic(None, &CreateOptions::default(), progress);
        made.map(drop)
    });
}

/// A state that shows another content than its oldest backup.
fn restored(back: &RestoreOptions) -> Subject {
    let mut subject = Subject::chain();
    let (manager, backups) = open(&subject.disk.restart()).unwrap();
    let oldest = subject.backups[0];
    backups.restore(oldest, back, &Progress::new()).unwrap();
    subject.after = read(&manager);
    subject
}

#[test]
fn a_restore() {
    let part = RestoreOptions {
        selection: Some(Selection::new(Some(""), None, None).unwrap()),
        mode: Some(RestoreMode::Replace),
        ..bare()
    };
    let to = RestoreTo::Backend {
        name: "log2".to_owned(),
        options: json!({}),
    };
    let onto = RestoreOptions { to, ..bare() };
    let to = RestoreTo::Dir {
        path: "/copy".into(),
        backend: None,
        options: json!({}),
    };
    let elsewhere = RestoreOptions { to, ..bare() };
    let ways = [
        ("a restore", 8, bare()),
        ("a restore of a part", 4, part),
        ("a restore onto another backend", 8, onto),
        ("a restore into a directory", 8, elsewhere),
    ];
    for (what, min, options) in ways {
        let subject = restored(&options);
        let oldest = subject.backups[0];
        cancel(what, min, &subject, &|backups, progress| {
            backups.restore(oldest, &options, progress).map(drop)
        });
    }
}

#[test]
fn a_verification() {
    let subject = Subject::chain();
    let newest = subject.backups[2];
    for level in [
        VerifyLevel::Quick,
        VerifyLevel::Full,
        VerifyLevel::RestoreTest,
    ] {
        cancel(&format!("{level:?}"), 4, &subject, &|backups, progress| {
            backups.verify(newest, level, progress).map(drop)
        });
    }
}

const FILE: &str = "/out.jsonl";

#[test]
fn an_export() {
    cancel("an export", 1, &Subject::chain(), &|backups, progress| {
        let to = ExportTo::File(Path::new(FILE));
        backups
            .export(to, &ExportOptions::default(), progress)
            .map(drop)
    });
}

#[test]
fn an_import() {
    let (whole, merge) = (
        ImportOptions::new(ImportMode::Replace),
        ImportOptions::new(ImportMode::Merge),
    );
    let part = ImportOptions {
        selection: Some(Selection::new(Some(""), None, None).unwrap()),
        ..whole.clone()
    };
    for (what, options) in [
        ("an import", whole),
        ("of a part", part),
        ("a merge", merge),
    ] {
        let mut subject = Subject::chain();
        let (manager, backups) = open(&subject.disk).unwrap();
        let from = ExportOptions {
            from: statekeep_backup::ExportFrom::Backup(subject.backups[0]),
            ..ExportOptions::default()
        };
        let to = ExportTo::File(Path::new(FILE));
        backups.export(to, &from, &Progress::new()).unwrap();
        manager.close().unwrap();
        drop((manager, backups));
        subject.in_steps = options.mode == ImportMode::Merge;
        subject.disk = subject.disk.restart();
        let import = |backups: &BackupManager, progress: &Progress| {
            let from = ImportFrom::File(Path::new(FILE));
            backups.import(from, &options, progress).map(drop)
        };
        let (manager, backups) = open(&subject.disk.restart()).unwrap();
        import(&backups, &Progress::new()).unwrap();
        subject.after = read(&manager);
        cancel(what, 1, &subject, &import);
    }
}
