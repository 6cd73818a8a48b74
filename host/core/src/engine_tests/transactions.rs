//! Transactions one step at a time: what they see, what they are refused, how they end.
//!
//! Isolation among many at once is proved over every backend in the crate of the cross tests.

use super::*;
use crate::{
    Class, ErrorKind, Expiry, ListOptions, RestoreSource, TransactOptions, Transaction,
    TransactionOptions,
};

fn begin(tenant: &BlockingTenant) -> Transaction {
    tenant.begin(&TransactionOptions::default()).unwrap()
}

fn with(class: Option<Class>, expires: Option<Expiry>) -> SetOptions {
    SetOptions {
        class,
        expires,
        ..SetOptions::default()
    }
}

/// Short forms on a transaction.
trait Steps {
    fn put(&mut self, s: &str, k: &str, value: &str);
    fn read(&mut self, s: &str, k: &str) -> Option<String>;
    fn remove(&mut self, s: &str, k: &str);
    fn keys(&mut self, s: &str) -> String;
}

impl Steps for Transaction {
    fn put(&mut self, s: &str, k: &str, value: &str) {
        let value = Value::bytes(value);
        self.set(&scope(s), &key(k), value, SetOptions::default())
            .unwrap();
    }

    fn read(&mut self, s: &str, k: &str) -> Option<String> {
        text(self.get(&scope(s), &key(k)).unwrap())
    }

    fn remove(&mut self, s: &str, k: &str) {
        self.delete(&scope(s), &key(k)).unwrap();
    }

    fn keys(&mut self, s: &str) -> String {
        let page = self.list(&scope(s), &ListOptions::default()).unwrap();
        page.keys.join(" ")
    }
}

fn refused(transaction: Transaction) -> String {
    let error = transaction.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    error.to_string()
}

fn new_state() -> (Arc<StateManager>, BlockingTenant, Arc<TestClock>) {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.limits.transaction_keys_max = 8;
    options.limits.transaction_bytes_max = 1_000;
    options.limits.transaction_age_ms_max = 500;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    (manager, tenant, clock)
}

#[test]
fn a_transaction_sees_its_own_changes_and_nobody_else_does() {
    let (manager, tenant, _) = new_state();
    for k in ["a", "c", "e"] {
        tenant.put("user:1", k, "stored");
    }
    let mut txn = begin(&tenant);
    txn.put("user:1", "b", "own");
    txn.put("user:1", "c", "own");
    txn.remove("user:1", "e");
    txn.remove("user:1", "a");
    txn.put("user:1", "a", "again");
    assert_eq!(txn.keys("user:1"), "a b c");
    let page = ListOptions {
        limit: 2,
        after: Some("a".to_owned()),
        ..ListOptions::default()
    };
    let page = txn.scan_page(&scope("user:1"), &page).unwrap();
    let own = |k: &str| (k.to_owned(), Value::bytes("own"));
    assert_eq!((page.entries, page.next), (vec![own("b"), own("c")], None));
    assert_eq!(txn.read("user:1", "e"), None);
    assert_eq!(txn.read("user:1", "a").as_deref(), Some("again"));
    let record = txn
        .get_record(&scope("user:1"), &key("b"))
        .unwrap()
        .unwrap();
    assert_eq!((record.sequence.0, record.changed), (0, UnixMs(1_000)));
    assert_eq!(tenant.read("user:1", "b"), None);
    assert_eq!(manager.head().0, 3);
    assert_eq!(txn.commit().unwrap().0, 4);
    let keys = tenant.list(&scope("user:1"), &ListOptions::default());
    assert_eq!(keys.unwrap().keys, ["a", "b", "c"]);
    assert_eq!(tenant.read("user:1", "c").as_deref(), Some("own"));
    crate::check::check_consistency(&manager).unwrap();
}

#[test]
fn what_was_read_must_not_have_changed() {
    let (_, tenant, _) = new_state();
    tenant.put("user:1", "read", "1");
    tenant.put("user:1", "gone", "1");
    // The same value again is another version.
    for (k, value) in [
        ("read", Some("2")),
        ("gone", None),
        ("absent", Some("1")),
        ("read", Some("2")),
    ] {
        let mut txn = begin(&tenant);
        for k in ["read", "gone", "absent", "read"] {
            txn.read("user:1", k);
        }
        txn.put("user:1", "written", "v");
        match value {
            Some(value) => tenant.put("user:1", k, value),
            None => tenant.remove("user:1", k).unwrap(),
        };
        let told = refused(txn);
        assert!(told.contains("user:1"), "{told}");
    }
    assert_eq!(tenant.read("user:1", "written"), None);
    // What is written without being read may be changed by others meanwhile.
    let mut blind = begin(&tenant);
    blind.put("user:1", "read", "blind");
    tenant.put("user:1", "read", "3");
    blind.commit().unwrap();
    assert_eq!(tenant.read("user:1", "read").as_deref(), Some("blind"));
}

#[test]
fn a_range_counts_as_far_as_it_was_looked_at() {
    let (_, tenant, _) = new_state();
    for k in ["b", "d", "f"] {
        tenant.put("workflow:w", k, "task");
    }
    let page = |after: Option<&str>| ListOptions {
        limit: 1,
        after: after.map(str::to_owned),
        ..ListOptions::default()
    };
    // The first page looked at `b` and, to know that there is more, at `d`.
    for (changed, conflict) in [("a", true), ("c", true), ("d", true), ("e", false)] {
        let mut txn = begin(&tenant);
        let first = txn.list(&scope("workflow:w"), &page(None)).unwrap();
        assert_eq!(
            (&first.keys[..], first.next.as_deref()),
            (&["b".to_owned()][..], Some("b"))
        );
        txn.put("workflow:w", "z", "done");
        tenant.put("workflow:w", changed, "new");
        assert_eq!(txn.commit().is_err(), conflict, "{changed}");
        if changed != "d" {
            tenant.remove("workflow:w", changed);
        }
    }
    // Pages after one another are one range, to its end.
    tenant.remove("workflow:w", "z");
    let mut txn = begin(&tenant);
    let mut after = None;
    for expected in ["b", "d", "f"] {
        let page = txn
            .list(&scope("workflow:w"), &page(after.as_deref()))
            .unwrap();
        assert_eq!(page.keys, [expected]);
        after = page.next;
    }
    assert_eq!(after, None);
    txn.put("user:1", "sum", "3");
    tenant.put("workflow:w", "zz", "phantom");
    assert!(refused(txn).contains("`zz` in workflow:w"));
}

#[test]
fn a_range_is_checked_over_a_long_journal() {
    let (_, tenant, _) = new_state();
    tenant.put("workflow:w", "a", "task");
    for phantom_at in [None, Some(0), Some(99), Some(199)] {
        let mut txn = begin(&tenant);
        txn.keys("workflow:w");
        txn.put("user:1", "sum", "1");
        for n in 0..200 {
            match phantom_at {
                Some(at) if at == n => tenant.put("workflow:w", "phantom", "task"),
                _ => tenant.put("user:2", "other", "v"),
            };
        }
        assert_eq!(
            txn.commit().is_err(),
            phantom_at.is_some(),
            "{phantom_at:?}"
        );
    }
}

#[test]
fn going_back_to_a_savepoint_undoes_what_came_after_it() {
    let (_, tenant, _) = new_state();
    tenant.put("user:1", "a", "stored");
    let mut txn = begin(&tenant);
    txn.put("user:1", "a", "1");
    let first = txn.savepoint().unwrap();
    txn.put("user:1", "a", "2");
    txn.put("user:1", "b", "2");
    let second = txn.savepoint().unwrap();
    txn.remove("user:1", "a");
    txn.remove("user:1", "b");
    txn.put("user:1", "b", "3");
    assert_eq!(txn.keys("user:1"), "b");
    txn.rollback_to(second).unwrap();
    assert_eq!(txn.read("user:1", "a").as_deref(), Some("2"));
    assert_eq!(txn.read("user:1", "b").as_deref(), Some("2"));
    txn.rollback_to(first).unwrap();
    txn.rollback_to(first).unwrap();
    assert_eq!(txn.read("user:1", "a").as_deref(), Some("1"));
    assert_eq!(txn.keys("user:1"), "a");
    let gone = txn.rollback_to(second).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::InvalidArgument);
    let mut other = begin(&tenant);
    assert!(other.rollback_to(first).is_err());
    let other_first = other.savepoint().unwrap();
    assert!(txn.rollback_to(other_first).is_err());
    txn.commit().unwrap();
    assert_eq!(tenant.read("user:1", "a").as_deref(), Some("1"));
    assert_eq!(tenant.read("user:1", "b"), None);
}

#[test]
fn what_was_read_after_a_savepoint_stays_read() {
    let (_, tenant, _) = new_state();
    tenant.put("user:1", "a", "stored");
    let mut txn = begin(&tenant);
    let savepoint = txn.savepoint().unwrap();
    txn.read("user:1", "a");
    txn.rollback_to(savepoint).unwrap();
    txn.put("user:1", "b", "v");
    tenant.put("user:1", "a", "other");
    refused(txn);
}

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

#[test]
fn reads_alone_are_of_one_moment_and_always_succeed() {
    let (manager, tenant, _) = new_state();
    tenant.put("user:1", "a", "1");
    let mut txn = begin(&tenant);
    tenant.put("user:1", "a", "2");
    tenant.put("user:1", "b", "2");
    assert_eq!(txn.read("user:1", "a").as_deref(), Some("1"));
    assert_eq!(txn.keys("user:1"), "a");
    assert_eq!(txn.commit().unwrap().0, 1);
    assert_eq!(manager.head().0, 3);
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
fn values_in_memory_take_part() {
    let (_, tenant, _) = new_state();
    let memory = with(Some(Class::Ephemeral), None);
    let s = scope("agent:1");
    let put = |k: &str, v: &str| tenant.set(&s, &key(k), Value::bytes(v), memory).unwrap();
    put("m", "1");
    tenant.put("agent:1", "n", "stored");
    let mut txn = begin(&tenant);
    assert_eq!(txn.keys("agent:1"), "m n");
    assert_eq!(txn.read("agent:1", "m").as_deref(), Some("1"));
    txn.set(&s, &key("own"), Value::bytes("v"), memory).unwrap();
    assert_eq!(txn.keys("agent:1"), "m n own");
    txn.commit().unwrap();
    assert_eq!(tenant.read("agent:1", "own").as_deref(), Some("v"));

    // What memory held before a change is not known: a conflict at once.
    for list in [false, true] {
        let mut txn = begin(&tenant);
        put("m", "2");
        let error = match list {
            false => txn.get(&s, &key("m")).unwrap_err(),
            true => txn.list(&s, &ListOptions::default()).unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }

    // A key that left memory after the beginning: reads alone are checked too then.
    for list in [false, true] {
        put("m", "3");
        let mut txn = begin(&tenant);
        tenant.remove("agent:1", "m").unwrap();
        let told = if list { "told" } else { "told before" };
        tenant.put("user:1", told, "m is gone");
        match list {
            false => assert_eq!(txn.read("agent:1", "m"), None),
            true => assert_eq!(txn.keys("agent:1"), "n own"),
        }
        assert_eq!(txn.read("user:1", told), None);
        refused(txn);
    }
    let mut txn = begin(&tenant);
    put("m", "4");
    assert_eq!(txn.read("agent:1", "never there"), None);
    txn.commit().unwrap();
}

#[test]
fn a_tenant_without_a_number_has_ranges_too() {
    let (manager, default, _) = new_state();
    default.put("user:1", "of the default tenant", "v");
    let tenant = manager.tenant("acme").unwrap().blocking();
    let mut txn = begin(&tenant);
    assert_eq!(txn.keys("user:1"), "");
    txn.put("user:1", "first", "v");
    assert_eq!(txn.keys("user:1"), "first");
    assert_eq!(txn.read("user:1", "of the default tenant"), None);
    tenant.put("user:1", "phantom", "v");
    refused(txn);
    let mut txn = begin(&tenant);
    assert_eq!(txn.keys("user:1"), "phantom");
    txn.put("user:1", "first", "v");
    txn.commit().unwrap();
    assert_eq!(tenant.read("user:1", "first").as_deref(), Some("v"));
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
