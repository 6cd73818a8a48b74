//! What is found in a repository and what may go: after a kill at any call of a backup, beside a
//! writer that lives, and while what is needed is not known.

use std::io;
use std::path::Path;

use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{ErrorKind, Progress, Result};

use crate::fault_tests::{attempt, expect_whole};
use crate::lease::Lease;
use crate::name::{BackupId, ObjectName};
use crate::sealed::seal;
use crate::store::Put;
use crate::testing::{ROOT, disk, objects, path, repository};
use crate::upkeep::{PruneReport, RepositoryReport, StrayKind};

fn check(disk: &SimDisk) -> RepositoryReport {
    repository(disk).unwrap().check(&Progress::new()).unwrap()
}

fn prune(disk: &SimDisk, dry_run: bool) -> Result<PruneReport> {
    repository(disk)?.prune_strays(dry_run, &Progress::new())
}

/// A disk with one backup, and its objects.
fn start() -> (SimDisk, BackupId, Vec<String>) {
    let disk = disk();
    let id = attempt(&disk).unwrap().id;
    let objects = objects(&disk.vfs());
    (disk, id, objects)
}

/// Disks on which a second backup was killed, each at another call, with a story.
fn killed(start: &SimDisk) -> Vec<(SimDisk, String)> {
    let mut disks = Vec::new();
    for n in 1.. {
        let disk = start.restart();
        disk.kill_at(n);
        let outcome = attempt(&disk);
        if !disk.fault_struck() {
            return disks;
        }
        if outcome.is_err() {
            disks.push((disk.restart(), format!("killed at call {n}")));
        }
    }
    disks
}

fn put(disk: &SimDisk, name: &ObjectName, bytes: &[u8]) {
    let store = repository(disk).unwrap().store;
    assert_eq!(store.put_new(name, bytes).unwrap(), Put::Created);
}

#[test]
fn what_a_killed_backup_left_is_found_and_exactly_that_is_removed() {
    let (start, id, before) = start();
    let mut most = 0;
    for (disk, story) in killed(&start) {
        repository(&disk).unwrap().store.sweep().unwrap();
        let left = objects(&disk.vfs());
        let report = check(&disk);
        assert!(report.is_valid, "{story}: {report:?}");
        if report.backups == 2 {
            // It was committed before the kill; at most its lease is left.
            let strays: Vec<_> = report
                .strays
                .listed
                .iter()
                .map(|stray| stray.kind)
                .collect();
            assert!(
                strays.is_empty() || strays == [StrayKind::Finished],
                "{story}"
            );
        } else {
            assert_eq!(
                report.strays.objects as usize,
                left.len() - before.len(),
                "{story}"
            );
            assert!(
                report.creations.iter().all(|made| !made.is_alive),
                "{story}"
            );
            most = most.max(report.strays.objects);
        }
        let plan = prune(&disk, true).unwrap();
        assert_eq!(plan.would_remove, report.strays, "{story}");
        assert_eq!(
            (plan.removed.objects, objects(&disk.vfs())),
            (0, left),
            "{story}"
        );
        let done = prune(&disk, false).unwrap();
        assert_eq!(done.removed, report.strays, "{story}");
        assert_eq!(done.would_remove.objects, 0);
        if report.backups == 1 {
            assert_eq!(objects(&disk.vfs()), before, "{story}");
        }
        expect_whole(&disk.crash(1), &[id], &story);
        assert_eq!(check(&disk).strays.objects, 0, "{story}");
    }
    assert!(most >= 3, "no kill left more than {most} objects");
}

#[test]
fn a_removal_of_strays_that_stops_anywhere_loses_no_backup_and_can_go_on() {
    let (start, id, before) = start();
    let most = |disk: &(SimDisk, String)| check(&disk.0).strays.objects;
    let (left, _) = killed(&start).into_iter().max_by_key(most).unwrap();
    for fault in ["fail", "full", "kill"] {
        for n in 1.. {
            let disk = left.restart();
            match fault {
                "fail" => disk.fail_at(n, io::ErrorKind::Other, Times::Once),
                "full" => disk.fail_at(n, io::ErrorKind::StorageFull, Times::Forever),
                _ => disk.kill_at(n),
            }
            let outcome = prune(&disk, false);
            let struck = disk.fault_struck();
            for (after, cut) in [(disk.restart(), "no"), (disk.crash(n), "a")] {
                let story = format!("{fault} at call {n}, {cut} power cut: {outcome:?}");
                expect_whole(&after, &[id], &story);
                prune(&after, false).unwrap();
                assert_eq!(objects(&after.vfs()), before, "{story}");
            }
            if !struck {
                assert!(n > 10, "only {n} calls");
                break;
            }
        }
    }
}

#[test]
fn what_a_living_writer_wrote_is_no_stray() {
    let (disk, _, before) = start();
    let writer = repository(&disk).unwrap();
    let id = BackupId::after(None);
    let lease = Lease::of(&writer, id, None).unwrap();
    let names = [ObjectName::lease(id), ObjectName::segment(id, 0)];
    for name in &names {
        let bytes = seal("lease", &lease).unwrap();
        assert_eq!(writer.store.put_new(name, &bytes).unwrap(), Put::Created);
    }
    // What nothing leads to may be what the writer builds on.
    put(
        &disk,
        &ObjectName::segment(BackupId::after(Some(id)), 0),
        b"x",
    );
    for asked in [&writer, &repository(&disk).unwrap()] {
        let report = asked.check(&Progress::new()).unwrap();
        assert_eq!(report.strays.objects, 0, "{report:?}");
        let creation = &report.creations[0];
        assert!(creation.is_alive && creation.objects == 2, "{creation:?}");
        assert!(report.undecided.unwrap().contains(&id.to_string()));
        let done = asked.prune_strays(false, &Progress::new()).unwrap();
        assert_eq!(done.removed.objects, 0);
    }
    // The kernel frees the lock of a process that ends.
    let gone = disk.restart();
    let report = check(&gone);
    assert!(!report.creations[0].is_alive && report.undecided.is_none());
    let kinds: Vec<_> = report
        .strays
        .listed
        .iter()
        .map(|stray| stray.kind)
        .collect();
    let (abandoned, unreferenced) = (StrayKind::Abandoned, StrayKind::Unreferenced);
    assert_eq!(kinds, [abandoned, unreferenced, abandoned]);
    prune(&gone, false).unwrap();
    assert_eq!(objects(&gone.vfs()), before);
}

#[test]
fn damage_is_told_and_while_needs_are_unknown_nothing_that_may_be_needed_goes() {
    let (disk, id, _) = start();
    let other = attempt(&disk).unwrap().id;
    put(
        &disk,
        &ObjectName::segment(BackupId::after(Some(other)), 7),
        b"stray",
    );
    let pin = path(&ObjectName::pin(id).to_string());
    disk.edit(&pin, |bytes| bytes[10] ^= 1).unwrap();
    let segment = path(&ObjectName::segment(id, 0).to_string());
    disk.edit(&segment, |bytes| bytes.truncate(bytes.len() - 1))
        .unwrap();
    disk.vfs()
        .remove_file(&path(&ObjectName::segment(other, 0).to_string()))
        .unwrap();
    disk.vfs().create(&path("seg/notes")).unwrap();
    disk.vfs()
        .create_dir(&Path::new(ROOT).join("photos"))
        .unwrap();
    let report = check(&disk);
    let told = |object: &str, what: &str| {
        let found = report
            .problems
            .iter()
            .any(|problem| problem.object.contains(object) && problem.what.contains(what));
        assert!(found, "{object}: {what}: {report:?}");
    };
    told(&format!("seg/{id}-000000.seg"), "needs it");
    told(
        &format!("seg/{other}-000000.seg"),
        &format!("backup {other} needs it"),
    );
    told("pin/", "sha256");
    told("seg/notes", "nothing that a repository holds");
    told("photos", "nothing that a repository holds");
    assert_eq!(
        (report.problems.len(), report.backups),
        (5, 2),
        "{report:?}"
    );
    assert_eq!(report.strays.objects, 1);

    let manifest = path(&ObjectName::manifest(other).to_string());
    disk.edit(&manifest, |bytes| bytes[10] ^= 1).unwrap();
    let before = objects(&disk.vfs());
    let report = check(&disk);
    assert!(report.undecided.unwrap().contains(&other.to_string()));
    let done = prune(&disk, false).unwrap();
    assert!(
        done.undecided.is_some() && done.removed.objects == 0,
        "{done:?}"
    );
    assert_eq!(objects(&disk.vfs()), before);
}

#[test]
fn without_a_backup_nothing_is_removed() {
    let disk = disk();
    put(
        &disk,
        &ObjectName::segment(BackupId::after(None), 0),
        b"all that is left",
    );
    let before = objects(&disk.vfs());
    let error = prune(&disk, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("no backup"), "{error}");
    assert_eq!(objects(&disk.vfs()), before);
}

#[test]
fn a_repair_takes_away_what_a_commit_left_behind_and_nothing_else() {
    let (start, id, _) = start();
    let mut repaired = 0;
    for (disk, story) in killed(&start) {
        let found = check(&disk);
        let report = repository(&disk).unwrap().repair(&Progress::new()).unwrap();
        assert_eq!(report.leftovers, found.leftovers, "{story}");
        let after = check(&disk);
        assert_eq!(after.leftovers, 0, "{story}");
        assert_eq!(
            after.strays.objects + report.leases,
            found.strays.objects,
            "{story}"
        );
        repaired += report.leases + report.leftovers;
        expect_whole(&disk, &[id], &story);
    }
    assert!(repaired > 0, "there was never anything to repair");
}
