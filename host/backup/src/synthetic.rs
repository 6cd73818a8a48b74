//! Synthetic fulls: the runs of a chain merged into one, without reading the state.
//!
//! Each entry is checked on the way, and what they add up to must be what the merged backup says, or
//! nothing is committed. A block that the merge leaves as it is, is copied as it is stored. Records
//! whose time had come are left out; with history, a row of it has them.

use statekeep_core::{Error, ErrorKind, Phase, Plugins, Progress, Result};

use crate::create::{ChosenCodec, CreateOptions, CreateTask, Part, Plan, Source, Sums, create};
use crate::hex::Hash256;
use crate::manager::{BackupManager, Ends};
use crate::manifest::{BackupKind, Manifest};
use crate::merge::{MergeRequest, Merged, Point, Strict, merge, open_run};
use crate::name::{BackupId, ObjectName};
use crate::read_run::ReadTask;
use crate::repository::Repository;
use crate::run::RunContent;
use crate::segment::{BLOCK_BYTES_MIN, Entries, SEGMENT_BYTES_MAX};
use crate::write_run::Feeder;

/// What the writing pipeline may hold, so that it and the merge stay under 64 MiB together.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;

impl BackupManager {
    /// Merges a backup and all that it stands on into a full one that shows the same moment, and
    /// returns its manifest; without an id, the newest of this state. The state is not read. Blocks
    /// that nothing has changed since keep the codec that they have.
    ///
    /// # Errors
    /// `InvalidArgument` when there is nothing to merge, or the options ask for incremental or
    /// history: the history is that of the merged backup. `NotFound`; `Corrupt` naming the object
    /// that is damaged; `Compacted` when the backup is being removed; and as
    /// [`BackupManager::create`], leaving as little.
    pub fn create_synthetic(
        &self,
        from: Option<BackupId>,
        options: &CreateOptions,
        progress: &Progress,
    ) -> Result<Manifest> {
        let _ends = Ends(progress);
        self.aside(|| self.synthesize(from, options, progress))
    }

    fn synthesize(
        &self,
        from: Option<BackupId>,
        options: &CreateOptions,
        progress: &Progress,
    ) -> Result<Manifest> {
        self.limit(progress);
        progress.enter(Phase::Preparing);
        if options.incremental.is_some() || options.history.is_some() {
            let reason =
                "a synthetic full is no incremental, and has the history of what it merges";
            return Err(Error::invalid("options", reason));
        }
        let codec = self.choose_codec(options)?;
        let repository = self.open_or_create()?;
        if let Err(error) = repository.store.sweep() {
            tracing::warn!(%error, "leftovers in the backup repository were not swept");
        }
        let base = match from {
            Some(id) => repository.manifest(id)?.0,
            None => {
                let source = self.describe(&self.state().snapshot()?);
                let newest = repository.parent_of(&source)?;
                newest.map_err(|why| Error::other(ErrorKind::NotFound, why))?
            }
        };
        if base.runs.len() < 2 {
            let reason = format!(
                "backup {} stands on no other: there is nothing to merge",
                base.id
            );
            return Err(Error::invalid("from", reason));
        }
        self.merge_backup(&repository, &base, &codec, options, progress)
    }

    /// Makes the synthetic full of a backup.
    pub(crate) fn merge_backup(
        &self,
        repository: &Repository,
        base: &Manifest,
        codec: &ChosenCodec,
        options: &CreateOptions,
        progress: &Progress,
    ) -> Result<Manifest> {
        let task = CreateTask {
            repository,
            source: &source(base),
            codec,
            options,
            threads: self.threads(),
            progress,
            segment_bytes_max: SEGMENT_BYTES_MAX,
        };
        let made = synthesise(&task, self.plugins(), base);
        self.tell_backup(&made);
        let made = made?;
        // The backup stands without it.
        if let Err(error) = repository.index_when_due() {
            tracing::warn!(%error, "the index of the backup repository was not written");
        }
        Ok(made)
    }
}

/// What a synthetic full shows: the moment of the backup that it is merged from.
pub(crate) fn source(base: &Manifest) -> Source {
    Source {
        state: base.state.clone(),
        timeline: base.timeline.clone(),
        sequence: base.sequence_to,
        time_unix_ms: base.time_unix_ms,
        as_of_unix_ms: base.as_of_unix_ms,
        backend: base.backend.clone(),
        tenants: base.tenants.clone(),
    }
}

/// Writes the records of `base`, whose [`source`] the task has, as one run.
pub(crate) fn synthesise(
    task: &CreateTask<'_>,
    plugins: &dyn Plugins,
    base: &Manifest,
) -> Result<Manifest> {
    // They are taken over unread; what cannot be there any more is noticed here.
    for (content, rows) in [
        (RunContent::History, &base.history),
        (RunContent::Journal, &base.journal),
    ] {
        for row in rows {
            open_run(task.repository, row, content, &mut Strict)?;
        }
    }
    let mut feed = |feeder: &mut Feeder<'_>| {
        let bytes = base.counts.rows.iter().map(|row| row.bytes);
        task.progress.expect(base.records, bytes.sum());
        feed_merged(task, plugins, base, feeder)
    };
    let plan = Plan {
        kind: BackupKind::Synthetic,
        base: Some(base),
        merged_from: Some(base.id),
        history: base.history.clone(),
        journal: base.journal.clone(),
        history_from: base.history_from,
        ..Plan::default()
    };
    let part = Part {
        content: RunContent::Records,
        in_flight_bytes_max: IN_FLIGHT_BYTES_MAX,
        feed: &mut feed,
    };
    create(task, plan, &mut [part], &mut |sums| expect(base, sums))
}

fn feed_merged(
    task: &CreateTask<'_>,
    plugins: &dyn Plugins,
    base: &Manifest,
    feeder: &mut Feeder<'_>,
) -> Result<()> {
    // The writing side counts; it also sees a wish to stop.
    let counted_by_writer = Progress::new();
    let read = ReadTask {
        store: task.repository.store.as_ref(),
        plugins,
        threads: task.threads,
        progress: &counted_by_writer,
    };
    let request = MergeRequest {
        stored: true,
        ..MergeRequest::all(base, Point::End)
    };
    merge(
        task.repository,
        &read,
        &request,
        &mut Strict,
        &mut |merged| {
            task.progress.check()?;
            match merged {
                Merged::Record(entry) => feeder.push(entry),
                Merged::Block {
                    raw,
                    facts,
                    stored: Some(stored),
                } if stays(raw, feeder)? => feeder.copy(*stored, *facts),
                Merged::Block { raw, .. } => {
                    Entries::new(raw).try_for_each(|entry| feeder.push(entry?))
                }
            }
        },
    )
    .map(drop)
}

/// Whether a block can be copied: the run has a boundary before it, and it is not a short one, as
/// the last of a run may be.
fn stays(raw: &[u8], feeder: &Feeder<'_>) -> Result<bool> {
    match Entries::new(raw).next() {
        Some(first) if raw.len() >= BLOCK_BYTES_MIN => feeder.takes_block(first?),
        _ => Ok(false),
    }
}

/// Compares what was merged with what the merged backup says.
fn expect(base: &Manifest, sums: Sums) -> Result<Sums> {
    let digest = Hash256(sums.digest.to_bytes());
    let same = (digest, sums.records) == (base.state_digest, base.records);
    if same && sums.counts.agrees(&base.counts) {
        return Ok(sums);
    }
    let reason = format!(
        "its runs give {} records with the state digest {digest}, it says {} with {}, or other counts \
         by scope; verify it, and make a full backup of the state",
        sums.records, base.records, base.state_digest
    );
    let name = ObjectName::manifest(base.id);
    Err(Error::corrupt(name.to_string(), reason))
}

#[cfg(test)]
#[path = "synthetic_tests.rs"]
mod tests;
