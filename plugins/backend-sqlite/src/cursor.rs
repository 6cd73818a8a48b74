//! A scan: a read transaction on a connection of its own, read in batches.
//!
//! The transaction begins with the first batch, which is read when the scan is opened, so all batches
//! see that instant. It blocks no commit, but while it lives the log cannot be begun anew and grows.
//! The connection goes back as soon as the last row was read.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;
use statekeep_plugin_sdk::{Cursor, Result, ScanRange};

use crate::fault::During;
use crate::readers::Readers;
use crate::{rows, sql};

/// Rows of the first batch: many scans want no more.
const ROWS_FIRST: usize = 16;
/// Rows of a batch, once they have doubled from the first.
const ROWS_MAX: usize = 256;
/// A batch ends early at this many bytes.
const BYTES_MAX: usize = 256 << 10;

type Row = (Vec<u8>, Vec<u8>);

/// The rows of a range, in one direction.
pub struct Rows {
    readers: Arc<Readers>,
    /// `None` when all rows were read.
    connection: Option<Connection>,
    space: u32,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
    reverse: bool,
    batch: VecDeque<Row>,
    batch_rows: usize,
}

impl Rows {
    pub(crate) fn open(readers: Arc<Readers>, range: &ScanRange<'_>) -> Result<Rows> {
        let connection = readers.begin_scan()?;
        let mut rows = Rows {
            readers,
            connection: Some(connection),
            space: range.space,
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
            reverse: range.reverse,
            batch: VecDeque::new(),
            batch_rows: ROWS_FIRST,
        };
        if let Some(connection) = &rows.connection {
            connection.execute_batch("BEGIN").during("scan")?;
        }
        rows.refill()?;
        Ok(rows)
    }

    /// Reads the next batch and moves the bound that it came from behind its last row.
    fn refill(&mut self) -> Result<()> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let is_last = match self.read(connection) {
            Ok((batch, is_last)) => {
                self.batch = batch;
                is_last
            }
            Err(error) => {
                self.connection = None;
                self.readers.end_scan(None);
                return Err(error);
            }
        };
        if is_last {
            self.end();
        } else if let Some((key, _)) = self.batch.back() {
            match self.reverse {
                true => self.hi = Some(key.clone()),
                // The key that follows at once, in the order of bytes.
                false => self.lo = [key.as_slice(), &[0]].concat(),
            }
        }
        self.batch_rows = (self.batch_rows * 2).min(ROWS_MAX);
        Ok(())
    }

    /// The next rows, and whether there are no more.
    fn read(&self, connection: &Connection) -> Result<(VecDeque<Row>, bool)> {
        let statements = sql::of(self.space)?;
        let sql = match (self.reverse, &self.hi) {
            (false, Some(_)) => statements.forward,
            (false, None) => statements.forward_to_the_end,
            (true, Some(_)) => statements.backward,
            (true, None) => statements.backward_from_the_end,
        };
        let mut scan = connection.prepare_cached(sql).during("scan")?;
        let mut found = match &self.hi {
            Some(hi) => scan.query([&self.lo, hi]),
            None => scan.query([&self.lo]),
        }
        .during("scan")?;
        let (mut batch, mut bytes) = (VecDeque::with_capacity(self.batch_rows), 0);
        while batch.len() < self.batch_rows && bytes < BYTES_MAX {
            let Some(row) = found.next().during("scan")? else {
                return Ok((batch, true));
            };
            let (key, value) = (rows::blob(row, 0)?.to_vec(), rows::blob(row, 1)?.to_vec());
            bytes += key.len() + value.len();
            batch.push_back((key, value));
        }
        Ok((batch, false))
    }

    /// Ends the transaction and gives the connection back.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            let ended = connection.execute_batch("COMMIT").is_ok();
            self.readers.end_scan(ended.then_some(connection));
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.end();
    }
}

impl Cursor for Rows {
    type Bytes = Vec<u8>;

    fn next(&mut self) -> Option<Result<Row>> {
        if self.batch.is_empty()
            && let Err(error) = self.refill()
        {
            return Some(Err(error));
        }
        self.batch.pop_front().map(Ok)
    }
}
