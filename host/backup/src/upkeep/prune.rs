//! `backup prune-strays`: removes what no manifest leads to.
//!
//! Candidates are listed before leases and manifests are read, and of each backup that was not
//! committed by what those say the slot is looked at once more, so that no commit can come between and
//! no list that is a moment old can hide one. A crash anywhere leaves strays that the next run finds.

use statekeep_core::{ErrorKind, Phase, Progress, Result};

use crate::name::{BackupId, ObjectName};
use crate::repository::Repository;
use crate::sealed::{FORMAT_VERSION, seal};
use crate::store::Put;
use crate::upkeep::survey::{Survey, no_backups};
use crate::upkeep::{PruneReport, Stray, StrayKind};

impl Repository {
    /// Removes all strays, or with `dry_run` says which they are.
    pub(crate) fn prune_strays(&self, dry_run: bool, progress: &Progress) -> Result<PruneReport> {
        progress.enter(Phase::Preparing);
        let survey = Survey::new(self, progress)?;
        let strays = survey.strays();
        let mut report = PruneReport {
            dry_run,
            undecided: survey.undecided().filter(|_| survey.kept() > 0),
            ..PruneReport::default()
        };
        if dry_run {
            strays
                .iter()
                .for_each(|stray| report.would_remove.add(stray));
            return Ok(report);
        }
        if survey.backups == 0 && !(strays.is_empty() && survey.kept() == 0) {
            return Err(no_backups());
        }
        progress.expect(strays.len() as u64, 0);
        progress.enter(Phase::Committing);
        let mut checked: Option<(BackupId, bool)> = None;
        for stray in &strays {
            progress.check()?;
            let gone = match checked {
                Some((id, gone)) if id == stray.backup => gone,
                _ => self.is_given_up(stray, &survey)?,
            };
            checked = Some((stray.backup, gone));
            if gone {
                self.store.delete(&ObjectName::parse(&stray.object)?)?;
                report.removed.add(stray);
                progress.add(1, 0, stray.bytes);
            }
        }
        Ok(report)
    }

    /// Whether the backup of a stray can surely not be committed any more, and was not.
    fn is_given_up(&self, stray: &Stray, survey: &Survey) -> Result<bool> {
        let (slot, lease) = (
            ObjectName::manifest(stray.backup),
            ObjectName::lease(stray.backup),
        );
        match stray.kind {
            StrayKind::Finished => return Ok(true),
            // Lists of an object store may be a moment old, and lack what makes it no stray.
            StrayKind::Unreferenced => {
                let unseen = |name, seen| {
                    if seen {
                        Ok(false)
                    } else {
                        self.store.exists(name)
                    }
                };
                let is_there = unseen(&slot, survey.saw_slot(stray.backup))?
                    || unseen(&lease, survey.saw_lease(stray.backup))?;
                return Ok(!is_there);
            }
            StrayKind::Abandoned => {}
        }
        if !self.store.is_death_certain() && self.abort(stray.backup, "prune-strays")? {
            return Ok(true);
        }
        match self.slot(&slot) {
            Ok(found) => Ok(found.is_none()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.store.is_death_certain()),
            Err(error) => Err(error),
        }
    }

    /// Takes the commit slot of a backup, so that its writer cannot commit it any more; `false` when
    /// the slot was taken before.
    pub(crate) fn abort(&self, backup: BackupId, by: &str) -> Result<bool> {
        let aborted = serde_json::json!({
            "format": FORMAT_VERSION,
            "type": "aborted",
            "by": by,
        });
        let slot = ObjectName::manifest(backup);
        Ok(self.store.put_new(&slot, &seal("slot", &aborted)?)? == Put::Created)
    }
}
