//! Handles that clients hold over a restore stay valid: tenants, clones in other threads that
//! write without a pause, a listing between two pages, snapshots.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use statekeep::{BlockingTenant, ListOptions, Scope, Sequence, SetOptions, Value};
use statekeep_core::check::check_consistency;
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, key, scope};

fn read(tenant: &BlockingTenant, scope: &Scope, name: &str) -> Option<String> {
    let value = tenant.get(scope, &key(name)).unwrap()?;
    Some(String::from_utf8(value.into_bytes()).unwrap())
}

/// A writer goes on over ten restores and never meets an error. Each restore takes one place among
/// the commits: what came before it is replaced, what came after it is there.
fn writers_go_on(backend: &str) {
    let folder = fixtures::folder();
    let host = states::open(&states::config(&folder.path().join("state"), backend));
    let tenant = host.manager.tenant("acme").unwrap().blocking();
    let user = scope("user:1");
    for n in 0..300 {
        states::put(&host.manager, ("acme", "user:1", &format!("{n}")), "old");
    }
    let id = super::create(&host).unwrap();
    let backup = states::rows(&host.manager);
    let relaxed = SetOptions::with_durability(statekeep::Durability::Relaxed);
    let (done, stop) = (AtomicU64::new(0), AtomicU64::new(0));
    let restored: Vec<u64> = thread::scope(|threads| {
        let writer = tenant.clone();
        let (done, stop, user) = (&done, &stop, &user);
        let writing = threads.spawn(move || {
            let mut commits = Vec::new();
            for n in 0_u64.. {
                let name = format!("w{}", n % 50);
                let value = Value::bytes(n.to_string());
                let sequence = writer.set(user, &key(&name), value, relaxed).unwrap();
                commits.push((sequence, name, n.to_string()));
                done.fetch_add(1, Ordering::Release);
                if stop.load(Ordering::Acquire) == 1 {
                    return commits;
                }
            }
            unreachable!()
        });
        let mut restored = Vec::new();
        for _ in 0..10 {
            // The writer gets on between two restores.
            let seen = done.load(Ordering::Acquire);
            while done.load(Ordering::Acquire) < seen + 20 {
                thread::yield_now();
            }
            restored.push(super::restore(&host, id).unwrap().sequence);
        }
        stop.store(1, Ordering::Release);
        let commits = writing.join().unwrap();
        let last = Sequence(*restored.last().unwrap());
        assert!(commits.iter().all(|(s, _, _)| !restored.contains(&s.0)));
        assert!(commits.windows(2).all(|pair| pair[0].0 < pair[1].0));
        // The state is the backup with the writes after the last restore.
        let mut expected = backup.clone();
        for (_, name, value) in commits.into_iter().filter(|(s, _, _)| *s > last) {
            expected.insert(("acme".into(), "user:1".into(), name), value);
        }
        assert_eq!(states::rows(&host.manager), expected);
        restored
    });
    assert!(restored.windows(2).all(|pair| pair[0] < pair[1]));
    check_consistency(&host.manager).unwrap();
    let before = states::rows(&host.manager);
    host.close().unwrap();
    let config = host.config.clone();
    drop((tenant, host));
    if backend != "memory" {
        let host = states::open(&config);
        assert_eq!(states::rows(&host.manager), before);
        check_consistency(&host.manager).unwrap();
    }
}

#[test]
fn writers_go_on_over_restores_of_fjall() {
    writers_go_on("fjall");
}

#[test]
fn writers_go_on_over_restores_of_sled() {
    writers_go_on("sled");
}

#[test]
fn writers_go_on_over_restores_of_redb() {
    writers_go_on("redb");
}

#[test]
fn writers_go_on_over_restores_of_lmdb() {
    writers_go_on("lmdb");
}

#[test]
fn writers_go_on_over_restores_of_sqlite() {
    writers_go_on("sqlite");
}

#[test]
fn writers_go_on_over_restores_of_memory() {
    writers_go_on("memory");
}

/// A listing that was begun before a restore goes on with the restored keys, a snapshot and its
/// scan show what they showed, and a tenant that the backup does not know can be written again.
#[test]
fn pages_snapshots_and_tenants_outlive_a_restore() {
    let folder = fixtures::folder();
    let host = states::open(&states::config(&folder.path().join("state"), "fjall"));
    let tenant = host.manager.default_tenant().blocking();
    for n in 0..100 {
        states::put(&host.manager, ("", "global", &format!("{n:03}")), "backup");
    }
    let id = super::create(&host).unwrap();
    for n in 0..200 {
        states::put(&host.manager, ("", "global", &format!("{n:03}")), "newer");
    }
    let late = host.manager.tenant("late").unwrap().blocking();
    let set = |value: &str| {
        let value = Value::bytes(value);
        late.set(&Scope::global(), &key("k"), value, SetOptions::default())
    };
    set("1").unwrap();

    let snapshot = host.manager.snapshot().unwrap();
    let mut scan = snapshot.scan().unwrap();
    let mut seen = Vec::new();
    scan.next_batch(30, &mut |key, record| {
        seen.push((key.to_vec(), record.to_vec()));
    })
    .unwrap();
    let page = |after| {
        let options = ListOptions {
            after,
            limit: 40,
            ..ListOptions::default()
        };
        tenant.scan_page(&Scope::global(), &options).unwrap()
    };
    let first = page(None);
    assert!(first.entries.iter().all(|(_, v)| v.as_bytes() == b"newer"));

    super::restore(&host, id).unwrap();

    let second = page(first.next);
    let keys: Vec<_> = second.entries.iter().map(|(k, _)| k.as_str()).collect();
    assert_eq!((keys[0], keys[39], keys.len()), ("040", "079", 40));
    assert!(
        second
            .entries
            .iter()
            .all(|(_, v)| v.as_bytes() == b"backup")
    );
    let third = page(second.next);
    assert_eq!((third.entries.len(), third.next), (20, None));

    let mut more = 1;
    while more > 0 {
        let mut keep = |key: &[u8], record: &[u8]| seen.push((key.to_vec(), record.to_vec()));
        more = scan.next_batch(64, &mut keep).unwrap();
    }
    assert_eq!(
        seen.len(),
        201,
        "the snapshot's rows from before the restore"
    );
    assert!(
        seen[..200]
            .iter()
            .all(|(_, record)| record.ends_with(b"newer"))
    );
    assert_eq!(
        read(&tenant, &Scope::global(), "000").as_deref(),
        Some("backup")
    );

    assert_eq!(read(&late, &Scope::global(), "k"), None);
    set("2").unwrap();
    assert_eq!(read(&late, &Scope::global(), "k").as_deref(), Some("2"));
    drop(scan);
    drop(snapshot);
    check_consistency(&host.manager).unwrap();
    host.close().unwrap();
}
