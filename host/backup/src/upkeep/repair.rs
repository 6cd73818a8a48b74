//! `repository repair`: finishes what a crash left unfinished, and moves nothing else.

use statekeep_core::{Phase, Progress, Result};

use crate::index::Known;
use crate::name::ObjectName;
use crate::repository::Repository;
use crate::upkeep::survey::Survey;
use crate::upkeep::{RepairReport, StrayKind};

impl Repository {
    /// Removes the leases of committed backups and half-written files of writers that are gone, and
    /// writes the index anew from the manifests.
    /// What is damaged is told and left as it is.
    pub(crate) fn repair(&self, progress: &Progress) -> Result<RepairReport> {
        progress.enter(Phase::Preparing);
        let survey = Survey::new(self, progress)?;
        let mut report = RepairReport::default();
        progress.enter(Phase::Committing);
        for stray in survey.strays() {
            if stray.kind == StrayKind::Finished {
                self.store.delete(&ObjectName::parse(&stray.object)?)?;
                report.leases += 1;
            }
        }
        report.leftovers = self.store.sweep()?;
        let slots = self.slots(Known::Ignored, &mut Vec::new())?;
        report.indexed = slots.iter().filter(|slot| slot.backup.is_some()).count() as u64;
        report.indexes_removed = self.write_index(slots)?;
        report.problems = survey.problems;
        Ok(report)
    }
}
