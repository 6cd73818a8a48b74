//! A scan: sled's iterator, with the space's prefix taken off the keys.
//!
//! sled 0.34 has no snapshots: a row that changes during the scan appears as before or as after.

use sled::{IVec, Iter};
use statekeep_plugin_sdk::{Cursor, Result};

use crate::{fault, key::PREFIX_BYTES};

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

/// Bytes that share the engine's memory.
pub struct Shared {
    bytes: IVec,
    skip: usize,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or_default()
    }
}

impl Cursor for Rows {
    type Bytes = Shared;

    fn next(&mut self) -> Option<Result<(Shared, Shared)>> {
        let row = if self.reverse {
            self.iter.next_back()
        } else {
            self.iter.next()
        }?;
        let row = row.map_err(|error| fault::of(error, "scan"));
        Some(row.map(|(key, value)| {
            let key = Shared {
                bytes: key,
                skip: PREFIX_BYTES,
            };
            (
                key,
                Shared {
                    bytes: value,
                    skip: 0,
                },
            )
        }))
    }
}
