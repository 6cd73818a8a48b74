//! Records of class `ephemeral`: kept in memory only, gone when the state is closed.
//!
//! A key is here or in the backend's `data`, never in both. The committer writes, readers look here
//! first. The changes themselves are in the journal; values, history and backups do not have them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::{Cursor, KeyRange, Result};

/// What a record in memory takes beside its bytes, about.
const OVERHEAD_BYTES: u64 = 96;

#[derive(Default)]
pub(crate) struct Ephemeral {
    rows: RwLock<BTreeMap<Vec<u8>, Arc<[u8]>>>,
    /// Number of rows, so that a state without any pays one load.
    count: AtomicUsize,
    bytes: AtomicU64,
    /// Odd while a commit that touches these rows is on its way.
    version: AtomicU64,
}

/// Bytes that a record takes in memory.
pub(crate) fn ephemeral_bytes(key: &[u8], record: &[u8]) -> u64 {
    (key.len() + record.len()) as u64 + OVERHEAD_BYTES
}

impl Ephemeral {
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Bytes of all records, with what keeping them takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Number of records.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        if self.is_empty() {
            return None;
        }
        self.rows.read().get(key).cloned()
    }

    /// A commit that puts or removes records begins; `apply` or `abandon` ends it.
    pub(crate) fn begin(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// The commit that began has failed.
    pub(crate) fn abandon(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// A number that changes with every commit here, once none is on its way. A reader that found a
    /// key neither here nor in the backend looks again when the number has changed: a key that moves
    /// between the two is for a moment in neither.
    pub(crate) fn settled_version(&self) -> u64 {
        loop {
            let version = self.version.load(Ordering::Acquire);
            if version % 2 == 0 {
                return version;
            }
            std::thread::yield_now();
        }
    }

    /// Puts or removes records, in order, and ends the commit that began.
    pub(crate) fn apply(&self, changes: impl IntoIterator<Item = (Vec<u8>, Option<Arc<[u8]>>)>) {
        let mut rows = self.rows.write();
        let mut bytes = self.bytes.load(Ordering::Relaxed);
        for (key, record) in changes {
            let old = match record {
                Some(record) => {
                    bytes += ephemeral_bytes(&key, &record);
                    rows.insert(key.clone(), record)
                }
                None => rows.remove(&key),
            };
            bytes -= old.map_or(0, |old| ephemeral_bytes(&key, &old));
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        self.count.store(rows.len(), Ordering::Release);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Up to `most` records of a range after `after`, in the order of the range.
    pub(crate) fn range(
        &self,
        range: KeyRange<'_>,
        after: Option<&[u8]>,
        most: usize,
    ) -> Vec<(Vec<u8>, Arc<[u8]>)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let mut lo = Included(range.lo);
        let mut hi = range.hi.map_or(Unbounded, Excluded);
        match after {
            Some(after) if range.reverse => hi = Excluded(after),
            Some(after) => lo = Excluded(after),
            None => {}
        }
        let empty = match (lo, hi) {
            (Included(lo), Excluded(hi)) => lo >= hi,
            (Excluded(lo), Excluded(hi)) => lo >= hi,
            _ => false,
        };
        if empty {
            return Vec::new();
        }
        let rows = self.rows.read();
        let found = rows.range::<[u8], _>((lo, hi));
        let own = |(key, record): (&Vec<u8>, &Arc<[u8]>)| (key.clone(), record.clone());
        if range.reverse {
            found.rev().take(most).map(own).collect()
        } else {
            found.take(most).map(own).collect()
        }
    }
}

/// Rows of the backend and of memory as one scan in key order.
pub(crate) struct MergedCursor<'a> {
    stored: Box<dyn Cursor + 'a>,
    ephemeral: &'a Ephemeral,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
    reverse: bool,
    rows: Rows,
    /// Stored rows read and not handed out yet, the next one last.
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    ended: bool,
}

#[derive(Default)]
struct Rows {
    /// The next one last.
    waiting: Vec<(Vec<u8>, Arc<[u8]>)>,
    last: Option<Vec<u8>>,
    ended: bool,
}

const BATCH_ROWS: usize = 64;

impl<'a> MergedCursor<'a> {
    pub(crate) fn new(
        stored: Box<dyn Cursor + 'a>,
        ephemeral: &'a Ephemeral,
        range: KeyRange<'_>,
    ) -> MergedCursor<'a> {
        MergedCursor {
            stored,
            ephemeral,
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
            reverse: range.reverse,
            rows: Rows::default(),
            waiting: Vec::new(),
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<()> {
        while self.waiting.is_empty() && !self.ended {
            let waiting = &mut self.waiting;
            let read = self.stored.next_batch(BATCH_ROWS, &mut |key, record| {
                waiting.push((key.to_vec(), record.to_vec()));
            })?;
            self.waiting.reverse();
            self.ended = read == 0;
        }
        if self.rows.waiting.is_empty() && !self.rows.ended {
            let range = KeyRange {
                lo: &self.lo,
                hi: self.hi.as_deref(),
                reverse: self.reverse,
            };
            let last = self.rows.last.as_deref();
            let mut found = self.ephemeral.range(range, last, BATCH_ROWS);
            self.rows.ended = found.is_empty();
            if let Some((key, _)) = found.last() {
                self.rows.last = Some(key.clone());
            }
            found.reverse();
            self.rows.waiting = found;
        }
        Ok(())
    }
}

impl Cursor for MergedCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let mut visited = 0;
        while visited < rows_max {
            self.fill()?;
            let stored = self.waiting.last().map(|(key, _)| key.as_slice());
            let memory = self.rows.waiting.last().map(|(key, _)| key.as_slice());
            let order = match (stored, memory) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(stored), Some(memory)) if self.reverse => memory.cmp(stored),
                (Some(stored), Some(memory)) => stored.cmp(memory),
            };
            // A key that moved between the two while they were read is taken from memory.
            if order.is_le()
                && let Some((key, record)) = self.waiting.pop()
                && order.is_lt()
            {
                visit(&key, &record);
                visited += 1;
            } else if let Some((key, record)) = self.rows.waiting.pop() {
                visit(&key, &record);
                visited += 1;
            }
        }
        Ok(visited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stored(Vec<(Vec<u8>, Vec<u8>)>);

    impl Cursor for Stored {
        fn next_batch(
            &mut self,
            rows_max: usize,
            visit: &mut dyn FnMut(&[u8], &[u8]),
        ) -> Result<usize> {
            let most = rows_max.min(3).min(self.0.len());
            for (key, record) in self.0.drain(..most) {
                visit(&key, &record);
            }
            Ok(most)
        }
    }

    #[test]
    fn memory_and_backend_are_one_list_in_both_directions() {
        let memory = Ephemeral::default();
        let record = |n: u8| Some(Arc::from([n].as_slice()));
        memory.begin();
        memory.apply((0..200u8).step_by(3).map(|n| (vec![n], record(n))));
        memory.begin();
        memory.apply([(vec![3], None), (vec![6], record(9))]);
        assert_eq!(memory.count(), 66);
        assert_eq!(memory.bytes(), 66 * ephemeral_bytes(b"k", b"r"));
        for reverse in [false, true] {
            let mut stored: Vec<_> = (0..200u8)
                .filter(|n| n % 3 == 1 && *n >= 10 && *n < 150)
                .map(|n| (vec![n], vec![n]))
                .collect();
            let mut expected: Vec<u8> = (10..150u8).filter(|n| n % 3 < 2).collect();
            if reverse {
                stored.reverse();
                expected.reverse();
            }
            let range = KeyRange {
                lo: &[10],
                hi: Some(&[150]),
                reverse,
            };
            let mut cursor = MergedCursor::new(Box::new(Stored(stored)), &memory, range);
            let mut keys = Vec::new();
            while cursor
                .next_batch(7, &mut |key, _| keys.push(key[0]))
                .unwrap()
                > 0
            {}
            assert_eq!(keys, expected, "reverse: {reverse}");
        }
    }
}
