//! A scan: fjall's snapshot iterator, with the space's prefix taken off the keys.
//!
//! It owns a snapshot, so it sees the instant of its opening and never blocks a commit. While it
//! lives, rows that it may still need stay on disk and in memory.

use fjall::{Iter, Slice};
use statekeep_plugin_sdk::one_keyspace::RowBytes;
use statekeep_plugin_sdk::{Cursor, Result};

use crate::fault;

/// The rows of a range, in one direction.
pub struct Rows {
    iter: Iter,
    reverse: bool,
}

impl Rows {
    pub(crate) fn new(iter: Iter, reverse: bool) -> Rows {
        Rows { iter, reverse }
    }
}

impl Cursor for Rows {
    type Bytes = RowBytes<Slice>;

    fn next(&mut self) -> Option<Result<(RowBytes<Slice>, RowBytes<Slice>)>> {
        let row = if self.reverse {
            self.iter.next_back()
        } else {
            self.iter.next()
        }?;
        let row = row.into_inner().map_err(|error| fault::of(error, "scan"));
        Some(row.map(|(key, value)| (RowBytes::key(key), RowBytes::value(value))))
    }
}
