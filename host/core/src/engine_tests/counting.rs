//! What a state counts, as whoever reads its metrics sees it.

use super::*;
use crate::{
    DiffOptions, HistogramCounts, HistoryOptions, ListOptions, Query, ScopeListOptions,
    TransactionOptions, TrimOptions, WatchOptions,
};

fn total(histogram: &HistogramCounts) -> u64 {
    histogram.counts.iter().sum()
}

#[test]
fn commits_are_counted_by_their_outcome_before_the_caller_hears_it() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    tenant.put("agent:1", "plan", "1");
    tenant.put("agent:1", "plan", "2");
    assert_eq!(tenant.remove("agent:1", "nothing"), None);
    let absent = tenant.set_if_absent(
        &scope("agent:1"),
        &key("plan"),
        Value::bytes("3"),
        SetOptions::default(),
    );
    assert_eq!(absent.unwrap(), None);
    assert_eq!(tenant.clear_scope(&scope("agent:1")).unwrap(), 1);
    let counts = manager.counts().unwrap();
    let outcomes = (
        counts.committed,
        counts.unchanged,
        counts.conflicts,
        counts.failed,
    );
    assert_eq!(outcomes, (3, 1, 1, 0));
    assert_eq!(total(&counts.commit_ns), 5);
    assert_eq!((total(&counts.groups), counts.groups.sum), (3, 3));
    assert_eq!(total(&counts.backend_ns), 3);
    assert!(counts.commit_bytes > 3 * "agent:1plan".len() as u64);
    assert_eq!((counts.queue_commits, counts.queue_bytes), (0, 0));
    manager.close().unwrap();
    assert!(manager.counts().is_err());
}

#[test]
fn reads_are_counted_by_what_was_asked_for() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let (s, k) = (scope("agent:1"), key("plan"));
    tenant.put("agent:1", "plan", "1");
    let view = tenant.at(manager.head()).unwrap();
    view.get(&s, &k).unwrap();
    view.list(&s, &ListOptions::default()).unwrap();
    let mut transaction = tenant.begin(&TransactionOptions::default()).unwrap();
    transaction.get(&s, &k).unwrap();
    transaction.scan_page(&s, &ListOptions::default()).unwrap();
    tenant.list(&s, &ListOptions::default()).unwrap();
    tenant.list_scopes(&ScopeListOptions::default()).unwrap();
    tenant
        .query(&Query::from_json(r#"{"scope":"agent:1"}"#).unwrap())
        .unwrap();
    tenant.history(&s, &k, &HistoryOptions::default()).unwrap();
    tenant
        .diff(manager.head(), manager.head(), &DiffOptions::default())
        .unwrap();
    let watch = tenant.watch(&WatchOptions::default()).unwrap();
    let counts = manager.counts().unwrap();
    let expected = [
        ("get_past", 2),
        ("list", 2),
        ("scan", 1),
        ("list_scopes", 1),
        ("query", 1),
        ("history", 1),
        ("diff", 1),
        ("snapshot", 1),
        ("transaction", 1),
        ("watch", 1),
    ];
    assert_eq!(counts.operations, expected);
    assert_eq!(counts.watches, 1);
    assert_eq!(counts.pins, 3, "a snapshot, a transaction, a watch");
    drop((watch, view, transaction));
    let counts = manager.counts().unwrap();
    assert_eq!((counts.watches, counts.pins), (0, 0));
}

#[test]
fn upkeep_adds_up_what_its_runs_removed() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.keep.commits = Some(1);
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    for round in 1..=2_u64 {
        tenant.put("agent:1", "b", "1");
        tenant.put("agent:1", "b", "2");
        let short = SetOptions {
            expires: Some(crate::Expiry::After(10)),
            ..SetOptions::default()
        };
        tenant
            .set(&scope("agent:1"), &key("a"), Value::bytes("1"), short)
            .unwrap();
        clock.set(1_000 + 100 * round as i64);
        manager.sweep().unwrap();
        let trim = manager.trim(&TrimOptions { dry_run: true }).unwrap();
        assert!(trim.journal_rows > 0);
        let before = manager.counts().unwrap();
        let trim = manager.trim(&TrimOptions::default()).unwrap();
        let counts = manager.counts().unwrap();
        assert_eq!(counts.swept_keys, round);
        let journal = counts.trimmed_journal_rows - before.trimmed_journal_rows;
        let history = counts.trimmed_history_rows - before.trimmed_history_rows;
        assert_eq!((journal, history), (trim.journal_rows, trim.history_rows));
    }
    assert_eq!(manager.counts().unwrap().upkeep_failures, 0);
}
