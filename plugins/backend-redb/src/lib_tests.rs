//! What the conformance suite cannot see: the engine's file between two sessions.

use std::fs;

use statekeep_plugin_sdk::Status;

use super::*;

fn create(directory: &Path) -> Result<Redb> {
    let config = format!("{{\"directory\": {directory:?}}}");
    Redb::create(Host::detached(), &Config::from_json(config.as_bytes())?)
}

fn put(store: &Redb, key: &str, value: &[u8]) {
    let insert = |rows: &mut redb::Table<'_, &[u8], &[u8]>| {
        one_keyspace::with_stored(0, key.as_bytes(), |stored| {
            rows.insert(stored, value).map(|_| ())
        })
        .map_err(redb::Error::from)
    };
    store.write(insert).unwrap();
}

fn get(store: &Redb, key: &str) -> Option<Vec<u8>> {
    let value = store.value(0, key.as_bytes()).unwrap();
    value.map(|value| value.as_ref().to_vec())
}

/// The story: the machine lost power while a commit was being synced, and some of its pages had not
/// reached the disk although the header that names them had. The commit is dropped, and only it.
#[test]
fn a_store_opens_after_its_last_commit_was_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let store = create(folder.path()).unwrap();
    put(&store, "kept", b"value");
    let before = fs::read(&path).unwrap();
    put(&store, "torn", &[7; 20_000]);
    let after = fs::read(&path).unwrap();
    drop(store);

    // Page 0 holds the header; every other changed page is one that may be missing.
    let changed: Vec<usize> = (4096..after.len())
        .step_by(4096)
        .filter(|at| before.get(*at..*at + 4096) != after.get(*at..*at + 4096))
        .collect();
    let mut dropped = 0;
    for missing in changed {
        let mut torn = after.clone();
        for (at, byte) in torn.iter_mut().enumerate().skip(missing).take(4096) {
            *byte = before.get(at).copied().unwrap_or_default();
        }
        fs::write(&path, torn).unwrap();
        let store = create(folder.path()).unwrap();
        assert_eq!(get(&store, "kept").unwrap(), b"value", "page {missing}");
        // Not every page that changed belongs to the commit.
        let whole = get(&store, "torn").map(|value| value == [7; 20_000]);
        assert_ne!(whole, Some(false), "page {missing}");
        dropped += u32::from(whole.is_none());
        put(&store, "after", b"value");
        drop(store);
        assert!(get(&create(folder.path()).unwrap(), "after").is_some());
    }
    // The five pages of the value at the least.
    assert!(dropped >= 5, "{dropped} pages");
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
        put(&store, &format!("row {round}"), b"value");
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

#[test]
fn a_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), [1; 8192]).unwrap();
    let error = create(folder.path()).err().unwrap();
    assert!(error.message().starts_with("redb open failed: "), "{error}");
}
