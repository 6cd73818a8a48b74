//! Snapshots, lists, scopes as a whole, and that all rows tell one story.

use super::*;
use crate::check::check_consistency;
use crate::{
    Batch, ErrorKind, ListOptions, ScopeListOptions, Sequence, Snapshot, TenantNumber, data_key,
    split_key,
};

pub(super) fn contents(snapshot: &Snapshot) -> Vec<(String, String, u64)> {
    let mut all = Vec::new();
    let mut scan = snapshot.scan().unwrap();
    while scan
        .next_batch(3, &mut |key, record| {
            let (_, scope, key) = split_key(key).unwrap();
            let header = crate::inspect_record(record).unwrap();
            let value = &record[record.len() - header.payload_len..];
            let value = String::from_utf8(value.to_vec()).unwrap();
            all.push((format!("{scope} {key}"), value, header.sequence.0));
        })
        .unwrap()
        > 0
    {}
    all
}

pub(super) fn row(name: &str, value: &str, sequence: u64) -> (String, String, u64) {
    (name.to_owned(), value.to_owned(), sequence)
}

#[test]
fn a_snapshot_stays_what_it_was() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "a", "1");
    tenant.put("global", "b", "2");
    tenant.put("global", "c", "3");
    let snapshot = manager.snapshot().unwrap();
    assert_eq!(manager.info().unwrap().oldest_snapshot, Some(Sequence(3)));
    let before = contents(&snapshot);
    tenant.put("global", "a", "changed");
    tenant.put("global", "a", "changed again");
    tenant.remove("global", "b");
    tenant.remove("global", "c");
    tenant.put("global", "c", "back");
    tenant.put("global", "aa", "new");
    assert_eq!(
        before,
        [
            row("global a", "1", 1),
            row("global b", "2", 2),
            row("global c", "3", 3)
        ]
    );
    assert_eq!(contents(&snapshot), before);
    let number = TenantNumber(0);
    let at = |k: &str| {
        snapshot
            .record(&data_key(number, &scope("global"), &key(k)))
            .unwrap()
    };
    assert_eq!(
        crate::inspect_record(&at("a").unwrap()).unwrap().sequence,
        Sequence(1)
    );
    assert!(at("aa").is_none());
    let now = manager.snapshot().unwrap();
    assert_eq!(
        contents(&now),
        [
            row("global a", "changed again", 5),
            row("global aa", "new", 9),
            row("global c", "back", 8)
        ]
    );
    drop((snapshot, now));
    assert_eq!(manager.info().unwrap().oldest_snapshot, None);
    check_consistency(&manager).unwrap();
}

#[test]
fn lists_page_through_keys_by_prefix_and_glob() {
    let disk = SimDisk::new();
    let tenant = open(&disk).default_tenant().blocking();
    for name in ["a", "ab", "ab*", "abc", "b", "ba", "ü"] {
        tenant.put("custom:x", name, name);
        tenant.put("custom:x:y", name, "other");
    }
    let list = |options: ListOptions| tenant.list(&scope("custom:x"), &options).unwrap();
    let glob = |glob: &str| {
        list(ListOptions {
            glob: Some(glob.into()),
            ..Default::default()
        })
        .keys
    };
    let prefix = |prefix: &str| {
        list(ListOptions {
            prefix: Some(prefix.into()),
            ..Default::default()
        })
        .keys
    };
    assert_eq!(
        list(ListOptions::default()).keys,
        ["a", "ab", "ab*", "abc", "b", "ba", "ü"]
    );
    assert_eq!(prefix("ab"), ["ab", "ab*", "abc"]);
    assert_eq!(prefix("ab*"), ["ab*"]);
    assert_eq!(glob("ab*"), ["ab", "ab*", "abc"]);
    assert_eq!(glob("?"), ["a", "b", "ü"]);
    assert_eq!(glob("*b?"), ["ab*", "abc", "ba"]);
    assert_eq!(glob("a"), ["a"]);
    assert_eq!(glob(""), Vec::<String>::new());
    let both = |prefix: &str, glob: &str| {
        let (prefix, glob) = (Some(prefix.into()), Some(glob.into()));
        list(ListOptions {
            prefix,
            glob,
            ..Default::default()
        })
        .keys
    };
    assert_eq!(both("ab", "*c"), ["abc"]);
    assert_eq!(both("abc", "a*"), ["abc"]);
    assert!(both("b", "a*").is_empty());

    let mut options = ListOptions {
        limit: 3,
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = list(options.clone());
        pages.push(page.keys);
        match page.next {
            Some(next) => options.after = Some(next),
            None => break,
        }
    }
    assert_eq!(
        pages,
        [vec!["a", "ab", "ab*"], vec!["abc", "b", "ba"], vec!["ü"]]
    );
    // `after` need not be a key; one beyond the prefix ends the list.
    let after = |prefix: &str, after: &str| {
        let (prefix, after) = (Some(prefix.into()), Some(after.into()));
        list(ListOptions {
            prefix,
            after,
            ..Default::default()
        })
        .keys
    };
    assert_eq!(after("a", "aa"), ["ab", "ab*", "abc"]);
    assert!(after("a", "x").is_empty());
    let page = tenant
        .scan_page(
            &scope("custom:x"),
            &ListOptions {
                limit: 1,
                ..options
            },
        )
        .unwrap();
    assert_eq!((page.entries[0].0.as_str(), page.next), ("ü", None));
    let asked = ListOptions {
        limit: 10_001,
        ..Default::default()
    };
    let error = tenant.list(&scope("custom:x"), &asked).unwrap_err();
    assert!(
        error.to_string().contains("limits.page_keys_max"),
        "{error}"
    );
}

#[test]
fn scopes_are_listed_in_order_and_in_pages() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let names = [
        "global",
        "user:1",
        "user:2",
        "step:w/1",
        "step:w/2",
        "custom:a",
        "custom:a:b",
    ];
    for name in names {
        for at in 0..3 {
            tenant.put(name, &at.to_string(), "");
            manager
                .tenant("other")
                .unwrap()
                .blocking()
                .put("tool:t", &at.to_string(), "");
        }
    }
    let mut options = ScopeListOptions {
        limit: 2,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = tenant.list_scopes(&options).unwrap();
        found.extend(page.scopes.iter().map(Scope::to_string));
        match page.next {
            Some(next) => options.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, names);
    let users = ScopeListOptions {
        kind: Some(crate::ScopeKind::User),
        ..Default::default()
    };
    assert_eq!(
        tenant.list_scopes(&users).unwrap().scopes,
        [scope("user:1"), scope("user:2")]
    );
}

#[test]
fn scopes_are_cleared_copied_and_moved_in_one_commit() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.limits.scope_keys_max = 5;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    for k in ["a", "b", "c"] {
        tenant.put("user:1", k, k);
    }
    tenant.put("user:2", "b", "old");
    tenant.put("user:2", "z", "kept");
    let head = manager.head().0;
    assert_eq!(
        tenant
            .copy_scope(&scope("user:1"), &scope("user:2"))
            .unwrap(),
        3
    );
    assert_eq!(manager.head().0, head + 1);
    let values = ["a", "b", "c", "z"].map(|k| tenant.read("user:2", k).unwrap());
    assert_eq!(values, ["a", "b", "c", "kept"]);
    assert_eq!(
        tenant
            .move_scope(&scope("user:2"), &scope("custom:n"))
            .unwrap(),
        4
    );
    assert_eq!(tenant.read("user:2", "a"), None);
    assert_eq!(tenant.read("custom:n", "z").as_deref(), Some("kept"));
    assert_eq!(tenant.clear_scope(&scope("custom:n")).unwrap(), 4);
    assert_eq!(tenant.clear_scope(&scope("custom:n")).unwrap(), 0);
    assert_eq!(manager.head().0, head + 3);
    assert_eq!(tenant.read("user:1", "a").as_deref(), Some("a"));
    let error = tenant
        .copy_scope(&scope("user:1"), &scope("user:1"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    for k in ["d", "e", "f"] {
        tenant.put("user:1", k, k);
    }
    let error = tenant.clear_scope(&scope("user:1")).unwrap_err();
    assert!(
        error.to_string().contains("limits.scope_keys_max = 5"),
        "{error}"
    );
    check_consistency(&manager).unwrap();
}

#[test]
fn commits_of_one_group_leave_the_history_of_many() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // Futures that are polled once each stand in the queue together.
    runtime.block_on(async {
        let global = scope("global");
        let mut waiting = Vec::new();
        for at in 0..50u32 {
            let tenant = tenant.clone();
            let global = global.clone();
            waiting.push(tokio::spawn(async move {
                let k = key(&(at % 3).to_string());
                match at % 5 {
                    4 => drop(
                        tenant
                            .delete(&global, &k, SetOptions::default())
                            .await
                            .unwrap(),
                    ),
                    3 => {
                        let mut batch = Batch::new();
                        batch.set(&global, &k, Value::bytes(at.to_string()));
                        batch.delete(&global, &key("1"));
                        tenant.commit(batch).await.unwrap();
                    }
                    _ => {
                        let value = Value::bytes(at.to_string());
                        tenant
                            .set(&global, &k, value, SetOptions::default())
                            .await
                            .unwrap();
                    }
                }
            }));
        }
        for task in waiting {
            task.await.unwrap();
        }
    });
    check_consistency(&manager).unwrap();
    manager.close().unwrap();
    check_consistency(&open(&disk)).unwrap();
}
