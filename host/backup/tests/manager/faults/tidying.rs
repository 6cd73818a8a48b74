//! Repair and the removal of strays that are struck, in a repository that killed backups have littered.

use statekeep_backup::Progress;
use statekeep_core::vfs::sim::SimDisk;

use super::{Subject, back_up};
use crate::support::open;

/// What backups leave that were killed at one call after the other.
fn littered() -> Subject {
    let mut subject = Subject::chain();
    let calls = {
        let disk = subject.disk.restart();
        let (_manager, backups) = open(&disk).unwrap();
        back_up(&backups).unwrap();
        disk.call_count()
    };
    let report = |disk: &SimDisk| {
        let (_manager, backups) = open(&disk.restart()).unwrap();
        (
            backups.check_repository(&Progress::new()).unwrap(),
            backups.list().unwrap(),
        )
    };
    let kill_at = |disk: &SimDisk, n| {
        let disk = disk.restart();
        disk.kill_at(n);
        drop(open(&disk).and_then(|(_, backups)| back_up(&backups)));
        disk.restart()
    };
    for n in (20..calls).step_by(29) {
        subject.disk = kill_at(&subject.disk, n);
    }
    // The next backup removes what is half-written, so the last one leaves some of that.
    let last = (calls / 2..).map(|n| kill_at(&subject.disk, n));
    subject.disk = last
        .into_iter()
        .find(|disk| report(disk).0.leftovers > 0)
        .unwrap();
    let (report, list) = report(&subject.disk);
    assert!(
        report.strays.objects > 2 && report.leftovers > 0,
        "{report:?}"
    );
    subject.backups = list.backups.iter().map(|backup| backup.id).collect();
    subject
}

#[test]
fn a_repair() {
    littered().strike("a repair", 40, &|_, backups| {
        backups.repair_repository(&Progress::new())?;
        let report = backups.check_repository(&Progress::new())?;
        assert_eq!(report.leftovers, 0, "{report:?}");
        Ok(Vec::new())
    });
}

#[test]
fn a_removal_of_strays() {
    littered().strike("a removal of strays", 40, &|_, backups| {
        backups.prune_strays(false, &Progress::new())?;
        // A lease that could not be read counts as alive, and is left for the next one.
        backups.prune_strays(false, &Progress::new())?;
        let report = backups.check_repository(&Progress::new())?;
        assert_eq!(report.strays.objects, 0, "{report:?}");
        Ok(Vec::new())
    });
}
