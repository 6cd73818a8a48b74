//! Folders, files and wishes that are refused, and how that is said.

use super::*;

fn error(disk: &SimDisk, backend: &str) -> Error {
    match try_open(disk, backend) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8]) {
    disk.create(Path::new(path))
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_as_it_is() {
    let disk = disk();
    disk.create_dir(Path::new(STATE)).unwrap();
    write(&disk, "/data/state/thesis.txt", b"mine");
    write(
        &disk,
        "/data/state/CURRENT.tmp-01ARZ3NDEKTSV4RRFFQ69G5FAV",
        b"",
    );
    let before = disk.listing();
    let error = error(&disk, "log");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error
            .to_string()
            .contains("/data/state: not a Statekeep state"),
        "{error}"
    );
    assert_eq!(disk.listing(), before);
}

/// A state was lost and its backups were not: it could be made again nowhere but elsewhere, since
/// the folder "is not empty".
#[test]
fn a_state_is_made_around_backups_and_around_nothing_else() {
    let disk = disk();
    for folder in ["", "/backups", "/backups/man"] {
        disk.create_dir(Path::new(&format!("{STATE}{folder}")))
            .unwrap();
    }
    let refused = |disk: &SimDisk| {
        let before = disk.listing();
        assert_eq!(error(disk, "log").kind(), ErrorKind::InvalidArgument);
        assert_eq!(disk.listing(), before);
    };
    // A folder of that name that is no repository, and a lock file that could be anybody's.
    refused(&disk);
    write(&disk, "/data/state/LOCK", b"");
    refused(&disk);
    write(&disk, "/data/state/backups/FORMAT", b"{}");
    write(&disk, "/data/state/backups/man/one", b"backup");
    let other = disk.restart();
    write(&other, "/data/state/letter.txt", b"mine");
    refused(&other);
    let without = CreateOptions {
        create: false,
        ..options("log")
    };
    let plugins = TestPlugins::shared(disk.vfs());
    let opened = StateDir::open(disk.vfs(), Path::new(STATE), &without, plugins, &init);
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::NotFound);

    let opened = open(&disk);
    assert!(opened.created);
    assert_clean(&disk, &opened);
    drop(opened);
    let backup = Path::new("/data/state/backups/man/one");
    assert_eq!(disk.peek(backup).unwrap(), b"backup");
    // With its namespace there, a state whose CURRENT is lost is never made anew.
    disk.remove_file(Path::new("/data/state/CURRENT")).unwrap();
    let error = error(&disk, "log");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let command = "--path NEW --set backup.dir=/data/state/backups backup restore ID";
    assert!(error.to_string().contains(command), "{error}");
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let disk = disk();
    write(&disk, STATE, b"");
    assert!(
        error(&disk, "log")
            .to_string()
            .contains("not a Statekeep state: it is a file")
    );
    write(&disk, "/file", b"");
    let path = Path::new("/file/state");
    let plugins = TestPlugins::shared(disk.vfs());
    let error = StateDir::open(disk.vfs(), path, &options("log"), plugins, &init)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("a part of the path is a file"),
        "{error}"
    );
}

#[test]
fn without_create_a_missing_state_is_not_found_and_nothing_is_made() {
    let disk = disk();
    let before = disk.listing();
    for path in [STATE, "/nowhere/state"] {
        let options = CreateOptions {
            create: false,
            ..options("log")
        };
        let plugins = TestPlugins::shared(disk.vfs());
        let opened = StateDir::open(disk.vfs(), Path::new(path), &options, plugins, &init);
        assert_eq!(opened.err().unwrap().kind(), ErrorKind::NotFound);
    }
    assert_eq!(disk.listing(), before);
}

#[test]
fn a_path_that_is_swept_or_has_no_name_is_refused() {
    let disk = disk();
    for path in ["/", "/data/state.creating-01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        let plugins = TestPlugins::shared(disk.vfs());
        let opened = StateDir::open(disk.vfs(), Path::new(path), &options("log"), plugins, &init);
        assert_eq!(
            opened.err().unwrap().kind(),
            ErrorKind::InvalidArgument,
            "{path}"
        );
    }
}

#[test]
fn a_missing_or_damaged_current_names_the_namespaces_found() {
    let disk = disk();
    let namespace = open(&disk).current.namespace.to_string();
    let current = Path::new("/data/state/CURRENT");
    let bytes = disk.peek(current).unwrap();
    for at in 0..bytes.len() {
        let damaged = disk.restart();
        damaged.edit(current, |bytes| bytes[at] ^= 0x10).unwrap();
        let error = error(&damaged, "log");
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible),
            "byte {at}: {error}"
        );
        if error.kind() == ErrorKind::Corrupt {
            assert!(error.to_string().contains(&namespace), "byte {at}: {error}");
        }
    }
    let missing = disk.restart();
    missing.remove_file(current).unwrap();
    let error = error(&missing, "log");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&namespace) && error.to_string().contains("missing"));
}

#[test]
fn a_damaged_or_foreign_namespace_is_corrupt() {
    let disk = disk();
    let namespace = open(&disk).current.namespace;
    let path = format!("/data/state/{namespace}/NAMESPACE");
    let path = Path::new(&path);
    for at in 0..disk.peek(path).unwrap().len() {
        let damaged = disk.restart();
        damaged.edit(path, |bytes| bytes[at] ^= 0x01).unwrap();
        let kind = error(&damaged, "log").kind();
        assert!(
            matches!(kind, ErrorKind::Corrupt | ErrorKind::Incompatible),
            "byte {at}: {kind:?}"
        );
    }
    // The folder of another state, copied under the right name.
    let other = super::disk();
    let foreign = open(&other).current.namespace;
    let foreign = other
        .peek(Path::new(&format!("/data/state/{foreign}/NAMESPACE")))
        .unwrap();
    disk.edit(path, |bytes| *bytes = foreign).unwrap();
    let error = error(&disk, "log");
    assert!(
        error.to_string().contains("copied or renamed by hand"),
        "{error}"
    );
}

#[test]
fn a_namespace_folder_that_is_gone_is_named() {
    let disk = disk();
    let namespace = open(&disk).current.namespace;
    let from = format!("/data/state/{namespace}");
    disk.rename(Path::new(&from), Path::new("/data/elsewhere"))
        .unwrap();
    let error = error(&disk, "log");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .to_string()
            .contains(&format!("names {namespace}, which is not there")),
        "{error}"
    );
}

#[test]
fn another_backend_is_a_conflict_that_names_both() {
    let disk = disk();
    drop(open(&disk));
    let error = error(&disk, "memory");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("`log`") && error.to_string().contains("`memory`"));
    for same in ["log", "statekeep.log", ""] {
        assert!(try_open(&disk, same).is_ok(), "{same}");
    }
}

#[test]
fn an_init_that_fails_leaves_nothing() {
    let disk = disk();
    let before = disk.listing();
    let plugins = TestPlugins::shared(disk.vfs());
    let failing = |_: &dyn Backend, _: &StateId| Err(Error::other(ErrorKind::Vetoed, "no"));
    let opened = StateDir::open(
        disk.vfs(),
        Path::new(STATE),
        &options("log"),
        plugins,
        &failing,
    );
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::Vetoed);
    assert_eq!(disk.listing(), before);
    assert_eq!(error(&disk, "no-such").kind(), ErrorKind::NotFound);
    assert_eq!(disk.listing(), before);
}

#[test]
fn a_folder_that_was_begun_is_a_state_in_the_making_and_no_other_namespace_is_swept_with_it() {
    let disk = disk();
    disk.create_dir(Path::new(STATE)).unwrap();
    disk.create_dir(Path::new("/data/state/lost+found"))
        .unwrap();
    let plugins = TestPlugins::shared(disk.vfs());
    let failing = |_: &dyn Backend, _: &StateId| Err(Error::other(ErrorKind::Vetoed, "no"));
    let opened = StateDir::open(
        disk.vfs(),
        Path::new(STATE),
        &options("log"),
        plugins,
        &failing,
    );
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::Vetoed);
    let names: Vec<_> = disk.read_dir(Path::new(STATE)).unwrap();
    let names: Vec<_> = names.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["CREATING", "LOCK", "lost+found"]);
    let opened = open(&disk);
    assert!(opened.created);
    assert_clean(&disk, &opened);
    let namespace = opened.current.namespace.to_string();
    drop(opened);

    // CURRENT is lost, and a marker that names nothing is there: the rows must stay.
    disk.remove_file(Path::new("/data/state/CURRENT")).unwrap();
    write(&disk, "/data/state/CREATING", b"");
    let error = error(&disk, "log");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&namespace), "{error}");
}
