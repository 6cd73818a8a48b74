//! What the conformance suite cannot see: the engine's files between two sessions.

use std::fs;

use statekeep_plugin_sdk::Status;

use super::*;

fn create(directory: &Path) -> Result<Sled> {
    let config = format!("{{\"directory\": {directory:?}}}");
    Sled::create(Host::detached(), &Config::from_json(config.as_bytes())?)
}

fn put(store: &Sled, key: &str, value: &[u8]) {
    one_keyspace::with_stored(0, key.as_bytes(), |stored| store.rows.insert(stored, value))
        .unwrap();
    store.flush().unwrap();
}

#[test]
fn a_store_opens_at_once_after_its_end_and_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = folder.path().join("0");
    fs::create_dir(&directory).unwrap();
    for round in 0..20 {
        let store = create(&directory).unwrap();
        for earlier in 0..round {
            let key = format!("row {earlier}");
            assert!(store.value(0, key.as_bytes()).unwrap().is_some());
        }
        put(&store, &format!("row {round}"), &vec![1; 300_000]);
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

/// sled 0.34 takes the half of a page table that a crash while opening leaves for a whole one, and
/// says that the store is damaged.
#[test]
fn half_a_page_table_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).unwrap();
    put(&store, "row", b"value");
    drop(store);
    let half = folder.path().join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&half, b"half").unwrap();
    let store = create(folder.path()).unwrap();
    assert!(store.value(0, b"row").unwrap().is_some());
    assert!(!half.exists());
    fs::write(&half, b"half").unwrap();
    create(folder.path()).err().unwrap();
    assert!(half.exists(), "it may be what the other process writes");
}
