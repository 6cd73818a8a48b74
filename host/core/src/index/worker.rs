//! The thread that builds indexes over data that was there before them, and removes the rows of
//! those that were dropped. It runs only while there is such work.
//!
//! It reads records in the order of their keys and hands their rows to the committer, which writes
//! at its turn those of the records as they are then: no row of an older value comes after the commit
//! that replaced it, and a row that a commit left alone, since old and new record have it, is there.
//! Each step also writes how far it is, and the next opening goes on from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::definition::Progress;
use super::{Index, VALUE_TAG, index_of, value_prefix};
use crate::commit::{Committer, OwnOp, Turn, TurnRows, Work};
use crate::meta::{index_key, push_index};
use crate::namespace::Namespace;
use crate::query::pattern::prefix_range;
use crate::record::{RecordView, read_stamps};
use crate::stored_key::prefix_end;
use crate::thread::spawn;
use crate::{Durability, Error, ErrorKind, KeyRange, Result, Sequence, Space};

/// Most records and bytes that one step reads, and most rows that one removes.
const STEP_RECORDS: usize = 256;
const STEP_BYTES: usize = 1 << 20;
const STEP_REMOVALS: usize = 512;
/// How long a step waits before it is tried again when the committer takes no more.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The worker of a state.
#[derive(Default)]
pub(crate) struct IndexWorker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Whether the thread runs, and whether work came since it last looked.
    state: Mutex<(bool, bool)>,
    stopping: Condvar,
    /// Why rows of dropped indexes are still there.
    failure: Mutex<Option<String>>,
}

impl IndexWorker {
    /// Sees to it that all work that there is now gets done. A state that never had an index has
    /// none.
    pub(crate) fn start(&self, committer: &Arc<Committer>) -> Result<()> {
        if committer.namespace_arc()?.index.next_id() == 1 {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        {
            let mut state = self.shared.state.lock();
            state.1 = true;
            if state.0 || self.shared.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            state.0 = true;
        }
        if let Some(ended) = thread.take() {
            let _ = ended.join();
        }
        let (shared, committer) = (self.shared.clone(), committer.clone());
        match spawn("statekeep-index", move || shared.run(&committer)) {
            Ok(handle) => *thread = Some(handle),
            Err(error) => {
                self.shared.state.lock().0 = false;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Why rows of dropped indexes are still there, if that failed.
    pub(crate) fn failure(&self) -> Option<String> {
        self.shared.failure.lock().clone()
    }

    /// Goes on with the removal of rows that failed, if it did.
    pub(crate) fn retry(&self, committer: &Arc<Committer>) {
        if self.failure().is_none() {
            return;
        }
        if let Err(error) = self.start(committer) {
            *self.shared.failure.lock() = Some(error.to_string());
        }
    }

    /// Ends the thread; what is not done is done after the next opening.
    pub(crate) fn stop(&self, committer: &Committer) {
        {
            let _state = self.shared.state.lock();
            self.shared.stop.store(true, Ordering::Release);
            self.shared.stopping.notify_all();
        }
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        // Nobody must wait for what this opening does no more.
        if let Ok(namespace) = committer.namespace_arc() {
            let unbuilt = |index: &Arc<Index>| !index.is_ready();
            for index in namespace.index.all().into_iter().filter(unbuilt) {
                index.fail(&Error::Closed);
            }
        }
    }
}

impl Shared {
    fn run(&self, committer: &Arc<Committer>) {
        loop {
            self.state.lock().1 = false;
            let failed = self.work(committer).err();
            let failed = failed.filter(|error| error.kind() != ErrorKind::Closed);
            if let Some(error) = &failed {
                tracing::error!(%error, "rows of dropped indexes are left until the next upkeep");
            }
            *self.failure.lock() = failed.map(|error| error.to_string());
            let mut state = self.state.lock();
            if !state.1 || self.stopped() {
                state.0 = false;
                return;
            }
        }
    }

    /// Gives a committer that has too much to do some time, unless the worker is to stop.
    fn pause(&self) {
        let mut state = self.state.lock();
        if !self.stopped() {
            self.stopping.wait_for(&mut state, BUSY_PAUSE);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn work(&self, committer: &Arc<Committer>) -> Result<()> {
        while !self.stopped() {
            let namespace = committer.namespace_arc()?;
            let unbuilt = |index: &Arc<Index>| {
                let progress = index.progress();
                !progress.ready && progress.failure.is_none()
            };
            let index = namespace.index.all().into_iter().find(unbuilt);
            let done = match &index {
                Some(index) => build_step(committer, &namespace, index).map(|()| true),
                None => remove_step(committer, &namespace),
            };
            match (done, index) {
                (Ok(true), _) => {}
                (Ok(false), _) => break,
                (Err(error), _) if error.kind() == ErrorKind::Busy => self.pause(),
                (Err(error), Some(index)) => {
                    if error.kind() != ErrorKind::Closed {
                        tracing::error!(index = %index.name, %error, "an index is not built");
                    }
                    index.fail(&error);
                }
                (Err(error), None) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a step has read: rows with the records that they are of.
#[derive(Default)]
struct Read {
    rows: Vec<(Vec<u8>, Vec<u8>, Sequence)>,
    last: Option<Vec<u8>>,
    scanned: u64,
    bytes: usize,
}

/// Deals with the next records of an index that is being built.
fn build_step(
    committer: &Arc<Committer>,
    namespace: &Arc<Namespace>,
    index: &Arc<Index>,
) -> Result<()> {
    let before = index.progress();
    let read = read_step(namespace, index, &before)?;
    let after = Progress {
        ready: read.last.is_none(),
        position: read.last,
        scanned: before.scanned + read.scanned,
        indexed: before.indexed + read.rows.len() as u64,
        ..before
    };
    let (namespace, index) = (namespace.clone(), index.clone());
    let bytes = read.rows.iter().map(|(row, key, _)| row.len() + key.len());
    let bytes = bytes.sum();
    let work = move |turn: &Turn<'_>| {
        // Another namespace has its own index of the name; a dropped one must get no more rows.
        if !Arc::ptr_eq(turn.namespace, &namespace) || !turn.namespace.index.has(index.id) {
            index.drop_it();
            return Ok(TurnRows::default());
        }
        let mut row = Vec::new();
        push_index(&mut row, &index.stored(&after));
        let mut ops = vec![OwnOp::Put(Space::Meta, index_key(&index.name), row)];
        let (backend, mut record) = (&namespace.backend, Vec::new());
        for (row, data_key, sequence) in read.rows {
            record.clear();
            if !backend.get(Space::Data, &data_key, &mut record)? {
                continue;
            }
            let row = match read_stamps(&record)?.0 == sequence {
                true => Some(row),
                false => row_of(&namespace, &index, &data_key, &record)?.0,
            };
            ops.extend(row.map(|row| OwnOp::Put(Space::Index, row, Vec::new())));
        }
        let durability = match after.ready {
            true => Durability::Sync,
            false => Durability::Relaxed,
        };
        Ok(TurnRows {
            ops,
            durability,
            after: Some(Box::new(move |_| index.advance(after))),
            ..TurnRows::default()
        })
    };
    committer.run_blocking(Work::turn(bytes, work)).map(drop)
}

fn read_step(namespace: &Namespace, index: &Index, before: &Progress) -> Result<Read> {
    let (mut lo, hi) = prefix_range(index.scope.key_prefix(index.number));
    if let Some(position) = &before.position {
        // No key lies between a key and the same with a NUL behind it.
        lo = [position, &b"\0"[..]].concat();
    }
    let range = KeyRange {
        lo: &lo,
        hi: hi.as_deref(),
        reverse: false,
    };
    let most = namespace.capabilities.commit_ops_max.saturating_sub(1);
    let most = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .clamp(1, STEP_RECORDS);
    let mut cursor = namespace.backend.scan(Space::Data, range)?;
    let mut read = Read::default();
    let mut failure = None;
    loop {
        let left = most.saturating_sub(read.scanned as usize).min(16);
        if left == 0 || read.bytes > STEP_BYTES {
            return Ok(read);
        }
        let rows = cursor.next_batch(left, &mut |data_key, record| {
            if failure.is_none() {
                failure = read.take(namespace, index, data_key, record).err();
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        if rows == 0 {
            read.last = None;
            return Ok(read);
        }
    }
}

impl Read {
    fn take(
        &mut self,
        namespace: &Namespace,
        index: &Index,
        data_key: &[u8],
        record: &[u8],
    ) -> Result<()> {
        self.last = Some(data_key.to_vec());
        self.scanned += 1;
        self.bytes += record.len();
        if !index.has_key(data_key) {
            return Ok(());
        }
        if let (Some(row), sequence) = row_of(namespace, index, data_key, record)? {
            self.rows.push((row, data_key.to_vec(), sequence));
        }
        Ok(())
    }
}

/// The row of a record, if it has one, and the commit that wrote the record.
fn row_of(
    namespace: &Namespace,
    index: &Index,
    data_key: &[u8],
    record: &[u8],
) -> Result<(Option<Vec<u8>>, Sequence)> {
    let in_row = |error| crate::snapshot::in_row(data_key, error);
    let view = RecordView::read(record).map_err(in_row)?;
    let json = view.json(&**namespace.index.plugins()).map_err(in_row)?;
    let text = json
        .as_deref()
        .and_then(|json| std::str::from_utf8(json).ok());
    let row = text.and_then(|text| index.row(text, data_key));
    Ok((row, view.header.sequence))
}

/// Removes some rows of an index that is no more, and answers whether there were any.
fn remove_step(committer: &Arc<Committer>, namespace: &Arc<Namespace>) -> Result<bool> {
    let Some(id) = next_leftover(namespace)? else {
        return Ok(false);
    };
    let lo = value_prefix(id);
    let hi = prefix_end(&lo);
    let range = KeyRange {
        lo: &lo,
        hi: hi.as_deref(),
        reverse: false,
    };
    let most = usize::try_from(namespace.capabilities.commit_ops_max).unwrap_or(usize::MAX);
    let most = most.clamp(1, STEP_REMOVALS);
    let mut ops = Vec::new();
    let mut cursor = namespace.backend.scan(Space::Index, range)?;
    while ops.len() < most {
        let read = cursor.next_batch(most - ops.len(), &mut |key, _| {
            ops.push(OwnOp::Delete(Space::Index, key.to_vec()));
        })?;
        if read == 0 {
            break;
        }
    }
    drop(cursor);
    let namespace = namespace.clone();
    let bytes = ops.iter().map(OwnOp::bytes).sum();
    let work = move |turn: &Turn<'_>| {
        if !Arc::ptr_eq(turn.namespace, &namespace) {
            return Ok(TurnRows::default());
        }
        Ok(TurnRows {
            ops,
            durability: Durability::Relaxed,
            ..TurnRows::default()
        })
    };
    committer.run_blocking(Work::turn(bytes, work))?;
    Ok(true)
}

/// The first index that has rows and is no more.
fn next_leftover(namespace: &Namespace) -> Result<Option<u32>> {
    let (mut lo, hi) = (vec![VALUE_TAG], [VALUE_TAG + 1]);
    loop {
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: false,
        };
        let mut found = Ok(None);
        namespace
            .backend
            .scan(Space::Index, range)?
            .next_batch(1, &mut |key, _| found = index_of(key))?;
        let Some(id) = found? else {
            return Ok(None);
        };
        if !namespace.index.has(id) {
            return Ok(Some(id));
        }
        match prefix_end(&value_prefix(id)) {
            Some(end) => lo = end,
            None => return Ok(None),
        }
    }
}
