//! A scan: a read transaction, and rows that are copied out of it by the batch.
//!
//! It sees the instant of its opening and never blocks a commit. While it lives, pages that commits
//! replace stay in the file. The transaction is not tied to a thread.

use std::ops::Bound;
use std::vec::IntoIter;

use heed::{RoTxn, WithoutTls};
use statekeep_plugin_sdk::one_keyspace::{self, RowBytes};
use statekeep_plugin_sdk::{Cursor, Result, ScanRange};

use crate::Rows;
use crate::fault::During;

/// Rows of the first batch, which may be all that is asked for...
const ROWS_FIRST: usize = 16;
/// ...and how many times more each batch takes than the one before, up to a limit.
const ROWS_FACTOR: usize = 4;
const ROWS_MAX: usize = 1024;
/// A batch ends early at this many bytes.
const BYTES_MAX: usize = 256 << 10;

type Row = (Vec<u8>, Vec<u8>);

/// The rows of a range, in one direction.
pub struct Scan {
    transaction: RoTxn<'static, WithoutTls>,
    rows: Rows,
    /// What is left of the range, `lo <= stored key < hi`.
    lo: Vec<u8>,
    hi: Vec<u8>,
    reverse: bool,
    batch: IntoIter<Row>,
    batch_rows: usize,
}

impl Scan {
    pub(crate) fn new(
        transaction: RoTxn<'static, WithoutTls>,
        rows: Rows,
        range: &ScanRange<'_>,
    ) -> Scan {
        let (lo, hi) = one_keyspace::bounds(range);
        Scan {
            transaction,
            rows,
            lo,
            hi,
            reverse: range.reverse,
            batch: Vec::new().into_iter(),
            batch_rows: ROWS_FIRST,
        }
    }

    /// Reads the next batch and takes it off the range.
    fn fill(&mut self) -> heed::Result<()> {
        let range = (Bound::Included(&self.lo[..]), Bound::Excluded(&self.hi[..]));
        let batch = if self.reverse {
            batch_of(
                self.rows.rev_range(&self.transaction, &range)?,
                self.batch_rows,
            )?
        } else {
            batch_of(self.rows.range(&self.transaction, &range)?, self.batch_rows)?
        };
        if let Some((last, _)) = batch.last() {
            if self.reverse {
                self.hi.clone_from(last);
            } else {
                // The first key after this one.
                self.lo.clone_from(last);
                self.lo.push(0);
            }
        }
        self.batch = batch.into_iter();
        self.batch_rows = (self.batch_rows * ROWS_FACTOR).min(ROWS_MAX);
        Ok(())
    }
}

fn batch_of<'a>(
    rows: impl Iterator<Item = heed::Result<(&'a [u8], &'a [u8])>>,
    rows_max: usize,
) -> heed::Result<Vec<Row>> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let (key, value) = row?;
        bytes += key.len() + value.len();
        batch.push((key.to_vec(), value.to_vec()));
        if batch.len() >= rows_max || bytes >= BYTES_MAX {
            break;
        }
    }
    Ok(batch)
}

impl Cursor for Scan {
    type Bytes = RowBytes<Vec<u8>>;

    fn next(&mut self) -> Option<Result<(RowBytes<Vec<u8>>, RowBytes<Vec<u8>>)>> {
        if self.batch.len() == 0
            && let Err(error) = self.fill().during("scan")
        {
            return Some(Err(error));
        }
        let (key, value) = self.batch.next()?;
        Some(Ok((RowBytes::key(key), RowBytes::value(value))))
    }
}
