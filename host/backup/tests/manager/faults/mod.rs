//! Every call of the file layer that an operation makes fails, finds the disk full from then on, or is
//! the process's last, one after the other. Whatever is found then, after the process or the power
//! went: no acknowledged backup is lost, every listed one is whole, nothing worse than strays lies in
//! the repository, the state is what it was or what it was to be, and the operation can be run again.
//!
//! `STATEKEEP_SOAK_ROUNDS` sets how many power cuts follow each fault.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at what it did not expect, and says how often it struck"
)]

mod cancelled;
mod cleanups;
mod exports;
mod makings;
mod remote;
mod restores;
mod tidying;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use statekeep_backup::{BackupId, BackupManager, CreateOptions, Manifest, Progress, VerifyLevel};
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{ErrorKind, Result, StateManager};

use crate::support::{State, fill, open, read, set};

/// An operation; answers the backups that it acknowledges.
pub(crate) type Work<'a> = &'a dyn Fn(&Arc<StateManager>, &BackupManager) -> Result<Vec<BackupId>>;

/// What an operation is struck on, and what it promises.
pub(crate) struct Subject {
    pub(crate) disk: SimDisk,
    /// What the state holds, and what it holds after the operation.
    pub(crate) before: State,
    pub(crate) after: State,
    /// The operation is several commits: what it did of them stays.
    pub(crate) in_steps: bool,
    /// Backups that were acknowledged before.
    pub(crate) backups: Vec<BackupId>,
    /// Most backups that the operation makes, and that it leaves when it surely fails.
    pub(crate) made_max: (usize, usize),
}

impl Subject {
    /// A full backup and two incrementals on it, with history, and changes since.
    pub(crate) fn chain() -> Subject {
        Subject::chain_in(&|disk| open(disk).unwrap())
    }

    /// The same, opened in another way.
    pub(crate) fn chain_in(
        open: &dyn Fn(&SimDisk) -> (Arc<StateManager>, BackupManager),
    ) -> Subject {
        let disk = SimDisk::new();
        let (manager, backups) = open(&disk);
        let before = fill(&manager);
        let mut made = Vec::new();
        for n in 0..3 {
            set(&manager, "", "user:1", "k1", &format!("round {n}")).unwrap();
            set(&manager, "acme", "custom:a:b", &format!("n{n}"), "x").unwrap();
            made.push(back_up(&backups).unwrap().id);
        }
        set(&manager, "", "user:1", "k1", "newest").unwrap();
        let after = read(&manager);
        assert_ne!(before, after);
        drop(backups);
        manager.close().unwrap();
        Subject {
            disk: disk.restart(),
            before: after.clone(),
            after,
            in_steps: false,
            backups: made,
            made_max: (0, 0),
        }
    }

    fn fits(&self, found: &State, is_done: bool) -> bool {
        let is_between = || {
            let names: BTreeSet<_> = self.before.keys().chain(self.after.keys()).collect();
            let one = |name| [self.before.get(name), self.after.get(name)];
            found.keys().all(|name| names.contains(name))
                && (names.iter()).all(|name| one(*name).contains(&found.get(*name)))
        };
        let not_done = || *found == self.before || self.in_steps && is_between();
        *found == self.after || !is_done && not_done()
    }

    /// Checks what is found, with the backups that were acknowledged; answers those that are listed.
    pub(crate) fn check(
        &self,
        found: &(Arc<StateManager>, BackupManager),
        acknowledged: Option<&[BackupId]>,
        story: &str,
    ) -> BTreeSet<BackupId> {
        let (manager, backups) = found;
        let rows = read(manager);
        assert!(
            self.fits(&rows, acknowledged.is_some()),
            "{story}: {rows:?}"
        );
        let list = backups.list().unwrap();
        assert!(list.problems.is_empty(), "{story}: {:?}", list.problems);
        let listed: BTreeSet<_> = list.backups.iter().map(|backup| backup.id).collect();
        for id in self.backups.iter().chain(acknowledged.unwrap_or_default()) {
            assert!(listed.contains(id), "{story}: backup {id} is lost");
        }
        for id in &listed {
            let verified = backups.verify(*id, VerifyLevel::Full, &Progress::new());
            let report = verified.unwrap();
            assert!(report.is_valid, "{story}: {report:?}");
        }
        match backups.check_repository(&Progress::new()) {
            // No backup has made it yet.
            Err(error) if listed.is_empty() => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{story}: {error}");
            }
            report => {
                let report = report.unwrap();
                assert!(report.is_valid, "{story}: {report:?}");
            }
        }
        listed
    }

    /// Strikes each call of the operation in each way.
    pub(crate) fn strike(&self, what: &str, calls_min: u64, work: Work<'_>) {
        let mut strikes = 0;
        for fault in ["fail", "full", "kill"] {
            for n in 1.. {
                let disk = self.disk.restart();
                match fault {
                    "fail" => disk.fail_at(n, io::ErrorKind::Other, Times::Once),
                    "full" => disk.fail_at(n, io::ErrorKind::StorageFull, Times::Forever),
                    _ => disk.kill_at(n),
                }
                let outcome = open(&disk).and_then(|(manager, backups)| {
                    let outcome = work(&manager, &backups);
                    drop((backups, manager.close()));
                    outcome
                });
                let has_struck = disk.fault_struck();
                let acknowledged = outcome.as_deref().ok();
                let story = format!("{fault} at call {n}: {:?}", outcome.as_ref().map(drop));
                let found = open(&disk.restart()).unwrap_or_else(|e| panic!("{story}: {e}"));
                let listed = self.check(&found, acknowledged, &story);
                let surely =
                    (outcome.as_ref()).is_err_and(|error| error.kind() != ErrorKind::Indeterminate);
                let made = listed.len() - self.backups.len();
                let most = match fault == "fail" && surely {
                    true => self.made_max.1,
                    false => self.made_max.0,
                };
                assert!(made <= most, "{story}: it left {made} backups");
                if n.is_multiple_of(3) {
                    self.again(&found, work, &story);
                }
                // Others for each call: the corners of what a disk may keep, and what lies between.
                for seed in (n..n + cuts()).map(|seed| seed % cuts().max(8)) {
                    let story = format!("{story}, power cut {seed}");
                    let found = open(&disk.crash(seed));
                    let found = found.unwrap_or_else(|error| panic!("{story}: {error}"));
                    self.check(&found, acknowledged, &story);
                    if (n + 1).is_multiple_of(6) {
                        self.again(&found, work, &story);
                    }
                }
                if !has_struck {
                    break;
                }
                strikes += 1;
            }
        }
        println!("{what}: {strikes} strikes, {} power cuts", strikes * cuts());
        assert!(strikes > 3 * calls_min, "{what}: only {strikes} strikes");
    }

    /// Runs the operation on what a fault left.
    pub(crate) fn again(
        &self,
        found: &(Arc<StateManager>, BackupManager),
        work: Work<'_>,
        story: &str,
    ) {
        let story = format!("{story}, and run again");
        let made = work(&found.0, &found.1).unwrap_or_else(|error| panic!("{story}: {error}"));
        self.check(found, Some(&made), &story);
        set(&found.0, "", "user:1", "after", "writes go on").unwrap();
    }
}

fn cuts() -> u64 {
    std::env::var("STATEKEEP_SOAK_ROUNDS").map_or(1, |text| text.parse().unwrap())
}

/// An incremental backup with history.
fn back_up(backups: &BackupManager) -> Result<Manifest> {
    let options = CreateOptions {
        incremental: Some(true),
        history: Some(true),
        ..CreateOptions::default()
    };
    backups.create(&options, &Progress::new())
}
