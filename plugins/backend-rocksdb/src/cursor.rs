//! A scan: RocksDB's iterator, with the space's prefix taken off the keys.
//!
//! It sees the instant of its opening and never blocks a commit. While it lives, tables and buffers
//! that it may still need stay on disk and in memory.

use std::sync::Arc;

use rocksdb::{DB, DBRawIterator, ReadOptions};
use statekeep_plugin_sdk::one_keyspace::{self, PREFIX_BYTES};
use statekeep_plugin_sdk::{Cursor, Result, ScanRange};

use crate::fault::During;

self_cell::self_cell!(
    /// The iterator and the store that it borrows from.
    struct Owned {
        owner: Arc<DB>,
        #[not_covariant]
        dependent: DBRawIterator,
    }
);

/// The rows of a range, in one direction.
pub struct Rows {
    iterator: Owned,
    reverse: bool,
}

impl Rows {
    pub(crate) fn open(db: &Arc<DB>, range: &ScanRange<'_>) -> Rows {
        let (lo, hi) = one_keyspace::bounds(range);
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(lo);
        options.set_iterate_upper_bound(hi);
        let reverse = range.reverse;
        let iterator = Owned::new(Arc::clone(db), |db| {
            let mut iterator = db.raw_iterator_opt(options);
            match reverse {
                true => iterator.seek_to_last(),
                false => iterator.seek_to_first(),
            }
            iterator
        });
        Rows { iterator, reverse }
    }
}

impl Cursor for Rows {
    type Bytes = Vec<u8>;

    fn next(&mut self) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
        let reverse = self.reverse;
        self.iterator.with_dependent_mut(|_, iterator| {
            let Some((key, value)) = iterator.item() else {
                return iterator.status().during("scan").err().map(Err);
            };
            let key = key.get(PREFIX_BYTES..).unwrap_or_default();
            let row = (key.to_vec(), value.to_vec());
            match reverse {
                true => iterator.prev(),
                false => iterator.next(),
            }
            Some(Ok(row))
        })
    }
}
