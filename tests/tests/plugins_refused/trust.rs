//! Who could have written the file, and its hash in the lock.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use statekeep_core::ErrorKind;
use statekeep_loader::{Policy, Registry, lock_add};
use statekeep_tests::fixtures::{self, ran};

use super::{refused, unlisted};

const NOBODY: u32 = 65534;

fn is_root(folder: &Path) -> bool {
    fs::metadata(folder).unwrap().uid() == 0
}

#[test]
fn a_file_that_others_can_write_is_refused_before_it_runs() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("writable", &[]), folder.path());
    for mode in [0o666, 0o664, 0o646] {
        fixtures::set_mode(&path, mode);
        let octal = format!("mode {mode:04o}");
        refused(
            &path,
            ErrorKind::PermissionDenied,
            &["libwritable.so", &octal, "chmod go-w"],
        );
    }
    assert!(!ran("writable"), "its constructor ran");
    fixtures::set_mode(&path, 0o644);
    unlisted()
        .load(&path)
        .expect("the same file is fine when only we can write it");
    assert!(ran("writable"));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let top = fixtures::folder();
    let folder = top.path().join("shared/plugins");
    fs::create_dir_all(&folder).unwrap();
    fixtures::set_mode(&folder, 0o755);
    let path = fixtures::install(&fixtures::c_fixture("open_folder", &[]), &folder);
    let shared = top.path().join("shared");

    // Whoever can write a folder can exchange what lies in it, at any depth.
    for (place, mode) in [
        (&folder, 0o777),
        (&folder, 0o775),
        (&shared, 0o777),
        (&shared, 0o770),
    ] {
        fixtures::set_mode(place, mode);
        let name = format!("{} (mode {mode:04o})", place.display());
        refused(
            &path,
            ErrorKind::PermissionDenied,
            &[&name, "can be written by its group"],
        );
        fixtures::set_mode(place, 0o755);
    }
    assert!(!ran("open_folder"), "its constructor ran");

    // In a sticky folder such as /tmp nobody can rename our folder, but anyone can add a file.
    fixtures::set_mode(&folder, 0o1777);
    refused(&path, ErrorKind::PermissionDenied, &["(mode 1777)"]);
    fixtures::set_mode(&folder, 0o755);
    fixtures::set_mode(&shared, 0o1777);
    unlisted()
        .load(&path)
        .expect("a sticky folder may stand above a folder of our own");
}

#[test]
fn a_foreign_owner_is_refused() {
    let top = fixtures::folder();
    if !is_root(top.path()) {
        eprintln!("only root can give files away: not checked");
        return;
    }
    let folder = top.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    fixtures::set_mode(&folder, 0o755);
    let path = fixtures::install(&fixtures::c_fixture("foreign", &[]), &folder);
    for place in [&path, &folder] {
        chown(place, Some(NOBODY), None).unwrap();
        let text = format!("{} belongs to user 65534", place.display());
        refused(&path, ErrorKind::PermissionDenied, &[&text, "chown it"]);
        chown(place, Some(0), None).unwrap();
    }
    assert!(!ran("foreign"), "its constructor ran");
    unlisted().load(&path).expect("given back, it loads");
}

#[test]
fn a_symbolic_link_is_refused() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("linked", &[]), folder.path());
    let link = folder.path().join("liblink.so");
    symlink(&path, &link).unwrap();
    refused(
        &link,
        ErrorKind::PermissionDenied,
        &["liblink.so is a symbolic link"],
    );

    // A link to a folder is followed, and its target is what is checked.
    let place = fixtures::folder();
    let linked = place.path().join("plugins");
    symlink(folder.path(), &linked).unwrap();
    let info = unlisted().load(&linked.join("liblinked.so")).unwrap();
    assert_eq!(info.path, Some(path));
}

#[test]
fn only_regular_files_are_read() {
    let folder = fixtures::folder();
    let inner = folder.path().join("libfolder.so");
    fs::create_dir(&inner).unwrap();
    refused(
        &inner,
        ErrorKind::Plugin,
        &["libfolder.so is not a regular file"],
    );
    let missing = folder.path().join("libmissing.so");
    refused(
        &missing,
        ErrorKind::Plugin,
        &["cannot open", "libmissing.so", "No such file"],
    );
}

#[test]
fn a_hash_that_is_not_in_the_lock_is_refused() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("unlisted", &[]), folder.path());
    let lock_file = folder.path().join("plugins.lock");
    let registry = Registry::new(Policy {
        lock_file: Some(lock_file.clone()),
        ..Policy::default()
    });
    let refusal = |texts: &[&str]| {
        let error = registry.load(&path).expect_err("it must be refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        for text in texts {
            assert!(error.to_string().contains(text), "{error}");
        }
    };
    refusal(&[
        "libunlisted.so",
        "is not listed in",
        "does not exist",
        "statekeep plugin add",
    ]);

    let other = fixtures::install(
        &fixtures::c_fixture("listed", &["-DUSE_RESERVE"]),
        folder.path(),
    );
    let entry = lock_add(&other, &lock_file).unwrap();
    assert_eq!(entry.id, "org.example.misbehaving");
    assert_eq!(
        entry.interfaces,
        ["statekeep.compression/1", "statekeep.backend/1"]
    );
    assert_eq!(entry.sha256.len(), 64);
    refusal(&["plugins.lock", "sha256"]);
    assert!(!ran("unlisted") && !ran("listed"), "a constructor ran");

    // Listing the other library of the same id takes the place of the first.
    lock_add(&path, &lock_file).unwrap();
    let info = registry.load(&path).expect("now it is listed");
    assert_eq!(info.sha256.unwrap().len(), 64);
    assert!(ran("unlisted"));

    // One byte more is another library.
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    refusal(&["is not listed in"]);
}

#[test]
fn without_a_lock_file_nothing_loads() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("no_lock", &[]), folder.path());
    let error = Registry::new(Policy::default()).load(&path).unwrap_err();
    assert!(
        error.to_string().contains("plugins.lock is not configured"),
        "{error}"
    );
    assert!(!ran("no_lock"));
}

#[test]
fn a_lock_file_that_others_can_write_is_no_lock() {
    let folder = fixtures::folder();
    let path = fixtures::install(&fixtures::c_fixture("weak_lock", &[]), folder.path());
    let lock_file = folder.path().join("plugins.lock");
    lock_add(&path, &lock_file).unwrap();
    let registry = Registry::new(Policy {
        lock_file: Some(lock_file.clone()),
        ..Policy::default()
    });
    fixtures::set_mode(&lock_file, 0o666);
    let error = registry.load(&path).unwrap_err();
    assert!(
        error.to_string().contains("plugins.lock (mode 0666)"),
        "{error}"
    );
    fixtures::set_mode(&lock_file, 0o644);
    fs::write(&lock_file, "plugin = 7").unwrap();
    let error = registry.load(&path).unwrap_err();
    assert!(
        error.to_string().contains("is not a plugin lock file"),
        "{error}"
    );
    assert!(!ran("weak_lock"));
}
