//! Incremental backups: they say what a full one would say, cost what was changed, and give way to
//! a full one, with a reason, wherever they could be wrong.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use statekeep_backup::{
    BackupConfig, BackupKind, BackupManager, CreateOptions, Manifest, Progress, RestoreAt,
    RestoreOptions, VerifyLevel,
};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{
    Batch, Class, ErrorKind, Expiry, Keep, OpenOptions, Result, SetOptions, StateManager,
    TrimOptions, Value,
};

use crate::support::{TestClock, backups_of, bare, key};

struct Site {
    manager: Arc<StateManager>,
    backups: BackupManager,
    clock: Arc<TestClock>,
}

fn open(disk: &SimDisk, chain_max: u32) -> Result<Site> {
    let clock = Arc::new(TestClock(AtomicI64::new(1_000)));
    let mut options = OpenOptions::new("/state", "log");
    options.vfs = disk.vfs();
    options.clock = clock.clone();
    options.upkeep_interval_ms = 0;
    options.backup_hold_ms = 10_000;
    options.keep = Keep {
        age_ms: None,
        commits: Some(0),
    };
    let manager = StateManager::open(options, TestPlugins::shared(disk.vfs()))?;
    let config = BackupConfig {
        dir: "/state/backups".into(),
        codec: "store".to_owned(),
        level: None,
        threads: 2,
        cores_free: 0,
        incremental: true,
        history: false,
        chain_max,
        bytes_per_second_max: 0,
    };
    let backups = backups_of(&manager, config)?;
    Ok(Site {
        manager,
        backups,
        clock,
    })
}

impl Site {
    fn back_up(&self, incremental: Option<bool>, history: Option<bool>) -> Result<Manifest> {
        let options = CreateOptions {
            incremental,
            history,
            ..CreateOptions::default()
        };
        self.backups.create(&options, &Progress::new())
    }

    fn set(&self, tenant: &str, scope: &str, name: &str, options: SetOptions) {
        let tenant = self.manager.tenant(tenant).unwrap().blocking();
        let value = Value::bytes("some value");
        let scope = scope.parse().unwrap();
        tenant.set(&scope, &key(name), value, options).unwrap();
    }

    fn put(&self, name: &str) {
        self.set("", "user:1", name, SetOptions::default());
    }
}

fn objects(disk: &SimDisk, folder: &str) -> Vec<String> {
    let path = Path::new("/state/backups").join(folder);
    let entries = disk.vfs().read_dir(&path).unwrap_or_default().into_iter();
    let mut names: Vec<_> = entries.map(|entry| entry.name).collect();
    names.retain(|name| !name.starts_with('.'));
    names
}

#[derive(Clone, Debug)]
enum Op {
    Put(u8),
    PutFor(u8, u64),
    PutInMemory(u8),
    Delete(u8),
    Clock(i64),
    Sweep,
    Trim,
    Restore,
    BackUp,
    Grow,
    Merge,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..40u8).prop_map(Op::Put),
        4 => (0..40u8, 1..80u64).prop_map(|(k, ms)| Op::PutFor(k, ms)),
        1 => (0..40u8).prop_map(Op::PutInMemory),
        4 => (0..40u8).prop_map(Op::Delete),
        3 => (-30..60i64).prop_map(Op::Clock),
        1 => Just(Op::Sweep),
        1 => Just(Op::Trim),
        1 => Just(Op::Restore),
        4 => Just(Op::BackUp),
        4 => Just(Op::Grow),
        1 => Just(Op::Merge),
    ]
}

impl Site {
    fn run(&self, op: &Op) {
        let name = |k: u8| {
            let tenant = ["", "acme", "zeta"][usize::from(k % 3)];
            (tenant, format!("user:{}", k % 7), format!("k{k}"))
        };
        let set = |k: u8, options: SetOptions| {
            let (tenant, scope, name) = name(k);
            self.set(tenant, &scope, &name, options);
        };
        match op {
            Op::Put(k) => set(*k, SetOptions::default()),
            Op::PutFor(k, ms) => set(
                *k,
                SetOptions {
                    expires: Some(Expiry::After(*ms)),
                    ..SetOptions::default()
                },
            ),
            Op::PutInMemory(k) => set(
                *k,
                SetOptions {
                    class: Some(Class::Ephemeral),
                    ..SetOptions::default()
                },
            ),
            Op::Delete(k) => {
                let (tenant, scope, name) = name(*k);
                let tenant = self.manager.tenant(tenant).unwrap().blocking();
                let scope = scope.parse().unwrap();
                tenant
                    .delete(&scope, &key(&name), SetOptions::default())
                    .unwrap();
            }
            Op::Clock(by) => drop(self.clock.0.fetch_add(*by, Ordering::SeqCst)),
            Op::Sweep => drop(self.manager.sweep().unwrap()),
            Op::Trim => drop(self.manager.trim(&TrimOptions::default()).unwrap()),
            Op::Restore => {
                let list = self.backups.list().unwrap().backups;
                if let Some(full) = list.iter().rev().find(|backup| backup.kind == "full") {
                    let options = bare();
                    self.backups
                        .restore(full.id, &options, &Progress::new())
                        .unwrap();
                }
            }
            Op::Grow => {
                let made = self.back_up(None, Some(true)).unwrap();
                let why = made.full_reason.as_deref().unwrap_or_default();
                assert!(!why.contains("merged"), "{why}");
                self.expect_good(&made);
            }
            Op::Merge => {
                let options = CreateOptions::default();
                match self
                    .backups
                    .create_synthetic(None, &options, &Progress::new())
                {
                    Ok(made) => self.expect_good(&made),
                    // No backup yet, none of this past, or none that stands on another.
                    Err(error) => assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::NotFound | ErrorKind::InvalidArgument
                        ),
                        "{error}"
                    ),
                }
            }
            Op::BackUp => {
                let incremental = self.back_up(None, Some(true)).unwrap();
                let full = self.back_up(Some(false), Some(true)).unwrap();
                assert!(full.full_reason.is_none());
                assert_eq!(incremental.sequence_to, full.sequence_to);
                assert_eq!(incremental.state_digest, full.state_digest);
                assert_eq!(incremental.counts, full.counts);
                assert_eq!(incremental.records, full.records);
                self.expect_good(&incremental);
            }
        }
    }

    fn expect_good(&self, made: &Manifest) {
        let level = VerifyLevel::Full;
        let report = self.backups.verify(made.id, level, &Progress::new());
        let report = report.unwrap();
        assert!(report.is_valid, "{report:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_incremental_says_what_a_full_says(
        ops in prop::collection::vec(op(), 1..80),
        chain_max in 1..4u32,
    ) {
        let disk = SimDisk::new();
        let site = open(&disk, chain_max).unwrap();
        for op in &ops {
            site.run(op);
        }
        site.run(&Op::BackUp);
        prop_assert!(site.backups.list().unwrap().problems.is_empty());
    }
}

#[test]
fn a_chain_names_its_parents_runs_and_writes_only_what_was_changed() {
    let disk = SimDisk::new();
    let site = open(&disk, 2).unwrap();
    let mut batch = Batch::new();
    for n in 0..2_000 {
        let value = Value::bytes(format!("{n:0>100}"));
        batch.set(&"user:1".parse().unwrap(), &key(&format!("k{n:04}")), value);
    }
    let tenant = site.manager.tenant("").unwrap().blocking();
    tenant.commit(batch).unwrap();
    let first = site.back_up(None, None).unwrap();
    assert_eq!(first.kind, BackupKind::Full);
    assert_eq!(
        first.full_reason.as_deref(),
        Some("there is no backup of this state yet")
    );

    site.put("k0007");
    tenant
        .delete(
            &"user:1".parse().unwrap(),
            &key("k0008"),
            SetOptions::default(),
        )
        .unwrap();
    let second = site.back_up(None, None).unwrap();
    assert_eq!((second.kind, second.chain), (BackupKind::Incremental, 1));
    assert_eq!(
        (second.parent, second.sequence_from),
        (Some(first.id), first.sequence_to)
    );
    assert_eq!(second.runs[..1], first.runs);
    assert_eq!((second.runs.len(), second.records), (2, 1_999));
    assert!(second.raw_bytes < 300, "{}", second.raw_bytes);

    let third = site.back_up(None, None).unwrap();
    assert_eq!((third.raw_bytes, third.chain), (0, 2));
    assert_eq!(third.state_digest, second.state_digest);
    site.put("k0009");
    let fourth = site.back_up(None, None).unwrap();
    assert_eq!((fourth.kind, fourth.chain), (BackupKind::Incremental, 1));
    assert_eq!((fourth.runs.len(), fourth.merged_from), (2, Some(third.id)));
    let synthetic = site.backups.show(fourth.parent.unwrap()).unwrap().manifest;
    assert_eq!(
        (synthetic.kind, synthetic.runs.len()),
        (BackupKind::Synthetic, 1)
    );
    assert_eq!(synthetic.merged_from, Some(third.id));
    assert_eq!(synthetic.sequence_to, third.sequence_to);
    assert_eq!(synthetic.state_digest, second.state_digest);
    let asked = site.back_up(Some(false), None).unwrap();
    assert_eq!((asked.kind, asked.full_reason), (BackupKind::Full, None));
}

#[test]
fn a_chain_at_its_maximum_that_cannot_be_merged_gives_way_to_a_full() {
    let disk = SimDisk::new();
    let site = open(&disk, 1).unwrap();
    site.put("a");
    site.back_up(None, None).unwrap();
    site.put("b");
    let last = site.back_up(None, None).unwrap();
    let segment = &objects(&disk, "seg")[0];
    let segment = Path::new("/state/backups/seg").join(segment);
    disk.edit(&segment, |bytes| bytes[40] ^= 1).unwrap();
    let error =
        site.backups
            .create_synthetic(Some(last.id), &CreateOptions::default(), &Progress::new());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt);
    site.put("c");
    let full = site.back_up(None, None).unwrap();
    assert_eq!((full.kind, full.merged_from), (BackupKind::Full, None));
    let reason = full.full_reason.clone().unwrap();
    assert!(reason.contains("backup.chain_max is 1"), "{reason}");
    assert!(reason.contains(".seg"), "{reason}");
    site.expect_good(&full);
    assert_eq!(objects(&disk, "man").len(), 3);
}

#[test]
fn a_synthetic_full_is_restored_and_built_on_like_a_full() {
    let disk = SimDisk::new();
    let site = open(&disk, 30).unwrap();
    let synthetic = |from| {
        let options = CreateOptions::default();
        site.backups
            .create_synthetic(from, &options, &Progress::new())
    };
    assert_eq!(synthetic(None).unwrap_err().kind(), ErrorKind::NotFound);
    site.put("a");
    let full = site.back_up(None, Some(true)).unwrap();
    let error = synthetic(Some(full.id)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    site.put("b");
    let second = site.back_up(None, Some(true)).unwrap();
    site.put("c");
    let third = site.back_up(None, Some(true)).unwrap();
    let made = synthetic(None).unwrap();
    assert_eq!(made.merged_from, Some(third.id));
    // What shows less is nothing to stand on, though it is the newest.
    let older = synthetic(Some(second.id)).unwrap();
    assert_eq!(older.sequence_to, second.sequence_to);
    assert_eq!(
        (made.history_from, &made.history),
        (Some(0), &third.history)
    );
    assert_eq!(made.journal, third.journal);
    site.put("d");
    let next = site.back_up(None, Some(true)).unwrap();
    assert_eq!((next.parent, next.chain), (Some(made.id), 1));
    assert_eq!((next.history_from, next.history.len()), (Some(0), 4));
    site.expect_good(&next);
    // Restored, it is the state of the backup that it was merged from; so is a point before it.
    let restored = |at: RestoreAt, timeline| {
        let options = RestoreOptions { timeline, ..bare() };
        let report = site.backups.restore(at, &options, &Progress::new());
        report.unwrap().records
    };
    assert_eq!(restored(made.id.into(), None), 3);
    let past = Some(made.timeline.id.clone());
    assert_eq!(restored(RestoreAt::Sequence(2), past), 2);
}

#[test]
fn history_goes_on_along_a_chain_and_begins_anew_behind_a_gap() {
    let disk = SimDisk::new();
    let site = open(&disk, 30).unwrap();
    site.put("a");
    site.put("a");
    let full = site.back_up(None, Some(true)).unwrap();
    assert_eq!(full.history_from, Some(0));
    assert_eq!(
        (full.runs.len(), full.history.len(), full.journal.len()),
        (1, 1, 1)
    );
    site.put("a");
    let with = site.back_up(None, Some(true)).unwrap();
    assert_eq!(
        (with.kind, with.history_from),
        (BackupKind::Incremental, Some(0))
    );
    assert_eq!((with.history.len(), with.journal.len()), (2, 2));
    let without = site.back_up(None, Some(false)).unwrap();
    assert_eq!((without.history_from, without.history.len()), (None, 0));
    let again = site.back_up(None, Some(true)).unwrap();
    assert_eq!((again.history_from, again.history.len()), (Some(3), 1));
    assert_eq!(again.runs.len(), 4);
}

#[test]
fn where_an_incremental_could_be_wrong_the_backup_is_a_full_one_and_says_why() {
    let disk = SimDisk::new();
    let site = open(&disk, 30).unwrap();
    let reason = |words: &str| {
        let made = site.back_up(None, None).unwrap();
        assert_eq!(made.kind, BackupKind::Full, "{words}");
        let reason = made.full_reason.clone().unwrap();
        assert!(reason.contains(words), "{reason}");
        made
    };
    let goes_on = || {
        site.put("a");
        let made = site.back_up(None, None).unwrap();
        assert_eq!(made.kind, BackupKind::Incremental, "{:?}", made.full_reason);
        made
    };
    site.put("a");
    reason("no backup of this state");
    goes_on();
    // The past after the last backup is held, so trimming does no harm; until the hold lapses.
    site.put("b");
    site.manager.trim(&TrimOptions::default()).unwrap();
    goes_on();
    site.put("c");
    site.clock.0.fetch_add(10_000, Ordering::SeqCst);
    site.manager.trim(&TrimOptions::default()).unwrap();
    let full = reason("oldest");
    goes_on();
    site.backups
        .restore(full.id, &bare(), &Progress::new())
        .unwrap();
    reason("restored or taken back");
    goes_on();
    // A swap of the backend is no other past.
    let options = serde_json::json!({});
    site.manager
        .swap_backend("log", &options, &Progress::new())
        .unwrap();
    let last = goes_on();
    // Somebody is about to remove it.
    let end = format!("/state/backups/fin/{}", last.id);
    put(&disk, Path::new(&end));
    reason("is being removed");
    let last = goes_on();
    let run = &last.runs.last().unwrap().name;
    disk.vfs()
        .remove_file(&Path::new("/state/backups").join(run.to_string()))
        .unwrap();
    reason("is not there");
    goes_on();
    site.clock.0.fetch_add(10, Ordering::SeqCst);
    site.back_up(None, None).unwrap();
    site.clock.0.fetch_sub(10, Ordering::SeqCst);
    reason("the clock was set back");
}

fn put(disk: &SimDisk, path: &Path) {
    let mut file = disk.vfs().create(path).unwrap();
    file.write_all(b"{}").unwrap();
}

/// Wherever an incremental backup stops, it is there wholly or not at all, and the next one is right.
#[test]
fn an_incremental_that_stops_anywhere_leaves_nothing_or_a_backup() {
    let start = SimDisk::new();
    let site = open(&start, 30).unwrap();
    site.put("a");
    site.back_up(None, Some(true)).unwrap();
    site.put("a");
    site.put("b");
    site.manager.close().unwrap();
    drop(site);
    for kill in [false, true] {
        for n in 1.. {
            let disk = start.restart();
            match kill {
                true => disk.kill_at(n),
                false => disk.fail_at(n, std::io::ErrorKind::Other, Times::Once),
            }
            let outcome = open(&disk, 30).and_then(|site| site.back_up(None, Some(true)));
            let struck = disk.fault_struck();
            for disk in [disk.restart(), disk.crash(n)] {
                let story = format!("kill {kill} at call {n}");
                let site = open(&disk, 30).unwrap_or_else(|error| panic!("{story}: {error}"));
                let list = site.backups.list().unwrap();
                assert!(list.problems.is_empty(), "{story}: {list:?}");
                match &outcome {
                    Ok(made) => assert!(list.backups.iter().any(|backup| backup.id == made.id)),
                    Err(error) if error.kind() == ErrorKind::Indeterminate => {}
                    Err(_) if kill => {}
                    Err(_) => assert_eq!(objects(&disk, "man").len(), 1, "{story}"),
                }
                site.run(&Op::BackUp);
            }
            if !struck {
                assert!(n > 30, "only {n} calls");
                break;
            }
        }
    }
}
