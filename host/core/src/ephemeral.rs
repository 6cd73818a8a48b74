//! Records of class `ephemeral`: kept in memory only, gone when the state is closed.
//!
//! A key is here or in the backend's `data`, never in both. The committer writes, readers look here
//! first. The changes themselves are in the journal; values, history and backups do not have them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::KeyRange;
use crate::merged::{Overlay, OverlayRow, bounds};

/// What a record in memory takes beside its bytes, about.
const OVERHEAD_BYTES: u64 = 96;

#[derive(Default)]
pub(crate) struct Ephemeral {
    rows: RwLock<BTreeMap<Vec<u8>, Arc<[u8]>>>,
    /// Number of rows, so that a state without any pays one load.
    count: AtomicUsize,
    bytes: AtomicU64,
    /// Odd while a commit that touches these rows is on its way, until it is the head.
    version: AtomicU64,
    /// The keys that this commit touches.
    touched: RwLock<HashSet<Vec<u8>>>,
}

/// Bytes that a record takes in memory.
pub(crate) fn ephemeral_bytes(key: &[u8], record: &[u8]) -> u64 {
    (key.len() + record.len()) as u64 + OVERHEAD_BYTES
}

/// A commit that touches records in memory.
pub(crate) struct InFlight<'a>(&'a Ephemeral);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.version.fetch_add(1, Ordering::AcqRel);
        self.0.touched.write().clear();
    }
}

impl Ephemeral {
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Bytes of all records, with what keeping them takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        if self.is_empty() {
            return None;
        }
        self.rows.read().get(key).cloned()
    }

    /// A commit that puts or removes these records begins; it ends when this is dropped: when it is
    /// the head, or has failed.
    pub(crate) fn begin<'a, 'k>(&'a self, keys: impl Iterator<Item = &'k [u8]>) -> InFlight<'a> {
        self.touched.write().extend(keys.map(<[u8]>::to_vec));
        self.version.fetch_add(1, Ordering::AcqRel);
        InFlight(self)
    }

    /// A number that changes with every commit here, odd while one is on its way.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a reader that found a key neither here nor in the backend since `version` must look
    /// again: a key that moves between the two is for a moment in neither. Waits for the end of a
    /// commit that touches the key.
    pub(crate) fn may_have_moved(&self, key: &[u8], version: u64) -> bool {
        while self.version() == version {
            if version.is_multiple_of(2) || !self.touched.read().contains(key) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Puts or removes the records of the commit that began, in order.
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
    }

    /// Up to `most` records of a range after `after`, in the order of the range.
    pub(crate) fn range(
        &self,
        range: KeyRange<'_>,
        after: Option<&[u8]>,
        most: usize,
    ) -> Vec<(Vec<u8>, Arc<[u8]>)> {
        let Some(bounds) = bounds(range, after) else {
            return Vec::new();
        };
        let rows = self.rows.read();
        let found = rows.range::<[u8], _>(bounds);
        let own = |(key, record): (&Vec<u8>, &Arc<[u8]>)| (key.clone(), record.clone());
        if range.reverse {
            found.rev().take(most).map(own).collect()
        } else {
            found.take(most).map(own).collect()
        }
    }
}

impl Overlay for Ephemeral {
    fn range(&self, range: KeyRange<'_>, after: Option<&[u8]>, most: usize) -> Vec<OverlayRow> {
        let rows = self.range(range, after, most).into_iter();
        rows.map(|(key, record)| (key, Some(record))).collect()
    }
}
