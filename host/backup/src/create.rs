//! Making a full backup.
//!
//! Lease -> segments -> run -> manifest by put-if-absent, which is the commit -> lease removed.
//! Whatever goes wrong before the commit leaves no object behind; what a killed process leaves is
//! named by no manifest.

use parking_lot::Mutex;
use statekeep_core::{Error, ErrorKind, Phase, Progress, Result};

use crate::hex::{Hash256, sha256};
use crate::lease::Lease;
use crate::manifest::{
    BackupKind, Manifest, ManifestRef, RunRow, SlotType, TenantRow, Timeline, check_words,
};
use crate::name::{BackupId, ObjectName};
use crate::pin::pin_object;
use crate::repository::Repository;
use crate::run::{Run, RunContent};
use crate::sealed::{FORMAT_VERSION, seal};
use crate::segment::BlockCodec;
use crate::store::{Put, Store};
use crate::write_run::{Rows, RunTask, Written, write_run};

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
        match self.store.put_new(name, bytes)? {
            Put::Created => Ok(()),
            Put::Exists => {
                self.written.lock().retain(|written| written != name);
                let message =
                    format!("{name} is there already; another writer uses this backup's id");
                Err(Error::other(ErrorKind::AlreadyExists, message))
            }
        }
    }
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// What a full backup is made of.
pub(crate) struct CreateTask<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) source: &'a Source,
    pub(crate) codec: &'a ChosenCodec,
    pub(crate) options: &'a CreateOptions,
    pub(crate) threads: usize,
    pub(crate) progress: &'a Progress,
    pub(crate) segment_bytes_max: u64,
}

/// Writes all rows as a full backup.
pub(crate) fn create_full(task: &CreateTask<'_>, rows: &mut dyn Rows) -> Result<Manifest> {
    check_words(task.options.label.as_deref(), &task.options.tags)?;
    let store = task.repository.store.as_ref();
    let (newest, previous) = task.repository.newest()?;
    let id = BackupId::after(newest);
    let mut draft = Draft {
        store,
        written: Mutex::default(),
        keep: false,
    };
    let manifest = write_objects(task, rows, &draft, id, previous)?;
    let bytes = seal("manifest", &manifest)?;
    if task.options.pin {
        // Before the commit: a policy that sees the backup sees the pin.
        let (name, pin) = pin_object(id)?;
        draft.put(&name, &pin)?;
    }
    task.progress.check()?;
    task.progress.enter(Phase::Committing);
    commit(&mut draft, &ObjectName::manifest(id), &bytes)?;
    // The backup stands; a lease that stays is dead once this process ends.
    if let Err(error) = store.delete(&ObjectName::lease(id)) {
        tracing::warn!(backup = %id, %error, "the lease of a finished backup stays behind");
    }
    Ok(manifest)
}

/// Writes all but the manifest, which is returned.
fn write_objects(
    task: &CreateTask<'_>,
    rows: &mut dyn Rows,
    draft: &Draft<'_>,
    id: BackupId,
    previous: Option<ManifestRef>,
) -> Result<Manifest> {
    let lease = Lease::of(draft.store, id)?;
    let started_unix_ms = lease.started_unix_ms;
    draft.put(&ObjectName::lease(id), &seal("lease", &lease)?)?;
    task.progress.enter(Phase::Copying);
    let run_task = RunTask {
        store: draft.store,
        id,
        content: RunContent::Records,
        codec: task.codec.codec.clone(),
        threads: task.threads,
        progress: task.progress,
        segment_bytes_max: task.segment_bytes_max,
        written: &draft.written,
    };
    let mut written = write_run(&run_task, rows)?;
    let run = Run::new(
        id,
        0,
        RunContent::Records,
        std::mem::take(&mut written.segments),
    );
    let bytes = seal("run", &run)?;
    draft.put(&run.name(), &bytes)?;
    let row = RunRow {
        name: run.name(),
        sha256: sha256(&bytes),
        bytes: bytes.len() as u64,
    };
    Ok(describe(
        task,
        Made {
            id,
            started_unix_ms,
            previous,
            row,
            run: &run,
            totals: written,
        },
    ))
}

/// Claims the commit slot.
fn commit(draft: &mut Draft<'_>, name: &ObjectName, bytes: &[u8]) -> Result<()> {
    match draft.store.put_new(name, bytes) {
        Ok(Put::Created) => {
            draft.keep = true;
            Ok(())
        }
        Ok(Put::Exists) => {
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

struct Made<'a> {
    id: BackupId,
    started_unix_ms: i64,
    previous: Option<ManifestRef>,
    row: RunRow,
    run: &'a Run,
    totals: Written,
}

fn describe(task: &CreateTask<'_>, made: Made<'_>) -> Manifest {
    let CreateTask {
        repository,
        source,
        codec,
        options,
        ..
    } = task;
    Manifest {
        format: FORMAT_VERSION,
        object: SlotType::Manifest,
        id: made.id,
        repository: repository.id.clone(),
        kind: BackupKind::Full,
        series: source.state.clone(),
        state: source.state.clone(),
        timeline: source.timeline.clone(),
        sequence_from: 0,
        sequence_to: source.sequence,
        time_unix_ms: source.time_unix_ms,
        as_of_unix_ms: source.as_of_unix_ms,
        started_unix_ms: made.started_unix_ms,
        backend: source.backend.clone(),
        tool: format!("statekeep {}", env!("CARGO_PKG_VERSION")),
        codec: codec.name.clone(),
        level: codec.level,
        parent: None,
        chain: 0,
        full_reason: None,
        runs: vec![made.row],
        history: Vec::new(),
        journal: Vec::new(),
        history_from: None,
        records: made.totals.records,
        raw_bytes: made.run.raw_bytes,
        stored_bytes: made.run.stored_bytes,
        counts: made.totals.counts,
        tenants: source.tenants.clone(),
        previous: made.previous,
        tags: options.tags.clone(),
        label: options.label.clone(),
        state_digest: Hash256(made.totals.digest.to_bytes()),
        key_id: None,
    }
}
