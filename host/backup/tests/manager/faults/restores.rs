//! Restores that are struck: the state is the old one or the restored one, whole.

use statekeep_backup::{CreateOptions, Progress};
use statekeep_backup::{RestoreMode, RestoreOptions};
use statekeep_core::Selection;
use statekeep_core::vfs::sim::SimDisk;

use super::Subject;
use crate::support::{bare, fill, open, read, set};

/// A state with a backup of what it was.
fn subject() -> Subject {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let after = fill(&manager);
    let made = backups.create(&CreateOptions::default(), &Progress::new());
    set(&manager, "", "user:1", "k1", "newer").unwrap();
    set(&manager, "", "user:1", "more", "x").unwrap();
    let before = read(&manager);
    manager.close().unwrap();
    Subject {
        disk: disk.restart(),
        before,
        after,
        in_steps: false,
        backups: vec![made.unwrap().id],
        made_max: (0, 0),
    }
}

fn restore(subject: &Subject, what: &str, calls_min: u64, options: &RestoreOptions) {
    let id = subject.backups[0];
    subject.strike(what, calls_min, &|_, backups| {
        let report = backups.restore(id, options, &Progress::new())?;
        Ok(report.safety_backup.into_iter().collect())
    });
}

#[test]
fn of_the_whole_state() {
    restore(&subject(), "a restore", 40, &bare());
}

#[test]
fn with_a_backup_before() {
    let subject = Subject {
        made_max: (1, 1),
        ..subject()
    };
    let options = RestoreOptions::default();
    restore(&subject, "a restore after a backup", 80, &options);
}

#[test]
fn of_a_part() {
    let part = RestoreOptions {
        selection: Some(Selection::new(Some(""), Some("user:*"), None).unwrap()),
        mode: Some(RestoreMode::Replace),
        ..bare()
    };
    restore(&subject(), "a restore of a part", 15, &part);
}
