//! `repository check`: is all there that the backups need, and what is there besides?

use statekeep_core::{Phase, Progress, Result};

use crate::name::Folder;
use crate::problem::Problem;
use crate::repository::Repository;
use crate::sealed::{self, DOCUMENT_BYTES_MAX};
use crate::store::read_all;
use crate::upkeep::RepositoryReport;
use crate::upkeep::survey::{Survey, foreign};

/// Folders of sealed documents that the survey has not read.
const DOCUMENTS: [Folder; 6] = [
    Folder::Deletions,
    Folder::Ends,
    Folder::Pins,
    Folder::Attestations,
    Folder::Indexes,
    Folder::Keys,
];

impl Repository {
    /// Checks the repository as a whole. Reads all documents and the length of all segments, not
    /// their content, and changes nothing.
    pub(crate) fn check(&self, progress: &Progress) -> Result<RepositoryReport> {
        progress.enter(Phase::Verifying);
        let survey = Survey::new(self, progress)?;
        let mut report = RepositoryReport::new(&self.id);
        report.encrypted = self.keyring.is_some();
        report.backups = survey.backups;
        survey
            .strays()
            .iter()
            .for_each(|stray| report.strays.add(stray));
        report.creations = survey.creations();
        report.undecided = survey.undecided().filter(|_| survey.kept() > 0);
        survey
            .problems
            .iter()
            .for_each(|problem| report.add(problem.clone()));
        for name in self.store.foreign()? {
            report.add(foreign(&name));
        }
        for folder in Folder::ALL {
            let listing = self.store.list(folder, "")?;
            for object in &listing.objects {
                report.objects += 1;
                report.bytes = report.bytes.saturating_add(object.len);
                if folder == Folder::Segments {
                    report.unread_objects += 1;
                    report.unread_bytes = report.unread_bytes.saturating_add(object.len);
                }
            }
            if !DOCUMENTS.contains(&folder) {
                continue;
            }
            for object in &listing.objects {
                progress.check()?;
                let name = &object.name;
                let read = read_all(self.store.as_ref(), name, DOCUMENT_BYTES_MAX);
                let opened = read.and_then(|bytes| {
                    sealed::open::<serde::de::IgnoredAny>(&name.to_string(), &bytes)
                });
                match opened {
                    Err(error) if error.kind() == statekeep_core::ErrorKind::NotFound => {}
                    Err(error) => report.add(Problem::of(name, &error)),
                    Ok(_) => {}
                }
            }
        }
        report.leftovers = self.store.leftovers()?;
        report.warnings = self.store.warnings();
        Ok(report)
    }
}
