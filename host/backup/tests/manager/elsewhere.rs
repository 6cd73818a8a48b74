//! Restores into a directory of its own and onto another backend.

use std::path::PathBuf;

use serde_json::json;
use statekeep_backup::{BackupConfig, Progress, RestoreOptions, RestoreTo};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{ErrorKind, OpenOptions, Selection, StateManager};

use crate::support::{State, backups_of, bare, create, fill, open, read, set};

fn to_dir(path: &str, backend: Option<&str>) -> RestoreOptions {
    RestoreOptions {
        to: RestoreTo::Dir {
            path: PathBuf::from(path),
            backend: backend.map(str::to_owned),
            options: json!({}),
        },
        ..RestoreOptions::default()
    }
}

/// The state in a directory, if there is one.
fn state_in(disk: &SimDisk, path: &str) -> Option<(std::sync::Arc<StateManager>, State)> {
    let options = OpenOptions {
        vfs: disk.vfs(),
        create: false,
        ..OpenOptions::new(path, "")
    };
    match StateManager::open(options, TestPlugins::shared(disk.vfs())) {
        Ok(manager) => {
            let rows = read(&manager);
            Some((manager, rows))
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            None
        }
    }
}

#[test]
fn a_backup_becomes_a_state_of_its_own() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let backup = create(&backups);
    set(&manager, "", "user:1", "k1", "ruined").unwrap();
    let (ruined, head) = (read(&manager), manager.head());

    let options = to_dir("/elsewhere/copy", Some("log2"));
    let report = backups
        .restore(backup.id, &options, &Progress::new())
        .unwrap();
    assert_eq!(
        (report.records, report.state_digest),
        (backup.records, backup.state_digest)
    );
    assert_eq!(report.safety_backup, None, "the state is not touched");
    let (copy, rows) = state_in(&disk, "/elsewhere/copy").unwrap();
    assert_eq!((rows, copy.backend_name().as_str()), (before, "log2"));
    let (info, own) = (copy.info().unwrap(), manager.info().unwrap());
    assert_eq!(Some(&info.state_id), report.state_id.as_ref());
    assert!(info.state_id != own.state_id && info.timeline != own.timeline);
    assert_eq!(info.head.0, report.sequence);
    // It takes writes, in sequences behind those of its records, and has no backups.
    set(&copy, "acme", "user:1", "more", "x").unwrap();
    assert_eq!(copy.head().0, report.sequence + 1);
    let config = BackupConfig {
        dir: "/elsewhere/copy/backups".into(),
        ..backups.config().clone()
    };
    let none = backups_of(&copy, config).unwrap();
    assert!(none.list().unwrap().backups.is_empty());
    assert_eq!((read(&manager), manager.head()), (ruined, head));

    // A part alone.
    let part = RestoreOptions {
        selection: Some(Selection::new(Some("acme"), None, None).unwrap()),
        ..to_dir("/elsewhere/part", None)
    };
    backups.restore(backup.id, &part, &Progress::new()).unwrap();
    let (_part, rows) = state_in(&disk, "/elsewhere/part").unwrap();
    assert!(!rows.is_empty() && rows.keys().all(|name| name.starts_with("acme/")));
}

#[test]
fn a_place_that_is_taken_or_keeps_nothing_is_refused() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let id = create(&backups).id;
    let vfs = disk.vfs();
    vfs.create_dir(std::path::Path::new("/full")).unwrap();
    drop(vfs.create(std::path::Path::new("/full/file")).unwrap());
    for folder in ["/elsewhere", "/elsewhere/man"] {
        vfs.create_dir(std::path::Path::new(folder)).unwrap();
    }
    drop(
        vfs.create(std::path::Path::new("/elsewhere/FORMAT"))
            .unwrap(),
    );
    for (options, kind) in [
        (to_dir("/state", None), ErrorKind::AlreadyExists),
        (to_dir("/full", None), ErrorKind::InvalidArgument),
        (to_dir("relative", None), ErrorKind::InvalidArgument),
        (to_dir("/new", Some("memory")), ErrorKind::Unsupported),
        // In a state or in a repository: it would go with them, or be a stray there.
        (to_dir("/state/copy", None), ErrorKind::InvalidArgument),
        (
            to_dir("/state/backups/in/b", None),
            ErrorKind::InvalidArgument,
        ),
        (to_dir("/elsewhere/copy", None), ErrorKind::InvalidArgument),
        (
            RestoreOptions {
                dry_run: true,
                ..to_dir("/new", None)
            },
            ErrorKind::InvalidArgument,
        ),
    ] {
        let error = backups.restore(id, &options, &Progress::new()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    for place in ["/state/copy", "/state/backups/in", "/elsewhere/copy"] {
        let made = disk
            .listing()
            .into_iter()
            .find(|path| path.starts_with(place));
        assert_eq!(made, None);
    }
    assert!(state_in(&disk, "/new").is_none());
    assert_eq!(read(&manager), before);
}

#[test]
fn a_copy_is_there_whole_or_not_at_all() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let id = create(&backups).id;
    manager.close().unwrap();
    let start = disk.restart();
    for fault in ["fail", "kill"] {
        for n in 1.. {
            let disk = start.restart();
            match fault {
                "fail" => disk.fail_at(n, std::io::ErrorKind::Other, Times::Once),
                _ => disk.kill_at(n),
            }
            let done = open(&disk).and_then(|(manager, backups)| {
                let outcome = backups.restore(id, &to_dir("/copy", None), &Progress::new());
                drop(backups);
                drop(manager);
                outcome
            });
            let struck = disk.fault_struck();
            let story = format!("{fault} at call {n}");
            for disk in [disk.restart(), disk.crash(n)] {
                let found = state_in(&disk, "/copy").map(|(_, rows)| rows);
                match (&done, found) {
                    (Ok(_), found) => assert_eq!(found.as_ref(), Some(&before), "{story}"),
                    (Err(_), Some(found)) => assert_eq!(found, before, "{story}"),
                    (Err(_), None) => {}
                }
                assert_eq!(read(&open(&disk).unwrap().0), before, "{story}");
            }
            if !struck {
                assert!(n > 40, "only {n} calls");
                break;
            }
        }
    }
}

#[test]
fn a_restore_onto_another_backend_is_undone_like_any_other() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let id = create(&backups).id;
    set(&manager, "", "user:1", "k1", "ruined").unwrap();
    let ruined = read(&manager);
    let options = RestoreOptions {
        to: RestoreTo::Backend {
            name: "log2".to_owned(),
            options: json!({}),
        },
        ..bare()
    };
    let report = backups.restore(id, &options, &Progress::new()).unwrap();
    assert_eq!(
        (read(&manager), manager.backend_name().as_str()),
        (before, "log2")
    );
    manager
        .undo(report.replaced.unwrap().parse().unwrap(), 0)
        .unwrap();
    assert_eq!(
        (read(&manager), manager.backend_name().as_str()),
        (ruined, "log")
    );
}
