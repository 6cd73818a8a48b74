//! The simulated disk: what survives a power cut, and what a fault leaves.

use super::*;

fn write(disk: &SimDisk, path: &str, bytes: &[u8], sync: bool) {
    let mut file = disk.create(Path::new(path)).unwrap();
    file.write_all(bytes).unwrap();
    if sync {
        file.sync().unwrap();
    }
}

fn sync_dir(disk: &SimDisk, path: &str) {
    disk.sync_dir(Path::new(path)).unwrap();
}

fn outcomes(disk: &SimDisk, path: &str) -> std::collections::BTreeSet<Option<Vec<u8>>> {
    (0..200)
        .map(|seed| disk.crash(seed).peek(Path::new(path)).ok())
        .collect()
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_crash() {
    let disk = SimDisk::new();
    write(&disk, "/a", b"hello", true);
    sync_dir(&disk, "/");
    assert_eq!(outcomes(&disk, "/a"), [Some(b"hello".to_vec())].into());
}

#[test]
fn a_name_without_a_directory_sync_may_be_lost_whatever_the_file_synced() {
    let disk = SimDisk::new();
    write(&disk, "/a", b"hello", true);
    assert_eq!(
        outcomes(&disk, "/a"),
        [None, Some(b"hello".to_vec())].into()
    );
}

#[test]
fn unsynced_bytes_are_kept_cut_or_torn() {
    let disk = SimDisk::new();
    let bytes = vec![7; 10_000];
    write(&disk, "/a", &bytes, false);
    sync_dir(&disk, "/");
    let found = outcomes(&disk, "/a");
    assert!(found.contains(&Some(bytes)) && found.contains(&Some(Vec::new())));
    assert!(
        found.iter().flatten().any(|found| found.contains(&0)),
        "no torn page"
    );
    assert!(
        found
            .iter()
            .flatten()
            .any(|found| !found.len().is_multiple_of(4096)),
        "no odd cut"
    );
    assert!(!found.contains(&None));
}

#[test]
fn a_rename_is_old_or_new_and_new_after_the_sync() {
    let disk = SimDisk::new();
    write(&disk, "/current", b"old", true);
    sync_dir(&disk, "/");
    write(&disk, "/tmp", b"new", true);
    disk.rename(Path::new("/tmp"), Path::new("/current"))
        .unwrap();
    let both = [Some(b"old".to_vec()), Some(b"new".to_vec())];
    assert_eq!(outcomes(&disk, "/current"), both.into());
    sync_dir(&disk, "/");
    assert_eq!(outcomes(&disk, "/current"), [Some(b"new".to_vec())].into());
}

#[test]
fn a_removed_tree_never_comes_back_in_an_order_no_file_system_has() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).unwrap();
    write(&disk, "/d/a", b"x", true);
    sync_dir(&disk, "/d");
    sync_dir(&disk, "/");
    disk.rename(Path::new("/d/a"), Path::new("/a")).unwrap();
    disk.remove_dir(Path::new("/d")).unwrap();
    for seed in 0..200 {
        let after = disk.crash(seed).listing();
        let copies = after.iter().filter(|line| line.ends_with("a 1")).count();
        assert_eq!(copies, 1, "seed {seed}: {after:?}");
    }
}

#[test]
fn a_failed_sync_loses_its_bytes_even_when_the_next_one_succeeds() {
    let disk = SimDisk::new();
    let mut file = disk.create(Path::new("/a")).unwrap();
    sync_dir(&disk, "/");
    file.write_all(b"lost").unwrap();
    disk.fail_at(disk.call_count() + 1, io::ErrorKind::Other, Times::Once);
    assert!(file.sync().is_err() && disk.fault_struck());
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "/a"), [Some(Vec::new())].into());
}

#[test]
fn crashes_replay_by_seed_and_a_restart_loses_nothing() {
    let disk = SimDisk::new();
    for at in 0..20 {
        write(&disk, &format!("/{at}"), &vec![1; at * 1000], false);
    }
    assert_eq!(disk.crash(77).listing(), disk.crash(77).listing());
    assert_ne!(disk.crash(77).listing(), disk.crash(78).listing());
    assert_eq!(disk.restart().listing(), disk.listing());
}

#[test]
fn kill_stops_all_calls_from_the_nth_on_and_a_restart_frees_the_locks() {
    let disk = SimDisk::new();
    let lock = disk.try_lock(Path::new("/LOCK"), "me").unwrap();
    assert!(matches!(lock, super::super::LockOutcome::Held(_)));
    disk.kill_at(3);
    let mut file = disk.create(Path::new("/a")).unwrap();
    assert!(is_killed(&file.write_all(b"1234").unwrap_err()));
    assert!(is_killed(&file.write_all(b"5678").unwrap_err()));
    assert!(is_killed(&disk.sync_dir(Path::new("/")).unwrap_err()));
    let after = disk.restart();
    assert_eq!(after.peek(Path::new("/a")).unwrap(), b"12");
    let lock = after.try_lock(Path::new("/LOCK"), "you").unwrap();
    assert!(matches!(lock, super::super::LockOutcome::Held(_)));
}

#[test]
fn the_call_log_names_each_call() {
    let disk = SimDisk::new();
    write(&disk, "/a", b"x", true);
    let calls: Vec<_> = disk
        .calls()
        .iter()
        .map(|call| (call.number, call.name))
        .collect();
    assert_eq!(calls, [(1, "create"), (2, "write_all"), (3, "sync")]);
    assert_eq!(disk.calls()[2].path, Path::new("/a"));
}

/// A reader finds the old list or the new, whichever step fails or is the last before a power cut.
#[test]
fn a_readable_file_is_replaced_whole_or_not_at_all() {
    let [root, name, new] = ["/", "list", "list.new"].map(Path::new);
    let replace = |disk: &SimDisk| {
        crate::vfs::replace_readable_file(disk, root, name, new, b"the new one").is_ok()
    };
    for n in 1..=7 {
        for killed in [false, true] {
            let disk = SimDisk::new();
            write(&disk, "/list", b"old", true);
            write(&disk, "/list.new", b"half of a", false);
            sync_dir(&disk, "/");
            let at = disk.call_count() + n;
            if killed {
                disk.kill_at(at);
            } else {
                disk.fail_at(at, io::ErrorKind::StorageFull, Times::Once);
            }
            let done = replace(&disk);
            // Remove, create, write, sync, rename, sync the directory: after them there is no fault.
            assert_eq!((disk.fault_struck(), done), (n <= 6, n > 6), "call {n}");
            for content in outcomes(&disk, "/list") {
                let content = content.unwrap();
                let is_whole = content == b"the new one" || (content == b"old" && !done);
                assert!(is_whole, "call {n}: {content:?}, answered {done}");
            }
            assert!(
                replace(&disk.restart()),
                "call {n}: what it left stays in the way"
            );
        }
    }
}
