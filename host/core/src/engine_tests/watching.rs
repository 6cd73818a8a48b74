//! Watching the changes: order, completeness, values, filters, waiting, and what it may not hold.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::gate::GatePlugins;
use super::*;
use crate::commit::{OwnOp, TurnRows, Work};
use crate::stored_key::push_history_key;
use crate::{
    Batch, Change, ChangeOp, Class, CommitKind, Durability, ErrorKind, Expiry, Sequence, Space,
    Start, TenantNumber, Watch, WatchOptions, data_key,
};

pub(super) fn from(from: Start) -> WatchOptions {
    WatchOptions {
        from,
        ..WatchOptions::default()
    }
}

pub(super) fn since(sequence: u64) -> WatchOptions {
    from(Start::Sequence(Sequence(sequence)))
}

/// The next change that is there already.
pub(super) fn look(watch: &Watch) -> Option<Change> {
    watch.next_timeout(Duration::ZERO).unwrap()
}

/// Everything that is there already.
pub(super) fn rest(watch: &Watch) -> Vec<Change> {
    std::iter::from_fn(|| look(watch)).collect()
}

/// Sequence, name and value of a change.
pub(super) fn told(change: &Change) -> (u64, String, Option<String>) {
    let name = match (&change.scope, &change.key) {
        (Some(scope), Some(key)) => format!("{} {scope} {key}", change.tenant),
        _ => format!("{:?}", change.kind),
    };
    (change.sequence.0, name, text(change.value.clone()))
}

pub(super) fn all_told(watch: &Watch) -> Vec<(u64, String, Option<String>)> {
    rest(watch).iter().map(told).collect()
}

pub(super) fn row(sequence: u64, name: &str, value: &str) -> (u64, String, Option<String>) {
    (sequence, name.to_owned(), Some(value.to_owned()))
}

#[test]
fn many_writers_are_seen_in_order_and_whole() {
    const WRITERS: usize = 6;
    const COMMITS: usize = 60;
    let disk = SimDisk::new();
    let manager = open(&disk);
    let watch = manager.watch(&WatchOptions::default()).unwrap();
    let written = parking_lot::Mutex::new(BTreeMap::new());
    let seen = thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut seen = Vec::new();
            let mut commits = 0;
            while commits < WRITERS * COMMITS {
                let change = watch.next_blocking().unwrap();
                commits += usize::from(change.last_of_commit);
                seen.push(change);
            }
            seen
        });
        for writer in 0..WRITERS {
            let (manager, written) = (&manager, &written);
            threads.spawn(move || {
                let name = ["", "acme"][writer % 2];
                let tenant = manager.tenant(name).unwrap().blocking();
                for commit in 0..COMMITS {
                    // All write the shared key, so that versions supersede each other.
                    let mut batch = Batch::new();
                    let value = format!("{writer}/{commit}");
                    batch.set(
                        &scope("global"),
                        &key("shared"),
                        Value::bytes(value.as_str()),
                    );
                    for at in 0..commit % 4 {
                        let k = key(&format!("{writer}-{at}"));
                        batch.set(&scope("agent:1"), &k, Value::bytes(value.as_str()));
                    }
                    let sequence = tenant.commit(batch).unwrap();
                    written
                        .lock()
                        .insert(sequence, (name, value, 1 + commit % 4));
                }
            });
        }
        reader.join().unwrap()
    });
    let mut expected = Vec::new();
    for (sequence, (tenant, value, count)) in written.into_inner() {
        expected.extend((0..count).map(|at| (sequence, tenant, value.clone(), at + 1 == count)));
    }
    let got: Vec<_> = seen
        .iter()
        .map(|c| {
            let value = text(c.value.clone()).unwrap();
            (c.sequence, &*c.tenant, value, c.last_of_commit)
        })
        .collect();
    assert_eq!(got, expected);
    let again = manager.watch(&since(0)).unwrap();
    assert_eq!(rest(&again), seen);
}

#[test]
fn what_is_not_committed_is_not_handed_out() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let tenant = manager.default_tenant().blocking();
    let watch = tenant.watch(&since(0)).unwrap();
    thread::scope(|threads| {
        gate.order(|orders| orders.held = true);
        let writer = threads.spawn(|| tenant.put("global", "k", "1"));
        gate.wait(|orders| orders.waiting == 1);
        assert_eq!(look(&watch), None);
        gate.order(|orders| orders.held = false);
        writer.join().unwrap();
    });
    assert_eq!(all_told(&watch), [row(1, " global k", "1")]);
    gate.order(|orders| orders.lie_once = true);
    let set = tenant.set(
        &scope("global"),
        &key("k"),
        Value::bytes("2"),
        SetOptions::default(),
    );
    assert_eq!(set.unwrap_err().kind(), ErrorKind::Indeterminate);
    // Its rows are in the backend, and nobody knows whether they stay.
    assert_eq!(look(&watch), None);
}

#[test]
fn versions_that_are_replaced_meanwhile_keep_their_values() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    gate.order(|orders| orders.torn = true);
    let tenant = manager.default_tenant().blocking();
    let watch = tenant.watch(&since(0)).unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            for at in 0..300 {
                tenant.put("global", "k", &at.to_string());
            }
        });
        for at in 0..300 {
            let change = watch.next_blocking().unwrap();
            assert_eq!(told(&change), row(at + 1, " global k", &at.to_string()));
        }
    });
}

#[test]
fn a_value_that_is_not_kept_is_said_to_be_gone() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    let manager = open_with(options).unwrap();
    let tenant = manager
        .default_tenant()
        .blocking()
        .with_origin("ann", "job-1")
        .unwrap();
    let (s, k) = (scope("global"), key("k"));
    let with = |class, expires| SetOptions {
        class,
        expires,
        ..SetOptions::default()
    };
    let set = |value: &str, options| tenant.set(&s, &k, Value::bytes(value), options).unwrap();
    set("trimmed", SetOptions::default());
    set("kept", SetOptions::default());
    set("memory", with(Some(Class::Ephemeral), None));
    set("memory too", with(Some(Class::Ephemeral), None));
    let other = key("token");
    let ttl = with(None, Some(Expiry::After(10)));
    tenant
        .set(&s, &other, Value::bytes("expired"), ttl)
        .unwrap();
    clock.set(2_000);
    let mut removal = tenant.encode(|e| e.single(&s, &other, None, SetOptions::default()));
    removal.as_mut().unwrap().kind = CommitKind::Expire;
    manager
        .committer
        .run_blocking(Work::Commit(removal.unwrap()))
        .unwrap();
    let mut version = Vec::new();
    push_history_key(
        &mut version,
        &data_key(TenantNumber(0), &s, &k),
        Sequence(1),
    );
    let trim = move |_: &crate::commit::Turn<'_>| {
        Ok(TurnRows {
            ops: vec![OwnOp::Delete(Space::History, version)],
            ..TurnRows::default()
        })
    };
    manager.committer.run_blocking(Work::turn(0, trim)).unwrap();

    let watch = tenant.watch(&since(0)).unwrap();
    let seen: Vec<_> = rest(&watch)
        .iter()
        .map(|c| (c.op.unwrap(), text(c.value.clone()), c.value_gone))
        .collect();
    use ChangeOp::{Delete, Put, PutEphemeral};
    let is = |op, value: &str| (op, Some(value.to_owned()), false);
    let expected = [
        (Put, None, true),
        is(Put, "kept"),
        (PutEphemeral, None, true),
        is(PutEphemeral, "memory too"),
        is(Put, "expired"),
        (Delete, None, false),
    ];
    assert_eq!(seen, expected);
    let watch = tenant
        .watch(&WatchOptions {
            values: false,
            ..since(4)
        })
        .unwrap();
    let [put, removal] = rest(&watch).try_into().unwrap();
    assert_eq!((put.value, put.value_gone), (None, false));
    assert_eq!(
        (put.principal.as_str(), put.correlation_id.as_str()),
        ("ann", "job-1")
    );
    assert_eq!((put.time, removal.time), (UnixMs(1_000), UnixMs(2_000)));
    assert_eq!(
        (put.kind, removal.kind),
        (CommitKind::Commit, CommitKind::Expire)
    );
}

#[test]
fn a_watch_sees_what_it_asks_for() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let acme = manager.tenant("acme").unwrap().blocking();
    let watch = |scope: Option<&str>, key: Option<&str>| {
        let watch = acme.watch(&WatchOptions {
            from: Start::Sequence(Sequence(0)),
            scope: scope.map(str::to_owned),
            key: key.map(str::to_owned),
            values: false,
        });
        watch.map(|watch| rest(&watch))
    };
    let early = acme.watch(&WatchOptions::default()).unwrap();
    tenant.put("agent:1", "a", "other tenant");
    assert_eq!(look(&early), None);
    let mut batch = Batch::new();
    for s in ["agent:1", "agent:22", "user:1", r"step:a\/b/c"] {
        for k in ["plan/1", "note"] {
            batch.set(&scope(s), &key(k), Value::bytes("v"));
        }
    }
    acme.commit(batch).unwrap();
    let names = |scope, key| {
        let seen = watch(scope, key).unwrap();
        let lasts: Vec<_> = seen.iter().map(|c| c.last_of_commit).collect();
        assert_eq!(
            lasts.iter().position(|last| *last),
            lasts.len().checked_sub(1)
        );
        let name = |c: Change| format!("{} {}", c.scope.unwrap(), c.key.unwrap());
        seen.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(rest(&early).len(), 8);
    assert_eq!(names(None, None).len(), 8);
    assert_eq!(
        names(Some("agent:?"), Some("*")),
        ["agent:1 plan/1", "agent:1 note"]
    );
    assert_eq!(
        names(Some("agent:*"), Some("plan/*")),
        ["agent:1 plan/1", "agent:22 plan/1"]
    );
    assert_eq!(
        names(Some(r"step:a\/b/c"), Some("n?te")),
        [r"step:a\/b/c note"]
    );
    assert!(names(Some("user:2"), None).is_empty());
    for (scope, key) in [
        (Some("agnt"), None),
        (Some(r"step:a\/*"), None),
        (None, Some(r"a\*")),
    ] {
        let kind = watch(scope, key).err().unwrap().kind();
        assert_eq!(kind, ErrorKind::InvalidArgument, "{scope:?} {key:?}");
    }
    let all = manager.watch(&since(0)).unwrap();
    let tenants: Vec<_> = rest(&all).into_iter().map(|c| c.tenant).collect();
    assert_eq!(tenants[0], "");
    assert!(tenants[1..].iter().all(|tenant| tenant == "acme") && tenants.len() == 9);
}

#[test]
fn a_slow_watch_holds_no_more_than_one_commit() {
    let mut options = OpenOptions::new("/s", "memory");
    options.vfs = SimDisk::new().vfs();
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let watch = tenant.watch(&WatchOptions::default()).unwrap();
    let mut batch = Batch::new();
    for at in 0..100 {
        batch.set(
            &scope("global"),
            &key(&format!("k{at:02}")),
            Value::bytes("v"),
        );
    }
    tenant.commit(batch).unwrap();
    let relaxed = SetOptions::with_durability(Durability::Relaxed);
    for at in 0..100_000u64 {
        let value = Value::bytes(at.to_le_bytes());
        tenant
            .set(&scope("global"), &key("k"), value, relaxed)
            .unwrap();
    }
    assert_eq!(watch.held(), (0, 0));
    assert!(look(&watch).is_some());
    // A stored key of the global scope has 6 bytes before the name.
    assert_eq!(watch.held(), (100, 900));
    for _ in 1..100 {
        look(&watch).unwrap();
    }
    for at in 0..100_000u64 {
        let change = look(&watch).unwrap();
        assert_eq!(change.value.unwrap().as_bytes(), at.to_le_bytes());
        assert_eq!(watch.held(), (0, 0));
    }
    assert_eq!(look(&watch), None);
}

fn until_someone_waits(manager: &StateManager) {
    while manager.committer.published.total_listeners() == 0 {
        thread::yield_now();
    }
}

#[test]
fn who_waits_for_a_change_leaves_it_to_who_takes_it() {
    let manager = open(&SimDisk::new());
    let tenant = manager.default_tenant().blocking();
    let watch = tenant.watch(&WatchOptions::default()).unwrap();
    assert!(!watch.ready_timeout(Duration::ZERO).unwrap());
    thread::scope(|threads| {
        let waiting = threads.spawn(|| watch.ready_timeout(Duration::from_secs(600)));
        until_someone_waits(&manager);
        tenant.put("global", "k", "v");
        assert!(waiting.join().unwrap().unwrap());
    });
    assert!(watch.ready_timeout(Duration::ZERO).unwrap());
    assert_eq!(all_told(&watch), [row(1, " global k", "v")]);
    assert!(!watch.ready_timeout(Duration::ZERO).unwrap());
    watch.close();
    let error = watch.ready_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn whoever_waits_hears_of_a_commit_and_of_the_end() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let [first, second] = [(); 2].map(|()| tenant.watch(&WatchOptions::default()).unwrap());
    thread::scope(|threads| {
        let waiting = threads.spawn(|| first.next_blocking());
        until_someone_waits(&manager);
        tenant.put("global", "k", "v");
        assert_eq!(
            told(&waiting.join().unwrap().unwrap()),
            row(1, " global k", "v")
        );

        let waiting = threads.spawn(|| first.next_blocking());
        until_someone_waits(&manager);
        first.close();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Closed, "the watch is closed")
        );

        assert!(look(&second).is_some());
        let waiting = threads.spawn(|| second.next_blocking());
        until_someone_waits(&manager);
        manager.close().unwrap();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the state is closed");
    });
    assert!(second.next_timeout(Duration::ZERO).is_err());
    assert!(tenant.watch(&WatchOptions::default()).is_err());
    // A watch that is still there does not keep the directory locked.
    let again = open(&disk);
    assert_eq!(
        again
            .default_tenant()
            .blocking()
            .read("global", "k")
            .as_deref(),
        Some("v")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_that_are_dropped_lose_no_change() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant();
    let watch = tenant.watch(&WatchOptions::default()).await.unwrap();
    let writer = tenant.blocking();
    let writes = tokio::task::spawn_blocking(move || {
        for at in 0..500 {
            writer.put("global", &at.to_string(), "v");
        }
    });
    let (mut seen, mut dropped) = (Vec::new(), 0);
    while seen.len() < 500 {
        tokio::select! {
            biased;
            change = watch.next() => seen.push(change.unwrap().sequence.0),
            () = tokio::task::yield_now() => dropped += 1,
        }
    }
    writes.await.unwrap();
    assert_eq!(seen, (1..=500).collect::<Vec<_>>());
    assert!(dropped > 0);
    let (ended, ()) = tokio::join!(watch.next(), async {
        tokio::task::yield_now().await;
        watch.close();
    });
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Closed);
}
