//! The log backend: whole commits after a cut, and nothing after damage.

use super::*;
use crate::vfs::sim::SimDisk;

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> RowOp<'a> {
    RowOp::Put {
        space: Space::Data,
        key,
        value,
    }
}

fn open(disk: &SimDisk) -> LogBackend {
    LogBackend::open(disk.vfs(), Path::new("/")).unwrap()
}

fn rows(backend: &LogBackend, range: KeyRange<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut cursor = backend.scan(Space::Data, range).unwrap();
    while cursor
        .next_batch(2, &mut |k, v| rows.push((k.to_vec(), v.to_vec())))
        .unwrap()
        > 0
    {}
    rows
}

#[test]
fn synced_commits_survive_and_relaxed_ones_are_lost_from_the_end() {
    let disk = SimDisk::new();
    let backend = open(&disk);
    backend
        .commit(&[put(b"a", b"1"), put(b"b", b"")], Durability::Sync)
        .unwrap();
    for at in 0..9_u8 {
        backend
            .commit(&[put(&[b'n', at], &[at; 900])], Durability::Relaxed)
            .unwrap();
    }
    for seed in 0..300 {
        let rows = rows(&open(&disk.crash(seed)), KeyRange::default());
        assert_eq!(
            rows[..2],
            [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), vec![])]
        );
        let later: Vec<_> = rows[2..].iter().map(|(key, _)| key[1]).collect();
        assert_eq!(
            later,
            (0..later.len() as u8).collect::<Vec<_>>(),
            "seed {seed}: a hole"
        );
    }
}

#[test]
fn what_one_opening_shows_no_later_crash_takes_back() {
    let disk = SimDisk::new();
    open(&disk)
        .commit(&[put(b"a", b"1")], Durability::Relaxed)
        .unwrap();
    let disk = disk.restart();
    let backend = open(&disk);
    backend
        .commit(&[put(b"b", b"2")], Durability::Sync)
        .unwrap();
    for seed in 0..50 {
        assert_eq!(
            rows(&open(&disk.crash(seed)), KeyRange::default()).len(),
            2,
            "seed {seed}"
        );
    }
}

#[test]
fn scans_go_both_ways_within_their_range() {
    let disk = SimDisk::new();
    let backend = open(&disk);
    for key in [b"a", b"b", b"c", b"d", b"e"] {
        backend
            .commit(&[put(key, key)], Durability::Relaxed)
            .unwrap();
    }
    backend
        .commit(
            &[RowOp::Delete {
                space: Space::Data,
                key: b"c",
            }],
            Durability::Sync,
        )
        .unwrap();
    let keys = |range| {
        rows(&backend, range)
            .into_iter()
            .map(|row| row.0)
            .collect::<Vec<_>>()
    };
    let range = KeyRange {
        lo: b"b",
        hi: Some(b"e"),
        reverse: false,
    };
    assert_eq!(keys(range), [b"b", b"d"]);
    assert_eq!(
        keys(KeyRange {
            reverse: true,
            ..range
        }),
        [b"d", b"b"]
    );
    assert_eq!(
        keys(KeyRange {
            hi: Some(b"a"),
            ..range
        }),
        Vec::<Vec<u8>>::new()
    );
}

#[test]
fn a_failed_sync_stops_all_writing() {
    let disk = SimDisk::new();
    let backend = open(&disk);
    backend
        .commit(&[put(b"a", b"1")], Durability::Sync)
        .unwrap();
    // The next commit is a write and a sync.
    let sync = disk.call_count() + 2;
    disk.fail_at(
        sync,
        std::io::ErrorKind::StorageFull,
        crate::vfs::sim::Times::Once,
    );
    let error = backend
        .commit(&[put(b"b", b"2")], Durability::Sync)
        .unwrap_err();
    assert!(matches!(error, CommitError::Unknown(_)), "{error:?}");
    let error = backend
        .commit(&[put(b"c", b"3")], Durability::Sync)
        .unwrap_err();
    assert!(
        matches!(error, CommitError::Refused(Error::Poisoned { .. })),
        "{error:?}"
    );
}
