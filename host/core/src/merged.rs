//! Stored rows with rows in memory over them, as one scan in key order.
//!
//! The rows in memory are records of class `ephemeral`, or the changes of a transaction.

use std::cmp::Ordering;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::sync::Arc;

use crate::{Cursor, KeyRange, Result};

/// A key in memory; without a record it hides the stored row.
pub(crate) type OverlayRow = (Vec<u8>, Option<Arc<[u8]>>);

/// Rows in memory.
pub(crate) trait Overlay: Sync {
    /// Up to `most` rows of a range after `after`, in the order of the range.
    fn range(&self, range: KeyRange<'_>, after: Option<&[u8]>, most: usize) -> Vec<OverlayRow>;
}

/// First and last key, for a map.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The bounds of a range after `after`, for a map; nothing for an empty range.
pub(crate) fn bounds<'a>(range: KeyRange<'a>, after: Option<&'a [u8]>) -> Option<Bounds<'a>> {
    let mut lo = Included(range.lo);
    let mut hi = range.hi.map_or(Unbounded, Excluded);
    match after {
        Some(after) if range.reverse => hi = Excluded(after),
        Some(after) => lo = Excluded(after),
        None => {}
    }
    let empty = match (lo, hi) {
        (Included(lo) | Excluded(lo), Excluded(hi)) => lo >= hi,
        _ => false,
    };
    (!empty).then_some((lo, hi))
}

/// The scan.
pub(crate) struct MergedCursor<'a> {
    stored: Box<dyn Cursor + 'a>,
    overlay: &'a dyn Overlay,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
    reverse: bool,
    rows: Rows,
    /// Stored rows read and not handed out yet, the next one last.
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    ended: bool,
}

#[derive(Default)]
struct Rows {
    /// The next one last.
    waiting: Vec<OverlayRow>,
    last: Option<Vec<u8>>,
    ended: bool,
}

const BATCH_ROWS: usize = 64;

impl<'a> MergedCursor<'a> {
    pub(crate) fn new(
        stored: Box<dyn Cursor + 'a>,
        overlay: &'a dyn Overlay,
        range: KeyRange<'_>,
    ) -> MergedCursor<'a> {
        MergedCursor {
            stored,
            overlay,
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
            reverse: range.reverse,
            rows: Rows::default(),
            waiting: Vec::new(),
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<()> {
        while self.waiting.is_empty() && !self.ended {
            let waiting = &mut self.waiting;
            let read = self.stored.next_batch(BATCH_ROWS, &mut |key, record| {
                waiting.push((key.to_vec(), record.to_vec()));
            })?;
            self.waiting.reverse();
            self.ended = read == 0;
        }
        if self.rows.waiting.is_empty() && !self.rows.ended {
            let range = KeyRange {
                lo: &self.lo,
                hi: self.hi.as_deref(),
                reverse: self.reverse,
            };
            let last = self.rows.last.as_deref();
            let mut found = self.overlay.range(range, last, BATCH_ROWS);
            self.rows.ended = found.is_empty();
            if let Some((key, _)) = found.last() {
                self.rows.last = Some(key.clone());
            }
            found.reverse();
            self.rows.waiting = found;
        }
        Ok(())
    }
}

impl Cursor for MergedCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let mut visited = 0;
        while visited < rows_max {
            self.fill()?;
            let stored = self.waiting.last().map(|(key, _)| key.as_slice());
            let memory = self.rows.waiting.last().map(|(key, _)| key.as_slice());
            let order = match (stored, memory) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(stored), Some(memory)) if self.reverse => memory.cmp(stored),
                (Some(stored), Some(memory)) => stored.cmp(memory),
            };
            // A key that moved between the two while they were read is taken from memory.
            if order.is_le()
                && let Some((key, record)) = self.waiting.pop()
                && order.is_lt()
            {
                visit(&key, &record);
                visited += 1;
            } else if let Some((key, Some(record))) = self.rows.waiting.pop() {
                visit(&key, &record);
                visited += 1;
            }
        }
        Ok(visited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ephemeral::{Ephemeral, ephemeral_bytes};

    struct Stored(Vec<(Vec<u8>, Vec<u8>)>);

    impl Cursor for Stored {
        fn next_batch(
            &mut self,
            rows_max: usize,
            visit: &mut dyn FnMut(&[u8], &[u8]),
        ) -> Result<usize> {
            let most = rows_max.min(3).min(self.0.len());
            for (key, record) in self.0.drain(..most) {
                visit(&key, &record);
            }
            Ok(most)
        }
    }

    #[test]
    fn memory_and_backend_are_one_list_in_both_directions() {
        let memory = Ephemeral::default();
        let record = |n: u8| Some(Arc::from([n].as_slice()));
        memory.apply((0..200u8).step_by(3).map(|n| (vec![n], record(n))));
        memory.apply([(vec![3], None), (vec![6], record(9))]);
        assert_eq!(memory.bytes(), 66 * ephemeral_bytes(b"k", b"r"));
        for reverse in [false, true] {
            let mut stored: Vec<_> = (0..200u8)
                .filter(|n| n % 3 == 1 && *n >= 10 && *n < 150)
                .map(|n| (vec![n], vec![n]))
                .collect();
            let mut expected: Vec<u8> = (10..150u8).filter(|n| n % 3 < 2).collect();
            if reverse {
                stored.reverse();
                expected.reverse();
            }
            let range = KeyRange {
                lo: &[10],
                hi: Some(&[150]),
                reverse,
            };
            let mut cursor = MergedCursor::new(Box::new(Stored(stored)), &memory, range);
            let mut keys = Vec::new();
            while cursor
                .next_batch(7, &mut |key, _| keys.push(key[0]))
                .unwrap()
                > 0
            {}
            assert_eq!(keys, expected, "reverse: {reverse}");
        }
    }
}
