//! The scan of a snapshot or of a range of its keys: exact at its sequence S, in key order, each key
//! once, in bounded memory.
//!
//! Rows of `data` with a sequence of at most S are what they were. Keys that were changed since are
//! found in the journal after S, which is followed after each batch of rows has been read, and are
//! taken from history; so a key that was deleted or replaced before the cursor came by is not
//! missed. Where a backend's scans see one instant, the journal is read once. Changed keys ahead of
//! the cursor are remembered up to a limit; beyond it the greatest are dropped, and the journal is
//! read again from S when the cursor gets there. When S is long past, keys changed before the scan
//! began are found in the history rows of the range instead of a long journal.

use super::least_keys::LeastKeys;
use super::past_keys::PastKeys;
use super::{Snapshot, in_row};
use crate::journal::read_journal;
use crate::record::read_stamps;
use crate::row_batch::RowBatch;
use crate::stored_key::{journal_key, split_journal_key};
use crate::{Cursor, KeyRange, Result, Sequence, Space};

/// A snapshot that is more commits old than this is read by history rows.
const JOURNAL_COMMITS_MAX: u64 = 1_000;

/// A scan in progress; used by one thread at a time.
pub struct SnapshotScan<'a> {
    snapshot: &'a Snapshot,
    cursor: Box<dyn Cursor + 'a>,
    batch: RowBatch,
    /// The cursor has delivered its last row.
    ended: bool,
    /// The last key that was dealt with.
    position: Option<Vec<u8>>,
    changed: Changed,
    /// The commit after which the journal is followed.
    follow_after: Sequence,
    /// Keys that were changed up to that commit, when the journal is not read for them.
    past: Option<PastKeys<'a>>,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
}

/// Keys of the range behind the position that were changed after the snapshot.
struct Changed {
    keys: LeastKeys,
    /// The first commit whose changes are not in `keys`.
    journal_next: Sequence,
}

impl<'a> SnapshotScan<'a> {
    /// Opens a scan of a range, from its first key on.
    pub(super) fn open(snapshot: &'a Snapshot, range: KeyRange<'_>) -> Result<SnapshotScan<'a>> {
        let namespace = &*snapshot.namespace;
        // Read before the first cursor is opened: what comes later is in the journal after it.
        let head = namespace.head().0;
        let long_past = head.0.saturating_sub(snapshot.sequence.0) > JOURNAL_COMMITS_MAX;
        let past = match long_past {
            true => Some(PastKeys::open(namespace, range, snapshot.sequence)?),
            false => None,
        };
        let follow_after = if long_past { head } else { snapshot.sequence };
        let cursor = namespace.backend.scan(Space::Data, range)?;
        let mut scan = SnapshotScan {
            snapshot,
            cursor,
            batch: RowBatch::new(),
            ended: false,
            position: None,
            changed: Changed {
                keys: LeastKeys::new(),
                journal_next: Sequence(follow_after.0 + 1),
            },
            follow_after,
            past,
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
        };
        if namespace.capabilities.snapshot_scans {
            scan.follow_journal()?;
        }
        Ok(scan)
    }

    /// Remembers fewer changed keys, for tests.
    #[cfg(test)]
    pub(crate) fn with_changed_bytes_max(mut self, bytes: usize) -> SnapshotScan<'a> {
        self.changed.keys.set_bytes_max(bytes);
        self
    }

    /// Hands up to `rows_max` records to `visit`, stored key and record bytes, and answers how many;
    /// 0 is the end. A record that cannot be read ends the scan with an error that names its key.
    pub fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let mut visited = 0;
        while visited < rows_max {
            if self.batch.first().is_none() && !self.ended {
                self.read_rows()?;
                continue;
            }
            let row = self.batch.first();
            if let Some(past) = &mut self.past {
                past.fill()?;
            }
            let changed = self.changed.keys.first();
            let past = self.past.as_ref().and_then(PastKeys::first);
            let keys = [row.map(|(key, _)| key), changed, past];
            let first = keys.into_iter().flatten().min();
            let (key, nothing) = (first.unwrap_or_default(), first.is_none());
            if let Some(dropped) = self.changed.keys.complete_below()
                && (nothing || key >= dropped)
            {
                self.remember_again()?;
                continue;
            }
            if nothing {
                break;
            }
            let current = row.filter(|(of, _)| *of == key);
            let is_current = current.is_some();
            visited += usize::from(emit(self.snapshot, key, current.map(|(_, r)| r), visit)?);
            let position = self.position.get_or_insert_default();
            position.clear();
            position.extend_from_slice(key);
            if is_current {
                self.batch.pass();
            }
            self.changed.keys.remove(position);
            if let Some(past) = &mut self.past {
                past.pass(position);
            }
        }
        Ok(visited)
    }

    /// Reads the next rows of `data`, and then what was changed until they were read.
    fn read_rows(&mut self) -> Result<()> {
        let cursor = &mut self.cursor;
        let more = self
            .batch
            .read(|most, visit| cursor.next_batch(most, visit))?;
        self.ended = !more;
        if self.snapshot.namespace.capabilities.snapshot_scans {
            return Ok(());
        }
        // A commit on its way may show some of its rows and not yet its journal row.
        self.snapshot.committer.settle();
        self.follow_journal()
    }

    /// Remembers the keys of commits that came since the last call.
    fn follow_journal(&mut self) -> Result<()> {
        let namespace = &self.snapshot.namespace;
        let lo = journal_key(self.changed.journal_next);
        let range = KeyRange {
            lo: &lo,
            hi: None,
            reverse: false,
        };
        let mut cursor = namespace.backend.scan(Space::Journal, range)?;
        let mut failure = None;
        loop {
            let (changed, position) = (&mut self.changed, self.position.as_deref());
            let bounds = (self.lo.as_slice(), self.hi.as_deref());
            let read = cursor.next_batch(64, &mut |key, row| {
                if failure.is_none() {
                    failure = changed.note(key, row, position, bounds).err();
                }
            })?;
            match failure {
                Some(error) => return Err(error),
                None if read == 0 => return Ok(()),
                None => {}
            }
        }
    }

    /// The position has come to keys that were dropped: reads the journal once more for them.
    fn remember_again(&mut self) -> Result<()> {
        self.changed.keys.clear();
        self.changed.journal_next = Sequence(self.follow_after.0 + 1);
        self.follow_journal()
    }
}

impl Cursor for SnapshotScan<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        SnapshotScan::next_batch(self, rows_max, visit)
    }
}

impl Changed {
    /// Takes the changes of a journal row.
    fn note(
        &mut self,
        key: &[u8],
        row: &[u8],
        position: Option<&[u8]>,
        (lo, hi): (&[u8], Option<&[u8]>),
    ) -> Result<()> {
        let sequence = split_journal_key(key)?;
        for (_, key) in read_journal(row)?.changes {
            let outside = key < lo || hi.is_some_and(|hi| key >= hi);
            let passed = outside || position.is_some_and(|position| key <= position);
            if !passed {
                self.keys.add(key);
            }
        }
        self.journal_next = Sequence(sequence.0 + 1);
        Ok(())
    }
}

/// Hands the record that a key had to `visit`, and answers whether it had one. `current` is the
/// row of `data`, when there is one.
fn emit(
    snapshot: &Snapshot,
    key: &[u8],
    current: Option<&[u8]>,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<bool> {
    if let Some(record) = current {
        let (sequence, _) = read_stamps(record).map_err(|error| in_row(key, error))?;
        if sequence <= snapshot.sequence {
            let shown = snapshot.shows(record);
            if shown {
                visit(key, record);
            }
            return Ok(shown);
        }
    }
    match snapshot.past(key)? {
        Some(record) if snapshot.shows(&record) => {
            visit(key, &record);
            Ok(true)
        }
        _ => Ok(false),
    }
}
