//! Declaring, using and dropping indexes, and what explain says of it.

use std::thread;

use super::hooked::HookPlugins;
use super::*;
use crate::check::check_consistency;
use crate::{
    Class, ErrorKind, Expiry, Explain, ExplainOrder, IndexDefinition, IndexState, Query, QueryPage,
    Space,
};

pub(super) fn definition(name: &str, tenant: &str, scope: &str, path: &str) -> IndexDefinition {
    IndexDefinition {
        name: name.to_owned(),
        tenant: tenant.to_owned(),
        scope: scope.to_owned(),
        path: path.to_owned(),
    }
}

pub(super) fn n(name: &str) -> IndexDefinition {
    definition(name, "", "agent:*", "$.n")
}

pub(super) fn set(tenant: &BlockingTenant, s: &str, k: &str, json: &str) {
    let value = Value::json(json).unwrap();
    tenant
        .set(&scope(s), &key(k), value, SetOptions::default())
        .unwrap();
}

pub(super) fn ask(tenant: &BlockingTenant, query: &str) -> QueryPage {
    tenant.query(&Query::from_json(query).unwrap()).unwrap()
}

pub(super) fn keys(page: &QueryPage) -> Vec<String> {
    page.rows.iter().map(|row| row.key.to_string()).collect()
}

pub(super) fn explained(tenant: &BlockingTenant, query: &str) -> Explain {
    tenant.explain(&Query::from_json(query).unwrap()).unwrap()
}

/// `count` records with `n` from 0 on, keys `k000` on.
pub(super) fn fill(tenant: &BlockingTenant, count: usize) {
    for at in 0..count {
        set(
            tenant,
            "agent:7",
            &format!("k{at:03}"),
            &format!("{{\"n\":{at}}}"),
        );
    }
}

pub(super) const LOW: &str = r#"{"scope":"agent:*","where":[{"path":"$.n","lt":3}]}"#;

#[test]
fn an_index_serves_once_it_is_built_and_keeps_up() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 600);
    let page = ask(&tenant, LOW);
    assert_eq!(
        (keys(&page), page.facts.index, page.facts.examined),
        (
            vec!["k000".to_owned(), "k001".to_owned(), "k002".to_owned()],
            None,
            600
        )
    );

    let build = manager.create_index(n("n")).unwrap();
    build.wait().unwrap();
    let done = build.progress();
    assert_eq!(
        (done.state, done.scanned, done.indexed),
        (IndexState::Ready, 600, 600)
    );
    check_consistency(&manager).unwrap();
    set(&tenant, "agent:8", "new", r#"{"n":2.5}"#);
    set(&tenant, "agent:7", "k001", r#"{"n":50}"#);
    set(&tenant, "agent:7", "k000", r#"{"n":"text"}"#);
    let page = ask(&tenant, LOW);
    assert_eq!(
        (keys(&page), page.facts.examined),
        (vec!["k002".to_owned(), "new".to_owned()], 2)
    );
    assert_eq!(page.facts.index.as_deref(), Some("n"));
    check_consistency(&manager).unwrap();

    manager.close().unwrap();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    assert_eq!(ask(&tenant, LOW).facts.index.as_deref(), Some("n"));
    assert_eq!(manager.list_indexes().unwrap(), [done]);
    check_consistency(&manager).unwrap();
}

#[test]
fn an_ordered_query_reads_no_more_than_its_page() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 300);
    set(&tenant, "agent:7", "none", r#"{"m":1}"#);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    let newest = r#"{"scope":"agent:*","order_by":[{"path":"$.n","descending":true}],"limit":3}"#;
    let page = ask(&tenant, newest);
    assert_eq!(keys(&page), ["k299", "k298", "k297"]);
    assert!(page.facts.examined < 100, "{:?}", page.facts);
    let query = Query::from_json(newest).unwrap();
    let page = tenant.query(&query.continued(&page.next.unwrap())).unwrap();
    assert_eq!(keys(&page), ["k296", "k295", "k294"]);
    // Records without a number come last, and are found although they have no row.
    let all = ask(
        &tenant,
        r#"{"scope":"agent:*","order_by":[{"path":"$.n"}],"offset":299}"#,
    );
    assert_eq!(
        (keys(&all), all.next),
        (vec!["k299".to_owned(), "none".to_owned()], None)
    );
}

#[test]
fn explain_says_which_index_and_what_else_is_checked() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 40);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    let query = r#"{"scope":"agent:7","key":"k*","where":[{"path":"$.n","gte":10,"lt":30},{"path":"$.m","ne":1}],
        "filter":"$[?@.n]","order_by":[{"path":"$.n"}]}"#;
    let expected = Explain {
        index: Some("n".to_owned()),
        range: vec!["$.n lt 30 and $.n gte 10".to_owned()],
        checked: ["$.m ne 1", "filter $[?@.n]", "key k*", "scope agent:7"]
            .map(str::to_owned)
            .to_vec(),
        order: ExplainOrder::Index,
        estimate: Some(20),
    };
    assert_eq!(explained(&tenant, query), expected);
    let scan = explained(
        &tenant,
        r#"{"where":[{"path":"$.n","eq":1}],"order_by":[{"path":"$.n"}]}"#,
    );
    assert_eq!(
        (scan.index, scan.order, scan.estimate),
        (None, ExplainOrder::Sort, None)
    );
    assert_eq!(scan.checked, ["$.n eq 1"]);
    let json = serde_json::to_value(explained(&tenant, query)).unwrap();
    assert_eq!(json["order"], "index");
}

#[test]
fn an_index_covers_its_own_tenant_and_scopes_only() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    // The tenant gets its number with the index, before its first write.
    let index = definition("n", "acme", "agent:*", "$.n");
    manager.create_index(index).unwrap().wait().unwrap();
    let acme = manager.tenant("acme").unwrap().blocking();
    let bolt = manager.tenant("bolt").unwrap().blocking();
    for tenant in [&bolt, &acme] {
        set(tenant, "agent:1", tenant.name(), r#"{"n":1}"#);
        set(tenant, "user:1", "user", r#"{"n":1}"#);
    }
    let page = ask(&acme, LOW);
    assert_eq!(
        (keys(&page), page.facts.index.as_deref()),
        (vec!["acme".to_owned()], Some("n"))
    );
    let page = ask(&bolt, LOW);
    assert_eq!(
        (keys(&page), page.facts.index),
        (vec!["bolt".to_owned()], None)
    );
    assert_eq!(
        ask(&acme, r#"{"where":[{"path":"$.n","eq":1}]}"#)
            .rows
            .len(),
        2
    );
    assert!(
        ask(&manager.tenant("none").unwrap().blocking(), "{}")
            .rows
            .is_empty()
    );
    check_consistency(&manager).unwrap();
    manager.close().unwrap();
    check_consistency(&open(&disk)).unwrap();
}

#[test]
fn definitions_are_checked_and_a_name_is_taken_once() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    manager.create_index(n("n")).unwrap().wait().unwrap();
    let refused = |index: IndexDefinition| manager.create_index(index).err().unwrap();
    let other = definition("n", "", "agent:*", "$.m");
    assert_eq!(refused(other).kind(), ErrorKind::AlreadyExists);
    for index in [
        definition("", "", "*", "$.n"),
        definition("a/b", "", "*", "$.n"),
        definition("a", "", "agnt:*", "$.n"),
        definition("a", "", "*", "$..n"),
        definition("a", "t\0", "*", "$.n"),
    ] {
        assert_eq!(refused(index).kind(), ErrorKind::InvalidArgument);
    }
    for at in 1..crate::INDEXES_MAX {
        manager.create_index(n(&format!("n{at}"))).unwrap();
    }
    let error = refused(n("more"));
    assert!(error.to_string().contains("INDEXES_MAX = 64"), "{error}");
    assert_eq!(manager.list_indexes().unwrap().len(), 64);
}

pub(super) fn rows_of_indexes(manager: &StateManager) -> usize {
    let namespace = manager.committer.namespace_arc().unwrap();
    let range = crate::KeyRange {
        lo: &[2],
        hi: Some(&[3]),
        reverse: false,
    };
    let mut rows = 0;
    let mut cursor = namespace.backend.scan(Space::Index, range).unwrap();
    while cursor.next_batch(100, &mut |_, _| rows += 1).unwrap() > 0 {}
    rows
}

#[test]
fn a_dropped_index_is_gone_at_once_and_its_rows_soon() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 700);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    manager.create_index(n("kept")).unwrap().wait().unwrap();
    assert_eq!(rows_of_indexes(&manager), 1_400);
    manager.drop_index("n").unwrap();
    assert_eq!(
        manager.drop_index("n").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(ask(&tenant, LOW).facts.index.as_deref(), Some("kept"));
    while rows_of_indexes(&manager) > 700 {
        thread::yield_now();
    }
    check_consistency(&manager).unwrap();
    // The next index has rows of its own.
    manager.create_index(n("n")).unwrap().wait().unwrap();
    check_consistency(&manager).unwrap();
}

#[test]
fn a_query_whose_index_is_dropped_begins_again() {
    let disk = SimDisk::new();
    let (hook, plugins) = HookPlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 20);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    let (state, mut batches) = (manager.clone(), 0);
    hook.set(move |space| {
        if space != Space::Index || thread::current().name() == Some("statekeep-index") {
            return;
        }
        batches += 1;
        if batches == 2 {
            state.drop_index("n").unwrap();
            while rows_of_indexes(&state) > 0 {
                thread::yield_now();
            }
        }
    });
    let page = ask(
        &tenant,
        r#"{"scope":"agent:*","where":[{"path":"$.n","gte":0}]}"#,
    );
    hook.clear();
    assert_eq!((page.rows.len(), page.facts.index), (20, None));
}

#[test]
fn records_that_cannot_be_indexed_disturb_nobody() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    manager.create_index(n("n")).unwrap().wait().unwrap();
    tenant.put("agent:1", "raw", "{\"n\":1}");
    for (k, json) in [
        ("array", "[1]"),
        ("number", "1"),
        ("huge", r#"{"n":1e999}"#),
        ("half", r#"{"n":"\ud800"}"#),
        ("list", r#"{"n":[1]}"#),
        ("twice", r#"{"n":9,"n":1}"#),
        ("other", r#"{"\ud800":1,"n":2}"#),
    ] {
        set(&tenant, "agent:1", k, json);
    }
    assert_eq!(keys(&ask(&tenant, LOW)), ["other", "twice"]);
    check_consistency(&manager).unwrap();
}

#[test]
fn packed_expiring_and_ephemeral_records_are_found() {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.archive_codec = "store".to_owned();
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    manager.create_index(n("n")).unwrap().wait().unwrap();
    let put = |k: &str, json: &str, class, ttl_ms: Option<u64>| {
        let how = SetOptions {
            class: Some(class),
            expires: ttl_ms.map(Expiry::After),
            ..SetOptions::default()
        };
        let value = Value::json(json).unwrap();
        tenant.set(&scope("agent:1"), &key(k), value, how).unwrap();
    };
    put("packed", r#"{"n":1}"#, Class::Archive, None);
    put("short", r#"{"n":1}"#, Class::Standard, Some(50));
    put("memory", r#"{"n":2}"#, Class::Ephemeral, None);
    put("moved", r#"{"n":0}"#, Class::Standard, None);
    put("moved", r#"{"n":1}"#, Class::Ephemeral, None);
    put("more", r#"{"n":9}"#, Class::Ephemeral, None);
    check_consistency(&manager).unwrap();
    let page = ask(&tenant, LOW);
    assert_eq!(keys(&page), ["memory", "moved", "packed", "short"]);
    assert_eq!(page.facts.index.as_deref(), Some("n"));
    let all = ask(
        &tenant,
        r#"{"order_by":[{"path":"$.n","descending":true}],"limit":2}"#,
    );
    assert_eq!(keys(&all), ["more", "memory"]);
    // Records in memory only are not part of the past.
    let past = tenant.snapshot().unwrap();
    let low = Query::from_json(LOW).unwrap();
    assert_eq!(keys(&past.query(&low).unwrap()), ["packed", "short"]);
    clock.set(1_050);
    assert_eq!(keys(&ask(&tenant, LOW)), ["memory", "moved", "packed"]);
}

#[test]
fn a_commit_long_past_is_queried_without_an_index() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 5);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    let past = tenant.snapshot().unwrap();
    let low = Query::from_json(LOW).unwrap();
    for round in 0..2 {
        let page = past.query(&low).unwrap();
        assert_eq!(keys(&page), ["k000", "k001", "k002"]);
        assert_eq!(page.facts.index.is_some(), round == 0);
        for at in 0..1_001 {
            set(
                &tenant,
                "agent:7",
                &format!("k{:03}", at % 4),
                r#"{"n":100}"#,
            );
        }
    }
}

#[test]
fn a_page_as_json_has_the_values_as_they_are_stored() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    set(&tenant, "agent:7", "a\"b", r#"{"n": 1.50}"#);
    let json = ask(&tenant, r#"{"limit":1}"#).to_json().unwrap();
    let expected = r#"{"rows":[{"scope":"agent:7","key":"a\"b","value":{"n": 1.50},"sequence":1}],"next":null,"facts":{"examined":1,"index":null}}"#;
    assert_eq!(json, expected);
}

#[tokio::test]
async fn async_callers_query_and_limits_hold() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.limits.page_keys_max = 3;
    options.limits.query_bytes_max = 600;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant();
    fill(&tenant.blocking(), 9);
    let ask = |text: &str| Query::from_json(text).unwrap();
    let page = tenant.query(&ask("{}")).await.unwrap();
    assert_eq!(keys(&page), ["k000", "k001", "k002"]);
    let explained = tenant.explain(&ask("{}")).await.unwrap();
    assert_eq!(
        explained.to_json().unwrap(),
        r#"{"index":null,"range":[],"checked":[],"order":"key","estimate":null}"#
    );
    for (query, limit) in [
        (r#"{"limit":4}"#, "limits.page_keys_max = 3"),
        (
            r#"{"order_by":[{"path":"$.n"}],"offset":8}"#,
            "limits.query_bytes_max = 600",
        ),
    ] {
        let error = tenant.query(&ask(query)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(limit), "{error}");
    }
    // What does not fit into memory makes the page shorter, not wrong.
    let (mut all, mut next) = (
        Vec::new(),
        Some(ask(r#"{"order_by":[{"path":"$.n","descending":true}]}"#)),
    );
    while let Some(query) = next {
        let page = tenant.query(&query).await.unwrap();
        all.extend(keys(&page));
        next = page.next.map(|after| query.continued(&after));
    }
    let expected: Vec<_> = (0..9).rev().map(|at| format!("k{at:03}")).collect();
    assert_eq!(all, expected);
}
