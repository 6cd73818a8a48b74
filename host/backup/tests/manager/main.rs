//! Backups of a state that is in use: one instant, all or nothing, and a restore that gives back
//! exactly what was there.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod bucket;
mod cleanup;
mod clock;
mod elsewhere;
mod faults;
mod incremental;
mod monitor;
mod parts;
mod policies;
mod readers;
mod schedule;
mod support;
mod verifying;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use statekeep_backup::{BackupConfig, BackupManager, CreateOptions, Progress, VerifyLevel};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{Batch, Durability, ErrorKind, Scope, SetOptions, Value};

use support::{bare, fill, key, open, read, set};

/// What the repositories of all tests are made with; those of `tests/encrypted` have one.
pub(crate) const KEY: Option<[u8; 32]> = None;

#[test]
fn a_restore_gives_back_what_was_there_and_the_state_goes_on() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    assert!(backups.list().unwrap().backups.is_empty());
    let before = fill(&manager);
    let options = CreateOptions {
        label: Some("before the agent".to_owned()),
        tags: vec!["nightly".to_owned()],
        ..CreateOptions::default()
    };
    let progress = Progress::new();
    let manifest = backups.create(&options, &progress).unwrap();
    assert_eq!(manifest.records, before.len() as u64);
    assert_eq!(manifest.sequence_to, manager.head().0);
    assert_eq!(
        (manifest.backend.as_str(), manifest.codec.as_str()),
        ("log", "store")
    );
    assert_eq!(manifest.tenants.len(), 1);
    let seen = progress.snapshot();
    assert_eq!((seen.phase, seen.records), ("done", manifest.records));
    assert_eq!(backups.show(manifest.id).unwrap().manifest, manifest);

    set(&manager, "", "user:1", "k1", "ruined").unwrap();
    set(&manager, "evil", "global", "new", "x").unwrap();
    let tenant = manager.tenant("acme").unwrap().blocking();
    tenant.clear_scope(&"global".parse().unwrap()).unwrap();
    assert_ne!(read(&manager), before);
    let ruined = manager.head();

    let list = backups.list().unwrap();
    assert_eq!(list.backups[0].label.as_deref(), Some("before the agent"));
    assert_eq!(list.backups[0].tags, ["nightly"]);
    let report = backups
        .verify(manifest.id, VerifyLevel::Full, &Progress::new())
        .unwrap();
    assert!(
        report.is_valid && report.records == manifest.records,
        "{report:?}"
    );
    let options = bare();
    let report = backups
        .restore(manifest.id, &options, &Progress::new())
        .unwrap();
    assert_eq!(report.records, manifest.records);
    assert_eq!(report.state_digest, manifest.state_digest);
    assert!(report.sequence > ruined.0, "sequences go on rising");
    assert_eq!(read(&manager), before);
    let evil = manager.tenant("evil").unwrap().blocking();
    assert!(
        !evil
            .exists(&"global".parse().unwrap(), &key("new"))
            .unwrap()
    );

    // A backup of what was restored has the same digest, and the state takes writes.
    let again = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    assert_eq!(again.state_digest, manifest.state_digest);
    assert_ne!(again.timeline.id, manifest.timeline.id);
    assert_eq!(again.previous.unwrap().id, manifest.id);
    set(&manager, "", "user:1", "k1", "later").unwrap();
    drop(evil);
    drop(tenant);
    manager.close().unwrap();
    drop(backups);
    drop(manager);
    let (manager, backups) = open(&disk.restart()).unwrap();
    assert_eq!(read(&manager)["/user:1/k1"], "later");
    assert_eq!(backups.list().unwrap().backups.len(), 2);
}

#[test]
fn a_pin_is_told_by_list_and_show_until_it_is_taken_away() {
    let disk = SimDisk::new();
    let (_manager, backups) = open(&disk).unwrap();
    let options = CreateOptions {
        pin: true,
        ..CreateOptions::default()
    };
    let pinned = backups.create(&options, &Progress::new()).unwrap().id;
    let other = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap()
        .id;
    let told = |id| {
        let list = backups.list().unwrap();
        assert!(list.problems.is_empty(), "{list:?}");
        let listed = list.backups.iter().find(|backup| backup.id == id);
        let (listed, shown) = (listed.unwrap().pin, backups.show(id).unwrap().pin);
        assert_eq!(listed, shown);
        shown
    };
    assert!(told(pinned) && !told(other));
    assert!(!backups.pin(pinned).unwrap(), "it was pinned already");
    assert!(backups.pin(other).unwrap());
    assert!(backups.unpin(pinned).unwrap());
    assert!(!backups.unpin(pinned).unwrap(), "there was no pin any more");
    assert!(!told(pinned) && told(other));
    let unknown = statekeep_backup::BackupId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    for refused in [backups.pin(unknown), backups.unpin(unknown)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    }
    // A pin is durable once it is acknowledged.
    let (_manager, backups) = open(&disk.crash(3)).unwrap();
    assert!(backups.show(other).unwrap().pin && !backups.show(pinned).unwrap().pin);
}

#[test]
fn what_cannot_be_done_is_said() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let manifest = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    assert_eq!(manifest.records, 0);
    let unknown = statekeep_backup::BackupId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let kind = |error: statekeep_core::Error| error.kind();
    assert_eq!(
        backups.show(unknown).map_err(kind).unwrap_err(),
        ErrorKind::NotFound
    );
    assert_eq!(
        backups.delete(&[unknown], "").map_err(kind).unwrap_err(),
        ErrorKind::NotFound
    );
    let options = CreateOptions {
        codec: Some("zip".to_owned()),
        ..CreateOptions::default()
    };
    let error = backups.create(&options, &Progress::new()).unwrap_err();
    assert!(error.to_string().contains("zip"), "{error}");
    let options = CreateOptions {
        label: Some("x".repeat(300)),
        ..CreateOptions::default()
    };
    assert_eq!(
        backups
            .create(&options, &Progress::new())
            .map_err(kind)
            .unwrap_err(),
        ErrorKind::InvalidArgument
    );
    let cancelled = Progress::new();
    cancelled.cancel();
    assert_eq!(
        backups
            .create(&CreateOptions::default(), &cancelled)
            .map_err(kind)
            .unwrap_err(),
        ErrorKind::Cancelled
    );
    let options = bare();
    assert_eq!(
        backups
            .restore(manifest.id, &options, &cancelled)
            .map_err(kind)
            .unwrap_err(),
        ErrorKind::Cancelled
    );
    assert_eq!(backups.list().unwrap().backups.len(), 1);
    let config = BackupConfig {
        dir: "backups".into(),
        ..backups.config().clone()
    };
    assert!(BackupManager::open(manager, config).is_err());
}

/// Over 200 backups while a writer sets a = i, then b = i, as two commits, and x = y = i as one
/// batch: every backup shows b = a or a - 1, and x = y.
#[test]
fn a_backup_is_one_instant() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    // Rows between the keys of interest, so that a scan takes a while between them.
    for n in 0..300 {
        set(
            &manager,
            "",
            "global",
            &format!("m{n:03}"),
            &"fill".repeat(50),
        )
        .unwrap();
    }
    let options = CreateOptions {
        codec: Some("none".to_owned()),
        ..CreateOptions::default()
    };
    let stop = AtomicBool::new(false);
    let (written, made) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let tenant = manager.default_tenant().blocking();
            let global = Scope::global();
            for i in 1_u64.. {
                // Backups step back behind writers: one that never pauses could fill the memory first.
                while i > 300 * (made.load(Ordering::Relaxed) + 1) && !stop.load(Ordering::Relaxed)
                {
                    std::thread::yield_now();
                }
                let value = || Value::bytes(i.to_string().into_bytes());
                let relaxed = SetOptions::with_durability(Durability::Relaxed);
                tenant.set(&global, &key("a"), value(), relaxed).unwrap();
                tenant.set(&global, &key("z"), value(), relaxed).unwrap();
                let mut batch = Batch::new();
                batch
                    .set(&global, &key("b"), value())
                    .set(&global, &key("y"), value());
                batch.durability(Durability::Relaxed);
                tenant.commit(batch).unwrap();
                written.store(i, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        while written.load(Ordering::Relaxed) < 2 {
            std::thread::yield_now();
        }
        let ids: Vec<_> = (0..200)
            .map(|_| {
                let id = backups.create(&options, &Progress::new()).unwrap().id;
                made.fetch_add(1, Ordering::Relaxed);
                id
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ids.len(), 200);
    });
    assert!(
        written.load(Ordering::Relaxed) > 200,
        "{written:?} rounds only"
    );
    let tenant = manager.default_tenant().blocking();
    let read = |name: &str| -> u64 {
        let value = tenant.get(&Scope::global(), &key(name)).unwrap().unwrap();
        String::from_utf8(value.into_bytes())
            .unwrap()
            .parse()
            .unwrap()
    };
    let mut last = 0;
    for backup in backups.list().unwrap().backups {
        backups
            .restore(backup.id, &bare(), &Progress::new())
            .unwrap();
        let (a, z, b, y) = (read("a"), read("z"), read("b"), read("y"));
        assert!(z == a || z + 1 == a, "a is {a} and z is {z}");
        assert_eq!(b, y, "a batch was torn");
        assert!(a >= last, "backups go back in time");
        last = a;
    }
}

fn on_disk(disk: &SimDisk, object: &str) -> Vec<String> {
    let folder = Path::new("/state/backups").join(object);
    let entries = disk.vfs().read_dir(&folder).unwrap();
    entries
        .into_iter()
        .map(|entry| entry.name)
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn a_damaged_backup_leaves_the_state_alone() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let id = backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap()
        .id;
    set(&manager, "", "user:1", "k1", "newer").unwrap();
    let before = read(&manager);
    let object = format!("seg/{}", on_disk(&disk, "seg")[0]);
    let file = Path::new("/state/backups").join(&object);
    let len = disk.peek(&file).unwrap().len();
    for at in [0, 40, len / 2, len - 100, len - 1] {
        disk.edit(&file, |bytes| bytes[at] ^= 4).unwrap();
        let error = backups.restore(id, &bare(), &Progress::new()).unwrap_err();
        assert!(error.to_string().contains(&object), "{error}");
        assert_eq!(read(&manager), before);
        disk.edit(&file, |bytes| bytes[at] ^= 4).unwrap();
    }
    assert!(backups.restore(id, &bare(), &Progress::new()).is_ok());
}
