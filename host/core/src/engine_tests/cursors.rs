//! Durable cursors, and what holds back the trimming: reopening, power cuts, restores, copies.

use std::sync::Arc;

use super::watching::{all_told, from, look, rest, row, since, told};
use super::*;
use crate::namespace::Namespace;
use crate::testing::LogBackend;
use crate::{
    Backend, Batch, CURSORS_MAX, CommitKind, Durability, Error, ErrorKind, Keep, KeyRange,
    RecordHeader, RecordKind, RestoreSource, RowOp, Sequence, Space, Start, TenantNumber,
    TrimOptions, Watch, WatchOptions, data_key, encode_record,
};

fn cursor(manager: &StateManager, name: &str) -> crate::Result<Watch> {
    manager.watch(&from(Start::Cursor(name.to_owned())))
}

fn sequences(watch: &Watch) -> Vec<u64> {
    rest(watch).iter().map(|change| change.sequence.0).collect()
}

#[test]
fn a_cursor_goes_on_within_a_batch_after_a_reopen() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "before", "v");
    let watch = cursor(&manager, "index/main").unwrap();
    assert!(watch.created_cursor());
    let mut batch = Batch::new();
    for at in 0..1_000 {
        batch.set(
            &scope("global"),
            &key(&format!("{at:03}")),
            Value::bytes("v"),
        );
    }
    tenant.commit(batch).unwrap();
    tenant.put("global", "after", "v");
    for _ in 0..300 {
        look(&watch).unwrap();
    }
    watch.acknowledge().unwrap();
    for _ in 0..50 {
        look(&watch).unwrap();
    }
    let info = &manager.cursors().unwrap()[0];
    assert_eq!((info.name.as_str(), info.watched), ("index/main", true));
    assert!(!info.system);
    assert_eq!((info.sequence, info.changes), (Sequence(1), 300));
    manager.close().unwrap();
    drop((watch, tenant, manager));

    let manager = open(&disk);
    let watch = cursor(&manager, "index/main").unwrap();
    assert!(!watch.created_cursor());
    let seen = rest(&watch);
    assert_eq!(seen.len(), 701);
    assert_eq!(told(&seen[0]), row(2, " global 300", "v"));
    assert!(seen[699].last_of_commit);
    watch.acknowledge().unwrap();
    drop(watch);
    let info = &manager.cursors().unwrap()[0];
    assert_eq!(
        (info.sequence, info.changes, info.watched),
        (Sequence(3), 0, false)
    );
    assert_eq!(look(&cursor(&manager, "index/main").unwrap()), None);
}

#[test]
fn after_a_power_cut_nothing_acknowledged_durably_comes_again_and_nothing_is_left_out() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let mut options = options(disk.vfs());
        options.flush_interval_ms = 3_600_000;
        let manager = open_with(options).unwrap();
        let tenant = manager.default_tenant().blocking();
        let watch = cursor(&manager, "c").unwrap();
        let relaxed = SetOptions::with_durability(Durability::Relaxed);
        let put = |k: &str| {
            let value = Value::bytes("v");
            tenant
                .set(&scope("global"), &key(k), value, relaxed)
                .unwrap();
        };
        put("1");
        look(&watch).unwrap();
        watch.acknowledge().unwrap();
        manager.flush().unwrap();
        put("2");
        put("3");
        look(&watch).unwrap();
        watch.acknowledge().unwrap();
        let left = disk.crash(seed);

        let manager = open(&left);
        let at = manager.cursors().unwrap()[0].sequence;
        assert!([Sequence(1), Sequence(2)].contains(&at), "{at:?}");
        let head = manager.head();
        assert!(head >= at);
        let watch = cursor(&manager, "c").unwrap();
        let expected: Vec<_> = (at.0 + 1..=head.0).collect();
        assert_eq!(sequences(&watch), expected, "seed {seed}");
    }
}

#[test]
fn what_is_trimmed_is_compacted_and_watches_and_cursors_hold_it_back() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let put = |count| {
        for _ in 0..count {
            tenant.put("global", "k", "v");
        }
    };
    put(2);
    drop(cursor(&manager, "old").unwrap());
    put(3);
    let live = tenant.watch(&since(1)).unwrap();
    let namespace = manager.committer.namespace_arc().unwrap();
    let trim = |to| namespace.raise_floor(Sequence(to)).0;
    assert_eq!(trim(5), 1);
    assert_eq!(sequences(&live), [2, 3, 4, 5]);
    drop(live);
    let held = "the cursor `old` at commit 2";
    let (_, by) = namespace.floor_without(Sequence(5), UnixMs(i64::MIN));
    assert_eq!(by, [held]);
    assert_eq!(trim(5), 2);
    let error = tenant.watch(&since(1)).err().unwrap();
    match &error {
        Error::Compacted { oldest, .. } => assert_eq!(*oldest, Sequence(2)),
        other => panic!("{other}"),
    }
    assert_eq!(sequences(&cursor(&manager, "old").unwrap()), [3, 4, 5]);
    let busy = cursor(&manager, "old").unwrap();
    for error in [
        cursor(&manager, "old").err(),
        manager.delete_cursor("old").err(),
    ] {
        assert_eq!(error.unwrap().kind(), ErrorKind::Busy);
    }
    busy.close();
    assert!(manager.delete_cursor("old").unwrap());
    assert!(!manager.delete_cursor("old").unwrap());
    assert_eq!(trim(4), 4);
    assert_eq!(sequences(&tenant.watch(&since(4)).unwrap()), [5]);
    let to_come = tenant.watch(&since(6)).err().unwrap();
    assert_eq!(to_come.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_trim_stops_at_the_cursor_that_is_furthest_back() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.keep = Keep {
        age_ms: None,
        commits: Some(1),
    };
    options.upkeep_interval_ms = 0;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "1");
    let watch = cursor(&manager, "reader").unwrap();
    for value in ["2", "3", "4", "5"] {
        tenant.put("global", "k", value);
    }
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!(report.floor, Sequence(1));
    let held = "the cursor `reader` at commit 1";
    assert!(report.held_by.contains(&held.to_owned()), "{report:?}");
    for value in ["2", "3"] {
        assert_eq!(text(look(&watch).unwrap().value).as_deref(), Some(value));
    }
    watch.acknowledge().unwrap();
    drop(watch);
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!(report.floor, Sequence(3));
    let watch = cursor(&manager, "reader").unwrap();
    assert_eq!(sequences(&watch), [4, 5]);
    watch.acknowledge().unwrap();
    drop(watch);
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!((report.floor, report.held_by.len()), (Sequence(4), 0));
}

/// A cursor over keys that nobody writes held the whole past, however often it was acknowledged.
#[test]
fn a_cursor_that_nothing_matches_goes_on_when_it_is_acknowledged() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.keep.commits = Some(1);
    options.upkeep_interval_ms = 0;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let rare = WatchOptions {
        from: Start::Cursor("rare".to_owned()),
        key: Some("rare".to_owned()),
        ..WatchOptions::default()
    };
    let watch = manager.watch(&rare).unwrap();
    for value in ["1", "2", "3"] {
        tenant.put("global", "k", value);
    }
    assert_eq!(look(&watch), None);
    watch.acknowledge().unwrap();
    assert_eq!(manager.cursors().unwrap()[0].sequence, Sequence(3));
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!((report.floor, report.held_by.len()), (Sequence(2), 0));
    tenant.put("global", "rare", "4");
    assert_eq!(sequences(&watch), [4]);
}

#[test]
fn names_and_numbers_of_cursors_are_limited() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    for name in ["", "a b", "ä", &"n".repeat(129)] {
        let error = cursor(&manager, name).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name:?}");
    }
    for at in 0..CURSORS_MAX {
        drop(cursor(&manager, &format!("c-{at}_.:/")).unwrap());
    }
    let error = cursor(&manager, "one-more").err().unwrap();
    assert!(error.to_string().contains("CURSORS_MAX = 1024"), "{error}");
    let plain = manager.watch(&WatchOptions::default()).unwrap();
    assert_eq!(
        plain.acknowledge().unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}

fn restore(manager: &Arc<StateManager>, value: &[u8]) -> u64 {
    let mut builder = manager
        .begin_restore(RestoreSource {
            state_id: "elsewhere".to_owned(),
            sequence: Sequence(7),
            tenants: vec![(TenantNumber(3), "acme".to_owned())],
        })
        .unwrap();
    let mut header = RecordHeader::new(RecordKind::Bytes);
    header.sequence = Sequence(7);
    let name = data_key(TenantNumber(3), &scope("global"), &key("k"));
    builder
        .put(&name, &encode_record(&header, value).unwrap())
        .unwrap();
    builder.finish().unwrap().0
}

#[test]
fn a_restore_is_told_once_between_what_was_before_and_what_comes_after() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    manager
        .tenant("first")
        .unwrap()
        .blocking()
        .put("global", "x", "v");
    let acme = manager.tenant("acme").unwrap().blocking();
    let live = acme.watch(&since(0)).unwrap();
    let named = cursor(&manager, "c").unwrap();
    acme.put("global", "k", "old");
    acme.put("global", "k", "older than the restore");
    look(&named).unwrap();
    let old = manager.committer.namespace_arc().unwrap();
    assert_eq!(restore(&manager, b"restored"), 8);
    assert_eq!(restore(&manager, b"restored again"), 9);
    acme.put("global", "k", "new");
    // What it had handed out before the restore says nothing about what is now.
    named.acknowledge().unwrap();
    let restored = (9, "Restore".to_owned(), None);
    let after = [restored, row(10, "acme global k", "new")];
    let before = [
        row(2, "acme global k", "old"),
        row(3, "acme global k", "older than the restore"),
    ];
    assert_eq!(all_told(&live), [&before[..], &after[..]].concat());
    assert!(old.oldest_pin().is_some(), "the named watch still reads it");
    manager.close().unwrap();
    assert_eq!(old.oldest_pin(), None);
    drop((live, named, acme, manager, old));

    let manager = open(&disk);
    let named = cursor(&manager, "c").unwrap();
    let change = look(&named).unwrap();
    assert_eq!((change.kind, change.key), (CommitKind::Restore, None));
    assert_eq!((change.sequence, change.time), (Sequence(9), UnixMs(1_000)));
    drop(named);
    let named = cursor(&manager, "c").unwrap();
    assert_eq!(all_told(&named), after);
    named.acknowledge().unwrap();
    drop(named);
    let again = cursor(&manager, "c").unwrap();
    assert_eq!(look(&again), None);
    assert_eq!(manager.cursors().unwrap()[0].sequence, Sequence(10));
}

/// The same rows in another backend.
fn copied(from: &Namespace, disk: &SimDisk) -> Arc<Namespace> {
    let backend = LogBackend::volatile(disk.vfs(), std::path::Path::new("/copy"));
    for space in [Space::Data, Space::History, Space::Journal, Space::Meta] {
        let mut rows = Vec::new();
        let mut scan = from.backend.scan(space, KeyRange::default()).unwrap();
        while scan
            .next_batch(64, &mut |k, v| rows.push((k.to_vec(), v.to_vec())))
            .unwrap()
            > 0
        {}
        let put = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let op = RowOp::Put { space, key, value };
            backend.commit(&[op], Durability::Relaxed).unwrap();
        };
        rows.iter().for_each(put);
    }
    let generation = from.generation + 1;
    let plugins = TestPlugins::shared(disk.vfs());
    let dir = from.dir.clone();
    let (copy, _) = Namespace::load(Arc::new(backend), generation, dir, plugins, 0).unwrap();
    Arc::new(copy)
}

#[test]
fn a_copy_in_another_backend_is_read_on_without_gap_or_repeat() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let watch = tenant.watch(&WatchOptions::default()).unwrap();
    let mut batch = Batch::new();
    for at in 0..4 {
        batch.set(&scope("global"), &key(&at.to_string()), Value::bytes("v"));
    }
    tenant.commit(batch).unwrap();
    tenant.put("global", "0", "w");
    assert_eq!(
        look(&watch).map(|c| told(&c)),
        Some(row(1, " global 0", "v"))
    );
    let old = manager.committer.namespace_arc().unwrap();
    let new = copied(&old, &disk);
    manager.committer.put_in_use(Some(&new));
    assert_eq!(
        new.raise_floor(Sequence(2)),
        Sequence(0),
        "the watch needs its past"
    );
    let expected = [
        row(1, " global 1", "v"),
        row(1, " global 2", "v"),
        row(1, " global 3", "v"),
        row(2, " global 0", "w"),
    ];
    assert_eq!(all_told(&watch), expected);
    assert_eq!(old.oldest_pin(), None);
    drop(watch);
    assert_eq!(new.oldest_pin(), None);
}
