//! Rows of the `index` space that follow from records: when keys expire, and what JSON paths hold.
//!
//! ```text
//! 1 | expires i64 big-endian, sign bit flipped | data key      → nothing: the record's expiry
//! 2 | index id u32 big-endian | value | data key               → nothing: see the query module
//! ```
//! The committer asks for the rows of each record that it puts or takes away, so that they are in
//! the same commit. Records in memory only have none.

use crate::record::own_life;
use crate::{Error, Result, UnixMs};

pub(crate) const EXPIRY_TAG: u8 = 1;

/// Which rows belong to records; readers share it, the committer replaces it.
#[derive(Default)]
pub(crate) struct IndexSet {}

impl IndexSet {
    /// Hands the key of each index row of a stored record to `row`.
    pub(crate) fn rows(&self, data_key: &[u8], record: &[u8], row: &mut dyn FnMut(&[u8])) {
        if let (_, Some(expires)) = own_life(record) {
            row(&expiry_key(expires, data_key));
        }
    }
}

/// The index row of a record that expires.
pub(crate) fn expiry_key(expires: UnixMs, data_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + data_key.len());
    key.push(EXPIRY_TAG);
    key.extend_from_slice(&ordered(expires).to_be_bytes());
    key.extend_from_slice(data_key);
    key
}

/// The expiry rows of times after `from` up to and with `to`.
pub(crate) fn expiry_range(from: UnixMs, to: UnixMs) -> (Vec<u8>, Vec<u8>) {
    let bound = |time: UnixMs| match time.0.checked_add(1) {
        Some(next) => expiry_key(UnixMs(next), b""),
        None => vec![EXPIRY_TAG + 1],
    };
    (bound(from), bound(to))
}

/// The time and the data key of an expiry row.
pub(crate) fn split_expiry_key(key: &[u8]) -> Result<(UnixMs, &[u8])> {
    match key.split_first_chunk::<9>() {
        Some(([EXPIRY_TAG, time @ ..], data_key)) => {
            let ordered = u64::from_be_bytes(*time);
            Ok((UnixMs((ordered ^ (1 << 63)) as i64), data_key))
        }
        _ => Err(Error::corrupt(
            format!("index key {}", key.escape_ascii()),
            "it is no expiry row",
        )),
    }
}

/// Times as numbers that sort like them.
fn ordered(time: UnixMs) -> u64 {
    time.0 as u64 ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_rows_sort_by_time_and_read_back() {
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000, i64::MAX];
        let keys: Vec<_> = times.map(|t| expiry_key(UnixMs(t), b"key")).to_vec();
        assert!(keys.is_sorted());
        for (time, key) in times.iter().zip(&keys) {
            assert_eq!(split_expiry_key(key).unwrap(), (UnixMs(*time), &b"key"[..]));
        }
        assert!(split_expiry_key(b"\x02abc").is_err());
    }
}
