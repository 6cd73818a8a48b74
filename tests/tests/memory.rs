//! The memory of backups, exports and imports is bounded and does not grow with the state: each is
//! made by a process of its own, whose peak is compared with what it had once the state was open.
//!
//! The engine's own memory is in that: its cache is as small as it gets.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use statekeep::{
    Batch, CreateOptions, ExportOptions, ExportTo, Host, ImportFrom, ImportMode, ImportOptions,
    Progress, RestoreOptions, Value, VerifyLevel,
};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, Random, key, scope};

/// Name of the variable that holds what a child does, and of the one with its folder.
const STEP: &str = "STATEKEEP_MEMORY_STEP";
const FOLDER: &str = "STATEKEEP_MEMORY_FOLDER";

const MIB: u64 = 1 << 20;
const VALUE_BYTES: usize = 4 << 10;
/// Records of the small state and of the large one.
const SIZES: [u64; 2] = [6_000, 30_000];
/// Records that each incremental has: more than a block.
const CHANGED: u64 = 300;
/// What a large state may take more: a quarter of what it is larger. How many blocks are in flight is
/// up to the threads.
const NOISE_BYTES: u64 = (SIZES[1] - SIZES[0]) * VALUE_BYTES as u64 / 4;

/// Not a test of its own: the processes that are measured.
#[test]
fn child_process() {
    let Ok(step) = std::env::var(STEP) else {
        return;
    };
    let folder = std::env::var_os(FOLDER).unwrap();
    let (step, number) = step.split_once(' ').unwrap();
    work(Path::new(&folder), step, number.parse().unwrap());
}

/// Bytes of a line of `/proc/self/status`.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() << 10
}

fn put(host: &Host, numbers: impl Iterator<Item = u64>, random: &mut Random) {
    let tenant = host.manager.default_tenant().blocking();
    let numbers: Vec<u64> = numbers.collect();
    for numbers in numbers.chunks(500) {
        let mut batch = Batch::new();
        for n in numbers {
            let bytes: Vec<u8> = (0..VALUE_BYTES / 8)
                .flat_map(|_| random.number().to_le_bytes())
                .map(|byte| b'a' + byte % 16)
                .collect();
            let scope = scope(&format!("user:{}", n % 50));
            batch.set(&scope, &key(&format!("{n:08}")), Value::bytes(bytes));
        }
        tenant.commit(batch).unwrap();
    }
}

fn back_up(host: &Host, incremental: bool) {
    let options = CreateOptions {
        incremental: Some(incremental),
        ..CreateOptions::default()
    };
    let made = host.backups.create(&options, &Progress::new()).unwrap();
    assert_eq!(made.parent.is_some(), incremental, "{:?}", made.full_reason);
}

fn work(folder: &Path, step: &str, number: u64) {
    let mut config = states::config(&folder.join("state"), "sqlite");
    for (name, value) in [
        ("backup.chain_max", "300"),
        ("durability", "relaxed"),
        ("cache_bytes", "0"),
        ("backend_options.cache_bytes", "1048576"),
        ("backend_options.reader_cache_bytes", "1048576"),
        ("backend_options.mmap_bytes", "0"),
    ] {
        config.set(name, value).unwrap();
    }
    let host: Arc<Host> = states::open(&config);
    let progress = Progress::new();
    let mut random = Random(number);
    // What comes before is not measured.
    match step {
        "fill" => put(&host, 0..number, &mut random),
        "chain" => {
            let records = SIZES[0];
            for _ in 0..number {
                let first = random.below(records);
                let numbers = (first..).step_by(17).map(|n| n % records);
                put(&host, numbers.take(CHANGED as usize), &mut random);
                back_up(&host, true);
            }
        }
        _ => {}
    }
    let list = host.backups.list().unwrap().backups;
    let merged = |kind| kind == "synthetic";
    let newest = || list.iter().rfind(|one| !merged(one.kind)).unwrap().id;
    let file = folder.join("export.jsonl.zst");
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    match step {
        "full" => back_up(&host, false),
        "incremental" => back_up(&host, true),
        "synthetic" => {
            let options = CreateOptions::default();
            let made = host
                .backups
                .create_synthetic(Some(newest()), &options, &progress);
            assert_eq!(made.unwrap().runs.len(), 1);
        }
        "verify" => {
            let report = host.backups.verify(newest(), VerifyLevel::Full, &progress);
            assert!(report.unwrap().is_valid);
        }
        "restore" => {
            let options = RestoreOptions {
                safety_backup: false,
                ..RestoreOptions::default()
            };
            drop(host.backups.restore(newest(), &options, &progress).unwrap());
        }
        "export" => {
            let to = ExportTo::File(&file);
            drop(
                host.backups
                    .export(to, &ExportOptions::default(), &progress)
                    .unwrap(),
            );
        }
        "import" => {
            let options = ImportOptions::new(ImportMode::Replace);
            drop(
                host.backups
                    .import(ImportFrom::File(&file), &options, &progress)
                    .unwrap(),
            );
        }
        "merge" => {
            let options = ImportOptions::new(ImportMode::Merge);
            drop(
                host.backups
                    .import(ImportFrom::File(&file), &options, &progress)
                    .unwrap(),
            );
        }
        _ => {}
    }
    let peak = status("VmHWM").saturating_sub(before);
    fs::write(folder.join("peak"), peak.to_string()).unwrap();
    host.close().unwrap();
}

/// Runs a step in a process of its own; answers its peak, in bytes.
fn measured(folder: &Path, step: &str, number: u64) -> u64 {
    let status = fixtures::one_test("child_process")
        .env(STEP, format!("{step} {number}"))
        .env(FOLDER, folder)
        .output()
        .unwrap();
    assert!(status.status.success(), "{step}: {status:?}");
    let peak = fs::read_to_string(folder.join("peak")).unwrap();
    peak.parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_state() {
    let steps = [
        ("full", 64),
        ("verify", 64),
        ("restore", 64),
        ("export", 16),
        ("import", 48),
        ("merge", 48),
    ];
    let folders = SIZES.map(|records| {
        let folder = fixtures::folder();
        measured(folder.path(), "fill", records);
        folder
    });
    for (step, most) in steps {
        let [small, large] = [0, 1].map(|at| measured(folders[at].path(), step, 0));
        let [small_mib, large_mib] = [small, large].map(|bytes| bytes / MIB);
        println!("{step}: {small_mib} MiB, and of the large state {large_mib} MiB");
        assert!(large < most * MIB, "{step}: {large_mib} MiB");
        assert!(
            large < small + NOISE_BYTES,
            "{step}: {small_mib} to {large_mib} MiB"
        );
    }
}

/// A merge of many runs takes no more memory than one of few.
#[test]
fn memory_does_not_grow_with_the_chain() {
    let folder = fixtures::folder();
    let folder = folder.path();
    measured(folder, "fill", SIZES[0]);
    measured(folder, "full", 0);
    measured(folder, "chain", 100);
    for step in ["incremental", "verify", "synthetic", "restore"] {
        let peak = measured(folder, step, 0);
        println!("{step} of 1 + 100 runs: {} MiB", peak / MIB);
        assert!(peak < 64 * MIB, "{step}: {} MiB", peak / MIB);
    }
}
