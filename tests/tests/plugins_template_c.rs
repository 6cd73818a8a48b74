//! The C template keeps its promises beyond the conformance suite: what a crash cut short is taken
//! back, what is damaged is refused and not lost, one instance owns a folder.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::json;
use statekeep_core::{Backend, BackendConfig, Durability, Error, ErrorKind, Plugins, RowOp, Space};
use statekeep_loader::{Policy, Registry};
use statekeep_tests::fixtures;

/// Built and loaded once; each test has instances of its own.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::template_c("backend"), folder.path());
    let registry = Registry::new(Policy {
        allow_unlisted: true,
        ..Policy::default()
    });
    registry.load(&path).unwrap();
    registry
});

fn open(folder: &Path) -> Result<Arc<dyn Backend>, Error> {
    let options = json!({});
    let directory = folder.to_owned();
    REGISTRY.open_backend(
        "org.example.template-backend",
        &BackendConfig { directory, options },
    )
}

fn put(backend: &dyn Backend, key: &[u8], value: &[u8]) {
    let ops = [RowOp::Put {
        space: Space::Data,
        key,
        value,
    }];
    backend.commit(&ops, Durability::Sync).unwrap();
}

fn get(backend: &dyn Backend, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    backend
        .get(Space::Data, key, &mut value)
        .unwrap()
        .then_some(value)
}

/// Three commits, and the log that they leave.
fn written(folder: &Path) -> Vec<u8> {
    let backend = open(folder).unwrap();
    for key in [b"a", b"b", b"c"] {
        put(&*backend, key, b"value");
    }
    drop(backend);
    fs::read(folder.join("rows.log")).unwrap()
}

#[test]
fn a_commit_that_was_cut_short_is_taken_back_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let log = written(folder.path());
    let record = (log.len() - 8) / 3;
    for cut in 1..=record {
        fs::write(folder.path().join("rows.log"), &log[..log.len() - cut]).unwrap();
        let backend = open(folder.path()).unwrap();
        assert_eq!(
            get(&*backend, b"b").as_deref(),
            Some(&b"value"[..]),
            "cut by {cut}"
        );
        assert_eq!(get(&*backend, b"c"), None, "cut by {cut}");
        // What comes after is not hidden behind what was cut.
        put(&*backend, b"d", b"new");
        drop(backend);
        let backend = open(folder.path()).unwrap();
        assert_eq!(
            get(&*backend, b"d").as_deref(),
            Some(&b"new"[..]),
            "cut by {cut}"
        );
    }
}

#[test]
fn damage_is_refused_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let log = written(folder.path());
    let record = (log.len() - 8) / 3;
    let path = folder.path().join("rows.log");
    for at in 8..8 + 2 * record {
        let mut bytes = log.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let error = open(folder.path())
            .err()
            .unwrap_or_else(|| panic!("byte {at} was not missed"));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
        assert!(
            error.to_string().contains("rows.log is damaged at byte"),
            "{error}"
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "byte {at}: the log is left as it is"
        );
    }
    fs::write(&path, b"another format").unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
}

#[test]
fn one_instance_owns_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error
            .to_string()
            .contains("is open already; close it there"),
        "{error}"
    );
    drop(first);
    open(folder.path()).expect("it was given back");
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = BackendConfig {
        directory: folder.path().to_owned(),
        options: json!({ "cache_bytes": 7 }),
    };
    let error = REGISTRY
        .open_backend("org.example.template-backend", &config)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("unknown option cache_bytes"),
        "{error}"
    );
}

/// The log does not grow for ever: at opening it is rewritten when most of it is dead.
#[test]
fn a_log_of_dead_rows_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).unwrap();
    for round in 0..10u8 {
        put(&*backend, b"large", &vec![round; 1 << 20]);
        put(&*backend, &[b'k', round], b"small");
    }
    drop(backend);
    let len = || fs::metadata(folder.path().join("rows.log")).unwrap().len();
    assert!(len() > 10 << 20);
    let backend = open(folder.path()).unwrap();
    assert!(len() < 2 << 20, "{} bytes", len());
    put(&*backend, b"after", b"the rewrite");
    drop(backend);
    let backend = open(folder.path()).unwrap();
    assert_eq!(get(&*backend, b"large"), Some(vec![9; 1 << 20]));
    assert_eq!(get(&*backend, b"k\x03").as_deref(), Some(&b"small"[..]));
    assert_eq!(
        get(&*backend, b"after").as_deref(),
        Some(&b"the rewrite"[..])
    );
}
