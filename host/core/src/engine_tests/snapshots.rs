//! Snapshots while writers go on, against a replay of the journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

use super::gate::GatePlugins;
use super::*;
use crate::check::check_consistency;
use crate::{Batch, Durability, Snapshot, inspect_record};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn collect(snapshot: &Snapshot, changed_bytes_max: usize, rows: usize) -> Rows {
    let mut scan = snapshot
        .scan()
        .unwrap()
        .with_changed_bytes_max(changed_bytes_max);
    let mut all = Rows::new();
    loop {
        let before = all.len();
        let read = scan
            .next_batch(rows, &mut |key, record| {
                assert!(
                    all.last_key_value()
                        .is_none_or(|(last, _)| last.as_slice() < key)
                );
                assert!(all.insert(key.to_vec(), record.to_vec()).is_none());
            })
            .unwrap();
        assert!(read <= rows && read == all.len() - before);
        if read == 0 {
            return all;
        }
    }
}

const ROUNDS: usize = 30;

/// Writers, and a reader that takes snapshots meanwhile; each snapshot is then read once more, when
/// nobody writes, and must be the same.
fn stress(backend: &str, changed_bytes_max: usize, torn: bool) {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.backend = backend.to_owned();
    options.durability = Durability::Relaxed;
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    let manager = StateManager::open(options, plugins).unwrap();
    gate.order(|orders| orders.torn = torn);
    let stop = AtomicBool::new(false);
    // Writers go on as far as the reader lets them, so that the journal stays short.
    let (written, allowed) = (AtomicUsize::new(0), AtomicUsize::new(600));
    let mut taken: Vec<(Snapshot, Rows)> = Vec::new();
    thread::scope(|threads| {
        for writer in 0..3u64 {
            let tenant = manager.default_tenant().blocking();
            let (stop, written, allowed) = (&stop, &written, &allowed);
            threads.spawn(move || {
                let mut random = writer + 1;
                for at in 0u64.. {
                    while written.load(Ordering::SeqCst) >= allowed.load(Ordering::SeqCst) {
                        if stop.load(Ordering::SeqCst) {
                            return;
                        }
                        thread::yield_now();
                    }
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(99);
                    let k = format!("{:03}", (random >> 33) % 400);
                    let value = format!("{writer}/{at}");
                    match random >> 60 {
                        0..6 => drop(tenant.put("user:1", &k, &value)),
                        6..11 => drop(tenant.remove("user:1", &k)),
                        // a, then b: no snapshot has b ahead of a.
                        11..13 => {
                            tenant.put("custom:pair", &format!("a{writer}"), &at.to_string());
                            tenant.put("custom:pair", &format!("b{writer}"), &at.to_string());
                        }
                        _ => {
                            let mut batch = Batch::new();
                            for half in ["global", "user:zz"] {
                                batch.set(&scope(half), &key(&k), Value::bytes(value.as_str()));
                            }
                            tenant.commit(batch).unwrap();
                        }
                    }
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while written.load(Ordering::SeqCst) < 500 {
            thread::yield_now();
        }
        for round in 0..ROUNDS {
            let snapshot = manager.snapshot().unwrap();
            allowed.fetch_add(60, Ordering::SeqCst);
            // Let the writers go ahead of the scan, or not.
            let until = written.load(Ordering::SeqCst) + 20 * (round % 3);
            while written.load(Ordering::SeqCst) < until {
                thread::yield_now();
            }
            let rows = collect(&snapshot, changed_bytes_max, 1 + round * 7);
            taken.push((snapshot, rows));
        }
        stop.store(true, Ordering::SeqCst);
    });
    check_consistency(&manager).unwrap();
    for (snapshot, rows) in &taken {
        check_pairs(rows);
        assert!(
            rows.values()
                .all(|r| inspect_record(r).unwrap().sequence <= snapshot.sequence())
        );
        assert_eq!(&collect(snapshot, usize::MAX, 64), rows);
        assert_eq!(&replay(&manager, snapshot, rows), rows);
    }
}

fn payload(record: &[u8]) -> u64 {
    let length = inspect_record(record).unwrap().payload_len;
    std::str::from_utf8(&record[record.len() - length..])
        .unwrap()
        .parse()
        .unwrap()
}

fn check_pairs(rows: &Rows) {
    let find = |s: &str, name: &str| {
        rows.get(&crate::data_key(
            crate::TenantNumber(0),
            &scope(s),
            &key(name),
        ))
    };
    for writer in 0..3 {
        let a = find("custom:pair", &format!("a{writer}")).map(|record| payload(record));
        let b = find("custom:pair", &format!("b{writer}")).map(|record| payload(record));
        assert!(a >= b, "a is {a:?} and b is {b:?}");
    }
    for at in 0..400 {
        let name = format!("{at:03}");
        let sequence = |s: &str| find(s, &name).map(|r| inspect_record(r).unwrap().sequence);
        assert_eq!(sequence("global"), sequence("user:zz"), "half a batch");
    }
}

/// Which keys were there at a snapshot, by the journal alone, with their records as read.
fn replay(manager: &Arc<StateManager>, snapshot: &Snapshot, rows: &Rows) -> Rows {
    let last = manager.committer.journal_until(snapshot.sequence());
    let there = last
        .into_iter()
        .filter_map(|(name, sequence)| Some((name, sequence?)));
    there
        .map(|(name, sequence)| {
            let record = rows.get(&name).cloned().unwrap_or_default();
            assert_eq!(inspect_record(&record).unwrap().sequence, sequence);
            (name, record)
        })
        .collect()
}

#[test]
fn a_snapshot_is_exact_while_writers_go_on() {
    stress("log", usize::MAX, false);
}

#[test]
fn a_snapshot_is_exact_with_little_memory_for_changed_keys() {
    stress("memory", 600, false);
}

#[test]
fn a_snapshot_is_exact_although_a_commit_becomes_visible_row_by_row() {
    stress("memory", usize::MAX, true);
}
