//! A backup is one instant, on a real engine with its own scans, while a writer goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use statekeep::{Batch, Durability, Host, Scope, SetOptions, Value};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, key};

const RELAXED: SetOptions = SetOptions::with_durability(Durability::Relaxed);

/// How many rounds the writer may be ahead of each backup; its old versions would only slow it.
const LEAD: u64 = 100;

/// Sets a = i and z = i as two commits, b = y = i as one, and in one commit t0 or t1 = i while it
/// deletes the other one, until it is told to stop.
fn write(host: &Host, written: &AtomicU64, made: &AtomicU64, stop: &AtomicBool) {
    let tenant = host.manager.default_tenant().blocking();
    let global = Scope::global();
    for i in 1_u64.. {
        let value = || Value::bytes(i.to_string());
        tenant.set(&global, &key("a"), value(), RELAXED).unwrap();
        tenant.set(&global, &key("z"), value(), RELAXED).unwrap();
        let mut batch = Batch::new();
        batch
            .set(&global, &key("b"), value())
            .set(&global, &key("y"), value())
            .durability(Durability::Relaxed);
        tenant.commit(batch).unwrap();
        let mut batch = Batch::new();
        batch
            .set(&global, &key(&format!("t{}", i % 2)), value())
            .delete(&global, &key(&format!("t{}", (i + 1) % 2)))
            .durability(Durability::Relaxed);
        tenant.commit(batch).unwrap();
        written.store(i, Ordering::Release);
        while i > LEAD * (made.load(Ordering::Acquire) + 1) && !stop.load(Ordering::Acquire) {
            thread::yield_now();
        }
        if stop.load(Ordering::Acquire) {
            break;
        }
    }
}

fn proof(backend: &str, backups: usize) {
    let folder = fixtures::folder();
    let mut config = states::config(&folder.path().join("state"), backend);
    config.set("backup.codec", "lz4").unwrap();
    let host = states::open(&config);
    // Rows between those of interest, so that a scan takes a while from one to the other.
    for n in 0..400 {
        let name = format!("m{n:03}");
        states::put(&host.manager, ("", "global", &name), &"fill".repeat(50));
    }
    let (written, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let mut made = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| write(&host, &written, &done, &stop));
        while written.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        for _ in 0..backups {
            let least = written.load(Ordering::Acquire);
            made.push((super::create(&host).unwrap(), least));
            done.fetch_add(1, Ordering::Release);
        }
        stop.store(true, Ordering::Release);
    });
    let last = written.load(Ordering::Acquire);
    assert!(last > backups as u64 / 4, "{last} rounds only");
    host.close().unwrap();
    drop(host);

    // The memory backend takes the restored states one after the other in no time, and the
    // records are those of the backup, whichever backend they come to.
    let mut reader = states::config(&folder.path().join("reader"), "memory");
    let repository = folder.path().join("state/backups");
    reader
        .set("backup.dir", repository.to_str().unwrap())
        .unwrap();
    let host = states::open(&reader);
    let mut moments = std::collections::BTreeSet::new();
    for (id, least) in made {
        super::restore(&host, id).unwrap();
        let tenant = host.manager.default_tenant().blocking();
        let find = |name: &str| -> Option<u64> {
            let value = tenant.get(&Scope::global(), &key(name)).unwrap()?;
            let text = String::from_utf8(value.into_bytes()).unwrap();
            Some(text.parse().unwrap())
        };
        let read = |name: &str| find(name).unwrap_or_else(|| panic!("{id}: {name} is not there"));
        let (a, z, b, y) = (read("a"), read("z"), read("b"), read("y"));
        assert!(z == a || z + 1 == a, "{id}: a is {a} and z is {z}");
        assert_eq!(b, y, "{id}: a batch was torn");
        assert!(
            b == z || b + 1 == z,
            "{id}: z is {z} and the next commit {b}"
        );
        let turns: Vec<u64> = ["t0", "t1"].into_iter().filter_map(find).collect();
        assert!(
            turns == [b] || turns == [b - 1],
            "{id}: of t0 and t1 it shows {turns:?} beside {b}"
        );
        assert!(
            turns[0] >= least,
            "{id}: {least} was acknowledged before, it shows {turns:?}"
        );
        moments.insert(a);
    }
    assert!(
        moments.len() > backups / 2,
        "{} moments only: the writer stood still",
        moments.len()
    );
    host.close().unwrap();
}

#[test]
fn two_hundred_backups_of_fjall() {
    proof("fjall", 200);
}

#[test]
fn fifty_backups_of_sled() {
    proof("sled", 50);
}

#[test]
fn fifty_backups_of_redb() {
    proof("redb", 50);
}

#[test]
fn fifty_backups_of_lmdb() {
    proof("lmdb", 50);
}

#[test]
fn fifty_backups_of_sqlite() {
    proof("sqlite", 50);
}

#[test]
fn fifty_backups_of_memory() {
    proof("memory", 50);
}
