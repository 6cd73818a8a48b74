//! Superseded records of a stretch of the past, as rows of space `history`, in the order of their
//! keys.
//!
//! Told are the versions that ended after the earlier point, up to the snapshot's commit: what stood
//! there longer is the snapshot's record. A record whose time has come by the snapshot's judgement is
//! none of its records though no commit ended it; it is told with the commit that ended it later or,
//! when none has, with [`NOT_ENDED`]. Marks of trims by rules are told when they hide such versions.

use std::collections::VecDeque;

use super::candidates::{KeysFrom, find_candidates, find_ended};
use super::in_row;
use super::least_keys::LeastKeys;
use super::since::Since;
use crate::journal::{HistoryRow, push_history_head, read_history};
use crate::record::read_stamps;
use crate::row_batch::{RowBatch, Visit};
use crate::stored_key::{push_history_key, split_history_key};
use crate::{Cursor, KeyRange, Result, Sequence, Space, UnixMs};

/// The end of a version that no commit had ended when it was told, though its time had come.
pub const NOT_ENDED: Sequence = Sequence(u64::MAX);

/// Keys that are looked up before the committer is waited for, and bytes of their records.
const KEYS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 1 << 20;

/// A reading of superseded records; used by one thread at a time.
pub struct PastVersions<'a> {
    since: &'a Since<'a>,
    /// Keys that may have a record whose time has come; after a point, those that were changed too.
    keys: LeastKeys,
    /// Where the next pass begins; `None` after the last one.
    next_pass: Option<Vec<u8>>,
    /// Keys of the pass that were looked up, with a record whose time has come.
    ready: VecDeque<(Vec<u8>, Option<Vec<u8>>)>,
    rows: Option<Rows<'a>>,
    told: Told,
}

/// Rows that are being read: of one key after a point, or of all keys of a pass.
struct Rows<'a> {
    cursor: Box<dyn Cursor + 'a>,
    batch: RowBatch,
}

/// The key of the last row that was handed out.
struct Told(Vec<u8>);

impl<'a> PastVersions<'a> {
    pub(super) fn new(since: &'a Since<'a>) -> PastVersions<'a> {
        PastVersions {
            since,
            keys: LeastKeys::new(),
            next_pass: Some(Vec::new()),
            ready: VecDeque::new(),
            rows: None,
            told: Told(Vec::new()),
        }
    }

    /// Remembers fewer keys, for tests.
    #[cfg(test)]
    pub(crate) fn with_keys_bytes_max(mut self, bytes: usize) -> PastVersions<'a> {
        self.keys.set_bytes_max(bytes);
        self
    }

    /// Looks at some more rows and hands those that count to `visit`, key and row; `false` is the
    /// end.
    pub fn next_batch(&mut self, visit: &mut Visit<'_>) -> Result<bool> {
        if self.rows.is_none() && !self.open()? {
            return Ok(false);
        }
        let Some(mut rows) = self.rows.take() else {
            return Ok(true);
        };
        let cursor = &mut rows.cursor;
        let more = rows
            .batch
            .read(|most, visit| cursor.next_batch(most, visit))?;
        while let Some((key, row)) = rows.batch.first() {
            let (data_key, first) = split_history_key(key)?;
            self.ended_before(Some(data_key), visit)?;
            if self.counts(data_key, first, row)? {
                self.told.tell(key, row, visit);
            }
            rows.batch.pass();
        }
        match more {
            true => self.rows = Some(rows),
            false => self.ended_before(None, visit)?,
        }
        Ok(true)
    }

    /// Opens the rows of the next key, or of the keys of the next pass.
    fn open(&mut self) -> Result<bool> {
        let snapshot = self.since.snapshot;
        let mut lo = Vec::new();
        if self.keys.first().is_none() && self.ready.is_empty() {
            let Some(next) = self.next_pass.take() else {
                return Ok(false);
            };
            self.collect(&next)?;
            lo = next;
        }
        let mut hi = self.next_pass.clone();
        if !self.since.whole {
            self.look_up()?;
            let Some((key, _)) = self.ready.front() else {
                return Ok(false);
            };
            lo = self.first_of(key)?;
            let mut end = Vec::new();
            push_history_key(&mut end, key, snapshot.sequence);
            end.push(0);
            hi = Some(end);
        }
        let range = KeyRange {
            lo: &lo,
            hi: hi.as_deref(),
            reverse: false,
        };
        self.rows = Some(Rows {
            cursor: snapshot.namespace.backend.scan(Space::History, range)?,
            batch: RowBatch::new(),
        });
        Ok(true)
    }

    /// Collects the keys of a pass. A history key is its data key, a NUL and more, so both sort alike.
    fn collect(&mut self, lo: &[u8]) -> Result<()> {
        let Since {
            snapshot, before, ..
        } = self.since;
        self.keys.clear();
        let mut keys = KeysFrom {
            lo,
            keys: &mut self.keys,
        };
        if self.since.whole {
            find_ended(snapshot, UnixMs(i64::MIN), snapshot.as_of(), &mut keys)?;
            // What has lost its expiry row before that was read has its history row.
            snapshot.settle();
        } else {
            // The state right after the point's commit was not judged as late as the point was.
            find_ended(snapshot, before.time, snapshot.as_of(), &mut keys)?;
            find_candidates(before, snapshot, &mut keys)?;
        }
        self.next_pass = self.keys.complete_below().map(<[u8]>::to_vec);
        Ok(())
    }

    /// Looks up the next keys of the pass. Once the committer was waited for, a key that has no
    /// record up to the snapshot's commit has all of its history rows.
    fn look_up(&mut self) -> Result<()> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        let mut bytes = 0;
        while self.ready.len() < KEYS_AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some(key) = self.keys.pop_first() else {
                break;
            };
            let record = self.ended(&key)?;
            bytes += record.as_ref().map_or(0, Vec::len);
            self.ready.push_back((key, record));
        }
        self.since.snapshot.settle();
        Ok(())
    }

    /// The record of a key in space `data`, if it is the snapshot's and its time has come.
    fn ended(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let snapshot = self.since.snapshot;
        let mut record = Vec::new();
        let backend = &snapshot.namespace.backend;
        if !backend.get(Space::Data, key, &mut record)? {
            return Ok(None);
        }
        let (sequence, _) = read_stamps(&record).map_err(|error| in_row(key, error))?;
        let ended = sequence <= snapshot.sequence && !snapshot.shows(&record);
        Ok(Some(record).filter(|_| ended))
    }

    /// The history key of the version of a key that spans the earlier point or, when none does, of
    /// the first commit after it: what lies before is not read.
    fn first_of(&self, key: &[u8]) -> Result<Vec<u8>> {
        let after = self.since.before.sequence;
        let (mut lo, mut first) = (Vec::new(), Vec::new());
        push_history_key(&mut lo, key, Sequence(0));
        push_history_key(&mut first, key, Sequence(after.0.saturating_add(1)));
        let range = KeyRange {
            lo: &lo,
            hi: Some(&first),
            reverse: true,
        };
        let backend = &self.since.snapshot.namespace.backend;
        let mut found = None;
        let mut cursor = backend.scan(Space::History, range)?;
        cursor.next_batch(1, &mut |row, _| found = Some(row.to_vec()))?;
        Ok(found.unwrap_or(first))
    }

    fn counts(&self, data_key: &[u8], first: Sequence, row: &[u8]) -> Result<bool> {
        let Since {
            snapshot, before, ..
        } = self.since;
        if first > snapshot.sequence {
            return Ok(false);
        }
        let row = read_history(row).map_err(|error| in_row(data_key, error))?;
        Ok(match row {
            HistoryRow::Trimmed(end) => end > before.sequence,
            HistoryRow::Record(end, _) if end <= snapshot.sequence => end > before.sequence,
            HistoryRow::Record(_, record) => !snapshot.shows(record),
        })
    }

    /// Hands out records whose time has come and that no row has told, of the keys before one.
    fn ended_before(&mut self, below: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let lies = |key: &[u8]| below.is_none_or(|below| key < below);
        if !self.since.whole {
            if below.is_none()
                && let Some((key, Some(record))) = self.ready.pop_front()
            {
                self.told.ended(&key, &record, visit)?;
            }
            return Ok(());
        }
        while self.keys.first().is_some_and(lies) {
            let Some(key) = self.keys.pop_first() else {
                break;
            };
            let snapshot = self.since.snapshot;
            if let Some(record) = snapshot.stored(&key)?
                && !snapshot.shows(&record)
            {
                self.told.ended(&key, &record, visit)?;
            }
        }
        Ok(())
    }
}

impl Told {
    fn tell(&mut self, key: &[u8], row: &[u8], visit: &mut Visit<'_>) {
        visit(key, row);
        self.0.clear();
        self.0.extend_from_slice(key);
    }

    /// Tells a record whose time has come, unless its row was told.
    fn ended(&mut self, data_key: &[u8], record: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let (first, _) = read_stamps(record).map_err(|error| in_row(data_key, error))?;
        let (mut key, mut row) = (Vec::new(), Vec::new());
        push_history_key(&mut key, data_key, first);
        if key > self.0 {
            push_history_head(&mut row, NOT_ENDED);
            row.extend_from_slice(record);
            self.tell(&key, &row, visit);
        }
        Ok(())
    }
}
