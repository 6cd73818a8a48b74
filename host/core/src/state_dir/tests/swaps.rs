//! A namespace is made beside the current one, put in its place, undone and removed.

use super::*;

fn no_options() -> serde_json::Value {
    serde_json::json!({})
}

#[test]
fn a_swap_changes_backend_and_rows_and_keeps_the_old_namespace_as_its_undo() {
    let disk = disk();
    let opened = open(&disk);
    commit(&*opened.backend, b"key", b"old").unwrap();
    let pending = opened
        .dir
        .create_namespace("statekeep.log2", &no_options(), &init)
        .unwrap();
    commit(&**pending.backend(), b"key", b"new").unwrap();
    let (namespace, backend) = pending.publish().unwrap();
    assert_eq!(
        opened.dir.current(),
        opened.current,
        "published is not yet in use"
    );
    let current = opened.dir.replace_current(namespace, "log2").unwrap();
    assert_eq!((current.generation, current.backend.as_str()), (2, "log2"));
    assert_eq!(current.state, opened.current.state);
    assert_eq!(get(&*backend, b"key"), Some(b"new".to_vec()));
    let old = opened.current.namespace;
    drop((opened, backend));

    let opened = try_open(&disk, "log2").unwrap();
    assert_eq!(opened.current, current);
    assert_eq!(get(&*opened.backend, b"key"), Some(b"new".to_vec()));
    let listed: Vec<_> = opened
        .dir
        .namespaces()
        .unwrap()
        .iter()
        .map(|one| one.namespace)
        .collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&old) && listed.contains(&namespace));
    assert_eq!(
        get(&*opened.dir.open_namespace(old).unwrap(), b"key"),
        Some(b"old".to_vec())
    );
    opened.dir.replace_current(old, "log").unwrap();
    drop(opened);
    assert_eq!(get(&*open(&disk).backend, b"key"), Some(b"old".to_vec()));
}

#[test]
fn a_namespace_that_is_not_published_leaves_nothing() {
    let disk = disk();
    let opened = open(&disk);
    let before = disk.listing();
    let pending = opened
        .dir
        .create_namespace("log", &no_options(), &init)
        .unwrap();
    commit(&**pending.backend(), b"key", b"value").unwrap();
    drop(pending);
    assert_eq!(disk.listing(), before);
}

#[test]
fn a_namespace_whose_backend_is_still_in_use_is_not_published() {
    let disk = disk();
    let opened = open(&disk);
    let before = disk.listing();
    let pending = opened
        .dir
        .create_namespace("log", &no_options(), &init)
        .unwrap();
    let writer = Arc::clone(pending.backend());
    let error = pending.publish().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    drop(writer);
    assert_eq!(disk.listing(), before);
}

#[test]
fn a_namespace_in_memory_is_published_as_the_instance_that_was_filled() {
    let disk = disk();
    let opened = open(&disk);
    let pending = opened
        .dir
        .create_namespace("memory", &no_options(), &init)
        .unwrap();
    let filled = Arc::clone(pending.backend());
    commit(&*filled, b"key", b"value").unwrap();
    let (namespace, backend) = pending.publish().unwrap();
    assert!(Arc::ptr_eq(&filled, &backend));
    opened.dir.replace_current(namespace, "memory").unwrap();
    assert_eq!(get(&*backend, b"key"), Some(b"value".to_vec()));
}

#[test]
fn only_what_fits_becomes_current() {
    let disk = disk();
    let opened = open(&disk);
    let pending = opened
        .dir
        .create_namespace("log2", &no_options(), &init)
        .unwrap();
    let unpublished = pending.id();
    assert!(opened.dir.replace_current(unpublished, "log2").is_err());
    let (namespace, _backend) = pending.publish().unwrap();
    let error = opened.dir.replace_current(namespace, "log").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(opened.dir.current(), opened.current);
    assert_eq!(
        Current::read(&disk, Path::new(STATE)).unwrap(),
        opened.current
    );
}

#[test]
fn the_current_namespace_cannot_be_removed_and_another_one_can() {
    let disk = disk();
    let opened = open(&disk);
    let before = disk.listing();
    let error = opened
        .dir
        .remove_namespace(opened.current.namespace)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let pending = opened
        .dir
        .create_namespace("log", &no_options(), &init)
        .unwrap();
    let (namespace, backend) = pending.publish().unwrap();
    drop(backend);
    opened.dir.remove_namespace(namespace).unwrap();
    assert_eq!(disk.listing(), before);
}
