//! The entries of a block.

use statekeep_core::{Error, Result};

use super::{Cursor, ENTRY_KEY_BYTES_MAX, put_uvarint};

const TOMBSTONE: u8 = 1;

/// One key of a block.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The stored key.
    pub key: &'a [u8],
    /// The record with its envelope.
    pub record: &'a [u8],
    /// The key was removed; the record is an envelope that says when.
    pub tombstone: bool,
}

impl Entry<'_> {
    /// Its bytes in a block.
    pub(crate) fn encoded_len(&self) -> usize {
        let (key, record) = (self.key.len(), self.record.len());
        1 + uvarint_len(key) + key + uvarint_len(record) + record
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(if self.tombstone { TOMBSTONE } else { 0 });
        put_uvarint(out, self.key.len() as u64);
        out.extend_from_slice(self.key);
        put_uvarint(out, self.record.len() as u64);
        out.extend_from_slice(self.record);
    }
}

fn uvarint_len(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

/// Reads the entries of a block's raw bytes, checking form and order; ends after the first error.
pub struct Entries<'a> {
    rest: Cursor<'a>,
    last: Option<&'a [u8]>,
}

impl<'a> Entries<'a> {
    /// The entries of a block's raw bytes.
    pub fn new(raw: &'a [u8]) -> Entries<'a> {
        Entries {
            rest: Cursor(raw),
            last: None,
        }
    }

    fn read(&mut self) -> Option<Entry<'a>> {
        let flags = self.rest.u8().filter(|flags| *flags & !TOMBSTONE == 0)?;
        let key_len = usize::try_from(self.rest.uvarint()?).ok()?;
        if key_len == 0 || key_len > ENTRY_KEY_BYTES_MAX {
            return None;
        }
        let key = self.rest.take(key_len)?;
        let record_len = usize::try_from(self.rest.uvarint()?).ok()?;
        let record = self.rest.take(record_len)?;
        Some(Entry {
            key,
            record,
            tombstone: flags & TOMBSTONE != 0,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.0.is_empty() {
            return None;
        }
        let Some(entry) = self.read() else {
            self.rest = Cursor(&[]);
            return Some(Err(Error::corrupt("block", "an entry is malformed")));
        };
        if self.last.is_some_and(|last| last >= entry.key) {
            self.rest = Cursor(&[]);
            return Some(Err(Error::corrupt("block", "its keys do not rise")));
        }
        self.last = Some(entry.key);
        Some(Ok(entry))
    }
}
