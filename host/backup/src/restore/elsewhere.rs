//! A backup as a state of its own, in another directory: made whole or not at all. The state that is
//! open is not touched.

use std::path::Path;

use serde_json::Value;
use statekeep_core::vfs::folder_around;
use statekeep_core::{
    Error, OpenOptions, Phase, RestoreSource, Result, Selection, StateManager, TenantNumber,
};

use super::rows::{Rows, Source, Sums};
use super::whole::copy;
use super::{Job, RestoreMode, RestoreReport};
use crate::hex::Hash256;
use crate::merge::Visit;
use crate::name::Folder;

/// Makes a state of the selected records.
pub(super) fn restore_elsewhere(
    job: &Job<'_>,
    state: &StateManager,
    (dir, backend, options): (&Path, Option<&str>, &Value),
    selection: Option<&Selection>,
) -> Result<RestoreReport> {
    if !dir.is_absolute() {
        let reason = format!("{} is not an absolute path", dir.display());
        return Err(Error::invalid("directory of a restore", reason));
    }
    let marks = ["FORMAT", Folder::Manifests.name()];
    if let Some(around) = folder_around(&**state.vfs(), dir, &marks)? {
        let reason = format!(
            "{} lies in {}, which is a repository of backups: what is not a backup there is a stray; \
             choose a place outside of it",
            dir.display(),
            around.display()
        );
        return Err(Error::invalid("directory of a restore", reason));
    }
    let backend = backend.map_or_else(|| state.backend_name(), str::to_owned);
    let open = OpenOptions {
        backend_options: options.clone(),
        vfs: state.vfs().clone(),
        ..OpenOptions::new(dir, backend)
    };
    let progress = job.task.progress;
    let mut sums = Sums::default();
    let done = StateManager::create_restored(
        &open,
        state.plugins().clone(),
        &job.source(),
        &mut |fresh| {
            progress.check()?;
            let whole = Selection::whole();
            for (name, fact) in job.facts(selection.unwrap_or(&whole), RestoreMode::Replace) {
                fresh.note(&name, fact);
            }
            sums = match selection {
                None => {
                    fresh.fork_of(&job.chosen.manifest.timeline.id);
                    let put = &mut |key: &[u8], record: &[u8]| fresh.put(key, record);
                    let totals = copy(job.repository, job.task, job.chosen, put)?;
                    Sums {
                        records: totals.records,
                        bytes: totals.bytes,
                        digest: totals.digest,
                        expired: 0,
                    }
                }
                Some(selection) => {
                    let mut put = |key: &[u8], record: &[u8]| fresh.put(key, record);
                    selected(job, selection, &mut put)?
                }
            };
            progress.check()?;
            progress.enter(Phase::Committing);
            Ok(())
        },
    )?;
    Ok(RestoreReport {
        sequence: done.sequence.0,
        state_id: Some(done.state_id),
        path: Some(dir.to_owned()),
        records: sums.records,
        bytes: sums.bytes,
        state_digest: Hash256(sums.digest.to_bytes()),
        ..job.report()
    })
}

/// Hands the selected records of the moment to `put`.
fn selected(job: &Job<'_>, selection: &Selection, put: Visit<'_>) -> Result<Sums> {
    let source = Source {
        repository: job.repository,
        task: job.task,
        chosen: job.chosen,
        now: None,
    };
    let tenants = source.tenants();
    let Some(keys) = selection.keys(&tenants) else {
        return Ok(Sums::default());
    };
    std::thread::scope(|scope| {
        let mut rows = Rows::of_backup(scope, source, keys);
        while rows.peek()?.is_some() {
            if let Some((key, record)) = rows.take() {
                put(&key, &record)?;
            }
        }
        Ok(rows.sums())
    })
}

impl Job<'_> {
    /// Whose records are restored.
    pub(super) fn source(&self) -> RestoreSource {
        let manifest = &self.chosen.manifest;
        let tenants = manifest.tenants.iter();
        RestoreSource {
            state_id: manifest.state.clone(),
            sequence: self.chosen.sequence(),
            tenants: tenants
                .map(|row| (TenantNumber(row.number), row.name.clone()))
                .collect(),
        }
    }
}
