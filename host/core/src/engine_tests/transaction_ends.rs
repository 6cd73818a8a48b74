//! How transactions end: limits, age, what they pin, retries, restores and closing in between.

use super::transactions::{Steps, begin, new_state, refused, with};
use super::*;
use crate::{
    ErrorKind, Expiry, ListOptions, RestoreSource, TransactOptions, TransactionOptions, TrimOptions,
};

#[test]
fn limits_have_names_and_leave_the_transaction_as_it_was() {
    let (_, tenant, clock) = new_state();
    let named = |error: crate::Error, kind: ErrorKind, name: &str| {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    let keys = "limits.transaction_keys_max";
    let bytes = "limits.transaction_bytes_max";
    let mut txn = begin(&tenant);
    let s = scope("user:1");
    for n in 0..4 {
        txn.put("user:1", &format!("w{n}"), "v");
        txn.read("user:1", &format!("r{n}"));
    }
    // Keys that are in already, and own changes, take no more room.
    txn.put("user:1", "w0", "v2");
    txn.read("user:1", "r0");
    txn.read("user:1", "w1");
    let value = || Value::bytes("v");
    let more = txn.set(&s, &key("w4"), value(), SetOptions::default());
    named(more.unwrap_err(), ErrorKind::TooLarge, keys);
    named(
        txn.get(&s, &key("r4")).unwrap_err(),
        ErrorKind::TooLarge,
        keys,
    );
    let range = txn.list(&s, &ListOptions::default());
    named(range.unwrap_err(), ErrorKind::TooLarge, keys);
    txn.commit().unwrap();
    assert_eq!(tenant.read("user:1", "w0").as_deref(), Some("v2"));
    assert_eq!(tenant.read("user:1", "w4"), None);

    let mut txn = begin(&tenant);
    let large = Value::bytes(vec![b'v'; 900]);
    txn.set(&s, &key("large"), large.clone(), SetOptions::default())
        .unwrap();
    let more = txn.set(&s, &key("other"), large.clone(), SetOptions::default());
    named(more.unwrap_err(), ErrorKind::TooLarge, bytes);
    // What a savepoint keeps for the way back takes room as well.
    let savepoint = txn.savepoint().unwrap();
    txn.remove("user:1", "large");
    let more = txn.set(&s, &key("other"), large.clone(), SetOptions::default());
    named(more.unwrap_err(), ErrorKind::TooLarge, bytes);
    txn.rollback_to(savepoint).unwrap();
    for _ in 0..7 {
        txn.savepoint().unwrap();
    }
    named(txn.savepoint().unwrap_err(), ErrorKind::TooLarge, keys);

    clock.set(1_500);
    assert_eq!(txn.keys("user:1"), "large w0 w1 w2 w3");
    clock.set(1_501);
    let age = "limits.transaction_age_ms_max";
    named(
        txn.get(&s, &key("w0")).unwrap_err(),
        ErrorKind::Timeout,
        age,
    );
    named(txn.commit().unwrap_err(), ErrorKind::Timeout, age);
    assert_eq!(tenant.read("user:1", "large"), None);
}

#[test]
fn a_transaction_pins_its_past_as_long_as_it_lives() {
    let (manager, tenant, _) = new_state();
    let pinned = || manager.info().unwrap().oldest_snapshot.map(|s| s.0);
    tenant.put("user:1", "a", "1");
    let dropped = begin(&tenant);
    tenant.put("user:1", "a", "2");
    let rolled_back = begin(&tenant);
    tenant.put("user:1", "a", "3");
    let mut committed = begin(&tenant);
    committed.put("user:1", "b", "1");
    assert_eq!(pinned(), Some(1));
    drop(dropped);
    assert_eq!(pinned(), Some(2));
    rolled_back.rollback();
    assert_eq!(pinned(), Some(3));
    committed.commit().unwrap();
    assert_eq!(pinned(), None);
    let mut refused = begin(&tenant);
    refused.read("user:1", "a");
    refused.put("user:1", "b", "2");
    tenant.put("user:1", "a", "4");
    refused.commit().unwrap_err();
    assert_eq!(pinned(), None);
}

/// A handle that nobody closes, as a program in C may leave one, once held the past for ever.
#[test]
fn a_transaction_that_nobody_ends_keeps_the_past_only_as_long_as_it_may_live() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.limits.transaction_age_ms_max = 500;
    options.keep.commits = Some(1);
    options.upkeep_interval_ms = 0;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let trim = || manager.trim(&TrimOptions::default()).unwrap();
    tenant.put("user:1", "a", "1");
    let mut late = begin(&tenant);
    std::mem::forget(begin(&tenant));
    tenant.put("user:1", "a", "2");
    std::mem::forget(begin(&tenant));
    for value in ["3", "4", "5"] {
        tenant.put("user:1", "a", value);
    }
    clock.set(1_500);
    let held = trim();
    assert_eq!(held.floor.0, 1);
    assert_eq!(
        held.held_by,
        ["2 transactions at commit 1", "a transaction at commit 2"]
    );
    assert_eq!(late.read("user:1", "a").as_deref(), Some("1"));
    late.put("user:1", "b", "late");

    clock.set(1_501);
    let freed = trim();
    assert_eq!((freed.floor.0, freed.held_by.len()), (4, 0));
    assert_eq!(manager.info().unwrap().oldest_snapshot, None);
    // Also after the clock was set back: what it read is gone.
    for now in [1_501, 1_100] {
        clock.set(now);
        let read = late.get(&scope("user:1"), &key("a")).unwrap_err();
        let list = late.list(&scope("user:1"), &ListOptions::default());
        for error in [read, list.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
    }
    let error = late.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let told = error.to_string();
    assert!(
        told.contains("limits.transaction_age_ms_max = 500"),
        "{told}"
    );
    assert_eq!(tenant.read("user:1", "b"), None);
}

#[test]
fn keys_expire_within_a_transaction_and_before_its_commit() {
    let (_, tenant, clock) = new_state();
    let s = scope("session:1");
    let at = |time| with(None, Some(Expiry::At(UnixMs(time))));
    for (k, time) in [("over", 1_001), ("soon", 1_200), ("later", 1_900)] {
        tenant.set(&s, &key(k), Value::bytes(k), at(time)).unwrap();
    }
    clock.set(1_100);
    let mut txn = begin(&tenant);
    assert_eq!(txn.read("session:1", "over"), None);
    assert_eq!(txn.keys("session:1"), "later soon");
    txn.set(&s, &key("own"), Value::bytes("v"), at(1_050))
        .unwrap();
    assert_eq!(txn.read("session:1", "own"), None);
    txn.set(&s, &key("own"), Value::bytes("v"), at(1_800))
        .unwrap();
    assert_eq!(txn.read("session:1", "own").as_deref(), Some("v"));
    clock.set(1_150);
    txn.commit().unwrap();

    // A key that was there and expires before the commit is as good as deleted, listed or read.
    for list in [false, true] {
        clock.set(1_160);
        let soon = 1_200 + i64::from(list) * 100;
        tenant
            .set(&s, &key("soon"), Value::bytes("v"), at(soon))
            .unwrap();
        let mut txn = begin(&tenant);
        if list {
            txn.keys("session:1");
        } else {
            txn.read("session:1", "soon");
        }
        txn.put("user:1", "a", "v");
        clock.set(soon);
        assert!(refused(txn).contains("`soon` in session:1"));
    }
}

#[test]
fn a_restore_in_between_is_a_conflict() {
    let (manager, tenant, _) = new_state();
    tenant.put("user:1", "a", "1");
    let mut txn = begin(&tenant);
    txn.put("user:1", "b", "v");
    let facts = manager.snapshot().unwrap().facts();
    let source = RestoreSource {
        state_id: facts.state_id,
        sequence: manager.head(),
        tenants: facts.tenants,
    };
    manager.begin_restore(source).unwrap().finish().unwrap();
    assert!(refused(txn).contains("restored"));
    assert_eq!(tenant.read("user:1", "b"), None);
}

#[test]
fn transact_tries_again_until_it_succeeds_or_gives_up() {
    let (_, tenant, _) = new_state();
    tenant.put("user:1", "a", "0");
    let mut runs = 0;
    let seen = tenant.transact(&TransactOptions::default(), |txn| {
        let seen = txn.read("user:1", "a");
        runs += 1;
        if runs < 4 {
            tenant.put("user:1", "a", &runs.to_string());
        }
        txn.put("user:1", "b", "v");
        Ok(seen)
    });
    assert_eq!((seen.unwrap().as_deref(), runs), (Some("3"), 4));

    let mut runs = 0;
    let options = TransactOptions {
        attempts_max: 3,
        ..TransactOptions::default()
    };
    let error = tenant.transact(&options, |txn| {
        runs += 1;
        txn.read("user:1", "a");
        txn.put("user:1", "c", "v");
        tenant.put("user:1", "a", "again");
        Ok(())
    });
    let error = error.unwrap_err();
    assert_eq!((error.kind(), runs), (ErrorKind::Conflict, 3));
    assert!(error.to_string().contains("3 attempts"), "{error}");

    let mut runs = 0;
    let error = tenant.transact(&TransactOptions::default(), |txn| {
        runs += 1;
        txn.put("user:1", "c", "v");
        Err::<(), _>(crate::Error::invalid("points", "there are too few"))
    });
    assert_eq!(
        (error.unwrap_err().kind(), runs),
        (ErrorKind::InvalidArgument, 1)
    );
    assert_eq!(tenant.read("user:1", "c"), None);
}

#[test]
fn a_closed_state_commits_nothing() {
    let (manager, tenant, _) = new_state();
    let mut txn = begin(&tenant);
    txn.put("user:1", "a", "v");
    manager.close().unwrap();
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Closed);
    let error = tenant.begin(&TransactionOptions::default());
    assert_eq!(error.err().unwrap().kind(), ErrorKind::Closed);
}
