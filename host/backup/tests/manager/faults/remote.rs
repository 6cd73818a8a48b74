//! The same over an object store: each request is refused, or done and its answer lost, or tried twice,
//! or the last that is answered, or a list of a moment ago. Nothing acknowledged is lost, what nobody
//! knows of is whole, and nothing is there twice.

use std::sync::Arc;

use statekeep_backup::{
    BackupKind, BackupManager, CreateOptions, Progress, StrayKind, VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Result, StateManager};

use super::{Subject, Work, back_up, cleanups};
use crate::bucket::{Bucket, Fault};
use crate::support::{self, bare, read, secret, set};

/// A state with its backups in a bucket.
fn open(disk: &SimDisk, bucket: &Bucket) -> Result<(Arc<StateManager>, BackupManager)> {
    let (manager, local) = support::open(disk)?;
    let (bucket, config) = (bucket.clone(), local.config().clone());
    let opener = Box::new(move || Ok(bucket.open()));
    let backups = BackupManager::open_in_store(manager.clone(), config, opener).with_key(secret());
    Ok((manager, backups))
}

fn chain() -> (Subject, Bucket) {
    let bucket = Bucket::default();
    let subject = Subject::chain_in(&|disk| open(disk, &bucket).unwrap());
    (subject, bucket.fork())
}

/// Strikes each request of an operation in each way.
fn strike(what: &str, requests_min: u64, (subject, start): (Subject, Bucket), work: Work<'_>) {
    let mut strikes = 0;
    for fault in Fault::ALL {
        for n in 1.. {
            let (disk, bucket) = (subject.disk.restart(), start.fork());
            let (manager, backups) = open(&disk, &bucket).unwrap();
            bucket.arm(fault, n);
            let outcome = work(&manager, &backups);
            let has_struck = bucket.disarm();
            let story = format!("{fault:?} at request {n}: {:?}", outcome.as_ref().map(drop));
            let surely =
                (outcome.as_ref()).is_err_and(|error| error.kind() != ErrorKind::Indeterminate);
            // First in the process that met the fault, which may know more than is so.
            let acknowledged = outcome.as_deref().ok();
            let found = (manager, backups);
            let listed = subject.check(&found, acknowledged, &story);
            let most = match surely && fault != Fault::Down {
                true => subject.made_max.1,
                false => subject.made_max.0,
            };
            let made = listed.len() - subject.backups.len();
            assert!(made <= most, "{story}: it left {made} backups");
            found.0.close().unwrap();
            drop(found);
            if n.is_multiple_of(3) {
                let found = open(&disk.restart(), &bucket).unwrap();
                subject.check(&found, acknowledged, &story);
                subject.again(&found, work, &story);
                found.1.prune_strays(false, &Progress::new()).unwrap();
                let report = found.1.check_repository(&Progress::new()).unwrap();
                assert_eq!(report.strays.objects, 0, "{story}: {report:?}");
            }
            if !has_struck {
                break;
            }
            strikes += 1;
        }
    }
    println!("{what}, in a bucket: {strikes} strikes");
    assert!(strikes > 5 * requests_min, "{what}: only {strikes} strikes");
}

#[test]
fn a_first_backup() {
    let disk = SimDisk::new();
    let (manager, _) = support::open(&disk).unwrap();
    let rows = support::fill(&manager);
    manager.close().unwrap();
    let subject = Subject {
        disk: disk.restart(),
        before: rows.clone(),
        after: rows,
        in_steps: false,
        backups: Vec::new(),
        made_max: (1, 0),
    };
    let options = CreateOptions::default();
    strike(
        "a first backup",
        8,
        (subject, Bucket::default()),
        &|_, backups| Ok(vec![backups.create(&options, &Progress::new())?.id]),
    );
}

#[test]
fn an_incremental_backup() {
    let (mut subject, bucket) = chain();
    subject.made_max = (1, 0);
    strike(
        "an incremental backup",
        25,
        (subject, bucket),
        &|_, backups| Ok(vec![back_up(backups)?.id]),
    );
}

#[test]
fn a_synthetic_full() {
    let (mut subject, bucket) = chain();
    subject.made_max = (1, 0);
    let newest = subject.backups[2];
    strike("a synthetic full", 40, (subject, bucket), &|_, backups| {
        let made =
            backups.create_synthetic(Some(newest), &CreateOptions::default(), &Progress::new())?;
        assert_eq!(made.kind, BackupKind::Synthetic);
        Ok(vec![made.id])
    });
}

#[test]
fn a_verification() {
    let (subject, bucket) = chain();
    let newest = subject.backups[2];
    strike("a verification", 30, (subject, bucket), &|_, backups| {
        // What cannot be read is no proof that the backup is good, and none that it is lost.
        backups.verify(newest, VerifyLevel::Full, &Progress::new())?;
        Ok(Vec::new())
    });
}

#[test]
fn a_restore() {
    let (mut subject, bucket) = chain();
    let oldest = subject.backups[0];
    let (manager, backups) = open(&subject.disk.restart(), &bucket.fork()).unwrap();
    backups.restore(oldest, &bare(), &Progress::new()).unwrap();
    subject.after = read(&manager);
    assert_ne!(subject.before, subject.after);
    strike("a restore", 10, (subject, bucket), &|_, backups| {
        backups.restore(oldest, &bare(), &Progress::new())?;
        Ok(Vec::new())
    });
}

/// What backups leave that end at one request after the other.
fn littered() -> (Subject, Bucket) {
    let (mut subject, bucket) = chain();
    for n in (12..45).step_by(8) {
        let (manager, backups) = open(&subject.disk, &bucket).unwrap();
        bucket.arm(Fault::Down, n);
        set(&manager, "", "user:1", "k2", &n.to_string()).unwrap();
        drop(back_up(&backups));
        bucket.disarm();
        manager.close().unwrap();
    }
    let (manager, backups) = open(&subject.disk, &bucket).unwrap();
    (subject.before, subject.after) = (read(&manager), read(&manager));
    let report = backups.check_repository(&Progress::new()).unwrap();
    assert!(report.strays.objects > 2, "{report:?}");
    let listed = backups.list().unwrap().backups;
    subject.backups = listed.iter().map(|backup| backup.id).collect();
    drop(backups);
    manager.close().unwrap();
    (subject, bucket.fork())
}

#[test]
fn a_repair() {
    strike("a repair", 20, littered(), &|_, backups| {
        backups.repair_repository(&Progress::new())?;
        Ok(Vec::new())
    });
}

#[test]
fn a_removal_of_strays() {
    strike("a removal of strays", 20, littered(), &|_, backups| {
        backups.prune_strays(false, &Progress::new())?;
        Ok(Vec::new())
    });
}

/// A list that does not show the newest manifest makes no strays of what it names.
#[test]
fn a_removal_of_strays_after_a_backup() {
    strike("a removal of nothing", 15, chain(), &|_, backups| {
        let report = backups.prune_strays(false, &Progress::new())?;
        let kinds = report.removed.listed.iter().map(|stray| stray.kind);
        // A lease that a list still shows is gone already.
        assert!(
            kinds.into_iter().all(|kind| kind == StrayKind::Finished),
            "{report:?}"
        );
        Ok(Vec::new())
    });
}

/// Four chains of two, of which a policy keeps the last.
fn chains() -> (Subject, Bucket) {
    let bucket = Bucket::default();
    let subject = cleanups::chains_in(&|disk| open(disk, &bucket).unwrap());
    (subject, bucket.fork())
}

/// Purges are claimed, marked and carried out by requests that each may be lost or repeated; what a list
/// of a moment ago does not show is asked for again.
#[test]
fn a_cleanup() {
    strike("a cleanup", 40, chains(), &|_, backups| {
        cleanups::clean_all(backups)
    });
}

#[test]
fn a_deletion_and_its_undelete() {
    let (mut subject, bucket) = chain();
    // It lies in the trash, if the undelete did not come so far.
    let first = subject.backups.remove(0);
    subject.made_max = (1, 1);
    strike(
        "a deletion and its undelete",
        8,
        (subject, bucket),
        &|_, backups| {
            // What was done and not told is there.
            for row in backups.trash()? {
                backups.undelete(row.id)?;
            }
            backups.delete(&[first], "")?;
            backups.undelete(first)?;
            Ok(vec![first])
        },
    );
}
