//! Superseded records of keys that are asked for in rising order, all as of one snapshot: by one cursor
//! over space `history` where they lie close together, each by itself where they do not.
//!
//! A cursor shows what was there when it was opened, so a walk is begun after the committer was waited
//! for, and used for the keys that were collected before.

use super::{Snapshot, push_range};
use crate::row_batch::RowBatch;
use crate::{Cursor, KeyRange, Result, Space};

/// Rows that are passed over on the way to a key, or within one, before it is looked up by itself.
const ROWS_MAX: usize = 32;
/// Cursors one after the other that served one key each, before no more are opened.
const LONELY_MAX: usize = 4;

pub(super) struct PastWalk<'a> {
    at: &'a Snapshot,
    rows: Option<Rows<'a>>,
    lonely: usize,
}

struct Rows<'a> {
    cursor: Box<dyn Cursor + 'a>,
    batch: RowBatch,
    is_over: bool,
}

impl<'a> PastWalk<'a> {
    pub(super) fn new(at: &'a Snapshot) -> PastWalk<'a> {
        PastWalk {
            at,
            rows: None,
            lonely: 0,
        }
    }

    /// What [`Snapshot::past`] answers for a key that sorts after the one before it.
    pub(super) fn past(&mut self, data_key: &[u8]) -> Result<Option<Vec<u8>>> {
        let (mut lo, mut hi) = (Vec::new(), Vec::new());
        push_range(data_key, self.at.sequence, &mut lo, &mut hi);
        let near = match self.rows.take() {
            Some(mut rows) => rows.reach(&lo)?.then_some(rows),
            None => None,
        };
        let mut rows = match near {
            Some(rows) => {
                self.lonely = 0;
                rows
            }
            None if self.lonely == LONELY_MAX => return self.at.past(data_key),
            None => {
                self.lonely += 1;
                self.open(&lo)?
            }
        };
        let found = rows.last_below(&hi, self.at)?;
        self.rows = Some(rows);
        match found {
            Found::Row(record) => Ok(record),
            Found::TooMany => self.at.past(data_key),
        }
    }

    fn open(&self, lo: &[u8]) -> Result<Rows<'a>> {
        let range = KeyRange {
            lo,
            hi: None,
            reverse: false,
        };
        Ok(Rows {
            cursor: self.at.namespace.backend.scan(Space::History, range)?,
            batch: RowBatch::new(),
            is_over: false,
        })
    }
}

enum Found {
    Row(Option<Vec<u8>>),
    /// More versions than are worth reading.
    TooMany,
}

impl Rows<'_> {
    /// Whether there is a first row, which is read if need be.
    fn fill(&mut self) -> Result<bool> {
        while self.batch.first().is_none() && !self.is_over {
            let cursor = &mut self.cursor;
            let more = self
                .batch
                .read(|most, visit| cursor.next_batch(most, visit))?;
            self.is_over = !more;
        }
        Ok(self.batch.first().is_some())
    }

    /// Passes the rows before a key; `false` when there are too many.
    fn reach(&mut self, lo: &[u8]) -> Result<bool> {
        for _ in 0..ROWS_MAX {
            if !self.fill()? || self.batch.first().is_none_or(|(key, _)| key >= lo) {
                return Ok(true);
            }
            self.batch.pass();
        }
        Ok(false)
    }

    /// The record of the last row below a key, if that spans the snapshot; passes all of them.
    fn last_below(&mut self, hi: &[u8], at: &Snapshot) -> Result<Found> {
        let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
        for _ in 0..ROWS_MAX {
            self.fill()?;
            match self.batch.first().filter(|(key, _)| *key < hi) {
                Some((key, row)) => last = Some((key.to_vec(), row.to_vec())),
                None => {
                    let record = last.map(|(key, row)| at.spanning(&key, &row));
                    return Ok(Found::Row(record.transpose()?.flatten()));
                }
            }
            self.batch.pass();
        }
        Ok(Found::TooMany)
    }
}
