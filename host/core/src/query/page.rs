//! The rows of a page while they are looked for: the first ones in the order, in bounded memory.

use std::collections::BTreeMap;

use super::evaluate::Match;
use crate::{Error, Result};

/// What a row takes beside its bytes, about.
const OVERHEAD_BYTES: usize = 128;

/// The first matches after a place, by their place in the order.
pub(crate) struct First {
    rows: BTreeMap<Vec<u8>, Match>,
    rows_max: usize,
    bytes: u64,
    bytes_max: u64,
    after: Option<Vec<u8>>,
    /// The first place that no longer fits; all matches before it are in `rows`.
    bound: Option<Vec<u8>>,
}

impl First {
    /// At most so many rows of so many bytes, one in any case.
    pub(crate) fn new(rows_max: usize, bytes_max: u64, after: Option<Vec<u8>>) -> First {
        First {
            rows: BTreeMap::new(),
            rows_max,
            bytes: 0,
            bytes_max,
            after,
            bound: None,
        }
    }

    /// Whether a match at a place belongs to the page as far as is known.
    pub(crate) fn wants(&self, place: &[u8]) -> bool {
        self.after.as_deref().is_none_or(|after| place > after)
            && !self.is_full_before(place)
            && !self.rows.contains_key(place)
    }

    /// Whether no match from a place on can belong to the page.
    pub(crate) fn is_full_before(&self, place: &[u8]) -> bool {
        self.bound.as_deref().is_some_and(|bound| place >= bound)
    }

    /// Takes a match that is wanted.
    pub(crate) fn take(&mut self, place: Vec<u8>, found: Match) {
        self.bytes += size(&place, &found);
        self.rows.insert(place, found);
        while self.rows.len() > self.rows_max
            || (self.bytes > self.bytes_max && self.rows.len() > 1)
        {
            let Some((place, found)) = self.rows.pop_last() else {
                return;
            };
            self.bytes -= size(&place, &found);
            self.bound = Some(place);
        }
    }

    /// The rows after the first `skip`, up to about `bytes_max` bytes of values, and the place where
    /// the next page continues, when there is one.
    ///
    /// # Errors
    /// `TooLarge` when there was no room for the rows to be skipped.
    pub(crate) fn finish(
        self,
        skip: usize,
        bytes_max: u64,
    ) -> Result<(Vec<Match>, Option<Vec<u8>>)> {
        if skip > 0
            && self.rows.len() <= skip
            && self.rows.len() < self.rows_max
            && self.bound.is_some()
        {
            return Err(Error::TooLarge {
                what: "rows of a query up to its offset; continue with `after` instead: its size",
                actual: self.bytes_max.saturating_add(1),
                limit_name: "limits.query_bytes_max",
                limit: self.bytes_max,
            });
        }
        let mut more = self.bound.is_some();
        let (mut rows, mut last, mut bytes) = (Vec::new(), None, 0u64);
        for (place, found) in self.rows.into_iter().skip(skip) {
            if bytes >= bytes_max {
                more = true;
                break;
            }
            bytes += found.value.as_bytes().len() as u64;
            rows.push(found);
            last = Some(place);
        }
        Ok((rows, last.filter(|_| more)))
    }
}

fn size(place: &[u8], found: &Match) -> u64 {
    let bytes = found.value.as_bytes().len() + found.data_key.len() + place.len();
    (bytes + OVERHEAD_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sequence, Value};

    fn row(n: u8) -> (Vec<u8>, Match) {
        let found = Match {
            data_key: vec![n],
            value: Value::bytes(vec![n; 10]),
            sequence: Sequence(n.into()),
        };
        (vec![n], found)
    }

    fn filled(mut first: First, places: impl Iterator<Item = u8>) -> First {
        for (place, found) in places.map(row) {
            if first.wants(&place) {
                first.take(place, found);
            }
        }
        first
    }

    fn keys(rows: &[Match]) -> Vec<u8> {
        rows.iter().map(|found| found.data_key[0]).collect()
    }

    #[test]
    fn the_first_rows_stay_in_whatever_order_they_come() {
        for reverse in [false, true] {
            let mut places: Vec<u8> = (0..100).chain(0..100).collect();
            if reverse {
                places.reverse();
            }
            let first = filled(First::new(5, 1 << 20, Some(vec![9])), places.into_iter());
            assert!(first.is_full_before(&[15]) && !first.is_full_before(&[14]));
            let (rows, next) = first.finish(2, 1 << 20).unwrap();
            assert_eq!((keys(&rows), next), (vec![12, 13, 14], Some(vec![14])));
        }
        let (rows, next) = filled(First::new(5, 1 << 20, None), 0..5)
            .finish(0, 1 << 20)
            .unwrap();
        assert_eq!((keys(&rows), next), (vec![0, 1, 2, 3, 4], None));
    }

    #[test]
    fn memory_is_bounded_and_a_page_ends_early() {
        let most = 3 * size(&[0], &row(0).1);
        let (rows, next) = filled(First::new(50, most, None), 0..40)
            .finish(0, 1 << 20)
            .unwrap();
        assert_eq!((keys(&rows), next), (vec![0, 1, 2], Some(vec![2])));
        let (rows, next) = filled(First::new(50, 1 << 20, None), 0..40)
            .finish(0, 15)
            .unwrap();
        assert_eq!((keys(&rows), next), (vec![0, 1], Some(vec![1])));
        let (rows, _) = filled(First::new(50, 1, None), 0..40).finish(0, 1).unwrap();
        assert_eq!(keys(&rows), [0]);
        let error = filled(First::new(50, most, None), 0..40)
            .finish(3, 1 << 20)
            .err()
            .unwrap();
        assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
        assert!(
            error.to_string().contains("limits.query_bytes_max"),
            "{error}"
        );
    }
}
