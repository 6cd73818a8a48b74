//! Conditions, expiry, classes and origin on the commit path.

use super::*;
use crate::check::check_consistency;
use crate::journal::{ChangeOp, read_journal};
use crate::{Class, Expiry, KeyRange, ListOptions, Rule, Space};

fn with(class: Option<Class>, expires: Option<Expiry>) -> SetOptions {
    SetOptions {
        class,
        expires,
        ..SetOptions::default()
    }
}

fn keys(tenant: &BlockingTenant, s: &str) -> Vec<String> {
    let page = tenant.list(&scope(s), &ListOptions::default()).unwrap();
    page.keys
}

#[test]
fn a_key_whose_time_has_come_is_absent_everywhere_and_comes_anew() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let (s, k) = (scope("session:1"), key("token"));
    let ttl = with(None, Some(Expiry::After(100)));
    tenant.set(&s, &k, Value::bytes("old"), ttl).unwrap();
    tenant.put("session:1", "stays", "v");
    assert_eq!(tenant.read("session:1", "token").as_deref(), Some("old"));
    let before = manager.snapshot().unwrap();
    clock.set(1_100);
    assert_eq!(tenant.read("session:1", "token"), None);
    assert!(!tenant.exists(&s, &k).unwrap());
    assert_eq!(keys(&tenant, "session:1"), ["stays"]);
    assert_eq!(tenant.remove("session:1", "token"), None);
    let now = manager.snapshot().unwrap();
    let count = |snapshot: &crate::Snapshot| {
        let (mut scan, mut count) = (snapshot.scan().unwrap(), 0);
        while scan.next_batch(10, &mut |_, _| count += 1).unwrap() > 0 {}
        count
    };
    assert_eq!((count(&before), count(&now)), (2, 1));
    tenant.put("session:1", "token", "new");
    let record = tenant.get_record(&s, &k).unwrap().unwrap();
    assert_eq!((record.created, record.expires), (UnixMs(1_100), None));
    check_consistency(&manager).unwrap();
}

/// Reads once went by the clock and commits by the later of clock and last commit: after a step back
/// a key was there to be read and absent to be changed.
#[test]
fn a_clock_that_steps_back_brings_nothing_back() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let (s, k) = (scope("session:1"), key("token"));
    clock.set(5_000);
    let ttl = with(None, Some(Expiry::After(100)));
    tenant.set(&s, &k, Value::bytes("v"), ttl).unwrap();
    clock.set(6_000);
    tenant.put("session:1", "other", "v");
    clock.set(2_000);
    assert_eq!(tenant.read("session:1", "token"), None);
    assert_eq!(keys(&tenant, "session:1"), ["other"]);
    let new = Value::bytes("w");
    let set = tenant.set_if_absent(&s, &k, new, ttl).unwrap();
    assert!(set.is_some());
    let record = tenant.get_record(&s, &k).unwrap().unwrap();
    assert_eq!(record.expires, Some(UnixMs(6_100)));
}

#[test]
fn memory_only_values_are_read_listed_and_gone_after_a_reopen() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let memory = with(Some(Class::Ephemeral), None);
    let s = scope("agent:1");
    tenant.put("agent:1", "b", "stored");
    for (k, v) in [("a", "1"), ("b", "2"), ("c", "3")] {
        tenant.set(&s, &key(k), Value::bytes(v), memory).unwrap();
    }
    assert_eq!(tenant.read("agent:1", "b").as_deref(), Some("2"));
    assert_eq!(keys(&tenant, "agent:1"), ["a", "b", "c"]);
    let class = tenant.get_record(&s, &key("a")).unwrap().unwrap().class;
    assert_eq!(class, Class::Ephemeral);
    tenant.put("agent:1", "c", "stored again");
    tenant.remove("agent:1", "a").unwrap();
    assert_eq!(keys(&tenant, "agent:1"), ["b", "c"]);
    check_consistency(&manager).unwrap();
    let mut ops = Vec::new();
    let namespace = manager.committer.namespace_arc().unwrap();
    let range = KeyRange::default();
    let mut cursor = namespace.backend.scan(Space::Journal, range).unwrap();
    let visit = &mut |_: &[u8], row: &[u8]| ops.push(read_journal(row).unwrap().changes[0].0);
    while cursor.next_batch(10, visit).unwrap() > 0 {}
    drop(cursor);
    use ChangeOp::{DeleteEphemeral, Put, PutEphemeral};
    let memory = [PutEphemeral; 3];
    assert_eq!(ops, [&[Put], &memory[..], &[Put, DeleteEphemeral]].concat());
    drop(namespace);
    manager.close().unwrap();
    drop((tenant, manager));
    let tenant = open(&disk).default_tenant().blocking();
    assert_eq!(keys(&tenant, "agent:1"), ["c"]);
}

#[test]
fn rules_give_class_and_life_time_and_the_caller_has_the_last_word() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    let rule = |scope: &str, class, ttl_ms| Rule {
        scope: Some(scope.to_owned()),
        class,
        ttl_ms,
        ..Rule::default()
    };
    options.rules = vec![
        rule("session:*", Some(Class::Bulk), Some(500)),
        rule("tool:*", Some(Class::Ephemeral), None),
    ];
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let facts = |s: &str| {
        let record = tenant.get_record(&scope(s), &key("k")).unwrap().unwrap();
        (record.class, record.expires)
    };
    for s in ["session:1", "tool:1", "user:1"] {
        tenant.put(s, "k", "v");
    }
    assert_eq!(facts("session:1"), (Class::Bulk, Some(UnixMs(1_500))));
    assert_eq!(facts("tool:1"), (Class::Ephemeral, None));
    assert_eq!(facts("user:1"), (Class::Standard, None));
    let own = with(Some(Class::Critical), Some(Expiry::Never));
    let s = scope("session:1");
    tenant.set(&s, &key("k"), Value::bytes("v"), own).unwrap();
    assert_eq!(facts("session:1"), (Class::Critical, None));
}

/// A copy of values in memory once took no heed of their limit.
#[test]
fn copies_of_memory_only_values_keep_to_their_limit() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.limits.ephemeral_bytes_max = 4_000;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let memory = with(Some(Class::Ephemeral), None);
    let (s, k, v) = (scope("agent:1"), key("k"), Value::bytes("x".repeat(2_500)));
    tenant.set(&s, &k, v, memory).unwrap();
    let error = tenant.copy_scope(&s, &scope("agent:2")).unwrap_err();
    assert!(
        error.to_string().contains("limits.ephemeral_bytes_max"),
        "{error}"
    );
    let told = tenant
        .history(&s, &k, &crate::HistoryOptions::default())
        .unwrap();
    assert_eq!(told.versions, [], "no version of it was ever stored");
    tenant.put("agent:1", "k", "stored");
    let v = Value::bytes("y");
    tenant.set(&s, &k, v, memory).unwrap();
    let told = tenant
        .history(&s, &k, &crate::HistoryOptions::default())
        .unwrap();
    assert_eq!(told.versions[0].op, ChangeOp::PutEphemeral);
}
