//! Restoring a whole state: all of it in the place of the old one, or nothing.

use statekeep_core::{Error, Phase, Result};

use super::{Job, RestoreReport};
use crate::hex::Hash256;
use crate::manifest::Manifest;
use crate::merge::{MergeRequest, Point, Strict, Totals, Visit, merge};
use crate::name::ObjectName;
use crate::points::Chosen;
use crate::read_run::ReadTask;
use crate::repository::Repository;

/// What a finished target is.
#[derive(Default)]
pub(crate) struct Finished {
    pub(crate) sequence: u64,
    pub(crate) namespace: Option<String>,
    pub(crate) replaced: Option<String>,
}

/// Where restored records go; nothing is visible before [`Target::finish`].
pub(crate) trait Target {
    /// Takes a record, in the order of keys.
    fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()>;

    /// Makes the records the state.
    fn finish(self: Box<Self>) -> Result<Finished>;
}

/// Restores a moment of a backup into the target that `begin` makes.
pub(crate) fn restore(
    job: &Job<'_>,
    begin: &mut dyn FnMut(&Chosen) -> Result<Box<dyn Target>>,
) -> Result<RestoreReport> {
    let progress = job.task.progress;
    progress.enter(Phase::Preparing);
    progress.check()?;
    let mut target = begin(job.chosen)?;
    let totals = copy(job.repository, job.task, job.chosen, &mut |key, record| {
        target.put(key, record)
    })?;
    progress.check()?;
    progress.enter(Phase::Committing);
    let done = target.finish()?;
    Ok(RestoreReport {
        sequence: done.sequence,
        namespace: done.namespace,
        replaced: done.replaced,
        records: totals.records,
        bytes: totals.bytes,
        state_digest: Hash256(totals.digest.to_bytes()),
        ..job.report()
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
