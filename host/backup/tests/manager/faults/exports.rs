//! Exports and imports that are struck: a file is there whole or not at all; a replacement is all or
//! nothing, and of a merge, which is several commits, some may stay.

use std::path::Path;

use statekeep_backup::{ExportOptions, ExportTo, ImportFrom, ImportMode, ImportOptions, Progress};
use statekeep_core::Selection;
use statekeep_core::vfs::sim::SimDisk;

use super::Subject;
use crate::support::{fill, open, read, set};

const FILE: &str = "/out.jsonl";

fn export(backups: &statekeep_backup::BackupManager) -> statekeep_core::Result<()> {
    let options = ExportOptions {
        overwrite: true,
        ..ExportOptions::default()
    };
    let to = ExportTo::File(Path::new(FILE));
    backups.export(to, &options, &Progress::new()).map(drop)
}

/// A state beside a file of what it was.
fn subject() -> Subject {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let after = fill(&manager);
    export(&backups).unwrap();
    set(&manager, "", "user:1", "k1", "newer").unwrap();
    set(&manager, "acme", "custom:a:b", "k5", "newer").unwrap();
    set(&manager, "", "user:1", "more", "x").unwrap();
    let before = read(&manager);
    manager.close().unwrap();
    Subject {
        disk: disk.restart(),
        before,
        after,
        in_steps: false,
        backups: Vec::new(),
        made_max: (0, 0),
    }
}

fn import(subject: &Subject, what: &str, calls_min: u64, options: &ImportOptions) {
    subject.strike(what, calls_min, &|_, backups| {
        let from = ImportFrom::File(Path::new(FILE));
        backups.import(from, options, &Progress::new())?;
        Ok(Vec::new())
    });
}

#[test]
fn an_import_that_replaces_the_state() {
    let options = ImportOptions::new(ImportMode::Replace);
    import(&subject(), "an import of a state", 30, &options);
}

#[test]
fn an_import_that_replaces_a_part() {
    let options = ImportOptions {
        selection: Some(Selection::new(Some(""), Some("user:*"), None).unwrap()),
        ..ImportOptions::new(ImportMode::Replace)
    };
    let mut subject = subject();
    let newer = subject.before["acme/custom:a:b/k5"].clone();
    subject.after.insert("acme/custom:a:b/k5".to_owned(), newer);
    import(&subject, "an import of a part", 10, &options);
}

#[test]
fn an_import_that_merges() {
    let mut subject = subject();
    for name in ["/user:1/more", "acme/custom:a:b/k5"] {
        let value = subject.before[name].clone();
        subject.after.insert(name.to_owned(), value);
    }
    subject.in_steps = true;
    let options = ImportOptions::new(ImportMode::Merge);
    import(&subject, "an import that merges", 15, &options);
}

/// An export takes the place of the one before it, or leaves it.
#[test]
fn an_export() {
    let mut subject = subject();
    subject.after = subject.before.clone();
    let text = |disk: &SimDisk| disk.peek(Path::new(FILE)).unwrap();
    let old = text(&subject.disk);
    subject.strike("an export", 10, &|_, backups| {
        // Whatever the strike before left, it is the one or the other.
        let from = ImportFrom::File(Path::new(FILE));
        let dry = ImportOptions {
            dry_run: true,
            ..ImportOptions::new(ImportMode::Replace)
        };
        let report = backups.import(from, &dry, &Progress::new())?;
        let changes = (report.added, report.changed, report.removed);
        let known = [(Some(0), Some(1), Some(2)), (Some(0), Some(0), Some(0))];
        assert!(known.contains(&changes), "{report:?}");
        export(backups)?;
        Ok(Vec::new())
    });
    assert_eq!(text(&subject.disk), old);
}
