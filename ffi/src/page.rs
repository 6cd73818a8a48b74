//! The page of a scan: keys and values in one buffer, which C reads from and the next page uses again.
//!
//! A row that was taken stays in place until the page is cleared.

use crate::engine::ValueKind;

/// A page's buffer above this size is not kept for the next page.
const PAGE_BYTES_KEEP: usize = 1 << 20;

/// The rows of a page behind each other, in buffers that the next page uses again.
#[derive(Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// The first that was not delivered.
    next: usize,
}

struct Place {
    start: usize,
    key_len: usize,
    /// Its kind and length; nothing in a scan of keys.
    value: Option<(ValueKind, usize)>,
}

/// A key with its value, if the scan reads values.
pub(crate) type Row<'a> = (&'a [u8], Option<(ValueKind, &'a [u8])>);

impl Rows {
    /// Forgets the rows and keeps the buffers, unless they are large.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.next = 0;
        if self.bytes.capacity() > PAGE_BYTES_KEEP {
            self.bytes = Vec::new();
        }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, key: &str, value: Option<(ValueKind, &[u8])>) {
        self.places.push(Place {
            start: self.bytes.len(),
            key_len: key.len(),
            value: value.map(|(kind, value)| (kind, value.len())),
        });
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes
            .extend_from_slice(value.map_or(&[], |(_, value)| value));
    }

    /// The next key with its value.
    pub(crate) fn take(&mut self) -> Option<Row<'_>> {
        let place = self.places.get(self.next)?;
        let (key, rest) = self
            .bytes
            .get(place.start..)?
            .split_at_checked(place.key_len)?;
        let value = match place.value {
            Some((kind, len)) => Some((kind, rest.get(..len)?)),
            None => None,
        };
        self.next += 1;
        Some((key, value))
    }

    /// Whether all have been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.next >= self.places.len()
    }
}
