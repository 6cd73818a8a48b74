//! Tests of the state directory: what a user meets, then every fault at every call.

mod faults;
mod locks;
mod permissions;
mod refusals;
mod swaps;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::testing::TestPlugins;
use crate::vfs::sim::SimDisk;
use crate::{CommitError, Durability, RowOp, Space};

pub(super) const STATE: &str = "/data/state";

/// The row that `init` writes, so that a half-made namespace shows.
pub(super) const BORN: &[u8] = b"born";

pub(super) fn options(backend: &str) -> CreateOptions {
    let backend_options = serde_json::json!({});
    CreateOptions {
        create: true,
        backend: backend.to_owned(),
        backend_options,
    }
}

pub(super) fn commit(backend: &dyn Backend, key: &[u8], value: &[u8]) -> Result<()> {
    let op = RowOp::Put {
        space: Space::Data,
        key,
        value,
    };
    backend
        .commit(&[op], Durability::Sync)
        .map_err(|error| match error {
            CommitError::Refused(error) | CommitError::Unknown(error) => error,
        })
}

pub(super) fn init(backend: &dyn Backend, state: &StateId) -> Result<()> {
    let state = state.to_string();
    let op = RowOp::Put {
        space: Space::Meta,
        key: BORN,
        value: state.as_bytes(),
    };
    backend
        .commit(&[op], Durability::Sync)
        .map_err(|error| match error {
            CommitError::Refused(error) | CommitError::Unknown(error) => error,
        })
}

pub(super) fn get(backend: &dyn Backend, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    backend
        .get(Space::Data, key, &mut value)
        .unwrap()
        .then_some(value)
}

pub(super) fn born(backend: &dyn Backend) -> Option<String> {
    let mut value = Vec::new();
    let found = backend.get(Space::Meta, BORN, &mut value).unwrap();
    found.then(|| String::from_utf8(value).unwrap())
}

/// A disk with the folder in which states are made, durable.
pub(super) fn disk() -> SimDisk {
    let disk = SimDisk::new();
    crate::vfs::create_dir_all(&disk, Path::new("/data")).unwrap();
    disk.restart()
}

pub(super) fn try_open(disk: &SimDisk, backend: &str) -> Result<Opened> {
    let plugins = TestPlugins::shared(disk.vfs());
    StateDir::open(
        disk.vfs(),
        Path::new(STATE),
        &options(backend),
        plugins,
        &init,
    )
}

pub(super) fn open(disk: &SimDisk) -> Opened {
    try_open(disk, "log").unwrap_or_else(|error| panic!("{error}\n{:#?}", disk.listing()))
}

/// What is there besides one whole state.
pub(super) fn check_clean(disk: &SimDisk, opened: &Opened) -> Result<(), String> {
    let listing = disk.listing();
    let marks = [".creating-", ".removing-", ".tmp-", "/CREATING", "/PENDING"];
    let leftovers: Vec<_> = listing
        .iter()
        .filter(|line| marks.iter().any(|mark| line.contains(mark)))
        .collect();
    if !leftovers.is_empty() {
        return Err(format!("left behind: {leftovers:#?}"));
    }
    let state = opened.current.state.to_string();
    if born(&*opened.backend).as_ref() != Some(&state) {
        return Err(format!(
            "the first row of {state} is {:?}",
            born(&*opened.backend)
        ));
    }
    match opened.dir.namespaces() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("a half-made namespace: {error}")),
    }
}

pub(super) fn assert_clean(disk: &SimDisk, opened: &Opened) {
    assert_eq!(check_clean(disk, opened), Ok(()));
}

#[test]
fn a_new_state_has_its_rows_when_it_is_opened_again() {
    let disk = disk();
    let first = open(&disk);
    assert!(first.created && first.initialised);
    assert_eq!(
        (first.current.generation, first.current.backend.as_str()),
        (1, "log")
    );
    commit(&*first.backend, b"key", b"value").unwrap();
    let state = first.current.state;
    drop(first);
    let second = open(&disk);
    assert!(!second.created && !second.initialised);
    assert_eq!(
        (second.current.state, get(&*second.backend, b"key")),
        (state, Some(b"value".into()))
    );
    assert_clean(&disk, &second);
}

#[test]
fn folders_above_are_made_and_an_empty_one_is_taken() {
    let disk = SimDisk::new();
    crate::vfs::create_dir_all(&disk, Path::new(STATE)).unwrap();
    assert!(open(&disk).created);
    let disk = SimDisk::new();
    commit(&*open(&disk).backend, b"k", b"v").unwrap();
    for seed in 0..8 {
        assert_eq!(
            get(&*open(&disk.crash(seed)).backend, b"k"),
            Some(b"v".to_vec())
        );
    }
}

#[test]
fn rows_in_memory_are_kept_through_creation_and_gone_at_the_next_opening() {
    let disk = disk();
    let first = try_open(&disk, "memory").unwrap();
    assert_eq!(born(&*first.backend), Some(first.current.state.to_string()));
    commit(&*first.backend, b"key", b"value").unwrap();
    let (state, generation) = (first.current.state, first.current.generation);
    drop(first);
    let second = try_open(&disk, "memory").unwrap();
    assert!(!second.created && second.initialised);
    assert_eq!(
        (second.current.state, second.current.generation),
        (state, generation)
    );
    assert_eq!(get(&*second.backend, b"key"), None);
    assert_clean(&disk, &second);
}

#[test]
fn a_real_directory_holds_what_is_documented() {
    let root = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(crate::vfs::RealVfs);
    let path = root.path().join("a/b/state");
    let plugins = TestPlugins::shared(Arc::clone(&vfs));
    let opened = StateDir::open(
        Arc::clone(&vfs),
        &path,
        &options("statekeep.log"),
        plugins,
        &init,
    )
    .unwrap();
    commit(&*opened.backend, b"k", b"v").unwrap();
    let namespace = opened.current.namespace.to_string();
    let names: Vec<_> = vfs
        .read_dir(&path)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["CURRENT", "LOCK", &namespace]);
    let inside = vfs.read_dir(&path.join(&namespace)).unwrap();
    let inside: Vec<_> = inside.into_iter().map(|entry| entry.name).collect();
    assert_eq!(inside, ["NAMESPACE", "engine"]);
    let text = std::fs::read_to_string(path.join("CURRENT")).unwrap();
    let state = opened.current.state;
    let start = format!(
        r#"{{"format":1,"state":"{state}","backend":"log","namespace":"{namespace}","generation":1,"#
    );
    assert!(
        text.starts_with(&start) && text.ends_with("\"}\n"),
        "{text}"
    );
}
