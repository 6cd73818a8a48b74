//! Groups, refusals, flushes and the queue's limits.

use std::thread;

use super::gate::{Gate, GatePlugins};
use super::*;
use crate::check::check_consistency;
use crate::{Batch, Durability, ErrorKind, Sequence};

pub(super) fn gated(change: impl FnOnce(&mut OpenOptions)) -> (Arc<Gate>, Arc<StateManager>) {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    let mut options = options(disk.vfs());
    change(&mut options);
    (gate, StateManager::open(options, plugins).unwrap())
}

type Outcomes = Vec<crate::Result<Sequence>>;

/// Holds the first commit back until all others stand in the queue, so that they form one group.
fn as_one_group(gate: &Gate, manager: &Arc<StateManager>, values: &[&'static str]) -> Outcomes {
    let tenant = manager.default_tenant().blocking();
    gate.order(|orders| orders.held = true);
    thread::scope(|threads| {
        let first = threads.spawn(|| tenant.put("global", "first", "first"));
        gate.wait(|orders| orders.waiting == 1);
        let mut handles = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let tenant = tenant.clone();
            handles.push(threads.spawn(move || {
                let value = Value::bytes(*value);
                tenant.set(
                    &scope("global"),
                    &key(&at.to_string()),
                    value,
                    SetOptions::default(),
                )
            }));
            manager.committer.wait_for_queue(at + 1);
        }
        gate.order(|orders| orders.held = false);
        first.join().unwrap();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .collect()
    })
}

#[test]
fn what_waits_becomes_one_backend_commit() {
    let (gate, manager) = gated(|_| {});
    let outcomes = as_one_group(&gate, &manager, &["a", "b", "c", "d"]);
    let sequences: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().0)
        .collect();
    assert_eq!(sequences, [2, 3, 4, 5]);
    // The first of all creates the state. One of four has a data and a journal row each.
    let sizes: Vec<_> = gate
        .orders
        .lock()
        .commits
        .iter()
        .map(|(ops, _)| *ops)
        .collect();
    assert_eq!(sizes[1..], [2, 8]);
    check_consistency(&manager).unwrap();
}

#[test]
fn a_commit_that_is_refused_fails_no_other() {
    let (gate, manager) = gated(|_| {});
    gate.order(|orders| orders.refuse = Some("bad"));
    let outcomes = as_one_group(&gate, &manager, &["a", "bad", "c"]);
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|o| o.as_ref().map_err(|e| e.kind()).copied())
        .collect();
    assert_eq!(
        kinds,
        [Ok(Sequence(2)), Err(ErrorKind::NoSpace), Ok(Sequence(3))]
    );
    assert_eq!(
        manager.default_tenant().blocking().read("global", "1"),
        None
    );
    gate.order(|orders| orders.refuse = None);
    assert_eq!(
        manager
            .default_tenant()
            .blocking()
            .put("global", "1", "bad"),
        4
    );
    check_consistency(&manager).unwrap();
}

#[test]
fn groups_that_exceed_the_backend_are_split_and_single_commits_refused() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    gate.order(|orders| orders.ops_max = Some(5));
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let outcomes = as_one_group(&gate, &manager, &["a", "b", "c", "d"]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let mut batch = Batch::new();
    for at in 0..6 {
        batch.set(&scope("global"), &key(&at.to_string()), Value::bytes("x"));
    }
    let error = manager
        .default_tenant()
        .blocking()
        .commit(batch)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("commit_ops_max = 5"), "{error}");
    assert_eq!(manager.head(), Sequence(5));
    check_consistency(&manager).unwrap();
}

#[test]
fn relaxed_commits_are_flushed_by_the_timer_and_at_close() {
    let (gate, manager) = gated(|options| {
        options.durability = Durability::Relaxed;
        options.flush_interval_ms = 1;
    });
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "v");
    let created = gate.orders.lock().flushes;
    tenant.put("global", "k", "w");
    gate.wait(|orders| orders.flushes > created);

    let (gate, manager) = gated(|options| {
        options.durability = Durability::Relaxed;
        options.flush_interval_ms = 3_600_000;
    });
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "v");
    let before = gate.orders.lock().flushes;
    // A delete that finds nothing is only as durable as what it saw.
    let durable = SetOptions::with_durability(Durability::Sync);
    tenant
        .delete(&scope("global"), &key("none"), durable)
        .unwrap();
    assert_eq!(gate.orders.lock().flushes, before + 1);
    tenant.flush().unwrap();
    assert_eq!(gate.orders.lock().flushes, before + 1);
    tenant.put("global", "k", "w");
    manager.close().unwrap();
    assert_eq!(gate.orders.lock().flushes, before + 2);
}

/// The time of a flush came while a commit was under way, and nobody looked for it any more.
#[test]
fn a_flush_whose_time_comes_during_a_commit_follows_it() {
    let (gate, manager) = gated(|options| {
        options.durability = Durability::Relaxed;
        options.flush_interval_ms = 20;
    });
    let tenant = manager.default_tenant().blocking();
    let began = std::time::Instant::now();
    tenant.put("global", "k", "v");
    gate.order(|orders| orders.held = true);
    std::thread::scope(|threads| {
        threads.spawn(|| tenant.put("global", "k", "w"));
        gate.wait(|orders| orders.waiting == 1);
        while began.elapsed() < std::time::Duration::from_millis(60) {
            std::thread::yield_now();
        }
        let before = gate.orders.lock().flushes;
        gate.order(|orders| orders.held = false);
        gate.wait(|orders| orders.flushes > before);
    });
}

#[test]
fn a_group_is_as_durable_as_its_most_careful_commit() {
    let (gate, manager) = gated(|options| options.durability = Durability::Relaxed);
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "v");
    let durable = SetOptions::with_durability(Durability::Sync);
    tenant
        .set(&scope("global"), &key("k"), Value::bytes("w"), durable)
        .unwrap();
    let asked: Vec<_> = gate.orders.lock().commits.iter().map(|(_, d)| *d).collect();
    assert_eq!(asked[1..], [Durability::Relaxed, Durability::Sync]);
}

/// A batch, a transaction and a copy on a relaxed state once wrote critical values relaxed.
#[test]
fn a_critical_value_is_synced_whatever_the_commit_asks_for() {
    let (gate, manager) = gated(|options| options.durability = Durability::Relaxed);
    let tenant = manager.default_tenant().blocking();
    let critical = SetOptions {
        class: Some(crate::Class::Critical),
        ..SetOptions::with_durability(Durability::Relaxed)
    };
    let (s, k) = (scope("agent:1"), key("k"));
    let mut batch = crate::Batch::new();
    batch.set(&s, &key("plain"), Value::bytes("v"));
    batch.set_with(&s, &k, Value::bytes("v"), critical);
    batch.durability(Durability::Relaxed);
    tenant.commit(batch).unwrap();
    tenant.copy_scope(&s, &scope("agent:2")).unwrap();
    let relaxed = crate::TransactionOptions {
        durability: Some(Durability::Relaxed),
    };
    let mut txn = tenant.begin(&relaxed).unwrap();
    txn.set(&s, &k, Value::bytes("w"), critical).unwrap();
    txn.commit().unwrap();
    tenant.put("agent:3", "plain", "v");
    let asked: Vec<_> = gate.orders.lock().commits.iter().map(|(_, d)| *d).collect();
    let synced = [Durability::Sync; 3];
    assert_eq!(asked[1..], [&synced[..], &[Durability::Relaxed]].concat());
}

#[test]
fn a_panic_in_the_backend_is_an_error_and_stops_writing() {
    let (gate, manager) = gated(|_| {});
    gate.order(|orders| orders.panic_once = true);
    let tenant = manager.default_tenant().blocking();
    let set = || {
        tenant.set(
            &scope("global"),
            &key("k"),
            Value::bytes("v"),
            SetOptions::default(),
        )
    };
    assert_eq!(set().unwrap_err().kind(), ErrorKind::Indeterminate);
    assert_eq!(set().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(tenant.read("global", "k"), None);
}

#[test]
fn a_full_queue_answers_busy() {
    let (gate, manager) = gated(|options| options.limits.queue_commits_max = 1);
    let tenant = manager.default_tenant().blocking();
    gate.order(|orders| orders.held = true);
    thread::scope(|threads| {
        let first = threads.spawn(|| tenant.put("global", "a", "1"));
        gate.wait(|orders| orders.waiting == 1);
        let second = threads.spawn(|| tenant.put("global", "b", "2"));
        manager.committer.wait_for_queue(1);
        let third = tenant.set(
            &scope("global"),
            &key("c"),
            Value::bytes("3"),
            SetOptions::default(),
        );
        let error = third.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(
            error.to_string().contains("limits.queue_commits_max = 1"),
            "{error}"
        );
        gate.order(|orders| orders.held = false);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 2));
    });
}

#[test]
fn dropping_a_future_does_not_take_its_commit_back() {
    let (gate, manager) = gated(|_| {});
    let tenant = manager.default_tenant();
    gate.order(|orders| orders.held = true);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (global, k) = (scope("global"), key("k"));
        let set = tenant.set(&global, &k, Value::bytes("v"), SetOptions::default());
        tokio::select! {
            biased;
            _ = set => panic!("the gate is closed"),
            () = std::future::ready(()) => {}
        }
    });
    gate.order(|orders| orders.held = false);
    manager.flush().unwrap();
    assert_eq!(tenant.blocking().read("global", "k").as_deref(), Some("v"));
}

#[test]
fn closing_does_what_waits() {
    let (gate, manager) = gated(|_| {});
    let tenant = manager.default_tenant().blocking();
    gate.order(|orders| orders.held = true);
    thread::scope(|threads| {
        let first = threads.spawn(|| tenant.put("global", "a", "1"));
        gate.wait(|orders| orders.waiting == 1);
        let second = threads.spawn(|| tenant.put("global", "b", "2"));
        manager.committer.wait_for_queue(1);
        let closing = threads.spawn(|| manager.close());
        gate.order(|orders| orders.held = false);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 2));
        closing.join().unwrap().unwrap();
    });
    assert_eq!(
        tenant.get(&scope("global"), &key("a")).unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn blocking_reads_leave_the_executor() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    gate.order(|orders| orders.blocking_reads = true);
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let tenant = manager.default_tenant();
    let (global, k) = (scope("global"), key("k"));
    tenant
        .set(&global, &k, Value::bytes("v"), SetOptions::default())
        .await
        .unwrap();
    assert_eq!(
        text(tenant.get(&global, &k).await.unwrap()).as_deref(),
        Some("v")
    );
    assert!(tenant.exists(&global, &k).await.unwrap());
    assert!(tenant.get_record(&global, &k).await.unwrap().is_some());
}
