//! What a sync that fails does to the store.

use std::path::Path;

use statekeep_plugin_sdk::Config;

use super::*;
use crate::files::Files;
use crate::options::Options;

fn writer(directory: &Path) -> Writer {
    let options = Options::read(&Config::from_json(b"").unwrap()).unwrap();
    let files = Files::new(directory, options);
    let (connection, log) = (files.writer().unwrap(), files.log().unwrap());
    let room = Room::new(directory, 0);
    Writer::new(connection, log, room, 1 << 20, Host::detached()).unwrap()
}

fn put(writer: &Writer, key: &[u8]) {
    let sql = sql::of(0).unwrap().put;
    let values: [&[u8]; 2] = [key, b"value"];
    writer.connection.execute(sql, values).unwrap();
}

/// The story: a sync fails, the system counts the bytes as written, and what it reads later may not be
/// what was written. Closing would copy that to the main file.
#[test]
fn a_failed_sync_ends_all_writing_and_leaves_the_log_for_the_next_open() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("rows.sqlite-wal");
    let mut store = writer(folder.path());
    put(&store, b"before");
    store.flush().unwrap();
    put(&store, b"after");
    // A file that cannot be synced.
    store.log = File::open("/dev/null").unwrap();
    let error = store.flush().unwrap_err();
    assert_eq!(error.status(), Status::IO, "{error}");
    let again = store.flush().unwrap_err();
    assert_eq!(again.status(), Status::POISONED);
    assert!(again.message().contains("sync of sqlite's log"), "{again}");
    assert!(
        rows::value(&store.connection, 0, b"before")
            .unwrap()
            .is_some()
    );
    drop(store);
    assert!(
        log.metadata().unwrap().len() > 0,
        "the log was written back"
    );

    let store = writer(folder.path());
    assert!(
        rows::value(&store.connection, 0, b"before")
            .unwrap()
            .is_some()
    );
    assert!(
        rows::value(&store.connection, 0, b"after")
            .unwrap()
            .is_some()
    );
    drop(store);
    assert!(
        !log.exists(),
        "a sound store writes its log back at its end"
    );
}

#[test]
fn the_log_is_written_back_each_time_it_has_grown_by_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = writer(folder.path());
    let main = folder.path().join("rows.sqlite");
    let before = main.metadata().unwrap().len();
    let (mut last, mut begun_anew) = (0, 0);
    for number in 0u32..1000 {
        put(&store, &number.to_be_bytes());
        store.write_back().unwrap();
        begun_anew += u64::from(store.frames_seen < last);
        last = store.frames_seen;
        assert!(
            last <= store.step,
            "{last} frames, a step is {}",
            store.step
        );
    }
    assert_eq!(
        begun_anew,
        1000 / store.step,
        "a commit of one page is one frame"
    );
    assert!(main.metadata().unwrap().len() > before);
}
