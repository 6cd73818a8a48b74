//! Restoring a whole state, all or nothing.
//!
//! Records go into a new namespace beside the state; it takes the state's place only after every
//! hash was found right, and of what a manifest describes also number and digest. Until then an
//! error or a kill changes nothing.

use std::time::Instant;

use serde::Serialize;
use statekeep_core::{Error, Phase, Result, Sequence, UnixMs};

use crate::hex::Hash256;
use crate::manifest::Manifest;
use crate::merge::{MergeRequest, Point, Strict, Totals, Visit, merge};
use crate::name::{BackupId, ObjectName};
use crate::points::Chosen;
use crate::read_run::ReadTask;
use crate::repository::Repository;

/// Which state is restored.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RestoreAt {
    /// What a backup shows.
    Backup(BackupId),
    /// The state right after a commit, from the smallest backup that has it.
    Sequence(u64),
    /// The state after the last commit at or before a time, from the smallest backup that has it.
    Time(UnixMs),
}

impl From<BackupId> for RestoreAt {
    fn from(id: BackupId) -> RestoreAt {
        RestoreAt::Backup(id)
    }
}

/// How a backup is restored. `RestoreOptions::default()` is the whole state, replacing all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The past that a sequence or time belongs to; by default the state's own, or the only one that
    /// the repository has backups of.
    pub timeline: Option<String>,
}

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The backup that was read.
    pub id: BackupId,
    /// The sequence of the restored state in the past that it was taken from.
    pub backup_sequence: u64,
    /// The time of that commit, where it is known.
    pub backup_time_unix_ms: Option<i64>,
    /// The past that it was taken from.
    pub timeline: String,
    /// The state's sequence after the restore; sequences go on rising.
    pub sequence: u64,
    /// Records restored.
    pub records: u64,
    /// Bytes of their stored keys and records.
    pub bytes: u64,
    /// The digest of what was restored; of a whole backup it is the one that the manifest says.
    pub state_digest: Hash256,
    /// How long it took.
    pub duration_ms: u64,
}

/// Where restored records go; nothing is visible before [`Target::finish`].
pub(crate) trait Target {
    /// Takes a record, in the order of keys.
    fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()>;

    /// Makes the records the state.
    fn finish(self: Box<Self>) -> Result<Sequence>;
}

/// Restores a moment of a backup into the target that `begin` makes.
pub(crate) fn restore(
    repository: &Repository,
    task: &ReadTask<'_>,
    chosen: &Chosen,
    begin: &mut dyn FnMut(&Chosen) -> Result<Box<dyn Target>>,
) -> Result<RestoreReport> {
    let started = Instant::now();
    let (manifest, progress) = (&chosen.manifest, task.progress);
    progress.enter(Phase::Preparing);
    progress.check()?;
    let mut target = begin(chosen)?;
    let totals = copy(repository, task, chosen, &mut |key, record| {
        target.put(key, record)
    })?;
    progress.check()?;
    progress.enter(Phase::Committing);
    let sequence = target.finish()?;
    Ok(RestoreReport {
        id: manifest.id,
        backup_sequence: chosen.sequence().0,
        backup_time_unix_ms: chosen.time().map(|time| time.0),
        timeline: manifest.timeline.id.clone(),
        sequence: sequence.0,
        records: totals.records,
        bytes: totals.bytes,
        state_digest: Hash256(totals.digest.to_bytes()),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Hands all records of a moment to `put` and checks what they add up to.
pub(crate) fn copy(
    repository: &Repository,
    task: &ReadTask<'_>,
    chosen: &Chosen,
    put: Visit<'_>,
) -> Result<Totals> {
    let request = MergeRequest::all(&chosen.manifest, chosen.point);
    let totals = merge(repository, task, &request, &mut Strict, &mut |merged| {
        let (mut records, mut bytes) = (0, 0);
        merged.each(&mut |key, record| {
            records += 1;
            bytes += (key.len() + record.len()) as u64;
            put(key, record)
        })?;
        task.progress.add(records, 0, bytes);
        Ok(())
    })?;
    if chosen.point == Point::End {
        check_totals(&chosen.manifest, &totals)?;
    }
    Ok(totals)
}

/// Compares number and digest of merged records with what the manifest says.
fn check_totals(manifest: &Manifest, totals: &Totals) -> Result<()> {
    let (digest, records) = (Hash256(totals.digest.to_bytes()), totals.records);
    if digest == manifest.state_digest && records == manifest.records {
        return Ok(());
    }
    let reason = format!(
        "it says {} records with the state digest {}; its segments give {records} with {digest}",
        manifest.records, manifest.state_digest
    );
    let name = ObjectName::manifest(manifest.id);
    Err(Error::corrupt(name.to_string(), reason))
}
