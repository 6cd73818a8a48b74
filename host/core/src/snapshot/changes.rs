//! The keys that have another record than at an earlier point, with both records, in key order.
//!
//! Keys are collected in sorted passes: the least ones up to a limit, then the journal is read again
//! for those behind them.

use super::candidates::{KeysFrom, find_candidates};
use super::in_row;
use super::least_keys::LeastKeys;
use super::past_walk::PastWalk;
use super::since::Since;
use crate::record::read_stamps;
use crate::{Result, Space};

/// Keys whose rows are read before the committer is waited for.
const KEYS_AT_ONCE: usize = 512;
/// Bytes of their records.
const BYTES_AT_ONCE: usize = 1 << 20;

/// A key that has another record than before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct KeyChange<'a> {
    /// The stored key.
    pub key: &'a [u8],
    /// The record that was there at the earlier point.
    pub old: Option<&'a [u8]>,
    /// The record that is there at the snapshot.
    pub new: Option<&'a [u8]>,
}

/// A reading of changes; used by one thread at a time.
pub struct Changes<'a> {
    since: &'a Since<'a>,
    keys: LeastKeys,
    /// Where the next pass begins; `None` after the last one.
    next_pass: Option<Vec<u8>>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(since: &'a Since<'a>) -> Changes<'a> {
        Changes {
            since,
            keys: LeastKeys::new(),
            next_pass: Some(Vec::new()),
        }
    }

    /// Remembers fewer keys, for tests.
    #[cfg(test)]
    pub(crate) fn with_keys_bytes_max(mut self, bytes: usize) -> Changes<'a> {
        self.keys.set_bytes_max(bytes);
        self
    }

    /// Looks at some more keys and hands those that differ to `visit`; `false` is the end.
    ///
    /// # Errors
    /// `Compacted` when a rule has trimmed what a key was at the earlier point.
    pub fn next_batch(&mut self, visit: &mut dyn FnMut(KeyChange<'_>)) -> Result<bool> {
        if self.keys.first().is_none() {
            let Some(lo) = self.next_pass.take() else {
                return Ok(false);
            };
            self.keys.clear();
            let mut keys = KeysFrom {
                lo: &lo,
                keys: &mut self.keys,
            };
            find_candidates(&self.since.before, self.since.snapshot, &mut keys)?;
            self.next_pass = self.keys.complete_below().map(<[u8]>::to_vec);
        }
        self.read(visit)?;
        Ok(true)
    }

    fn read(&mut self, visit: &mut dyn FnMut(KeyChange<'_>)) -> Result<()> {
        let Since {
            snapshot, before, ..
        } = self.since;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < KEYS_AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some(key) = self.keys.pop_first() else {
                break;
            };
            let mut record = Vec::new();
            let backend = &snapshot.namespace.backend;
            let found = backend.get(Space::Data, &key, &mut record)?;
            let sequence = match found {
                true => Some(read_stamps(&record).map_err(|error| in_row(&key, error))?.0),
                false => None,
            };
            bytes += record.len();
            rows.push((key, sequence, record));
        }
        // A commit whose change of a key was seen may not be there with its history rows yet.
        snapshot.settle();
        let mut walk = PastWalk::new(before);
        for (key, sequence, record) in rows {
            let newest = match sequence {
                Some(sequence) if sequence <= snapshot.sequence => Some(record),
                _ => snapshot.past(&key)?,
            };
            let written = match &newest {
                Some(record) => Some(read_stamps(record)?.0),
                None => None,
            };
            // The same record at both points, or one that history has.
            let same = written.is_some_and(|written| written <= before.sequence);
            let older = if same { None } else { walk.past(&key)? };
            let first = if same {
                newest.as_ref()
            } else {
                older.as_ref()
            };
            let new = newest.as_ref().filter(|record| snapshot.shows(record));
            let old = first.filter(|record| before.shows(record));
            if old != new {
                visit(KeyChange {
                    key: &key,
                    old: old.map(Vec::as_slice),
                    new: new.map(Vec::as_slice),
                });
            }
        }
        Ok(())
    }
}
