//! One owner at a time: within a process, between processes, and while a state is made.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;
use crate::vfs::RealVfs;

const HELD_BY_CHILD: &str = "STATEKEEP_TEST_STATE_HELD_BY_CHILD";

pub(super) fn open_real(path: &Path) -> Result<Opened> {
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
    let plugins = TestPlugins::shared(Arc::clone(&vfs));
    StateDir::open(vfs, path, &options("log"), plugins, &init)
}

#[test]
fn a_second_opening_in_one_process_is_busy_until_the_first_is_dropped() {
    let disk = disk();
    let first = open(&disk);
    let error = try_open(&disk, "log").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let text = error.to_string();
    assert!(
        text.contains(&std::process::id().to_string()) && text.contains("this process"),
        "{text}"
    );
    let clone = first.dir.clone();
    drop(first);
    assert!(
        try_open(&disk, "log").is_err(),
        "a clone still owns the state"
    );
    drop(clone);
    assert!(try_open(&disk, "log").is_ok());
}

/// Not a test by itself: the child of the next one, which opens a state and waits.
#[test]
fn child_that_holds_a_state() {
    let Some(path) = std::env::var_os(HELD_BY_CHILD) else {
        return;
    };
    let _opened = open_real(Path::new(&path)).unwrap();
    println!("\nholding");
    let _ = std::io::stdin().lock().lines().next();
    std::process::abort();
}

#[test]
fn a_state_that_another_process_holds_is_busy_with_its_pid_and_free_after_its_death() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("state");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "state_dir::tests::locks::child_that_holds_a_state",
            "--nocapture",
        ])
        .env(HELD_BY_CHILD, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("holding")),
        "the child has no state"
    );
    let error = open_real(&path).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let holder = format!("is in use by process {} on host {host}", child.id());
    assert!(error.to_string().contains(&holder), "{error}");
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success());
    assert!(
        !open_real(&path).unwrap().created,
        "the lock of a dead process is free"
    );
}

#[test]
fn of_many_creators_one_makes_the_state_and_the_others_open_it_or_are_busy() {
    for round in 0..40 {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        if round % 2 == 0 {
            std::fs::create_dir(&path).unwrap();
        }
        let results: Vec<_> = std::thread::scope(|scope| {
            let open = || open_real(&path).map(|opened| opened.created);
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let made = results
            .iter()
            .filter(|made| matches!(made, Ok(true)))
            .count();
        assert_eq!(made, 1, "{results:?}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
        drop(open_real(&path).unwrap());
        assert!(!path.join("CREATING").exists());
        let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

#[test]
fn leftovers_of_a_dead_creator_go_and_those_of_a_living_one_and_of_others_stay() {
    let disk = disk();
    let dead = "/data/state.creating-01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let alive = "/data/state.creating-01BX5ZZKBKACTAV9WEVGEMMVRZ";
    let other = "/data/other.creating-01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let plain = "/data/state.creating-me";
    for dir in [dead, alive, other, plain] {
        disk.create_dir(Path::new(dir)).unwrap();
    }
    let held = lock::take(&disk, Path::new(alive)).unwrap();
    drop(lock::take(&disk, Path::new(dead)).unwrap());
    drop(open(&disk));
    let there = |path: &str| disk.exists(Path::new(path)).unwrap();
    assert_eq!(
        [dead, alive, other, plain].map(there),
        [false, true, true, true]
    );
    drop(held);
    drop(open(&disk));
    assert!(!there(alive));
}
