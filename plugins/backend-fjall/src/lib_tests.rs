//! What the conformance suite cannot see: the engine's files between two sessions.

use std::fs;
use std::path::Path;

use fjall::PersistMode;
use statekeep_plugin_sdk::{Config, Host, Plugin, Status};

use super::*;

fn create(directory: &Path) -> Result<Fjall> {
    let config = format!("{{\"directory\": {directory:?}}}");
    Fjall::create(Host::detached(), &Config::from_json(config.as_bytes())?)
}

fn put(store: &Fjall, rows: &[(&str, &[u8])]) {
    let mut batch = store
        .database
        .batch()
        .durability(Some(PersistMode::SyncAll));
    for (key, value) in rows {
        let key = key.as_bytes();
        let space = 0;
        store.add(&mut batch, &Op::Put { space, key, value });
    }
    batch.commit().unwrap();
}

fn get(store: &Fjall, key: &str) -> Option<Vec<u8>> {
    let value = store.value(0, key.as_bytes()).unwrap();
    value.map(|value| value.to_vec())
}

/// Bytes that no compression shortens.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The story: the machine lost power while the last commit was being synced, and one page inside a
/// large value had not reached the disk. fjall 3.1.13 answered `JournalRecovery(ChecksumMismatch)`
/// to every open from then on, so all the commits before it were out of reach as well.
#[test]
fn a_store_opens_after_its_last_commit_was_torn() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).unwrap();
    put(&store, &[("kept", b"value")]);
    put(&store, &[("torn", &noise(20_000)), ("torn too", b"value")]);
    drop(store);

    let journal = folder.path().join("0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[8192..12288].fill(0);
    fs::write(&journal, bytes).unwrap();
    assert!(matches!(
        open(folder.path(), &defaults()),
        Err(Engine::JournalRecovery(_))
    ));

    for _ in 0..2 {
        let store = create(folder.path()).unwrap();
        assert_eq!(get(&store, "kept").unwrap(), b"value");
        assert_eq!(get(&store, "torn"), None);
        assert_eq!(get(&store, "torn too"), None);
        put(&store, &[("after", b"value")]);
    }
    assert_eq!(
        get(&create(folder.path()).unwrap(), "after").unwrap(),
        b"value"
    );
}

#[test]
fn damage_before_other_commits_is_reported_and_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).unwrap();
    put(&store, &[("damaged", &noise(20_000))]);
    put(&store, &[("later", b"value")]);
    drop(store);

    let journal = folder.path().join("0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[9000] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let error = create(folder.path()).err().unwrap();
    assert_eq!(error.status(), Status::CORRUPT);
    assert!(error.message().contains("`repair_journal`"), "{error}");
    assert_eq!(fs::read(&journal).unwrap(), bytes);
}

#[test]
fn a_store_opens_at_once_after_its_end_and_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = folder.path().join("0");
    fs::create_dir(&directory).unwrap();
    for round in 0..20 {
        let store = create(&directory).unwrap();
        for earlier in 0..round {
            assert!(get(&store, &format!("row {earlier}")).is_some());
        }
        put(&store, &[(&format!("row {round}"), b"value")]);
        store.database.persist(PersistMode::SyncAll).unwrap();
        drop(store);
        let next = folder.path().join(format!("{}", round + 1));
        fs::rename(&directory, &next).unwrap();
        directory = next;
    }
}

#[test]
fn a_second_opener_is_told_that_the_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).unwrap();
    let error = create(folder.path()).err().unwrap();
    assert_eq!(error.status(), Status::BUSY, "{error}");
    drop(store);
    create(folder.path()).unwrap();
}

fn defaults() -> Options {
    Options::read(&Config::from_json(b"{}").unwrap()).unwrap()
}
