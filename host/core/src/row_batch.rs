//! Rows read from a cursor and not dealt with yet, in batches of about one size in bytes.
//!
//! A cursor is left alone while its rows are dealt with, so that nothing slow happens inside it.

use crate::Result;

/// Rows are read in batches of about this many bytes.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ROWS_MAX: usize = 1_024;
const BATCH_ROWS_FIRST: usize = 16;

/// Takes a key and a value.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

pub(crate) struct RowBatch {
    bytes: Vec<u8>,
    /// Start, key length and value length.
    rows: Vec<(usize, usize, usize)>,
    next: usize,
    rows_max: usize,
}

impl RowBatch {
    pub(crate) fn new() -> RowBatch {
        RowBatch {
            bytes: Vec::new(),
            rows: Vec::new(),
            next: 0,
            rows_max: BATCH_ROWS_FIRST,
        }
    }

    /// Reads the next rows by a function that hands up to so many to a visitor, and answers whether
    /// there were any.
    pub(crate) fn read(
        &mut self,
        next: impl FnOnce(usize, &mut Visit<'_>) -> Result<usize>,
    ) -> Result<bool> {
        self.bytes.clear();
        self.rows.clear();
        self.next = 0;
        let (bytes, rows) = (&mut self.bytes, &mut self.rows);
        let read = next(self.rows_max, &mut |key, value| {
            rows.push((bytes.len(), key.len(), value.len()));
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        })?;
        self.rows_max = match self.bytes.len() {
            bytes if bytes > BATCH_BYTES => (self.rows_max * BATCH_BYTES / bytes).max(1),
            _ => (self.rows_max * 2).min(BATCH_ROWS_MAX),
        };
        Ok(read > 0)
    }

    /// The first row that was not passed.
    pub(crate) fn first(&self) -> Option<(&[u8], &[u8])> {
        let (start, key, value) = *self.rows.get(self.next)?;
        Some(self.bytes[start..start + key + value].split_at(key))
    }

    pub(crate) fn pass(&mut self) {
        self.next += 1;
    }
}

/// Hands all rows of a cursor to `visit`, which the cursor does not wait for.
pub(crate) fn each_row(
    mut next: impl FnMut(usize, &mut Visit<'_>) -> Result<usize>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let mut batch = RowBatch::new();
    while batch.read(&mut next)? {
        while let Some((key, value)) = batch.first() {
            visit(key, value)?;
            batch.pass();
        }
    }
    Ok(())
}
