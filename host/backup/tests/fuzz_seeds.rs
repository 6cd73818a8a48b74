//! The seeds of the fuzz targets go through the same entries as under the fuzzer, with no fuzzer.
//!
//! `UPDATE_SEEDS=1 cargo test -p statekeep-backup --test fuzz_seeds` writes those that are made of a
//! real backup and a real export anew; what fuzzing found is added by hand.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../../../fuzz/entry.rs"]
mod entry;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statekeep_backup::{
    BackupConfig, BackupManager, CreateOptions, Entries, ExportFormat, ExportOptions, ExportTo,
    Progress, SegmentReader,
};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Expiry, Key, OpenOptions, SetOptions, StateManager, Value, inspect_history, inspect_journal,
};

fn seeds(target: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../../fuzz/seeds").join(target)
}

/// A small repository and its state.
fn repository() -> (SimDisk, Arc<StateManager>, BackupManager) {
    let disk = SimDisk::new();
    let mut options = OpenOptions::new("/state", "log");
    options.vfs = disk.vfs();
    let manager = StateManager::open(options, TestPlugins::shared(disk.vfs())).unwrap();
    for (tenant, scope, key, value) in [
        (
            "",
            "agent:1",
            "plan",
            Value::json(r#"{"step": 1.50}"#).unwrap(),
        ),
        ("", "agent:1", "note", Value::json("[\n1]\n").unwrap()),
        ("acme", "step:w/s", "blob", Value::bytes(&[0xff_u8, 0][..])),
    ] {
        let tenant = manager.tenant(tenant).unwrap().blocking();
        let (scope, key) = (scope.parse().unwrap(), Key::new(key).unwrap());
        tenant
            .set(&scope, &key, value, SetOptions::default())
            .unwrap();
    }
    let config = BackupConfig {
        dir: "/backups".into(),
        codec: "none".to_owned(),
        level: None,
        threads: 1,
        cores_free: 0,
        incremental: false,
        history: false,
        chain_max: statekeep_backup::CHAIN_DEFAULT,
        bytes_per_second_max: 0,
    };
    let backups = BackupManager::open(Arc::clone(&manager), config).unwrap();
    let options = CreateOptions {
        label: Some("a seed".to_owned()),
        tags: vec!["tag".to_owned()],
        ..CreateOptions::default()
    };
    backups.create(&options, &Progress::new()).unwrap();
    (disk, manager, backups)
}

/// The segments of records, history and journal of a backup with a past: a value replaced, one deleted,
/// one that expires.
fn past() -> [(&'static str, Vec<u8>); 3] {
    let (disk, manager, backups) = repository();
    let tenant = manager.default_tenant().blocking();
    let (scope, options) = ("agent:1".parse().unwrap(), SetOptions::default());
    let [plan, note] = ["plan", "note"].map(|key| Key::new(key).unwrap());
    tenant
        .set(&scope, &plan, Value::bytes("next"), options)
        .unwrap();
    tenant.delete(&scope, &note, options).unwrap();
    let expiring = SetOptions {
        expires: Some(Expiry::After(86_400_000)),
        ..options
    };
    tenant
        .set(&scope, &note, Value::bytes("for a day"), expiring)
        .unwrap();
    let options = CreateOptions {
        history: Some(true),
        ..CreateOptions::default()
    };
    let made = backups.create(&options, &Progress::new()).unwrap();
    [("records", 0), ("history", 1), ("journal", 2)].map(|(name, number)| {
        let path = format!("/backups/seg/{}-{number:06}.seg", made.id);
        (name, disk.peek(Path::new(&path)).unwrap())
    })
}

fn update() {
    for (name, bytes) in past() {
        std::fs::write(seeds("segment").join(format!("of-{name}")), bytes).unwrap();
    }
    let (disk, _manager, backups) = repository();
    for (folder, target) in [("man", "manifest"), ("run", "run"), ("seg", "segment")] {
        let folder = Path::new("/backups").join(folder);
        let entries = disk.vfs().read_dir(&folder).unwrap();
        let object = entries
            .iter()
            .find(|entry| !entry.name.starts_with('.'))
            .unwrap();
        let bytes = disk.peek(&folder.join(&object.name)).unwrap();
        std::fs::create_dir_all(seeds(target)).unwrap();
        std::fs::write(seeds(target).join("of-a-backup"), bytes).unwrap();
    }
    std::fs::create_dir_all(seeds("import")).unwrap();
    for (name, format) in [
        ("lines", ExportFormat::JsonLines),
        ("document", ExportFormat::Json),
    ] {
        let mut text = Vec::new();
        let options = ExportOptions {
            format: Some(format),
            ..ExportOptions::default()
        };
        let to = ExportTo::Stream(&mut text);
        backups.export(to, &options, &Progress::new()).unwrap();
        std::fs::write(seeds("import").join(name), &text).unwrap();
        let packed = zstd::bulk::compress(&text, 3).unwrap();
        std::fs::write(seeds("import").join(format!("{name}-zstd")), packed).unwrap();
    }
}

/// What a fuzz target does with bytes.
type Target = fn(&[u8]);

#[test]
fn every_seed_goes_through_its_target() {
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        update();
    }
    let targets: [(&str, Target); 4] = [
        ("manifest", entry::manifest),
        ("run", entry::run),
        ("segment", entry::segment),
        ("import", entry::import),
    ];
    for (target, run) in targets {
        let mut count = 0;
        for file in std::fs::read_dir(seeds(target)).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            run(&bytes);
            // And as a file looks that was cut.
            run(&bytes[..bytes.len() / 2]);
            count += 1;
        }
        assert!(count > 0, "{target} has no seed");
    }
}

/// The entries reach what they are for: a good seed is read to its records.
#[test]
fn the_seeds_of_a_backup_are_read_to_the_end() {
    let text = std::fs::read(seeds("import").join("lines")).unwrap();
    let mut records = 0;
    let mut count = |_| {
        records += 1;
        Ok(())
    };
    statekeep_backup::parse_records(&text, false, 4_096, &mut count).unwrap();
    assert_eq!(records, 3);
    let segment = std::fs::read(seeds("segment").join("of-a-backup")).unwrap();
    let reader = SegmentReader::open(&segment.as_slice(), None).unwrap();
    assert_eq!((reader.blocks.len(), reader.entries), (1, 3));
}

/// The seeds of the past hold rows of it.
#[test]
fn the_seeds_of_a_past_are_read_to_the_end() {
    let rows = |name: &str| {
        let bytes = std::fs::read(seeds("segment").join(name)).unwrap();
        let reader = SegmentReader::open(&bytes.as_slice(), None).unwrap();
        let mut rows = Vec::new();
        for block in &reader.blocks {
            let mut raw = Vec::new();
            let plugins = TestPlugins::shared(SimDisk::new().vfs());
            SegmentReader::entries(&bytes.as_slice(), block, &*plugins, &mut raw).unwrap();
            let entries = Entries::new(&raw).map(Result::unwrap);
            rows.extend(entries.map(|entry| (entry.key.to_vec(), entry.record.to_vec())));
        }
        rows
    };
    let history = rows("of-history");
    assert_eq!(history.len(), 2, "one was replaced and one deleted");
    for (key, row) in history {
        assert!(inspect_history(&key, &row).unwrap().version.is_some());
    }
    let journal = rows("of-journal");
    assert_eq!(journal.len(), 6);
    for (at, (key, row)) in (1..).zip(journal) {
        assert_eq!(inspect_journal(&key, &row).unwrap().sequence.0, at);
    }
}
