//! Making a backup of the state: full or incremental, with or without history.
//!
//! An incremental one costs what was changed: it reads no other records, and none of the segments of
//! the backup that it builds on. Where it cannot be made, a full one is, and says why.

use std::cell::RefCell;

use statekeep_core::{
    Cursor, Error, ErrorKind, KeyChange, PastVersions, Phase, Progress, RecordHeader, RecordKind,
    Result, Sequence, Since, Snapshot, StateDigest, UnixMs, encode_record,
};

use crate::budget::IN_FLIGHT_BYTES_MAX;
use crate::create::{ChosenCodec, CreateOptions, CreateTask, Part, Plan, Source, Sums, create};
use crate::facts::{Counter, Scopes};
use crate::manager::{BackupManager, Ends};
use crate::manifest::{BackupKind, Manifest};
use crate::name::BackupId;
use crate::repository::Repository;
use crate::restore::SAFETY_TAG;
use crate::run::RunContent;
use crate::segment::{Entry, SEGMENT_BYTES_MAX};
use crate::write_run::{Feeder, scan};

impl BackupManager {
    /// Makes a backup of the state as it is now, and returns its manifest. Writers go on. An
    /// incremental one is asked for; when it cannot be made, the backup is a full one and says why in
    /// `full_reason`.
    ///
    /// # Errors
    /// `Cancelled`, `NoSpace`, `Corrupt` for a record that cannot be read, and what else the
    /// backend and the disk report: then no backup was made and nothing is left of it. Only after
    /// `Indeterminate` the backup may be listed.
    pub fn create(&self, options: &CreateOptions, progress: &Progress) -> Result<Manifest> {
        let _ends = Ends(progress);
        let made = self.aside(|| self.make(options, progress));
        self.tell_backup(&made);
        // What a restore is about to read must not go by the backup that it makes first.
        if made.is_ok() && !options.tags.iter().any(|tag| tag == SAFETY_TAG) {
            self.clean_up_after();
        }
        made
    }

    fn make(&self, options: &CreateOptions, progress: &Progress) -> Result<Manifest> {
        progress.enter(Phase::Preparing);
        self.limit(progress);
        let codec = self.choose_codec(options)?;
        let repository = self.open_or_create()?;
        // Leftovers cost space, nothing else.
        if let Err(error) = repository.store.sweep() {
            tracing::warn!(%error, "leftovers in the backup repository were not swept");
        }
        let snapshot = self.manager.snapshot()?;
        // What a power cut takes from the state would not be in its past any more.
        if let Err(error) = self.manager.flush() {
            tracing::warn!(%error, "the state could not be synced; its backup may show more than it keeps");
        }
        let source = self.describe(&snapshot);
        let (mut parent, mut merged_from, mut full_reason) = (None, None, None);
        if options.incremental.unwrap_or(self.config.incremental) {
            match repository.parent_of(&source)? {
                // Not merged when no incremental could stand on it, which is found and told below.
                Ok(manifest)
                    if manifest.chain >= self.config.chain_max
                        && snapshot.since(&manifest.point()).is_ok() =>
                {
                    match self.shorten(&repository, &manifest, &codec, progress) {
                        Ok(synthetic) => {
                            merged_from = Some(manifest.id);
                            parent = Some(synthetic);
                        }
                        Err(error) if !is_of_chain(&error) => return Err(error),
                        Err(error) => {
                            let (chain, most) = (manifest.chain, self.config.chain_max);
                            full_reason = Some(format!(
                                "{chain} incremental backups stand on one full, backup.chain_max is \
                                 {most}, and they could not be merged: {error}"
                            ));
                        }
                    }
                }
                Ok(manifest) => parent = Some(manifest),
                Err(why) => full_reason = Some(why),
            }
        }
        let task = CreateTask {
            repository: &repository,
            source: &source,
            codec: &codec,
            options,
            threads: self.threads(),
            progress,
            segment_bytes_max: SEGMENT_BYTES_MAX,
        };
        let with_history = options.history.unwrap_or(self.config.history);
        let mut made = None;
        if let Some(parent) = &parent {
            match incremental(&task, &snapshot, parent, merged_from, with_history) {
                Ok(manifest) => made = Some(manifest),
                // What the parent shows is not known any more, or the parent is gone.
                Err(error) if error.kind() == ErrorKind::Compacted => {
                    full_reason = Some(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        let manifest = match made {
            Some(manifest) => manifest,
            None => {
                if let Some(why) = &full_reason {
                    tracing::warn!(why, "a full backup is made in place of an incremental one");
                }
                full(&task, &snapshot, full_reason, with_history)?
            }
        };
        if let Err(error) = self
            .manager
            .hold_for_backups(&repository.id, &snapshot.point())
        {
            tracing::warn!(%error, "the past is not held for the next incremental backup");
        }
        // The backup stands without it.
        if let Err(error) = repository.index_when_due() {
            tracing::warn!(%error, "the index of the backup repository was not written");
        }
        Ok(manifest)
    }

    /// Makes a synthetic full of a chain that may not grow, for the next incremental to stand on.
    fn shorten(
        &self,
        repository: &Repository,
        chain: &Manifest,
        codec: &ChosenCodec,
        progress: &Progress,
    ) -> Result<Manifest> {
        let options = CreateOptions::default();
        let made = self.merge_backup(repository, chain, codec, &options, progress)?;
        tracing::info!(backup = %made.id, "a chain at its maximum was merged into a synthetic full");
        // How much the incremental will be is not known.
        progress.expect(0, 0);
        Ok(made)
    }
}

/// Whether an error can be one of what a chain is or holds: a full backup reads none of it.
fn is_of_chain(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt
            | ErrorKind::Incompatible
            | ErrorKind::NotFound
            | ErrorKind::Compacted
            | ErrorKind::Conflict
            | ErrorKind::Plugin
            | ErrorKind::Io
    )
}

fn full(
    task: &CreateTask<'_>,
    snapshot: &Snapshot,
    full_reason: Option<String>,
    with_history: bool,
) -> Result<Manifest> {
    let progress = task.progress;
    if let (_, Some(last)) = task.repository.newest()? {
        // What is there now costs a scan; what was there the last time is near enough.
        let (last, _) = task.repository.manifest(last.id)?;
        let bytes = last.counts.rows.iter().map(|row| row.bytes);
        progress.expect(last.records, bytes.sum());
    }
    let past = with_history.then(|| snapshot.since_floor());
    let mut records = |feeder: &mut Feeder<'_>| scan(progress, &mut snapshot.scan()?, feeder);
    let plan = Plan {
        full_reason,
        history_from: past.as_ref().map(|past| past.after().0),
        ..Plan::default()
    };
    write(task, plan, past.as_ref(), &mut records, &mut Ok)
}

fn incremental(
    task: &CreateTask<'_>,
    snapshot: &Snapshot,
    parent: &Manifest,
    merged_from: Option<BackupId>,
    with_history: bool,
) -> Result<Manifest> {
    let since = snapshot
        .since(&parent.point())
        .map_err(|error| match error.kind() {
            ErrorKind::Conflict => Error::other(ErrorKind::Compacted, error.to_string()),
            _ => error,
        })?;
    let old = RefCell::new(Old::default());
    let mut changes = |feeder: &mut Feeder<'_>| {
        old.borrow_mut()
            .feed(&since, task.source, task.progress, feeder)
    };
    let continues = with_history && parent.history_from.is_some();
    let taken_over = |runs: &[_]| if continues { runs.to_vec() } else { Vec::new() };
    let plan = Plan {
        kind: BackupKind::Incremental,
        base: Some(parent),
        merged_from,
        chain: parent.chain.saturating_add(1),
        full_reason: None,
        history_from: with_history.then(|| parent.history_from.unwrap_or(parent.sequence_to)),
        runs: parent.runs.clone(),
        history: taken_over(&parent.history),
        journal: taken_over(&parent.journal),
    };
    let past = with_history.then_some(&since);
    write(task, plan, past, &mut changes, &mut |new| {
        old.borrow_mut().sums(parent, &new)
    })
}

/// Writes the records, and with a past that too.
fn write(
    task: &CreateTask<'_>,
    plan: Plan<'_>,
    past: Option<&Since<'_>>,
    records: &mut dyn FnMut(&mut Feeder<'_>) -> Result<()>,
    sums: &mut dyn FnMut(Sums) -> Result<Sums>,
) -> Result<Manifest> {
    // The runs that are taken over end with the row of the parent's commit.
    let begins = plan.journal.is_empty();
    let mut history = |feeder: &mut Feeder<'_>| match past {
        Some(past) => feed_history(past.history(), task.progress, feeder),
        None => Ok(()),
    };
    let mut journal = |feeder: &mut Feeder<'_>| match past {
        Some(past) => feed_journal(&mut *past.journal(begins)?, task.progress, feeder),
        None => Ok(()),
    };
    let mut parts = vec![Part {
        content: RunContent::Records,
        in_flight_bytes_max: IN_FLIGHT_BYTES_MAX,
        feed: records,
    }];
    if past.is_some() {
        parts.push(Part {
            content: RunContent::History,
            in_flight_bytes_max: IN_FLIGHT_BYTES_MAX,
            feed: &mut history,
        });
        parts.push(Part {
            content: RunContent::Journal,
            in_flight_bytes_max: IN_FLIGHT_BYTES_MAX,
            feed: &mut journal,
        });
    }
    create(task, plan, &mut parts, sums)
}

fn feed_history(
    mut versions: PastVersions<'_>,
    progress: &Progress,
    feeder: &mut Feeder<'_>,
) -> Result<()> {
    loop {
        progress.check()?;
        let mut outcome = Ok(());
        let more = versions.next_batch(&mut |key, record| {
            if outcome.is_ok() {
                outcome = feeder.push(Entry {
                    key,
                    record,
                    tombstone: false,
                });
            }
        })?;
        outcome?;
        if !more {
            return Ok(());
        }
    }
}

struct CursorRows<'a>(&'a mut dyn Cursor);

impl crate::write_run::Rows for CursorRows<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        self.0.next_batch(rows_max, visit)
    }
}

fn feed_journal(
    cursor: &mut dyn Cursor,
    progress: &Progress,
    feeder: &mut Feeder<'_>,
) -> Result<()> {
    scan(progress, &mut CursorRows(cursor), feeder)
}

/// What the records add up to that are not there any more, or not as they were.
#[derive(Default)]
struct Old {
    digest: StateDigest,
    counter: Counter,
    records: u64,
}

impl Old {
    /// Feeds new records and tombstones, and adds up the old ones.
    fn feed(
        &mut self,
        since: &Since<'_>,
        source: &Source,
        progress: &Progress,
        feeder: &mut Feeder<'_>,
    ) -> Result<()> {
        let tombstone = tombstone(source)?;
        let (mut scopes, mut last) = (Scopes::default(), Vec::new());
        let mut changes = since.changes();
        loop {
            progress.check()?;
            let mut outcome = Ok(());
            let more = changes.next_batch(&mut |change| {
                if outcome.is_err() {
                    return;
                }
                outcome = self.remove(&mut scopes, &mut last, change).and_then(|()| {
                    feeder.push(Entry {
                        key: change.key,
                        record: change.new.unwrap_or(&tombstone),
                        tombstone: change.new.is_none(),
                    })
                });
            })?;
            outcome?;
            for stretch in scopes.stretches.drain(..) {
                self.counter.add(&stretch);
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn remove(
        &mut self,
        scopes: &mut Scopes,
        last: &mut Vec<u8>,
        change: KeyChange<'_>,
    ) -> Result<()> {
        let Some(old) = change.old else {
            return Ok(());
        };
        self.digest.add(change.key, old);
        self.records += 1;
        let bytes = (change.key.len() + old.len()) as u64;
        scopes.add(last, change.key, (1, bytes))?;
        last.clear();
        last.extend_from_slice(change.key);
        Ok(())
    }

    /// The sums of all records: those of the parent, without the old ones and with the new ones.
    fn sums(&mut self, parent: &Manifest, new: &Sums) -> Result<Sums> {
        let unfit = || {
            let message = format!(
                "what backup {} says that it holds is not what the state held at commit {}",
                parent.id, parent.sequence_to
            );
            Error::other(ErrorKind::Compacted, message)
        };
        let old = std::mem::take(&mut self.counter);
        let records = (parent.records.checked_add(new.records))
            .and_then(|records| records.checked_sub(self.records));
        let mut digest = StateDigest::from_bytes(parent.state_digest.0);
        digest.merge(&new.digest);
        digest.remove(&self.digest);
        Ok(Sums {
            digest,
            counts: (parent.counts.changed(&new.counts, old)).ok_or_else(unfit)?,
            records: records.ok_or_else(unfit)?,
        })
    }
}

/// What stands for a record that is gone: the envelope says as of which commit.
fn tombstone(source: &Source) -> Result<Vec<u8>> {
    let mut header = RecordHeader::new(RecordKind::Tombstone);
    header.sequence = Sequence(source.sequence);
    header.created = UnixMs(source.time_unix_ms);
    header.changed = header.created;
    encode_record(&header, &[])
}
