//! A service that owns its folder and nothing else, as under `/var/lib`, can keep a state in it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::locks::open_real;
use super::*;

const FOLDER: &str = "STATEKEEP_TEST_OWN_FOLDER";
const NOBODY: u32 = 65534;

/// Not a test by itself: the child of the next one, which root's rights do not help.
#[test]
fn child_that_owns_one_folder() {
    let Some(path) = std::env::var_os(FOLDER) else {
        return;
    };
    let path = Path::new(&path);
    let beside = path.with_file_name("beside");
    assert!(
        std::fs::create_dir(beside).is_err(),
        "the parent is writable"
    );
    let opened = open_real(path).unwrap();
    assert!(opened.created);
    commit(&*opened.backend, b"key", b"value").unwrap();
    drop(opened);
    let opened = open_real(path).unwrap();
    assert_eq!(get(&*opened.backend, b"key"), Some(b"value".to_vec()));
    println!("\nkept");
}

#[test]
fn a_state_is_kept_in_a_folder_whose_parent_cannot_be_written() {
    let root = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = root.path().join("service");
    std::fs::create_dir(&folder).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    if rustix::process::getuid().is_root() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        child.uid(NOBODY).gid(NOBODY);
    }
    mode(root.path(), 0o555);
    let child = child
        .args([
            "--exact",
            "state_dir::tests::permissions::child_that_owns_one_folder",
        ])
        .arg("--nocapture")
        .env(FOLDER, &folder)
        .current_dir("/")
        .output();
    mode(root.path(), 0o755);
    match child {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                said.contains("kept"),
                "{said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Err(error) => println!("SKIP: another user cannot run this test program: {error}"),
    }
}
