//! Limits of what waits for the committer and of what a backend takes in one commit.

use std::thread;

use super::gate::GatePlugins;
use super::transactions::Steps;
use super::*;
use crate::{ErrorKind, Expected, IndexDefinition, JSON_DEPTH_MAX, Query, TransactionOptions};

/// Ranges that were read once did not count, so transactions of any number and size could wait.
#[test]
fn ranges_that_a_transaction_read_count_in_the_queue() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    let mut options = options(disk.vfs());
    options.limits.queue_bytes_max = 2_000;
    let manager = StateManager::open(options, plugins).unwrap();
    let tenant = manager.default_tenant().blocking();
    let reader = |scopes: usize| {
        let mut txn = tenant.begin(&TransactionOptions::default()).unwrap();
        for at in 0..scopes {
            txn.keys(&format!("user:{at}{}", "u".repeat(250)));
        }
        txn.put("global", "sum", "v");
        txn
    };
    let (small, large) = (reader(1), reader(8));
    gate.order(|orders| orders.held = true);
    thread::scope(|threads| {
        let first = threads.spawn(|| tenant.put("global", "a", "1"));
        gate.wait(|orders| orders.waiting == 1);
        let second = threads.spawn(|| small.commit());
        manager.committer.wait_for_queue(1);
        let error = large.commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let told = error.to_string();
        assert!(told.contains("limits.queue_bytes_max = 2000"), "{told}");
        gate.order(|orders| orders.held = false);
        first.join().unwrap();
        second.join().unwrap().unwrap();
    });
}

#[test]
fn rows_of_the_host_are_held_to_the_limits_of_the_backend() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    gate.order(|orders| orders.ops_max = Some(3));
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let define = |name: &str, tenant: &str| IndexDefinition {
        name: name.to_owned(),
        tenant: tenant.to_owned(),
        scope: "global".to_owned(),
        path: "$.a".to_owned(),
    };
    // A tenant that is not there yet takes two rows more.
    let refused = manager.create_index(define("of-acme", "acme"));
    let error = refused.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("commit_ops_max = 3"), "{error}");
    assert!(manager.list_indexes().unwrap().is_empty());
    let built = manager.create_index(define("of-all", "")).unwrap();
    built.wait().unwrap();
}

/// A document of the greatest depth could be set and read, and not patched, compared or filtered.
#[test]
fn a_document_as_deep_as_may_be_is_like_any_other() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let (s, k) = (scope("global"), key("k"));
    let plain = SetOptions::default();
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"n":1,"deep":{open}{close}}}"#)
    };
    let error = Value::json(nested(JSON_DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("nested more than 128 deep"),
        "{error}"
    );
    for depth in [JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX] {
        let value = Value::json(nested(depth)).unwrap();
        tenant.set(&s, &k, value.clone(), plain).unwrap();
        let query = Query::from_json(r#"{"scope":"global","filter":"$[?@.n == 1]"}"#).unwrap();
        assert_eq!(tenant.query(&query).unwrap().rows.len(), 1, "{depth}");
        let spaced = Value::json(nested(depth).replace(':', " : ")).unwrap();
        let expected = Expected::Value(&spaced);
        tenant
            .compare_and_swap(&s, &k, expected, Some(value.clone()), plain)
            .unwrap();
        let patch = serde_json::json!({"n": 2});
        let patched = tenant.merge_patch(&s, &k, &patch, plain).unwrap();
        assert_eq!(patched.to_json().unwrap()["n"], 2);
        let patch = serde_json::json!([{"op": "replace", "path": "/n", "value": 3}]);
        let patched = tenant.json_patch(&s, &k, &patch, plain).unwrap();
        assert_eq!(patched.to_json().unwrap()["n"], 3);
    }
    let patch = Value::json(nested(JSON_DEPTH_MAX))
        .unwrap()
        .to_json()
        .unwrap();
    let deeper = serde_json::json!({"more": patch});
    let error = tenant.merge_patch(&s, &k, &deeper, plain).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
