//! What the conformance suite cannot see: the engine's files between two sessions.

use std::fs;
use std::path::{Path, PathBuf};

use statekeep_plugin_sdk::Status;
use statekeep_plugin_sdk::api::{self, Bytes};
use statekeep_plugin_testkit::Failure;
use statekeep_plugin_testkit::backend::{RawBackend, Subject};

fn open(directory: &Path) -> Result<RawBackend, Failure> {
    Subject::new(crate::descriptor()).open(directory)
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

/// The write-ahead logs, the oldest first.
fn logs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    logs.sort();
    logs
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

/// Unsynced commits, a block of the log lost, wherever it is: what is left is a prefix of them.
#[test]
fn a_torn_log_leaves_a_prefix_of_the_commits() {
    const COMMITS: u8 = 12;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    fs::create_dir(&directory).unwrap();
    let store = open(&directory).unwrap();
    for number in 0..COMMITS {
        put_relaxed(&store, &[number], &vec![number + 1; 3000]);
    }
    let log = fs::read(logs(&directory).last().unwrap()).unwrap();
    let (mut fewest, mut most) = (u8::MAX, 0);
    for (round, at) in (0..log.len()).step_by(1024).enumerate() {
        let place = folder.path().join(round.to_string());
        fs::create_dir(&place).unwrap();
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, place.join(path.file_name().unwrap())).unwrap();
        }
        let mut torn = log.clone();
        torn[at..log.len().min(at + 1024)].fill(0);
        fs::write(logs(&place).last().unwrap(), torn).unwrap();
        let Ok(store) = open(&place) else {
            panic!("a log torn at {at} keeps the store closed");
        };
        let count = store.all(0).unwrap().len() as u8;
        for number in 0..count {
            let value = store.get(0, &[number]).unwrap();
            assert_eq!(value, Some(vec![number + 1; 3000]), "torn at {at}");
        }
        (fewest, most) = (fewest.min(count), most.max(count));
    }
    assert!(fewest == 0 && most + 1 >= COMMITS, "{fewest} to {most}");
}

#[test]
fn damage_is_reported_as_such() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    fs::write(folder.path().join("CURRENT"), b"nonsense").unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.status, Status::CORRUPT, "{error}");
}
