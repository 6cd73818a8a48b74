//! Transactions one step at a time: what they see and what they are refused.
//!
//! Isolation among many at once is proved over every backend in the crate of the cross tests.

use super::*;
use crate::{Class, ErrorKind, Expiry, ListOptions, Transaction, TransactionOptions};

pub(super) fn begin(tenant: &BlockingTenant) -> Transaction {
    tenant.begin(&TransactionOptions::default()).unwrap()
}

pub(super) fn with(class: Option<Class>, expires: Option<Expiry>) -> SetOptions {
    SetOptions {
        class,
        expires,
        ..SetOptions::default()
    }
}

/// Short forms on a transaction.
pub(super) trait Steps {
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

pub(super) fn refused(transaction: Transaction) -> String {
    let error = transaction.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    error.to_string()
}

pub(super) fn new_state() -> (Arc<StateManager>, BlockingTenant, Arc<TestClock>) {
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
fn a_selection_is_read_whole_and_held_against_keys_that_come_into_it() {
    let (_manager, tenant, _clock) = new_state();
    for name in ["plan", "note:1", "note:2"] {
        tenant.put("agent:1", name, name);
    }
    tenant.put("user:1", "note:3", "not of an agent");
    let notes = crate::Selection::new(None, Some("agent:*"), Some("note:*")).unwrap();
    let names = |transaction: &mut Transaction| {
        let mut names = Vec::new();
        let mut visit = |scope, key, record: crate::Record| {
            names.push(format!("{scope} {key} {}", record.sequence));
            Ok(())
        };
        transaction.select(&notes, &mut visit).unwrap();
        names
    };
    let (mut first, mut second) = (begin(&tenant), begin(&tenant));
    first.remove("agent:1", "note:1");
    assert_eq!(names(&mut first), ["agent:1 note:2 3"]);
    assert_eq!(names(&mut second), ["agent:1 note:1 2", "agent:1 note:2 3"]);
    first.commit().unwrap();
    second.put("agent:1", "note:4", "x");
    refused(second);

    let other = crate::Selection::new(Some("acme"), None, None).unwrap();
    let error = begin(&tenant).select(&other, &mut |_, _, _| Ok(()));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
}
