//! `backup prune-strays`: removes what no manifest leads to.
//!
//! Candidates are listed before leases and manifests are read, and of each backup that was never
//! committed the slot is looked at once more, so that no commit can come between. A crash anywhere
//! leaves strays that the next run finds.

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
                _ => self.is_given_up(stray)?,
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

    /// Whether the backup of a stray can surely not be committed any more.
    fn is_given_up(&self, stray: &Stray) -> Result<bool> {
        if stray.kind != StrayKind::Abandoned {
            return Ok(true);
        }
        let slot = ObjectName::manifest(stray.backup);
        if !self.store.is_death_certain() {
            let aborted = serde_json::json!({
                "format": FORMAT_VERSION,
                "type": "aborted",
                "by": "prune-strays",
            });
            let put = self.store.put_new(&slot, &seal("slot", &aborted)?)?;
            if put == Put::Created {
                return Ok(true);
            }
        }
        match self.slot(&slot) {
            Ok(found) => Ok(found.is_none()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.store.is_death_certain()),
            Err(error) => Err(error),
        }
    }
}
