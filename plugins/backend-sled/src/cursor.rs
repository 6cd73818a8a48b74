//! A scan: sled's iterator, with the space's prefix taken off the keys.
//!
//! sled 0.34 has no snapshots: a row that changes during the scan appears as before or as after.

use sled::{IVec, Iter};
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
    type Bytes = RowBytes<IVec>;

    fn next(&mut self) -> Option<Result<(RowBytes<IVec>, RowBytes<IVec>)>> {
        let row = if self.reverse {
            self.iter.next_back()
        } else {
            self.iter.next()
        }?;
        let row = row.map_err(|error| fault::of(error, "scan"));
        Some(row.map(|(key, value)| (RowBytes::key(key), RowBytes::value(value))))
    }
}
