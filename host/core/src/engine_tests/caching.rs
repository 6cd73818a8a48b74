//! The cache of hot records is never older than the last acknowledged commit.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::Class;

#[test]
fn hot_reads_come_from_memory_and_see_every_commit() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let facts = || manager.info().unwrap().cache;
    tenant.put("agent:1", "plan", "1");
    for _ in 0..3 {
        assert_eq!(tenant.read("agent:1", "plan").as_deref(), Some("1"));
    }
    assert_eq!((facts().misses, facts().hits, facts().entries), (1, 2, 1));
    tenant.put("agent:1", "plan", "2");
    assert_eq!(tenant.read("agent:1", "plan").as_deref(), Some("2"));
    assert_eq!(facts().hits, 3, "a hot key stays hot when it is written");
    tenant.remove("agent:1", "plan").unwrap();
    assert_eq!(tenant.read("agent:1", "plan"), None);
    let class = |class| SetOptions {
        class: Some(class),
        ..SetOptions::default()
    };
    let s = scope("agent:2");
    for (k, c) in [
        ("a", Class::Critical),
        ("b", Class::Archive),
        ("c", Class::Bulk),
    ] {
        tenant
            .set(&s, &key(k), Value::bytes("v"), class(c))
            .unwrap();
    }
    assert_eq!(
        facts().entries,
        1,
        "only a critical value is kept before it is read"
    );
    for k in ["a", "b", "c", "b"] {
        assert_eq!(tenant.read("agent:2", k).as_deref(), Some("v"));
    }
    assert_eq!(facts().entries, 2, "an archived one is not kept");
}

#[test]
fn readers_never_go_back_while_writers_write() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let seen: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    let acknowledged: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|threads| {
        for writer in 0..2usize {
            let (manager, acknowledged) = (&manager, &acknowledged);
            threads.spawn(move || {
                let tenant = manager.default_tenant().blocking();
                for n in 1..=400u64 {
                    for k in [writer, writer + 2] {
                        tenant.put("agent:1", &k.to_string(), &n.to_string());
                        acknowledged[k].fetch_max(n, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..2 {
            let (manager, acknowledged, seen) = (&manager, &acknowledged, &seen);
            threads.spawn(move || {
                let tenant = manager.default_tenant().blocking();
                while acknowledged.iter().any(|n| n.load(Ordering::SeqCst) < 400) {
                    for k in 0..4usize {
                        let least = acknowledged[k]
                            .load(Ordering::SeqCst)
                            .max(seen[k].load(Ordering::SeqCst));
                        let read = tenant.read("agent:1", &k.to_string());
                        let read = read.map_or(0, |read| read.parse().unwrap());
                        assert!(read >= least, "key {k}: {read} after {least}");
                        seen[k].fetch_max(read, Ordering::SeqCst);
                    }
                }
            });
        }
    });
}
