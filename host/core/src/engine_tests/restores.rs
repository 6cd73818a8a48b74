//! Restores: living handles, bad records, and what an unfinished one leaves.

use super::history::{contents, row};
use super::*;
use crate::check::check_consistency;
use crate::{
    ErrorKind, RecordHeader, RecordKind, RestoreSource, Sequence, TenantNumber, data_key,
    encode_record,
};

fn record(value: &str, sequence: u64) -> Vec<u8> {
    let mut header = RecordHeader::new(RecordKind::Bytes);
    header.sequence = Sequence(sequence);
    encode_record(&header, value.as_bytes()).unwrap()
}

fn source(sequence: u64) -> RestoreSource {
    RestoreSource {
        state_id: "elsewhere".to_owned(),
        sequence: Sequence(sequence),
        tenants: vec![(TenantNumber(5), "acme".to_owned())],
    }
}

#[test]
fn a_restore_replaces_everything_under_living_handles() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let acme = manager.tenant("acme").unwrap().blocking();
    tenant.put("global", "a", "old");
    acme.put("global", "a", "old acme");
    let snapshot = manager.snapshot().unwrap();
    let before = manager.info().unwrap();

    let mut builder = manager.begin_restore(source(40)).unwrap();
    let k = |tenant, name| data_key(TenantNumber(tenant), &scope("global"), &key(name));
    builder.put(&k(0, "b"), &record("new", 7)).unwrap();
    builder.put(&k(5, "b"), &record("new acme", 40)).unwrap();
    // Until then nothing changes, and writes go on.
    assert_eq!(tenant.put("global", "late", "x"), 3);
    assert_eq!(tenant.read("global", "a").as_deref(), Some("old"));
    assert_eq!(builder.finish().unwrap(), Sequence(41));

    assert_eq!(tenant.read("global", "a"), None);
    assert_eq!(tenant.read("global", "b").as_deref(), Some("new"));
    assert_eq!(acme.read("global", "b").as_deref(), Some("new acme"));
    assert_eq!(
        contents(&snapshot),
        [row("global a", "old", 1), row("global a", "old acme", 2)]
    );
    assert_eq!(acme.put("global", "c", "more"), 42);
    let after = manager.info().unwrap();
    assert_eq!(after.state_id, before.state_id);
    assert_ne!(after.timeline, before.timeline);
    assert_eq!((after.floor, after.head), (Sequence(41), Sequence(42)));
    check_consistency(&manager).unwrap();
    drop(snapshot);
    manager.close().unwrap();

    let manager = open(&disk);
    let acme = manager.tenant("acme").unwrap().blocking();
    assert_eq!(acme.read("global", "c").as_deref(), Some("more"));
    assert_eq!(manager.info().unwrap().timeline, after.timeline);
    check_consistency(&manager).unwrap();
}

#[test]
fn what_is_no_record_of_the_source_is_refused_and_an_unfinished_restore_leaves_nothing() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    manager
        .default_tenant()
        .blocking()
        .put("global", "a", "kept");
    let listing = disk.listing().len();
    let mut builder = manager.begin_restore(source(40)).unwrap();
    let k = |tenant| data_key(TenantNumber(tenant), &scope("global"), &key("k"));
    let mut damaged = record("v", 1);
    damaged[32] ^= 1;
    let tombstone = encode_record(&RecordHeader::new(RecordKind::Tombstone), b"").unwrap();
    for (name, bytes, kind) in [
        (k(0), damaged, ErrorKind::Corrupt),
        (k(0), tombstone, ErrorKind::InvalidArgument),
        (k(0), record("v", 41), ErrorKind::InvalidArgument),
        (k(0), record("v", 0), ErrorKind::InvalidArgument),
        (k(6), record("v", 1), ErrorKind::InvalidArgument),
        (b"junk".to_vec(), record("v", 1), ErrorKind::Corrupt),
    ] {
        assert_eq!(builder.put(&name, &bytes).unwrap_err().kind(), kind);
    }
    builder.put(&k(0), &record("v", 1)).unwrap();
    drop(builder);
    assert_eq!(disk.listing().len(), listing);
    let tenant = manager.default_tenant().blocking();
    assert_eq!(tenant.read("global", "a").as_deref(), Some("kept"));
    let mut twice = source(1);
    twice.tenants.push((TenantNumber(5), "other".to_owned()));
    assert!(manager.begin_restore(twice).is_err());
}

#[test]
fn a_restore_gives_numbers_to_tenants_that_its_source_does_not_name() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let beyond = manager.begin_restore(source(u64::MAX)).err().unwrap();
    assert_eq!(beyond.kind(), ErrorKind::InvalidArgument);
    let mut builder = manager.begin_restore(source(3)).unwrap();
    let numbers = ["", "acme", "globex", "globex"].map(|name| builder.tenant(name).unwrap().0);
    assert_eq!(numbers, [0, 5, 6, 6]);
    let name = data_key(TenantNumber(6), &scope("global"), &key("k"));
    builder.put(&name, &record("v", 1)).unwrap();
    builder.finish().unwrap();
    let globex = manager.tenant("globex").unwrap().blocking();
    assert_eq!(globex.read("global", "k").as_deref(), Some("v"));
}

/// What a restore of a past, an undo and a swap say about the timeline that was left.
#[test]
fn a_timeline_says_which_one_it_left_and_where() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    let facts = |manager: &Arc<StateManager>| manager.snapshot().unwrap().facts();
    tenant.put("global", "a", "1");
    let first = facts(&manager);
    assert_eq!(first.fork, None);

    let restore = |timeline: &str| {
        let mut builder = manager.begin_restore(source(1)).unwrap();
        builder.fork_of(timeline);
        builder.complete().unwrap()
    };
    tenant.put("global", "a", "2");
    let head = manager.head();
    let done = restore(&first.timeline);
    let second = facts(&manager);
    let fork = second.fork.clone().unwrap();
    assert_eq!(
        (fork.timeline.as_str(), fork.sequence),
        (first.timeline.as_str(), Sequence(1))
    );
    // Back to where the first one ended.
    manager.undo(done.replaced, 0).unwrap();
    let third = facts(&manager);
    let fork = third.fork.clone().unwrap();
    assert_eq!(
        (fork.timeline.as_str(), fork.sequence),
        (first.timeline.as_str(), head)
    );
    manager.close().unwrap();
    let manager = open(&disk.restart());
    assert_eq!(facts(&manager), third, "it is read again");

    // What is no id is not kept.
    let mut builder = manager.begin_restore(source(1)).unwrap();
    builder.fork_of("../timeline");
    builder.finish().unwrap();
    assert_eq!(facts(&manager).fork, None);
}
