//! What differs between backups, or between a backup and the state; and what a restore would change.

use std::time::Instant;

use serde::Serialize;
use statekeep_core::{Phase, Progress, Result, Selection};

use super::compare::{Differences, Side, compare};
use super::rows::Source;
use super::{Job, RestoreAt, RestoreMode, RestoreOptions, RestoreReport};
use crate::exchange::Samples;
use crate::hex::Hash256;
use crate::lease::Purpose;
use crate::manager::{BackupManager, Ends};
use crate::name::BackupId;

/// What became of the records of a backup until another one, or until now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupDiff {
    /// The backup that is before.
    pub from: BackupId,
    /// The commit that it shows.
    pub from_sequence: u64,
    /// The backup that is after; the state when null.
    pub to: Option<BackupId>,
    /// The commit that it shows.
    pub to_sequence: u64,
    /// Names that only the one after has.
    pub added: u64,
    /// Names with something else.
    pub changed: u64,
    /// Names that only the one before has.
    pub removed: u64,
    /// Names with the same value, class and expiry.
    pub unchanged: u64,
    /// Some of the names.
    pub samples: Samples,
    /// How long it took.
    pub duration_ms: u64,
}

impl BackupManager {
    /// Compares the selected records of a moment of a backup with those of another one, or of the
    /// state as it is. Reads both once, in the order of their keys; changes nothing.
    ///
    /// # Errors
    /// Those of choosing and reading in [`BackupManager::restore`].
    pub fn diff(
        &self,
        from: impl Into<RestoreAt>,
        to: Option<RestoreAt>,
        selection: &Selection,
        progress: &Progress,
    ) -> Result<BackupDiff> {
        let _ends = Ends(progress);
        let from = from.into();
        self.aside(|| self.compare_at(from, to, selection, progress))
    }

    fn compare_at(
        &self,
        from: RestoreAt,
        to: Option<RestoreAt>,
        selection: &Selection,
        progress: &Progress,
    ) -> Result<BackupDiff> {
        let started = Instant::now();
        progress.enter(Phase::Preparing);
        let repository = self.source_of(from)?;
        let task = self.task(&repository, progress);
        let read = |at| self.read_at((&repository, &task), at, None, Purpose::Compare);
        let (chosen, _reading) = read(from)?;
        let (other, _other_reading) = to.map(read).transpose()?.unzip();
        let snapshot = self.state().snapshot()?;
        let side = |chosen| {
            Side::Backup(Source {
                repository: &repository,
                task: &task,
                chosen,
                now: None,
            })
        };
        let after = other.as_ref().map_or(Side::State(&snapshot), side);
        let before = side(&chosen);
        let (found, _) = compare(before, after, selection, self.plugins(), progress)?;
        let sequence = other.as_ref().map(|other| other.sequence());
        Ok(BackupDiff {
            from: chosen.manifest.id,
            from_sequence: chosen.sequence().0,
            to: other.as_ref().map(|other| other.manifest.id),
            to_sequence: sequence.unwrap_or_else(|| snapshot.sequence()).0,
            added: found.added,
            changed: found.changed,
            removed: found.removed,
            unchanged: found.unchanged,
            samples: found.samples,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// What a restore into the state would change.
    pub(super) fn dry_run(&self, job: &Job<'_>, options: &RestoreOptions) -> Result<RestoreReport> {
        let snapshot = self.state().snapshot()?;
        let whole = Selection::whole();
        let part = options.part().unwrap_or(&whole);
        let source = Source {
            repository: job.repository,
            task: job.task,
            chosen: job.chosen,
            now: Some(snapshot.as_of()),
        };
        let (before, after) = (Side::State(&snapshot), Side::Backup(source));
        let progress = job.task.progress;
        let (found, sums) = compare(before, after, part, self.plugins(), progress)?;
        let mode = options.mode.unwrap_or(RestoreMode::Replace);
        let Differences {
            mut samples,
            removed,
            ..
        } = found;
        let removed = match mode {
            RestoreMode::Replace => removed,
            RestoreMode::Merge => {
                samples.removed.clear();
                0
            }
        };
        Ok(RestoreReport {
            mode,
            dry_run: true,
            sequence: snapshot.sequence().0,
            records: sums.records,
            bytes: sums.bytes,
            expired: sums.expired,
            state_digest: Hash256(sums.digest.to_bytes()),
            added: Some(found.added),
            changed: Some(found.changed),
            removed: Some(removed),
            unchanged: Some(found.unchanged),
            samples: Some(samples),
            ..job.report()
        })
    }
}
