//! Live swaps between backends while clients write and read: no call fails, nothing is
//! lost, nobody has to open anything again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use statekeep::engine::{Start, SwapReport, WatchOptions};
use statekeep::{BlockingTenant, Durability, Host, ListOptions, Progress, SetOptions, Value};
use statekeep_core::check::check_consistency;
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, key, scope};

const BACKENDS: [&str; 6] = ["fjall", "sled", "redb", "lmdb", "sqlite", "memory"];
const WRITERS: u64 = 6;
const KEYS: u64 = 9;

fn swap(host: &Host, to: &str) -> SwapReport {
    let options = serde_json::json!({});
    let swapped = host.manager.swap_backend(to, &options, &Progress::new());
    swapped.unwrap_or_else(|error| panic!("to {to}: {error}"))
}

fn get(tenant: &BlockingTenant, s: &str, k: &str) -> Option<u64> {
    let value = tenant.get(&scope(s), &key(k)).unwrap()?;
    Some(
        String::from_utf8(value.into_bytes())
            .unwrap()
            .parse()
            .unwrap(),
    )
}

/// One client: each of its keys only rises or is deleted, and it sees its own last write at once.
fn write(tenant: &BlockingTenant, thread: u64, stop: &AtomicBool, calls: &AtomicU64) -> u64 {
    let (s, mut last) = (format!("agent:{thread}"), BTreeMap::new());
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        n += 1;
        let k = format!("k{}", n % KEYS);
        let durability = match n % 8 {
            0 => Durability::Sync,
            _ => Durability::Relaxed,
        };
        let options = SetOptions::with_durability(durability);
        if n % 5 == 0 {
            tenant.delete(&scope(&s), &key(&k), options).unwrap();
            last.insert(k, None);
        } else {
            let value = Value::bytes(n.to_string());
            tenant.set(&scope(&s), &key(&k), value, options).unwrap();
            last.insert(k, Some(n));
        }
        for (k, value) in &last {
            assert_eq!(
                get(tenant, &s, k),
                *value,
                "{k} of {thread} after {n} changes"
            );
        }
        let one = SetOptions::with_durability(Durability::Relaxed);
        tenant
            .increment(&scope("global"), &key("sum"), 1i64, one)
            .unwrap();
        calls.fetch_add(1, Ordering::SeqCst);
    }
    n
}

/// Swaps from one backend to each of the others and back, under load.
fn to_all_and_back(from: &str, others: &[&str]) {
    let folder = fixtures::folder();
    let path = folder.path().join("state");
    let config = states::config_with_plugin(&path, from, &folder.path().join("plugins"));
    let host = states::open(&config);
    for n in 0..400 {
        let value = "x".repeat(n * 7);
        states::put(&host.manager, ("acme", "user:1", &format!("{n}")), &value);
    }
    let tenant = host.manager.default_tenant().blocking();
    let still = states::rows(&host.manager);
    let snapshot = host.manager.snapshot().unwrap();
    let before = snapshot.sequence();
    let watch = host.manager.watch(&WatchOptions {
        from: Start::Sequence(before),
        ..WatchOptions::default()
    });
    let watch = watch.unwrap();
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let total: u64 = std::thread::scope(|threads| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|thread| {
                let (tenant, stop, calls) = (tenant.clone(), &stop, &calls);
                threads.spawn(move || write(&tenant, thread, stop, calls))
            })
            .collect();
        threads.spawn(|| {
            let acme = host.manager.tenant("acme").unwrap().blocking();
            while !stop.load(Ordering::SeqCst) {
                let page = acme
                    .scan_page(&scope("user:1"), &ListOptions::default())
                    .unwrap();
                assert_eq!(page.entries.len(), 400);
            }
        });
        // Joined before the scope ends, so that a failed swap does not leave the writers at work.
        let swaps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let steps = others.iter().flat_map(|to| [*to, from]);
            for to in steps {
                let so_far = calls.load(Ordering::SeqCst);
                while calls.load(Ordering::SeqCst) < so_far + 30 {
                    std::thread::yield_now();
                }
                let report = swap(&host, to);
                assert_eq!(host.manager.backend_name(), to);
                assert!(report.records >= 400, "{report:?}");
                host.manager
                    .release_namespace(report.replaced)
                    .unwrap_or_else(|error| {
                        // The snapshot and the watch from before read the first one, a reader may
                        // still be in one of the others.
                        assert_eq!(error.kind(), statekeep::ErrorKind::Busy, "{error}");
                    });
            }
        }));
        stop.store(true, Ordering::SeqCst);
        let total = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        swaps.unwrap();
        total
    });
    check_consistency(&host.manager).unwrap();
    assert_eq!(get(&tenant, "global", "sum"), Some(total), "increments");
    let mut acme = states::rows(&host.manager);
    acme.retain(|(tenant, _, _), _| tenant == "acme");
    assert!(acme == still, "what nobody wrote is what it was");

    // The watch saw every commit once, in order, over all swaps.
    let (mut next, head) = (before.0 + 1, host.manager.head());
    while next <= head.0 {
        let change = watch
            .next_timeout(Duration::from_secs(60))
            .unwrap()
            .unwrap();
        assert_eq!(change.sequence.0, next);
        next += u64::from(change.last_of_commit);
    }
    let mut seen = 0;
    let mut scan = snapshot.scan().unwrap();
    while scan.next_batch(100, &mut |_, _| seen += 1).unwrap() > 0 {}
    assert_eq!(seen, 400, "the snapshot from before");
    drop(scan);
    drop((snapshot, watch));

    let rows = states::rows(&host.manager);
    host.close().unwrap();
    drop((tenant, host));
    if from != "memory" {
        let host = states::open(&config);
        assert!(states::rows(&host.manager) == rows, "after a reopening");
        assert_eq!(host.manager.head(), head);
        check_consistency(&host.manager).unwrap();
        host.close().unwrap();
    }
}

#[test]
fn fjall_and_all_others() {
    to_all_and_back("fjall", &BACKENDS[1..]);
}

#[test]
fn sled_and_those_after_it() {
    to_all_and_back("sled", &BACKENDS[2..]);
}

#[test]
fn redb_and_those_after_it() {
    to_all_and_back("redb", &BACKENDS[3..]);
}

#[test]
fn lmdb_and_those_after_it() {
    to_all_and_back("lmdb", &BACKENDS[4..]);
}

#[test]
fn sqlite_and_memory() {
    to_all_and_back("sqlite", &BACKENDS[5..]);
}

statekeep_tests::if_rocksdb! {
    #[test]
    fn rocksdb_and_all_others() {
        to_all_and_back("rocksdb", &BACKENDS);
    }
}

/// The configuration is the operator's: after a swap opening says what to write into it.
#[test]
fn the_next_opening_says_what_the_configuration_must_name() {
    let folder = fixtures::folder();
    let path = folder.path().join("state");
    let host = states::open(&states::config(&path, "redb"));
    states::put(&host.manager, ("", "global", "a"), "1");
    swap(&host, "sqlite");
    host.close().unwrap();
    drop(host);
    let error = statekeep::open(&states::config(&path, "redb"))
        .err()
        .unwrap();
    assert_eq!(error.kind(), statekeep::ErrorKind::Conflict);
    let said = "set `backend = \"sqlite\"` and its `backend_options` in the configuration";
    assert!(error.to_string().contains(said), "{error}");
    // One that names none takes what is there.
    let host = states::open(&statekeep::Config::new(&path));
    assert_eq!(host.manager.backend_name(), "sqlite");
    assert_eq!(states::rows(&host.manager).len(), 1);
}
