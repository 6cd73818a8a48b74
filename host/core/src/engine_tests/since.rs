//! What backups read of the past: the difference of two snapshots, and the versions between them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::journal::{HistoryRow, read_history};
use crate::stored_key::split_history_key;
use crate::{
    Class, ErrorKind, Expiry, HistoryLimits, Keep, PastPoint, RecordHeader, Rule, Sequence, Since,
    Snapshot, Start, TrimOptions, WatchOptions, inspect_record,
};

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn scan(snapshot: &Snapshot) -> Records {
    let (mut all, mut scan) = (Records::new(), snapshot.scan().unwrap());
    while scan
        .next_batch(64, &mut |key, record| {
            all.insert(key.to_vec(), record.to_vec());
        })
        .unwrap()
        > 0
    {}
    all
}

/// What was there before, as the changes make it.
fn changed(since: &Since<'_>, mut records: Records, memory: usize) -> crate::Result<Records> {
    let mut changes = since.changes().with_keys_bytes_max(memory);
    let mut last = Vec::new();
    while changes.next_batch(&mut |change| {
        assert!(last.as_slice() < change.key, "each key once, in order");
        last = change.key.to_vec();
        assert_ne!(change.old, change.new);
        let old = match change.new {
            Some(new) => records.insert(change.key.to_vec(), new.to_vec()),
            None => records.remove(change.key),
        };
        assert_eq!(
            old.as_deref(),
            change.old,
            "the old record is the one that was"
        );
    })? {}
    Ok(records)
}

/// First and end sequence of a version, and its record.
type Span = (u64, u64, Vec<u8>);

/// Versions and marks of trims by key.
#[derive(Default)]
struct Past {
    versions: BTreeMap<Vec<u8>, Vec<Span>>,
    marks: BTreeMap<Vec<u8>, u64>,
}

fn past(since: &Since<'_>, memory: usize) -> Past {
    let mut past = Past::default();
    let mut versions = since.history().with_keys_bytes_max(memory);
    let mut last = Vec::new();
    while versions
        .next_batch(&mut |key, row| {
            assert!(last.as_slice() < key, "each row once, in order");
            last = key.to_vec();
            let (data_key, first) = split_history_key(key).unwrap();
            match read_history(row).unwrap() {
                HistoryRow::Trimmed(end) => drop(past.marks.insert(data_key.to_vec(), end.0)),
                HistoryRow::Record(end, record) => {
                    let of = past.versions.entry(data_key.to_vec()).or_default();
                    of.push((first.0, end.0, record.to_vec()));
                }
            }
        })
        .unwrap()
    {}
    past
}

fn header(record: &[u8]) -> RecordHeader {
    inspect_record(record).unwrap()
}

impl Past {
    /// The record of a key after a commit, as a restore to that point gives it; an error when a trim
    /// has taken it.
    fn at(
        &self,
        records: &Records,
        key: &[u8],
        at: u64,
        as_of: UnixMs,
    ) -> Result<Option<Vec<u8>>, ()> {
        let live = |record: &&Vec<u8>| header(record).expires.is_none_or(|end| end > as_of);
        let newest = records.get(key);
        if let Some(record) = newest.filter(|r| header(r).sequence.0 <= at) {
            return Ok(Some(record).filter(live).cloned());
        }
        if self.marks.get(key).is_some_and(|end| *end > at) {
            return Err(());
        }
        let spans = |(first, end, _): &&Span| *first <= at && at < *end;
        let found = self
            .versions
            .get(key)
            .and_then(|all| all.iter().find(spans));
        Ok(found.map(|(_, _, record)| record).filter(live).cloned())
    }
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
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0..12u8).prop_map(Op::Put),
        4 => (0..12u8, 1..80u64).prop_map(|(k, ms)| Op::PutFor(k, ms)),
        1 => (0..12u8).prop_map(Op::PutInMemory),
        3 => (0..12u8).prop_map(Op::Delete),
        3 => (-30..60i64).prop_map(Op::Clock),
        1 => Just(Op::Sweep),
        1 => Just(Op::Trim),
    ]
}

struct Model {
    manager: Arc<StateManager>,
    clock: Arc<TestClock>,
    now: i64,
}

impl Model {
    fn open(disk: &SimDisk, keep: Option<u64>, versions: Option<u64>) -> Model {
        let clock = clock();
        let mut options = options(disk.vfs());
        options.clock = clock.clone();
        options.upkeep_interval_ms = 0;
        options.keep = Keep {
            age_ms: None,
            commits: keep,
        };
        let rule = |versions| Rule {
            scope: Some("user:1".to_owned()),
            history: Some(HistoryLimits {
                versions: Some(versions),
                ..HistoryLimits::default()
            }),
            ..Rule::default()
        };
        options.rules = versions.map(rule).into_iter().collect();
        Model {
            manager: open_with(options).unwrap(),
            clock,
            now: 1_000,
        }
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            let name = |k: u8| {
                let tenant = if k.is_multiple_of(3) { "acme" } else { "zeta" };
                let tenant = self.manager.tenant(tenant).unwrap().blocking();
                (
                    tenant,
                    scope(&format!("user:{}", k % 2)),
                    key(&format!("k{k}")),
                )
            };
            let set = |k: u8, options: SetOptions| {
                let (tenant, s, k) = name(k);
                tenant.set(&s, &k, Value::bytes("v"), options).unwrap();
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
                    let (tenant, s, k) = name(*k);
                    tenant.delete(&s, &k, SetOptions::default()).unwrap();
                }
                Op::Clock(by) => {
                    self.now += by;
                    self.clock.set(self.now);
                }
                Op::Sweep => drop(self.manager.sweep().unwrap()),
                Op::Trim => drop(self.manager.trim(&TrimOptions::default()).unwrap()),
            }
        }
    }

    /// Every point from `from` on is what the engine itself says.
    fn judge(
        &self,
        past: &Past,
        records: &Records,
        keys: &[Vec<u8>],
        from: Sequence,
        to: Sequence,
    ) {
        for at in from.0..=to.0 {
            let snapshot = self.manager.snapshot_at(Sequence(at)).unwrap();
            for key in keys {
                let told = past.at(records, key, at, snapshot.as_of());
                match snapshot.record(key) {
                    Ok(record) => assert_eq!(told, Ok(record), "{key:?} at {at}"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Compacted);
                        assert_eq!(told, Err(()), "{key:?} at {at} is not known");
                    }
                }
            }
        }
    }
}

fn all_keys(manager: &Arc<StateManager>) -> Vec<Vec<u8>> {
    let tenants = manager.snapshot().unwrap().facts().tenants;
    let mut keys = Vec::new();
    for (number, _) in tenants {
        for k in 0..12u8 {
            let s = scope(&format!("user:{}", k % 2));
            keys.push(crate::data_key(number, &s, &key(&format!("k{k}"))));
        }
    }
    keys
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_past_of_a_snapshot_tells_all_points_of_it(
        before in prop::collection::vec(op(), 1..40),
        between in prop::collection::vec(op(), 0..40),
        after in prop::collection::vec(op(), 0..20),
        keep in prop::option::of(0..40u64),
        versions in prop::option::of(0..3u64),
        memory in prop_oneof![Just(1usize), Just(200), Just(8 << 20)],
    ) {
        let disk = SimDisk::new();
        let mut model = Model::open(&disk, keep, versions);
        model.run(&before);
        let (point, records) = {
            let snapshot = model.manager.snapshot().unwrap();
            (snapshot.point(), scan(&snapshot))
        };
        model.run(&between);
        let snapshot = model.manager.snapshot().unwrap();
        model.run(&after);
        let records_now = scan(&snapshot);
        let keys = all_keys(&model.manager);

        let since = snapshot.since_floor();
        model.judge(&past(&since, memory), &records_now, &keys, since.after(), snapshot.sequence());
        drop(since);

        match snapshot.since(&point) {
            Err(error) => {
                let set_back = point.as_of > snapshot.as_of();
                let kind = if set_back { ErrorKind::Conflict } else { ErrorKind::Compacted };
                prop_assert_eq!(error.kind(), kind);
                prop_assert!(set_back || keep.is_some());
            }
            Ok(since) => {
                match changed(&since, records, memory) {
                    Ok(changed) => prop_assert_eq!(changed, records_now.clone()),
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::Compacted);
                        prop_assert!(versions.is_some());
                    }
                }
                model.judge(&past(&since, memory), &records_now, &keys, point.sequence, snapshot.sequence());
            }
        }
    }
}

/// Keys that lie close and far apart, with no, one and many versions since, before and after the point.
#[test]
fn old_records_are_found_however_the_keys_lie() {
    let disk = SimDisk::new();
    let model = Model::open(&disk, None, None);
    let tenant = model.manager.tenant("acme").unwrap().blocking();
    let set = |name: &str, value: &str| tenant.put("user:1", name, value);
    let names: Vec<String> = (0..400).map(|n| format!("{n:03}")).collect();
    for name in &names {
        set(name, "first");
    }
    for n in 0..60 {
        set("150", &format!("many before {n}"));
    }
    let point = model.manager.snapshot().unwrap().point();
    let before = scan(&model.manager.snapshot().unwrap());
    for (n, name) in names.iter().enumerate() {
        let close = (100..180).contains(&n);
        if close || n % 57 == 0 {
            set(name, "second");
        }
    }
    for n in 0..60 {
        set("160", &format!("many after {n}"));
    }
    let (scope, name) = ("user:1".parse().unwrap(), Key::new("170").unwrap());
    tenant.delete(&scope, &name, SetOptions::default()).unwrap();
    set("170", "again");
    let snapshot = model.manager.snapshot().unwrap();
    let since = snapshot.since(&point).unwrap();
    for memory in [1 << 20, 100] {
        assert!(changed(&since, before.clone(), memory).unwrap() == scan(&snapshot));
    }
}

#[test]
fn a_point_of_another_past_is_refused_and_not_compared() {
    let disk = SimDisk::new();
    let model = Model::open(&disk, Some(1), None);
    let tenant = model.manager.tenant("acme").unwrap().blocking();
    tenant.put("user:1", "a", "1");
    let point = model.manager.snapshot().unwrap().point();
    for value in ["2", "3", "4"] {
        tenant.put("user:1", "a", value);
    }
    let snapshot = model.manager.snapshot().unwrap();
    let refused = |point: PastPoint| snapshot.since(&point).err().unwrap();
    for (wrong, words) in [
        (
            PastPoint {
                timeline: "T".to_owned(),
                ..point.clone()
            },
            "timeline T",
        ),
        (
            PastPoint {
                sequence: Sequence(5),
                ..point.clone()
            },
            "comes after 4",
        ),
        (
            PastPoint {
                time: UnixMs(1),
                ..point.clone()
            },
            "not the one of 1 ms any more",
        ),
    ] {
        let error = refused(wrong);
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(snapshot.since(&point).is_ok());
    model.manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!(refused(point).kind(), ErrorKind::Compacted);
}

#[test]
fn the_journal_begins_with_the_row_that_tells_the_time_of_the_point() {
    let disk = SimDisk::new();
    let model = Model::open(&disk, None, None);
    let tenant = model.manager.tenant("acme").unwrap().blocking();
    let sequences = |since: &Since<'_>| {
        let (mut all, mut rows) = (Vec::new(), since.journal(true).unwrap());
        while rows.next_batch(2, &mut |key, _| all.push(key[7])).unwrap() > 0 {}
        all
    };
    tenant.put("user:1", "a", "1");
    tenant.put("user:1", "a", "2");
    let point = model.manager.snapshot().unwrap().point();
    tenant.put("user:1", "b", "3");
    let snapshot = model.manager.snapshot().unwrap();
    tenant.put("user:1", "c", "4");
    assert_eq!(sequences(&snapshot.since(&point).unwrap()), [2, 3]);
    assert_eq!(sequences(&snapshot.since_floor()), [1, 2, 3]);
    let (mut all, after) = (Vec::new(), snapshot.since(&point).unwrap());
    let mut rows = after.journal(false).unwrap();
    while rows.next_batch(2, &mut |key, _| all.push(key[7])).unwrap() > 0 {}
    assert_eq!(all, [3]);
}

#[test]
fn the_past_is_held_for_the_next_backup_but_not_for_ever() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.upkeep_interval_ms = 0;
    options.backup_hold_ms = 1_000;
    options.keep = Keep {
        age_ms: None,
        commits: Some(0),
    };
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let trim = || manager.trim(&TrimOptions::default()).unwrap();
    tenant.put("user:1", "a", "1");
    let first = manager.snapshot().unwrap().point();
    manager.hold_for_backups("REPO", &first).unwrap();
    tenant.put("user:1", "a", "2");
    let report = trim();
    let held = "for the next incremental backup, the cursor `statekeep.backup.REPO` at commit 1";
    assert_eq!(
        (report.floor, report.held_by),
        (Sequence(1), vec![held.to_owned()])
    );

    clock.set(1_500);
    let second = manager.snapshot().unwrap().point();
    manager.hold_for_backups("REPO", &second).unwrap();
    manager.hold_for_backups("REPO", &first).unwrap();
    tenant.put("user:1", "a", "3");
    clock.set(2_499);
    assert_eq!(trim().floor, Sequence(2), "only the newest one holds");
    let names = |manager: &StateManager| {
        let all = manager.cursors().unwrap().into_iter();
        all.map(|cursor| cursor.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&manager), ["statekeep.backup.REPO"]);
    assert!(manager.cursors().unwrap()[0].system);
    clock.set(2_500);
    // What a trim would do is what it does: a hold that is over counts no more.
    let plan = manager.trim(&TrimOptions { dry_run: true }).unwrap();
    assert_eq!((plan.floor, plan.held_by), (Sequence(3), Vec::new()));
    assert_eq!(names(&manager), ["statekeep.backup.REPO"]);
    assert_eq!(trim().floor, Sequence(3));
    assert!(names(&manager).is_empty());
    let snapshot = manager.snapshot().unwrap();
    assert_eq!(
        snapshot.since(&second).err().unwrap().kind(),
        ErrorKind::Compacted
    );

    let own = WatchOptions {
        from: Start::Cursor("statekeep.backup.REPO".to_owned()),
        ..WatchOptions::default()
    };
    let error = manager.watch(&own).err().unwrap();
    assert!(error.to_string().contains("the host's own"), "{error}");
}
