//! For engines that keep all spaces in one keyspace: one byte of space number, then the row's key.
//!
//! Order within a space is that of the rows' keys, and the range of a space ends where the next
//! number begins. One keyspace makes a commit over several spaces one entry of the engine's journal.

use crate::ScanRange;

/// Bytes that stand before a row's key.
pub const PREFIX_BYTES: usize = 1;

/// Keys up to this size are put together without an allocation.
const SHORT: usize = 256;

/// Hands the stored key of a row to `body`.
pub fn with_stored<R>(space: u32, key: &[u8], body: impl FnOnce(&[u8]) -> R) -> R {
    let mut short = [0u8; SHORT];
    match short.get_mut(..PREFIX_BYTES + key.len()) {
        Some(stored) => {
            stored[0] = prefix(space);
            stored[PREFIX_BYTES..].copy_from_slice(key);
            body(stored)
        }
        None => body(&stored(space, key)),
    }
}

/// The stored bounds of a range, `lo <= key < hi`.
pub fn bounds(range: &ScanRange<'_>) -> (Vec<u8>, Vec<u8>) {
    let lo = stored(range.space, range.lo);
    let hi = match range.hi {
        Some(hi) => stored(range.space, hi),
        None => vec![prefix(range.space) + 1],
    };
    (lo, hi)
}

/// A stored key as a scan hands it out, without its prefix and without a copy.
#[derive(Clone, Debug)]
pub struct RowBytes<B> {
    bytes: B,
    skip: usize,
}

impl<B> RowBytes<B> {
    /// A row's key from its stored key.
    pub fn key(stored: B) -> RowBytes<B> {
        RowBytes {
            bytes: stored,
            skip: PREFIX_BYTES,
        }
    }

    /// A row's value, which has no prefix.
    pub fn value(bytes: B) -> RowBytes<B> {
        RowBytes { bytes, skip: 0 }
    }
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for RowBytes<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref().get(self.skip..).unwrap_or_default()
    }
}

fn stored(space: u32, key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(PREFIX_BYTES + key.len());
    stored.push(prefix(space));
    stored.extend_from_slice(key);
    stored
}

/// The SDK has checked that the space exists, and there are eight.
fn prefix(space: u32) -> u8 {
    space.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_keys_are_stored_alike() {
        for len in [1, 254, 255, 256, 2048] {
            let key = vec![7u8; len];
            with_stored(3, &key, |found| assert_eq!(found, stored(3, &key)));
        }
    }

    #[test]
    fn an_open_range_ends_before_the_next_space() {
        let range = ScanRange {
            space: 2,
            lo: b"",
            hi: None,
            reverse: false,
        };
        let (lo, hi) = bounds(&range);
        assert!(lo < stored(2, b"\0") && stored(2, &[0xff; 9]) < hi);
        assert!(hi < stored(3, b"\0"));
    }
}
