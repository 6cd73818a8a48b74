//! Every call of creation, swap and removal fails, or is the last: the next opening finds the old
//! or the new, nothing that was acknowledged is lost, and no leftover stays.
//!
//! A process that is killed is followed by a power cut at once, or by another process that goes on
//! writing and then loses power: what it saw must not be taken back.

use std::io::ErrorKind as Io;

use super::*;
use crate::oracle::Oracle;
use crate::vfs::sim::{Call, Times};

/// Power cuts tried at each point.
const SEEDS: u64 = 12;

type Judge = Oracle<Vec<u8>, Vec<u8>>;

/// Commits a fresh row and tells the judge.
fn write(judge: &mut Judge, backend: &dyn Backend, key: &str, value: &str) {
    let id = judge.begin([(key.into(), Some(value.into()))]);
    if commit(backend, key.as_bytes(), value.as_bytes()).is_ok() {
        judge.acknowledge(id);
    }
}

/// Opens what is left and answers what is wrong with it.
fn verdict(disk: &SimDisk, judge: &Judge) -> Result<(), String> {
    let opened = try_open(disk, "").or_else(|error| match error.kind() {
        // There is no state yet, and a new one needs a backend.
        ErrorKind::InvalidArgument if error.to_string().contains("backend") => {
            try_open(disk, "log")
        }
        _ => Err(error),
    });
    let opened = opened.map_err(|error| format!("it does not open: {error}"))?;
    if opened.created && judge.acknowledged() > 0 {
        return Err("the whole state is gone, and a new one was made".to_owned());
    }
    judge.check(|key| get(&*opened.backend, key))?;
    check_clean(disk, &opened)
}

/// What a procedure does on a disk that fails, kills, or does not: it tells the judge what it
/// commits and stops at its first error.
type Procedure = fn(&SimDisk, &mut Judge) -> Result<()>;

/// Runs a procedure once for each fault at each of its calls, and answers every fault found in
/// what was left.
fn enumerate(base: &SimDisk, prepare: &dyn Fn(&mut Judge), procedure: Procedure) -> Vec<String> {
    let mut faults = Vec::new();
    let mut points = 0;
    for n in 1.. {
        let mut struck = false;
        let modes = [
            Some((Io::Other, Times::Once)),
            Some((Io::StorageFull, Times::Once)),
            Some((Io::Other, Times::Forever)),
            Some((Io::StorageFull, Times::Forever)),
            None,
        ];
        for mode in modes {
            let disk = base.restart();
            match mode {
                Some((kind, times)) => disk.fail_at(n, kind, times),
                None => disk.kill_at(n),
            }
            let mut judge = Judge::new();
            prepare(&mut judge);
            let outcome = procedure(&disk, &mut judge);
            struck |= disk.fault_struck();
            disk.clear_faults();
            let calls = disk.calls();
            let mut note = |how: String, verdict: Result<(), String>| {
                if let Err(error) = verdict {
                    let call = calls.get(n as usize - 1);
                    faults.push(format!(
                        "call {n} {call:?} {mode:?}, {how}: {error} ({outcome:?})"
                    ));
                }
            };
            // The power goes at that moment.
            for seed in 0..SEEDS {
                note(
                    format!("power cut {seed}"),
                    verdict(&disk.crash(seed), &judge),
                );
            }
            // The same process tries again, where only an error came and no death.
            if mode.is_some() {
                note("same process".to_owned(), verdict(&disk, &judge));
            }
            // A later process goes on; then the power goes.
            let later = disk.restart();
            note("next process".to_owned(), verdict(&later, &judge));
            let later = disk.restart();
            if let Ok(opened) = try_open(&later, "").or_else(|_| try_open(&later, "log")) {
                write(&mut judge, &*opened.backend, "later", "later");
                drop(opened);
                for seed in 0..SEEDS {
                    note(
                        format!("later power cut {seed}"),
                        verdict(&later.crash(seed), &judge),
                    );
                }
            }
            points += 1;
        }
        if !struck {
            break;
        }
    }
    assert!(
        points > 100,
        "only {points} points: the procedure did nothing"
    );
    faults
}

fn create(disk: &SimDisk, judge: &mut Judge) -> Result<()> {
    let opened = try_open(disk, "log")?;
    write(judge, &*opened.backend, "first", "1");
    write(judge, &*opened.backend, "second", "2");
    Ok(())
}

/// A state with rows, and what the judge knows of them.
fn grown() -> SimDisk {
    let disk = disk();
    grow(&mut Judge::new(), &*open(&disk).backend);
    disk.restart()
}

fn grow(judge: &mut Judge, backend: &dyn Backend) {
    for (key, value) in [("a", "old"), ("b", "old"), ("c", "old")] {
        write(judge, backend, key, value);
    }
}

fn grown_judge(judge: &mut Judge) {
    for key in ["a", "b", "c"] {
        let id = judge.begin([(key.into(), Some(b"old".to_vec()))]);
        judge.acknowledge(id);
    }
}

/// Restores: other rows in a new namespace of another backend, made current as one commit.
fn swap(disk: &SimDisk, judge: &mut Judge) -> Result<()> {
    let opened = try_open(disk, "log")?;
    let options = serde_json::json!({});
    let pending = opened.dir.create_namespace("log2", &options, &init)?;
    for key in ["a", "b", "d"] {
        commit(&**pending.backend(), key.as_bytes(), b"new")?;
    }
    let (namespace, backend) = pending.publish()?;
    let new = || Some(b"new".to_vec());
    let id = judge.begin([
        (b"a".to_vec(), new()),
        (b"b".to_vec(), new()),
        (b"c".to_vec(), None),
        (b"d".to_vec(), new()),
    ]);
    match opened.dir.replace_current(namespace, "log2") {
        Ok(_) => judge.acknowledge(id),
        Err(error) => {
            if error.kind() != ErrorKind::Indeterminate {
                judge.refuse(id);
                // The old namespace is in use and takes writes.
                write(judge, &*opened.backend, "e", "old");
            }
            return Err(error);
        }
    }
    write(judge, &*backend, "a", "newer");
    opened.dir.remove_namespace(opened.current.namespace)?;
    write(judge, &*backend, "b", "newer");
    Ok(())
}

fn assert_none(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults, the first:\n{}",
        faults.len(),
        faults[0]
    );
}

#[test]
fn creation_stopped_at_any_call_leaves_no_state_or_a_whole_one() {
    assert_none(&enumerate(&disk(), &|_| {}, create));
}

#[test]
fn creation_in_a_folder_to_be_made_stopped_at_any_call() {
    assert_none(&enumerate(&SimDisk::new(), &|_| {}, create));
}

#[test]
fn creation_in_an_empty_folder_stopped_at_any_call() {
    let disk = disk();
    disk.create_dir(Path::new(STATE)).unwrap();
    assert_none(&enumerate(&disk, &|_| {}, create));
}

/// A folder that has lost its state and still has the backups, a lock file and a leftover.
fn left_with_backups() -> SimDisk {
    let disk = disk();
    let leftover = "ns-01ARZ3NDEKTSV4RRFFQ69G5FAV.removing-01ARZ3NDEKTSV4RRFFQ69G5FAW";
    for folder in ["", "/backups", &format!("/{leftover}")] {
        disk.create_dir(Path::new(&format!("{STATE}{folder}")))
            .unwrap();
    }
    for file in ["/LOCK", "/backups/FORMAT"] {
        drop(disk.create(Path::new(&format!("{STATE}{file}"))).unwrap());
    }
    for folder in ["/data/state", "/data/state/backups", "/data"] {
        disk.sync_dir(Path::new(folder)).unwrap();
    }
    disk.restart()
}

#[test]
fn creation_around_backups_stopped_at_any_call() {
    assert_none(&enumerate(&left_with_backups(), &|_| {}, create));
}

#[test]
fn a_swap_stopped_at_any_call_leaves_the_old_rows_or_the_new() {
    assert_none(&enumerate(&grown(), &grown_judge, swap));
}

#[test]
fn opening_and_sweeping_stopped_at_any_call() {
    // Leftovers of a creator and of a swap that were killed late.
    let whole = grown();
    swap(&whole, &mut Judge::new()).unwrap();
    let renames = |call: &&Call| call.name == "rename" && !call.path.ends_with("CURRENT");
    let publish = whole.calls().iter().find(renames).unwrap().number;
    let disk = grown();
    disk.kill_at(publish);
    assert!(swap(&disk, &mut Judge::new()).is_err());
    let disk = disk.restart();
    let staging = Path::new("/data/state.creating-01ARZ3NDEKTSV4RRFFQ69G5FAV");
    disk.create_dir(staging).unwrap();
    drop(lock::take(&disk, staging).unwrap());
    assert!(
        disk.listing()
            .iter()
            .filter(|line| line.contains(".creating-"))
            .count()
            > 3
    );
    let reopen: Procedure = |disk, judge| {
        let opened = try_open(disk, "log")?;
        write(judge, &*opened.backend, "f", "1");
        Ok(())
    };
    assert_none(&enumerate(&disk.restart(), &grown_judge, reopen));
}

/// A process is killed, the next one is killed on what the first left, then the power goes.
fn enumerate_twice(base: &SimDisk, prepare: &dyn Fn(&mut Judge), procedure: Procedure) {
    let mut points = 0;
    for n in 1.. {
        let first = base.restart();
        first.kill_at(n);
        let mut judge = Judge::new();
        prepare(&mut judge);
        let _ = procedure(&first, &mut judge);
        if !first.fault_struck() {
            break;
        }
        // Every third call, shifted by the outer one, so that each is met many times.
        for m in (1 + n % 3..).step_by(3) {
            let second = if m % 2 == 0 {
                first.restart()
            } else {
                first.crash(n * 1000 + m)
            };
            second.kill_at(m);
            let opened = try_open(&second, "").or_else(|_| try_open(&second, "log"));
            let struck = second.fault_struck();
            drop(opened);
            points += 1;
            for seed in [0, 1, 2, n * 1000 + m] {
                let verdict = verdict(&second.crash(seed), &judge);
                assert_eq!(
                    verdict,
                    Ok(()),
                    "killed at {n}, then at {m}, power cut {seed}"
                );
            }
            if !struck {
                break;
            }
        }
    }
    assert!(points > 300, "only {points} points");
}

#[test]
fn a_second_kill_while_the_next_process_creates() {
    enumerate_twice(&disk(), &|_| {}, create);
}

#[test]
fn a_second_kill_while_the_next_process_fills_a_folder() {
    let disk = disk();
    disk.create_dir(Path::new(STATE)).unwrap();
    enumerate_twice(&disk, &|_| {}, create);
}

#[test]
fn a_second_kill_while_the_next_process_opens_after_a_swap() {
    enumerate_twice(&grown(), &grown_judge, swap);
}

/// A name, and the syncs that it leaves out.
type Plant = (&'static str, fn(&Call) -> bool);

/// The harness proves itself: each sync that is left out is found.
fn assert_found(
    what: &str,
    base: &SimDisk,
    judge: &dyn Fn(&mut Judge),
    procedure: Procedure,
    skip: fn(&Call) -> bool,
) {
    let base = base.restart();
    base.skip_syncs(skip);
    let faults = enumerate(&base, judge, procedure);
    assert!(
        !faults.is_empty(),
        "nothing is lost without {what}, or the harness is blind"
    );
}

#[test]
fn every_planted_left_out_sync_is_found() {
    let (empty, grown) = (disk(), grown());
    let there = disk();
    there.create_dir(Path::new(STATE)).unwrap();
    let none: &dyn Fn(&mut Judge) = &|_| {};
    let at_creation: [Plant; 5] = [
        ("any sync of a directory", |call| call.name == "sync_dir"),
        ("any sync of a file", |call| call.name != "sync_dir"),
        ("the sync of the state's parent", |call| {
            call.path == Path::new("/data")
        }),
        ("the sync of the tree", |call| {
            call.name == "sync_dir" && call.path.to_string_lossy().contains(".creating-")
        }),
        ("the sync of CURRENT", |call| {
            call.path.to_string_lossy().contains("CURRENT")
        }),
    ];
    for (what, skip) in at_creation {
        assert_found(what, &empty, none, create, skip);
    }
    let in_place: [Plant; 4] = [
        ("any sync of a directory", |call| call.name == "sync_dir"),
        ("any sync of a file", |call| call.name != "sync_dir"),
        ("the sync of the state's directory", |call| {
            call.path == Path::new(STATE)
        }),
        ("the sync of CURRENT", |call| {
            call.path.to_string_lossy().contains("CURRENT")
        }),
    ];
    for (what, skip) in in_place {
        assert_found(what, &there, none, create, skip);
    }
    let at_swap: [Plant; 4] = [
        ("any sync of a directory", |call| call.name == "sync_dir"),
        ("any sync of a file", |call| call.name != "sync_dir"),
        ("the sync of the state's directory", |call| {
            call.path == Path::new(STATE)
        }),
        ("the sync of CURRENT", |call| {
            call.path.to_string_lossy().contains("CURRENT")
        }),
    ];
    for (what, skip) in at_swap {
        assert_found(what, &grown, &grown_judge, swap, skip);
    }
}
