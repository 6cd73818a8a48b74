//! What a transaction is about to change, and the way back to its savepoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::merged::{Overlay, OverlayRow, bounds};
use crate::{Durability, Error, KeyRange, Result};

/// A point in a transaction, to go back to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);

/// Savepoints of all transactions of the process have numbers of their own.
static NEXT_SAVEPOINT: AtomicU64 = AtomicU64::new(0);

/// A change of one key; without a record it is a delete.
pub(super) struct Write {
    pub(super) record: Option<Vec<u8>>,
    pub(super) durability: Durability,
}

impl Write {
    /// Bytes that the change of a key takes, at most: the key may be needed for the way back too.
    pub(super) fn bytes_held(&self, key: &[u8]) -> u64 {
        (2 * key.len() + self.record.as_ref().map_or(0, Vec::len)) as u64
    }
}

#[derive(Default)]
pub(super) struct Writes {
    changes: BTreeMap<Vec<u8>, Write>,
    /// What each change replaced since the first savepoint, in order; `None` stands for no change
    /// of the key before it.
    undo: Vec<(Vec<u8>, Option<Write>)>,
    /// Savepoints, and how much there was to undo then.
    savepoints: Vec<(Savepoint, usize)>,
    bytes: u64,
}

/// Keys, their records, and the safest durability that a change asks for.
pub(super) type Taken = (Vec<Vec<u8>>, Vec<Option<Vec<u8>>>, Option<Durability>);

impl Writes {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Number of changes, those that are only kept for the way back among them.
    pub(super) fn len(&self) -> u64 {
        (self.changes.len() + self.undo.len()) as u64
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether another change of the key takes the place of one without keeping it.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        self.savepoints.is_empty() && self.changes.contains_key(key)
    }

    /// The change of a key, if there is one.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Write> {
        self.changes.get(key)
    }

    pub(super) fn put(&mut self, key: Vec<u8>, write: Write) {
        self.bytes += write.bytes_held(&key);
        if !self.savepoints.is_empty() {
            let old = self.changes.insert(key.clone(), write);
            self.undo.push((key, old));
            return;
        }
        let held = self.changes.get(&key).map_or(0, |old| old.bytes_held(&key));
        self.bytes -= held;
        self.changes.insert(key, write);
    }

    /// Number of savepoints that can be gone back to.
    pub(super) fn savepoints(&self) -> u64 {
        self.savepoints.len() as u64
    }

    pub(super) fn savepoint(&mut self) -> Savepoint {
        let savepoint = Savepoint(NEXT_SAVEPOINT.fetch_add(1, Ordering::Relaxed));
        self.savepoints.push((savepoint, self.undo.len()));
        savepoint
    }

    /// Takes back the changes since a savepoint, and the savepoints after it.
    pub(super) fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let found = self.savepoints.iter().position(|(s, _)| *s == savepoint);
        let Some((at, (_, mark))) = found.map(|at| (at, self.savepoints[at])) else {
            let reason = "it is of another transaction, or this one went back before it";
            return Err(Error::invalid("savepoint", reason));
        };
        self.savepoints.truncate(at + 1);
        for (key, old) in self.undo.drain(mark..).rev() {
            let gone = match old {
                Some(old) => self.changes.insert(key.clone(), old),
                None => self.changes.remove(&key),
            };
            self.bytes -= gone.map_or(0, |write| write.bytes_held(&key));
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> Taken {
        let changes = std::mem::take(self).changes;
        let durability = changes.values().map(|write| write.durability).max();
        let (keys, writes): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        let records = writes.into_iter().map(|write| write.record).collect();
        (keys, records, durability)
    }
}

impl Overlay for Writes {
    fn range(&self, range: KeyRange<'_>, after: Option<&[u8]>, most: usize) -> Vec<OverlayRow> {
        let Some(bounds) = bounds(range, after) else {
            return Vec::new();
        };
        let row = |(key, write): (&Vec<u8>, &Write)| {
            let record = write.record.as_deref().map(Arc::from);
            (key.clone(), record)
        };
        let found = self.changes.range::<[u8], _>(bounds);
        if range.reverse {
            found.rev().take(most).map(row).collect()
        } else {
            found.take(most).map(row).collect()
        }
    }
}
