//! Restoring a whole state, all or nothing.
//!
//! Records go into a new namespace beside the state; it takes the state's place only after every
//! hash, count and the state digest were found right. Until then an error or a kill changes nothing.

use std::time::Instant;

use serde::Serialize;
use statekeep_core::{Error, ErrorKind, Phase, Plugins, Progress, Result, Sequence, StateDigest};

use crate::hex::Hash256;
use crate::list::is_whole;
use crate::manifest::Manifest;
use crate::name::{BackupId, ObjectName};
use crate::problem::Problem;
use crate::read_run::{Item, ReadTask, read_run};
use crate::repository::Repository;
use crate::segment::Entries;
use crate::verify::read_run_object;

/// How a backup is restored. `RestoreOptions::default()` is the whole state, replacing all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {}

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The backup.
    pub id: BackupId,
    /// The sequence that the backup shows.
    pub backup_sequence: u64,
    /// The state's sequence after the restore; sequences go on rising.
    pub sequence: u64,
    /// Records restored.
    pub records: u64,
    /// Bytes of their stored keys and records.
    pub bytes: u64,
    /// The digest of what was restored, which is that of the backup.
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

/// Restores a backup into the target that `begin` makes.
pub(crate) fn restore(
    repository: &Repository,
    plugins: &dyn Plugins,
    threads: usize,
    id: BackupId,
    progress: &Progress,
    begin: &mut dyn FnMut(&Manifest) -> Result<Box<dyn Target>>,
) -> Result<RestoreReport> {
    let started = Instant::now();
    progress.enter(Phase::Preparing);
    let (manifest, _) = repository.manifest(id)?;
    let row = manifest
        .runs
        .first()
        .filter(|_| is_whole(&manifest))
        .ok_or_else(|| {
            let message = format!(
                "backup {id} is {} and has {} runs; this build restores full backups only",
                manifest.kind.name(),
                manifest.runs.len()
            );
            Error::other(ErrorKind::Unsupported, message)
        })?;
    let run = read_run_object(repository, row).map_err(Problem::into_error)?;
    progress.check()?;
    progress.expect(manifest.records, run.stored_bytes);
    let mut target = begin(&manifest)?;
    progress.enter(Phase::Copying);
    let (mut digest, mut records, mut bytes) = (StateDigest::default(), 0_u64, 0_u64);
    let task = ReadTask {
        store: repository.store.as_ref(),
        plugins,
        threads,
        progress,
    };
    read_run(&task, &run, &mut |item| {
        progress.check()?;
        let (raw, facts) = match item {
            Item::Problem(problem) => return Err(problem.into_error()),
            Item::Block { raw, facts, .. } => (raw, facts),
        };
        if facts.tombstones > 0 {
            return Err(Error::corrupt(
                row.name.to_string(),
                "a full backup holds a tombstone",
            ));
        }
        let mut put = 0;
        for entry in Entries::new(&raw) {
            let entry = entry?;
            target.put(entry.key, entry.record)?;
            put += (entry.key.len() + entry.record.len()) as u64;
        }
        digest.merge(&facts.digest);
        records += u64::from(facts.entries);
        bytes += put;
        progress.add(u64::from(facts.entries), 0, put);
        Ok(())
    })?;
    let state_digest = Hash256(digest.to_bytes());
    if state_digest != manifest.state_digest || records != manifest.records {
        let reason = format!(
            "it says {} records with the state digest {}; its segments give {records} with {state_digest}",
            manifest.records, manifest.state_digest
        );
        return Err(Error::corrupt(ObjectName::manifest(id).to_string(), reason));
    }
    progress.check()?;
    progress.enter(Phase::Committing);
    let sequence = target.finish()?;
    Ok(RestoreReport {
        id,
        backup_sequence: manifest.sequence_to,
        sequence: sequence.0,
        records,
        bytes,
        state_digest,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
