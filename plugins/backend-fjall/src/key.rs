//! Stored keys: one byte of space number, then the row's key.
//!
//! All spaces share one keyspace. Order within a space is that of the rows' keys, and the range of
//! a space ends where the next number begins.

use statekeep_plugin_sdk::ScanRange;

/// Bytes that stand before a row's key.
pub(crate) const PREFIX_BYTES: usize = 1;

/// Keys up to this size are put together without an allocation.
const SHORT: usize = 256;

/// Hands the stored key of a row to `body`.
pub(crate) fn with_stored<R>(space: u32, key: &[u8], body: impl FnOnce(&[u8]) -> R) -> R {
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
pub(crate) fn bounds(range: &ScanRange<'_>) -> (Vec<u8>, Vec<u8>) {
    let lo = stored(range.space, range.lo);
    let hi = match range.hi {
        Some(hi) => stored(range.space, hi),
        None => vec![prefix(range.space) + 1],
    };
    (lo, hi)
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
