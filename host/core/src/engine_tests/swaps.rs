//! Live swaps: every row on the other side whatever is written meanwhile, refusals that leave
//! nothing, handles and snapshots that live on.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use parking_lot::Mutex;

use super::history::contents;
use super::swap_plugins::{SwapPlugins, dump};
use super::*;
use crate::check::check_consistency;
use crate::{Class, ErrorKind, Expiry, Progress, Sequence, Space, StateDigest};

/// A state on a disk, over hooked plugins.
pub(super) fn hooked() -> (SimDisk, Arc<SwapPlugins>, Arc<StateManager>) {
    let disk = SimDisk::new();
    let plugins = SwapPlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins.clone()).unwrap();
    (disk, plugins, manager)
}

/// Every row of two namespaces is the same.
fn assert_same(one: &crate::namespace::Namespace, other: &crate::namespace::Namespace, what: &str) {
    let (one, other) = (one.backend_rows(), other.backend_rows());
    let differ = one.iter().zip(&other).find(|(one, other)| one != other);
    assert_eq!(differ, None, "{what}");
    assert_eq!(one.len(), other.len(), "{what}");
}

pub(super) fn nothing() -> serde_json::Value {
    serde_json::json!({})
}

pub(super) fn swap(manager: &Arc<StateManager>, to: &str) -> crate::Result<crate::SwapReport> {
    manager.swap_backend(to, &nothing(), &Progress::new())
}

/// The `n`-th of a run of changes of every kind.
pub(super) fn change(manager: &Arc<StateManager>, n: u64) {
    let tenant = manager.default_tenant().blocking();
    let k = format!("k{}", n % 23);
    let value = format!("{n} {}", ".".repeat((n * 37 % 300) as usize));
    let with = |class, expires| SetOptions {
        class,
        expires,
        ..SetOptions::default()
    };
    let set = |options| {
        let value = Value::bytes(value.as_str());
        tenant
            .set(&scope("agent:1"), &key(&k), value, options)
            .unwrap();
    };
    match n % 9 {
        0 => drop(tenant.remove("agent:1", &k)),
        1 => set(with(Some(Class::Ephemeral), None)),
        2 => set(with(None, Some(Expiry::After(n * 50)))),
        3 => {
            let tenant = manager.tenant(&format!("t{}", n % 4)).unwrap().blocking();
            tenant.put("global", &k, &value);
        }
        4 if n.is_multiple_of(5) => drop(tenant.clear_scope(&scope("agent:1")).unwrap()),
        5 => {
            let mut batch = crate::Batch::new();
            for part in 0..4 {
                let k = key(&format!("k{}", (n + part) % 23));
                batch.set(&scope("user:1"), &k, Value::bytes(value.as_str()));
            }
            batch.delete(&scope("user:1"), &key(&k));
            tenant.commit(batch).unwrap();
        }
        _ => drop(tenant.put("agent:1", &k, &value)),
    }
}

#[test]
fn a_swap_moves_every_row_and_clients_stay() {
    let (disk, _, manager) = hooked();
    for n in 0..400 {
        change(&manager, n);
    }
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "a", "old");
    let old = manager.committer.namespace_arc().unwrap();
    let snapshot = manager.snapshot().unwrap();
    let (seen, before) = (contents(&snapshot), manager.info().unwrap());
    let report = swap(&manager, "statekeep.log2").unwrap();
    let new = manager.committer.namespace_arc().unwrap();
    assert_same(&new, &old, "all rows");
    assert!(!Arc::ptr_eq(&old.backend, &new.backend));

    let mut digest = StateDigest::default();
    let records = dump(&*new.backend).into_iter();
    let records = records.filter(|(space, ..)| *space == Space::Data);
    let count = records
        .map(|(_, key, record)| digest.add(&key, &record))
        .count();
    assert_eq!((report.records, report.digest), (count as u64, digest));
    assert_eq!((report.from.as_str(), report.to.as_str()), ("log", "log2"));
    assert_eq!((report.sequence, report.catch_up_commits), (before.head, 0));
    let after = manager.info().unwrap();
    assert_eq!((after.head, &*after.backend), (before.head, "log2"));
    assert_eq!(
        (&after.timeline, &after.state_id),
        (&before.timeline, &before.state_id)
    );

    assert_eq!(tenant.read("global", "a").as_deref(), Some("old"));
    assert_eq!(tenant.put("global", "a", "new"), before.head.0 + 1);
    assert_eq!(contents(&snapshot), seen, "a snapshot from before");
    let memory = SetOptions {
        class: Some(Class::Ephemeral),
        ..SetOptions::default()
    };
    assert!(!old.ephemeral.is_empty() && Arc::ptr_eq(&old.ephemeral, &new.ephemeral));
    tenant
        .set(&scope("global"), &key("m"), Value::bytes("m"), memory)
        .unwrap();
    check_consistency(&manager).unwrap();
    drop((snapshot, old, new));
    manager.close().unwrap();
    drop((manager, tenant));

    let error = open_with(options(disk.vfs())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains("set `backend = \"log2\"`"),
        "{error}"
    );
    let mut options = options(disk.vfs());
    options.backend = "log2".to_owned();
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    assert_eq!(tenant.read("global", "a").as_deref(), Some("new"));
    check_consistency(&manager).unwrap();
}

/// Commits come between any two steps of the copy, and as many again while the tail is followed.
#[test]
fn whatever_is_written_meanwhile_is_on_the_other_side() {
    for (step, burst) in [(1, 3), (3, 1), (1, 90)] {
        let (_, plugins, manager) = hooked();
        for n in 0..200 {
            change(&manager, n);
        }
        let old = manager.committer.namespace_arc().unwrap();
        let (next, calls) = (AtomicUsize::new(200), AtomicUsize::new(0));
        let inside = AtomicBool::new(false);
        plugins.on_write("log2", {
            let manager = Arc::downgrade(&manager);
            move || {
                let manager = manager.upgrade().unwrap();
                let call = calls.fetch_add(1, Ordering::SeqCst);
                // At its turn the swap is the committer, and nobody else writes.
                if call % step != 0 || manager.committer.is_held() {
                    return;
                }
                if !inside.swap(true, Ordering::SeqCst) {
                    for _ in 0..burst {
                        change(&manager, next.fetch_add(1, Ordering::SeqCst) as u64);
                    }
                    inside.store(false, Ordering::SeqCst);
                }
            }
        });
        let report = swap(&manager, "log2").unwrap();
        plugins.on_write("log2", || ());
        assert!(report.catch_up_commits > 2, "{report:?}");
        let new = manager.committer.namespace_arc().unwrap();
        assert_same(&new, &old, &format!("step {step}, burst {burst}"));
        check_consistency(&manager).unwrap();
        change(&manager, 3);
        check_consistency(&manager).unwrap();
    }
}

#[test]
fn clients_on_many_threads_meet_no_failure_and_lose_nothing() {
    let (_, _, manager) = hooked();
    let stop = AtomicBool::new(false);
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for thread in 0..4u64 {
            let (manager, stop, acknowledged) = (&manager, &stop, &acknowledged);
            threads.spawn(move || {
                let tenant = manager.default_tenant().blocking();
                let s = format!("agent:{thread}");
                let mut n = 0u64;
                while !stop.load(Ordering::SeqCst) {
                    n += 1;
                    let k = format!("k{}", n % 7);
                    let sequence = tenant.put(&s, &k, &n.to_string());
                    assert_eq!(tenant.read(&s, &k), Some(n.to_string()));
                    acknowledged.lock().push((s.clone(), k, n, sequence));
                }
            });
        }
        for backend in ["log2", "memory", "log", "log"] {
            let so_far = acknowledged.lock().len();
            while acknowledged.lock().len() < so_far + 50 {
                std::thread::yield_now();
            }
            swap(&manager, backend).unwrap();
            assert_eq!(manager.backend_name(), backend);
        }
        stop.store(true, Ordering::SeqCst);
    });
    check_consistency(&manager).unwrap();
    let acknowledged = acknowledged.into_inner();
    let last = acknowledged.len() as u64;
    assert_eq!(manager.head(), Sequence(last), "one commit each");
    let tenant = manager.default_tenant().blocking();
    for (s, k, n, sequence) in acknowledged {
        let snapshot = manager.snapshot_at(Sequence(sequence)).unwrap();
        let data_key = crate::data_key(crate::TenantNumber(0), &scope(&s), &key(&k));
        let record = snapshot.record(&data_key).unwrap().unwrap();
        let value = crate::record::read_value(&record, &**manager.plugins()).unwrap();
        assert_eq!(
            value.into_bytes(),
            n.to_string().into_bytes(),
            "{s} {k} at {sequence}"
        );
        assert!(tenant.read(&s, &k).unwrap().parse::<u64>().unwrap() >= n);
    }
}

#[test]
fn a_refused_or_cancelled_swap_leaves_nothing_and_the_next_one_works() {
    let (disk, plugins, manager) = hooked();
    for n in 0..200 {
        change(&manager, n);
    }
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "large", &"x".repeat(5_000));
    let rows = manager.committer.namespace_arc().unwrap().backend_rows();
    let listing = disk.listing();
    let unchanged = |what: &str| {
        assert_eq!(manager.backend_name(), "log", "{what}");
        assert_eq!(disk.listing(), listing, "{what}");
        let now = manager.committer.namespace_arc().unwrap().backend_rows();
        assert!(now == rows, "{what}");
        assert_eq!(manager.info().unwrap().oldest_snapshot, None, "{what}");
    };
    assert_eq!(
        swap(&manager, "nosuch").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    unchanged("an unknown backend");

    plugins.limit_values(4_000);
    let error = swap(&manager, "log2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let said = "the backend cannot hold `large` in global: stored value of 5041 exceeds";
    assert!(error.to_string().contains(said), "{error}");
    unchanged("a value that is too large");
    plugins.limit_values(u64::MAX);

    // Cancelled, and refused, at each write that the target sees.
    let mut points = 0;
    for at in 1.. {
        let progress = Progress::new();
        let count = Arc::new(AtomicUsize::new(0));
        plugins.on_write("log2", {
            let (count, progress) = (count.clone(), progress.clone());
            move || {
                if count.fetch_add(1, Ordering::SeqCst) + 1 == at {
                    progress.cancel();
                }
            }
        });
        let outcome = manager.swap_backend("log2", &nothing(), &progress);
        assert_eq!(progress.snapshot().phase, "done");
        if count.load(Ordering::SeqCst) < at {
            outcome.unwrap();
            break;
        }
        match outcome {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                unchanged("cancelled");
                points += 1;
            }
            // From the change-over on it is too late.
            Ok(_) => {
                swap(&manager, "log").unwrap();
                let replaced: Vec<_> = manager.namespaces().unwrap();
                for kept in replaced.iter().filter(|kept| !kept.is_current) {
                    manager.release_namespace(kept.namespace).unwrap();
                }
                break;
            }
        }
    }
    assert!(points > 1, "{points}");
}

#[test]
fn only_one_swap_at_a_time_and_none_over_a_restore() {
    let (_, plugins, manager) = hooked();
    manager.default_tenant().blocking().put("global", "a", "1");
    let second = Arc::new(Mutex::new(None));
    plugins.on_write("log2", {
        let (manager, second) = (Arc::downgrade(&manager), second.clone());
        move || {
            let manager = manager.upgrade().unwrap();
            let mut second = second.lock();
            if second.is_none() {
                *second = Some(swap(&manager, "memory").unwrap_err());
                let source = crate::RestoreSource {
                    state_id: "elsewhere".to_owned(),
                    sequence: Sequence(1),
                    tenants: Vec::new(),
                };
                manager.begin_restore(source).unwrap().finish().unwrap();
            }
        }
    });
    let error = swap(&manager, "log2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let second = second.lock().take().unwrap();
    assert_eq!(second.kind(), ErrorKind::Busy);
    assert!(second.to_string().contains("another swap"), "{second}");
    assert_eq!(manager.backend_name(), "log");
    assert_eq!(
        manager.default_tenant().blocking().read("global", "a"),
        None
    );
    check_consistency(&manager).unwrap();
    plugins.on_write("log2", || ());
    swap(&manager, "log2").unwrap();
}

#[test]
fn a_restore_after_a_swap_is_on_the_new_backend_with_its_options() {
    let (_, plugins, manager) = hooked();
    let options = serde_json::json!({"cache_bytes": 7});
    manager
        .swap_backend("log2", &options, &Progress::new())
        .unwrap();
    let source = || crate::RestoreSource {
        state_id: "elsewhere".to_owned(),
        sequence: Sequence(1),
        tenants: Vec::new(),
    };
    let begun = manager.begin_restore(source()).unwrap();
    assert_eq!(
        plugins.opened().last().unwrap(),
        &("log2".to_owned(), options)
    );
    begun.finish().unwrap();
    assert_eq!(manager.backend_name(), "log2");
    // One that was begun on another backend would bring that one back.
    let begun = manager.begin_restore(source()).unwrap();
    swap(&manager, "log").unwrap();
    assert_eq!(begun.finish().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(manager.backend_name(), "log");
    assert_eq!(contents(&manager.snapshot().unwrap()), []);
}
