//! A scan: redb's iterator with its read transaction, and rows that borrow redb's own pages.
//!
//! It sees the instant of its opening and never blocks a commit. While it lives, pages that commits
//! replace stay in the file.

use redb::{OwnedAccessGuard, OwnedRange};
use statekeep_plugin_sdk::one_keyspace::RowBytes;
use statekeep_plugin_sdk::{Cursor, Result};

use crate::fault::During;

type Guard = OwnedAccessGuard<&'static [u8]>;

/// A key or a value in a page of redb, which stays as it is while this lives.
pub struct Bytes(Guard);

impl From<Guard> for Bytes {
    fn from(guard: Guard) -> Bytes {
        Bytes(guard)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

/// The rows of a range, in one direction.
pub struct Rows {
    rows: OwnedRange<&'static [u8], &'static [u8]>,
    reverse: bool,
}

impl Rows {
    pub(crate) fn new(rows: OwnedRange<&'static [u8], &'static [u8]>, reverse: bool) -> Rows {
        Rows { rows, reverse }
    }
}

impl Cursor for Rows {
    type Bytes = RowBytes<Bytes>;

    fn next(&mut self) -> Option<Result<(RowBytes<Bytes>, RowBytes<Bytes>)>> {
        let row = if self.reverse {
            self.rows.next_back()
        } else {
            self.rows.next()
        }?;
        let row = row.during("scan");
        Some(row.map(|(key, value)| (RowBytes::key(Bytes(key)), RowBytes::value(Bytes(value)))))
    }
}
