//! What the conformance suite cannot see: the engine's files between two sessions, and its limits.

use std::fs;
use std::path::{Path, PathBuf};

use statekeep_plugin_sdk::Status;
use statekeep_plugin_sdk::api::{self, Bytes};
use statekeep_plugin_testkit::Failure;
use statekeep_plugin_testkit::backend::{Range, RawBackend, Subject};

fn open(directory: &Path) -> Result<RawBackend, Failure> {
    Subject::new(crate::descriptor()).open(directory)
}

fn open_with(directory: &Path, options: &str) -> RawBackend {
    let subject = Subject::new(crate::descriptor()).options(options);
    subject.open(directory).unwrap()
}

fn put_relaxed(store: &RawBackend, key: &[u8], value: &[u8]) {
    let op = api::Op {
        kind: api::OP_PUT,
        space: 0,
        key: Bytes::new(key),
        value: Bytes::new(value),
    };
    store.commit(&[op], api::DURABILITY_RELAXED).unwrap();
}

fn log_bytes(directory: &Path) -> u64 {
    fs::metadata(directory.join("rows.sqlite-wal")).map_or(0, |file| file.len())
}

/// What another machine finds after this one lost power, as far as the files go.
fn copied(directory: &Path, place: &Path) {
    fs::create_dir_all(place).unwrap();
    for name in ["rows.sqlite", "rows.sqlite-wal"] {
        fs::copy(directory.join(name), place.join(name)).unwrap();
    }
}

#[test]
fn a_store_opens_at_once_after_its_end_and_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = folder.path().join("0");
    fs::create_dir(&directory).unwrap();
    for round in 0u8..20 {
        let store = open(&directory).unwrap();
        for earlier in 0..round {
            assert!(store.get(0, &[earlier]).unwrap().is_some());
        }
        store.put(0, &[round], b"value").unwrap();
        drop(store);
        assert_eq!(log_bytes(&directory), 0, "the end writes the log back");
        let next = folder.path().join(format!("{}", round + 1));
        fs::rename(&directory, &next).unwrap();
        directory = next;
    }
}

#[test]
fn a_second_opener_is_told_that_the_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.status, Status::BUSY, "{error}");
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn what_is_not_this_plugin_s_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.sqlite");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE mine (a)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.status, Status::INCOMPATIBLE);
    assert!(error.text.contains("another program's"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();

    drop(open(folder.path()).unwrap());
    let later = rusqlite::Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 7).unwrap();
    drop(later);
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.status, Status::INCOMPATIBLE);
    assert!(error.text.contains("format 7"), "{error}");

    fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.status, Status::CORRUPT, "{error}");
    assert_eq!(fs::read(&path).unwrap(), vec![b'x'; 10_000]);
}

/// Unsynced commits, one page of the log lost, wherever it is: what is left is a prefix of them.
#[test]
fn a_torn_log_leaves_a_prefix_of_the_commits() {
    const COMMITS: u8 = 12;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    fs::create_dir(&directory).unwrap();
    let store = open(&directory).unwrap();
    for number in 0..COMMITS {
        put_relaxed(&store, &[number], &vec![number; 3000]);
        put_relaxed(&store, b"last", &[number]);
    }
    let log = fs::read(directory.join("rows.sqlite-wal")).unwrap();
    let (mut fewest, mut most) = (u8::MAX, 0);
    for (round, at) in (0..log.len()).step_by(4096).enumerate() {
        let place = folder.path().join(round.to_string());
        copied(&directory, &place);
        let mut torn = log.clone();
        torn[at..log.len().min(at + 4096)].fill(0);
        fs::write(place.join("rows.sqlite-wal"), torn).unwrap();
        let Ok(store) = open(&place) else {
            panic!("a log torn at {at} keeps the store closed");
        };
        let rows = store.all(0).unwrap();
        let count = rows.iter().filter(|(key, _)| key.len() == 1).count() as u8;
        for number in 0..count {
            let value = store.get(0, &[number]).unwrap();
            assert_eq!(value, Some(vec![number; 3000]), "torn at {at}");
        }
        let last = store.get(0, b"last").unwrap();
        let last = last.map_or(0, |value| value[0] + 1);
        assert!(
            last == count || last + 1 == count,
            "torn at {at}: {last} of {count}"
        );
        (fewest, most) = (fewest.min(count), most.max(count));
    }
    assert!(fewest == 0 && most + 1 >= COMMITS, "{fewest} to {most}");
}

/// The log grows while a scan needs its instant, and only then.
#[test]
fn the_log_stays_short_but_for_an_open_scan() {
    const LIMIT: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), "{\"checkpoint_bytes\": 1048576}");
    // Other values each time: what is there already is not written again.
    let write = |fill: u8| {
        for round in 0u32..2000 {
            put_relaxed(&store, &(round % 500).to_be_bytes(), &[fill; 3000]);
        }
    };
    write(1);
    assert!(log_bytes(folder.path()) < 2 * LIMIT);

    let mut scan = store.scan(&Range::all(0)).unwrap();
    write(2);
    let grown = log_bytes(folder.path());
    assert!(grown > 4 * LIMIT, "{grown}");
    assert_eq!(scan.next(1).unwrap().len(), 1);
    drop(scan);
    write(3);
    let after = log_bytes(folder.path());
    assert!(after < 2 * LIMIT, "{after} after {grown}");
}

#[test]
fn scans_have_a_limit_and_gets_go_on_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), "{\"scans_max\": 3}");
    for number in 0u8..200 {
        put_relaxed(&store, &[number], b"value");
    }
    let mut opened = Vec::new();
    for _ in 0..20 {
        let scans: Vec<_> = (0..3)
            .map(|_| store.scan(&Range::all(0)).unwrap())
            .collect();
        let error = store.scan(&Range::all(0)).err().unwrap();
        assert_eq!(error.status, Status::UNAVAILABLE);
        assert!(error.text.contains("`scans_max`"), "{error}");
        assert!(store.get(0, &[1]).unwrap().is_some());
        store.put(1, b"k", b"v").unwrap();
        drop(scans);
        assert_eq!(store.all(0).unwrap().len(), 200);
        opened.push(files_open(folder.path()));
    }
    assert_eq!(opened.first(), opened.last(), "files stay open: {opened:?}");
}

/// How many open files of this process are in a folder.
fn files_open(folder: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let paths = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inside = |path: &PathBuf| path.starts_with(folder);
    paths.filter(inside).count()
}
