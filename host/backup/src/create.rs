//! Writing a backup into a repository.
//!
//! Lease -> segments -> runs -> manifest by put-if-absent, which is the commit -> lease removed.
//! Whatever goes wrong before the commit leaves no object behind; what a killed process leaves is
//! named by no manifest.

use parking_lot::Mutex;
use statekeep_core::{Error, ErrorKind, Phase, Progress, Result, StateDigest};

use crate::budget::Budget;
use crate::facts::Counts;
use crate::hex::{Hash256, sha256};
use crate::lease::Lease;
use crate::manifest::{
    BackupKind, Manifest, RUNS_MAX, RunRow, SlotType, TenantRow, Timeline, check_words,
};
use crate::name::{BackupId, ObjectName};
use crate::pin::pin_object;
use crate::repository::Repository;
use crate::run::{Run, RunContent};
use crate::sealed::{DOCUMENT_BYTES_MAX, FORMAT_VERSION, seal};
use crate::segment::BlockCodec;
use crate::store::{Put, Store, read_all};
use crate::write_run::{Feeder, RunTask, write_fed_run};

/// The name of the codec that stores blocks as they are.
pub const CODEC_NONE: &str = "none";

/// How a backup is made. `CreateOptions::default()` is a backup as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// A name for people.
    pub label: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Another codec than the configured one; `none` stores blocks as they are.
    pub codec: Option<String>,
    /// Another level than the configured one.
    pub level: Option<i32>,
    /// Only what changed since the newest backup, or a full one, whose manifest says why, when that
    /// cannot be built on; as configured when `None`.
    pub incremental: Option<bool>,
    /// With the past that the state keeps; as configured when `None`.
    pub history: Option<bool>,
    /// Pinned from the start: no policy ever forgets it.
    pub pin: bool,
}

/// What is known about the state before its records are read.
pub(crate) struct Source {
    pub(crate) state: String,
    pub(crate) timeline: Timeline,
    pub(crate) sequence: u64,
    pub(crate) time_unix_ms: i64,
    pub(crate) as_of_unix_ms: i64,
    pub(crate) backend: String,
    pub(crate) tenants: Vec<TenantRow>,
}

/// The codec of a backup, as the manifest says it and as blocks are packed.
pub(crate) struct ChosenCodec {
    pub(crate) name: String,
    pub(crate) level: Option<i32>,
    pub(crate) codec: Option<BlockCodec>,
}

/// The objects of a backup that is not committed. Dropped so, it removes them, the lease last;
/// what cannot be removed is left to the collector.
struct Draft<'a> {
    store: &'a dyn Store,
    written: Mutex<Vec<ObjectName>>,
    keep: bool,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        for name in self.written.get_mut().iter().rev().filter(|_| !self.keep) {
            if let Err(error) = self.store.delete(name) {
                tracing::warn!(%name, %error, "an object of a failed backup stays behind");
            }
        }
    }
}

impl Draft<'_> {
    /// Puts an object that no one else may have written.
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        // First noted, then written: after an error it may be there.
        self.written.lock().push(name.clone());
        if is_put(self.store, name, bytes)? {
            return Ok(());
        }
        self.written.lock().retain(|written| written != name);
        let message = format!("{name} is there already; another writer uses this backup's id");
        Err(Error::other(ErrorKind::AlreadyExists, message))
    }
}

/// Puts an object and answers whether it is there with our bytes. A store whose put was tried again
/// after its answer was lost meets the object that it has put itself.
pub(crate) fn is_put(store: &dyn Store, name: &ObjectName, bytes: &[u8]) -> Result<bool> {
    match store.put_new(name, bytes)? {
        Put::Created => Ok(true),
        Put::Exists => Ok(read_all(store, name, DOCUMENT_BYTES_MAX)? == bytes),
    }
}

/// What all backups are made with.
pub(crate) struct CreateTask<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) source: &'a Source,
    pub(crate) codec: &'a ChosenCodec,
    pub(crate) options: &'a CreateOptions,
    pub(crate) threads: usize,
    pub(crate) progress: &'a Progress,
    pub(crate) segment_bytes_max: u64,
}

/// What a backup is beside the runs that it writes itself.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    pub(crate) kind: BackupKind,
    /// The parent of an incremental, or what a synthetic full is merged from: must be there until
    /// the commit.
    pub(crate) base: Option<&'a Manifest>,
    /// See [`Manifest::merged_from`].
    pub(crate) merged_from: Option<BackupId>,
    pub(crate) chain: u32,
    pub(crate) full_reason: Option<String>,
    pub(crate) history_from: Option<u64>,
    /// Runs that it takes over, which come before its own.
    pub(crate) runs: Vec<RunRow>,
    pub(crate) history: Vec<RunRow>,
    pub(crate) journal: Vec<RunRow>,
}

/// One run that a backup writes; those of records come first.
pub(crate) struct Part<'a> {
    pub(crate) content: RunContent,
    /// What its pipeline may hold, see [`Budget`].
    pub(crate) in_flight_bytes_max: usize,
    pub(crate) feed: &'a mut dyn FnMut(&mut Feeder<'_>) -> Result<()>,
}

/// What all records of a backup add up to.
pub(crate) struct Sums {
    pub(crate) digest: StateDigest,
    pub(crate) counts: Counts,
    pub(crate) records: u64,
}

/// Writes all rows as a full backup.
#[cfg(test)]
pub(crate) fn create_full(
    task: &CreateTask<'_>,
    rows: &mut dyn crate::write_run::Rows,
) -> Result<Manifest> {
    let mut feed = |feeder: &mut Feeder<'_>| crate::write_run::scan(task.progress, rows, feeder);
    let part = Part {
        content: RunContent::Records,
        in_flight_bytes_max: crate::budget::IN_FLIGHT_BYTES_MAX,
        feed: &mut feed,
    };
    create(task, Plan::default(), &mut [part], &mut Ok)
}

/// Writes a backup. `sums` makes the sums of all records of those of the records that were written.
///
/// # Errors
/// `Compacted` when what it stands on is gone, or when it would need more than [`RUNS_MAX`] runs.
pub(crate) fn create(
    task: &CreateTask<'_>,
    plan: Plan<'_>,
    parts: &mut [Part<'_>],
    sums: &mut dyn FnMut(Sums) -> Result<Sums>,
) -> Result<Manifest> {
    check_words(task.options.label.as_deref(), &task.options.tags)?;
    let named = plan.runs.len() + plan.history.len() + plan.journal.len() + parts.len();
    if named > RUNS_MAX {
        let message = format!("it would need {named} runs; a backup may need {RUNS_MAX}");
        return Err(Error::other(ErrorKind::Compacted, message));
    }
    let store = task.repository.store.as_ref();
    let (newest, previous) = task.repository.newest()?;
    let id = BackupId::after(newest);
    let mut draft = Draft {
        store,
        written: Mutex::default(),
        keep: false,
    };
    let lease = Lease::of(task.repository, id, None)?;
    draft.put(&ObjectName::lease(id), &seal("lease", &lease)?)?;
    // From here on a collector waits for this backup before it looks what is needed.
    let base = plan.base.map(|base| base.id);
    base.map_or(Ok(()), |base| task.repository.still_there(base))?;
    let mut manifest = describe(task, plan, id, lease.started_unix_ms);
    manifest.previous = previous;
    write_parts(task, parts, &draft, &mut manifest, sums)?;
    let bytes = seal("manifest", &manifest)?;
    if task.options.pin {
        // Before the commit: a policy that sees the backup sees the pin.
        let (name, pin) = pin_object(id, lease.started_unix_ms)?;
        draft.put(&name, &pin)?;
    }
    base.map_or(Ok(()), |base| task.repository.still_there(base))?;
    task.progress.check()?;
    task.progress.enter(Phase::Committing);
    commit(&mut draft, &ObjectName::manifest(id), &bytes)?;
    // The backup stands; a lease that stays is dead once this process ends.
    if let Err(error) = store.delete(&ObjectName::lease(id)) {
        tracing::warn!(backup = %id, %error, "the lease of a finished backup stays behind");
    }
    Ok(manifest)
}

/// Writes the runs, and into the manifest what they are.
fn write_parts(
    task: &CreateTask<'_>,
    parts: &mut [Part<'_>],
    draft: &Draft<'_>,
    manifest: &mut Manifest,
    sums: &mut dyn FnMut(Sums) -> Result<Sums>,
) -> Result<()> {
    task.progress.enter(Phase::Copying);
    let (mut segments, mut records) = (0_u32, None);
    for (number, part) in (0..).zip(parts) {
        let run_task = RunTask {
            store: draft.store,
            id: manifest.id,
            content: part.content,
            first_segment: segments,
            codec: task.codec.codec.clone(),
            threads: task.threads,
            progress: task.progress,
            segment_bytes_max: task.segment_bytes_max,
            written: &draft.written,
        };
        let written = {
            let budget = Budget::of(part.in_flight_bytes_max);
            write_fed_run(&run_task, &budget, &mut *part.feed)?
        };
        segments += u32::try_from(written.segments.len())
            .map_err(|_| Error::other(ErrorKind::Internal, "too many segments"))?;
        let run = Run::new(manifest.id, number, part.content, written.segments);
        let bytes = seal("run", &run)?;
        draft.put(&run.name(), &bytes)?;
        let row = RunRow {
            name: run.name(),
            sha256: sha256(&bytes),
            bytes: bytes.len() as u64,
        };
        manifest.raw_bytes += run.raw_bytes;
        manifest.stored_bytes += run.stored_bytes;
        match part.content {
            RunContent::Records => {
                manifest.runs.push(row);
                records = Some(Sums {
                    digest: written.digest,
                    counts: written.counts,
                    records: written.records,
                });
            }
            RunContent::History => manifest.history.push(row),
            RunContent::Journal => manifest.journal.push(row),
        }
    }
    if let Some(records) = records {
        let sums = sums(records)?;
        manifest.state_digest = Hash256(sums.digest.to_bytes());
        manifest.counts = sums.counts;
        manifest.records = sums.records;
    }
    Ok(())
}

/// Claims the commit slot.
fn commit(draft: &mut Draft<'_>, name: &ObjectName, bytes: &[u8]) -> Result<()> {
    match is_put(draft.store, name, bytes) {
        Ok(true) => {
            draft.keep = true;
            Ok(())
        }
        Ok(false) => {
            let message = format!("the backup was given up by a collector ({name}); make another");
            Err(Error::other(ErrorKind::Conflict, message))
        }
        // Only a slot that is surely empty makes the objects ours to remove.
        Err(error) => match draft.store.exists(name) {
            Ok(false) => Err(error),
            _ => {
                draft.keep = true;
                let message = format!(
                    "whether the backup was committed is not known: {error}; verify {} before you \
                     rely on it",
                    name.leaf()
                );
                Err(Error::other(ErrorKind::Indeterminate, message))
            }
        },
    }
}

fn describe(task: &CreateTask<'_>, plan: Plan<'_>, id: BackupId, started_unix_ms: i64) -> Manifest {
    let CreateTask {
        repository,
        source,
        codec,
        options,
        ..
    } = task;
    let parent = plan.base.filter(|_| plan.kind == BackupKind::Incremental);
    Manifest {
        format: FORMAT_VERSION,
        object: SlotType::Manifest,
        id,
        repository: repository.id.clone(),
        kind: plan.kind,
        series: plan.base.map_or(&source.state, |base| &base.series).clone(),
        state: source.state.clone(),
        timeline: source.timeline.clone(),
        sequence_from: parent.map_or(0, |parent| parent.sequence_to),
        sequence_to: source.sequence,
        time_unix_ms: source.time_unix_ms,
        as_of_unix_ms: source.as_of_unix_ms,
        started_unix_ms,
        backend: source.backend.clone(),
        tool: format!("statekeep {}", env!("CARGO_PKG_VERSION")),
        codec: codec.name.clone(),
        level: codec.level,
        parent: parent.map(|parent| parent.id),
        merged_from: plan.merged_from,
        chain: plan.chain,
        full_reason: plan.full_reason,
        runs: plan.runs,
        history: plan.history,
        journal: plan.journal,
        history_from: plan.history_from,
        records: 0,
        raw_bytes: 0,
        stored_bytes: 0,
        counts: Counts::default(),
        tenants: source.tenants.clone(),
        previous: None,
        tags: options.tags.clone(),
        label: options.label.clone(),
        state_digest: Hash256([0; 32]),
        key_id: None,
    }
}
