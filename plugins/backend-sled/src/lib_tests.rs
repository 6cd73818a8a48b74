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
