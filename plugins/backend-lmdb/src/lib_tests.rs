//! What the conformance suite cannot see: the engine's file between two sessions, the ends of the
//! map and of the reader slots.

use std::fs;

use statekeep_plugin_sdk::Cursor as _;

use statekeep_plugin_sdk::Status;

use super::*;

/// Bytes of the map in tests that fill it.
const SMALL: usize = 64 << 20;

fn create_with(directory: &Path, options: &str) -> Result<Lmdb> {
    let config = format!("{{\"directory\": {directory:?}, \"options\": {options}}}");
    Lmdb::create(Host::detached(), &Config::from_json(config.as_bytes())?)
}

fn create(directory: &Path) -> Result<Lmdb> {
    create_with(directory, "{}")
}

/// One relaxed commit.
fn put(store: &Lmdb, rows: &[(String, Vec<u8>)]) -> Result<()> {
    let mut transaction = store.env.write_txn().during_commit()?;
    for (key, value) in rows {
        let put = |stored: &[u8]| store.rows.put(&mut transaction, stored, value);
        one_keyspace::with_stored(0, key.as_bytes(), put).during_commit()?;
    }
    transaction.commit().during_commit()
}

fn get(store: &Lmdb, key: &str) -> Option<Vec<u8>> {
    let transaction = store.env.read_txn().unwrap();
    let value = store.value(&transaction, 0, key.as_bytes()).unwrap();
    value.map(<[u8]>::to_vec)
}

fn scan(store: &Lmdb) -> Result<Scan> {
    store.scan(&ScanRange {
        space: 0,
        lo: b"",
        hi: None,
        reverse: false,
    })
}

/// Every row of a commit has a value that says which one it was.
fn rows_of(commit: usize) -> Vec<(String, Vec<u8>)> {
    let of = |row: usize| {
        let value = vec![commit as u8; 200 + (commit * 37 + row * 911) % 6000];
        (format!("row {row}"), value)
    };
    (0..8).map(of).collect()
}

/// The commit whose rows, all of them, are in the store.
fn whole_commit(store: &Lmdb) -> Option<usize> {
    let commit = usize::from(*get(store, "row 0")?.first()?);
    let expected = rows_of(commit);
    let is_whole = |(key, value): &(String, Vec<u8>)| get(store, key).as_ref() == Some(value);
    expected.iter().all(is_whole).then_some(commit)
}

/// The story: LMDB without a sync of its meta page. When power fails during a commit, the disk may
/// hold any of that commit's pages, and the meta page of the one before or not. What opens then is
/// one of the two commits before it, whole, although pages of older ones are used again.
#[test]
fn a_power_cut_takes_back_one_relaxed_commit_at_most() {
    const PAGE: usize = 4096;
    const COMMITS: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.mdb");
    let store = create(folder.path()).unwrap();
    let mut files = Vec::new();
    for commit in 0..COMMITS {
        put(&store, &rows_of(commit)).unwrap();
        files.push(fs::read(&file).unwrap());
    }
    drop(store);

    let page = |file: &[u8], at: usize| file.get(at * PAGE..(at + 1) * PAGE).map(<[u8]>::to_vec);
    let (mut last, mut before_last) = (0, 0);
    for [older, newer, next] in (2..COMMITS).map(|i| [&files[i - 2], &files[i - 1], &files[i]]) {
        for seed in 0..8usize {
            let mut disk = newer.clone();
            disk.resize(next.len(), 0);
            for at in 2..next.len() / PAGE {
                if (seed.wrapping_mul(31) ^ at).count_ones().is_multiple_of(2) {
                    disk[at * PAGE..(at + 1) * PAGE].copy_from_slice(&page(next, at).unwrap());
                }
            }
            let meta_is_lost = seed.is_multiple_of(2);
            if meta_is_lost {
                disk[..2 * PAGE].copy_from_slice(&older[..2 * PAGE]);
            }
            let after = tempfile::tempdir().unwrap();
            fs::write(after.path().join("data.mdb"), disk).unwrap();
            let found = whole_commit(&create(after.path()).unwrap()).unwrap();
            match meta_is_lost {
                true => before_last += usize::from(rows_of(found)[0].1 == first_row(older)),
                false => last += usize::from(rows_of(found)[0].1 == first_row(newer)),
            }
        }
    }
    assert_eq!((before_last, last), ((COMMITS - 2) * 4, (COMMITS - 2) * 4));
}

/// The first row of the store that the file holds.
fn first_row(file: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.mdb"), file).unwrap();
    get(&create(folder.path()).unwrap(), "row 0").unwrap()
}

/// The file grows within the map while a scan reads; at its end commits are refused, whole, reads go
/// on, and with a larger map so do commits.
#[test]
fn a_full_map_refuses_commits_until_it_is_larger() {
    let folder = tempfile::tempdir().unwrap();
    let options = format!("{{\"map_bytes_max\": {SMALL}}}");
    let store = create_with(folder.path(), &options).unwrap();
    put(&store, &[("first".to_owned(), vec![1; 100])]).unwrap();
    let mut open_scan = scan(&store).unwrap();

    let row = |number: usize| (format!("row {number}"), vec![number as u8; 3 << 20]);
    let both = |number: usize| [row(number), row(number + 100)];
    let error = (0..)
        .find_map(|number| put(&store, &both(number)).err())
        .unwrap();
    assert_eq!(error.status(), Status::NO_SPACE);
    assert!(error.message().contains("`map_bytes_max`"), "{error}");
    let taken = (0..100).take_while(|number| get(&store, &row(*number).0).is_some());
    let taken = taken.count();
    assert!(taken >= 8, "{taken} commits fit");
    assert_eq!(get(&store, &row(taken + 100).0), None);
    let (key, _) = open_scan.next().unwrap().unwrap();
    assert_eq!(key.as_ref(), b"first");
    assert!(open_scan.next().is_none());
    drop((open_scan, store));

    let store = create(folder.path()).unwrap();
    put(&store, &both(taken)).unwrap();
    for (key, value) in both(taken) {
        assert!(get(&store, &key) == Some(value), "{key}");
    }
    assert!(fs::metadata(folder.path().join("data.mdb")).unwrap().len() > SMALL as u64);
}

#[test]
fn readers_beyond_the_limit_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = create_with(folder.path(), "{\"readers_max\": 16}").unwrap();
    put(&store, &[("key".to_owned(), vec![1])]).unwrap();
    let mut scans: Vec<Scan> = (0..16).map(|_| scan(&store).unwrap()).collect();
    let error = scan(&store).err().unwrap();
    assert_eq!(error.status(), Status::UNAVAILABLE);
    assert!(error.message().contains("`readers_max`"), "{error}");
    scans.pop();
    assert!(scan(&store).unwrap().next().is_some());
}

/// A scan goes from batch to batch without a gap, in both directions, and its cursor moves between
/// threads.
#[test]
fn batches_join_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).unwrap();
    // Every key is the beginning of the next one.
    let rows: Vec<_> = (1..1500)
        .map(|len| ("k".repeat(len), vec![7; 300]))
        .collect();
    put(&store, &rows).unwrap();
    for reverse in [false, true] {
        let range = ScanRange {
            space: 0,
            lo: b"k",
            hi: None,
            reverse,
        };
        let mut scan = store.scan(&range).unwrap();
        let read = move || {
            let keys = std::iter::from_fn(|| scan.next());
            keys.map(|row| row.unwrap().0.as_ref().len()).collect()
        };
        let mut found: Vec<usize> = std::thread::spawn(read).join().unwrap();
        if reverse {
            found.reverse();
        }
        assert_eq!(found, (1..1500).collect::<Vec<_>>());
    }
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
        put(&store, &[(format!("row {round}"), vec![1; 10])]).unwrap();
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
    fs::write(folder.path().join("data.mdb"), [1; 8192]).unwrap();
    let error = create(folder.path()).err().unwrap();
    assert_eq!(error.status(), Status::CORRUPT, "{error}");
}
