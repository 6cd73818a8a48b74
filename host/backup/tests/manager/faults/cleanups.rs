//! Cleanups that are struck: nothing that stays is lost, what goes is deleted at once or not at all, and
//! the next cleanup ends what was begun.

use std::sync::Arc;

use statekeep_backup::{BackupId, BackupManager, Progress};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{Error, ErrorKind, Result, StateManager};

use super::{Subject, back_up};
use crate::cleanup::clean;
use crate::support::{open, set};

/// Four chains of two, of which the policy keeps the last.
fn chains() -> Subject {
    chains_in(&|disk| open(disk).unwrap())
}

/// The same, opened in another way.
pub(super) fn chains_in(open: &dyn Fn(&SimDisk) -> (Arc<StateManager>, BackupManager)) -> Subject {
    let mut subject = Subject::chain_in(open);
    let disk = subject.disk.restart();
    let (manager, backups) = open(&disk);
    backups
        .create(
            &statekeep_backup::CreateOptions::default(),
            &Progress::new(),
        )
        .unwrap();
    let mut kept = Vec::new();
    for n in 0..2 {
        set(&manager, "", "user:1", "k1", &format!("later {n}")).unwrap();
        kept.push(back_up(&backups).unwrap().id);
    }
    let full = backups.show(kept[0]).unwrap().manifest.parent.unwrap();
    subject.before = crate::support::read(&manager);
    subject.after = subject.before.clone();
    drop(backups);
    manager.close().unwrap();
    subject.disk = disk.restart();
    // What goes may be there for as long as a cleanup has not ended.
    subject.made_max = (subject.backups.len(), subject.backups.len());
    subject.backups = [vec![full], kept].concat();
    subject
}

/// Cleans up, and answers an error where anything was left to the next cleanup.
pub(super) fn clean_all(backups: &BackupManager) -> Result<Vec<BackupId>> {
    let report = clean(backups, 2, 0)?;
    // A document that could not be read is damage to it: nothing goes then.
    let problem = report.collected.problems.first().map(ToString::to_string);
    if let Some(why) = report.failure.or(report.collected.postponed).or(problem) {
        return Err(Error::other(ErrorKind::Io, why));
    }
    Ok(Vec::new())
}

#[test]
fn a_cleanup() {
    chains().strike("a cleanup", 40, &|_, backups| {
        clean_all(backups)?;
        assert!(backups.trash()?.is_empty());
        let report = backups.check_repository(&Progress::new())?;
        if let Some(problem) = report.problems.first() {
            return Err(Error::other(ErrorKind::Io, problem.to_string()));
        }
        assert_eq!(
            (report.backups, report.strays.objects),
            (3, 0),
            "{report:?}"
        );
        Ok(Vec::new())
    });
}

#[test]
fn a_deletion_and_its_undelete() {
    let mut subject = chains();
    let all = {
        let (_manager, backups) = open(&subject.disk.restart()).unwrap();
        let list = backups.list().unwrap();
        list.backups
            .iter()
            .map(|backup| backup.id)
            .collect::<Vec<_>>()
    };
    // The one that is deleted lies in the trash, if the undelete did not come so far.
    subject.backups = all[1..].to_vec();
    subject.made_max = (1, 1);
    subject.strike("a deletion and its undelete", 8, &|_, backups| {
        if let Some(left) = backups.trash()?.first() {
            assert_eq!(left.id, all[0]);
            backups.undelete(left.id)?;
        }
        backups.delete(&all[..1], "")?;
        backups.undelete(all[0])?;
        Ok(vec![all[0]])
    });
}
