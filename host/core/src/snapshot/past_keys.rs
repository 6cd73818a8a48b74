//! Keys that had another record at a past commit, from their history rows, in key order.

use std::collections::VecDeque;

use crate::journal::read_history_end;
use crate::namespace::Namespace;
use crate::stored_key::split_history_key;
use crate::{Cursor, KeyRange, Result, Sequence, Space};

/// Rows read at once.
const ROWS: usize = 256;

pub(super) struct PastKeys<'a> {
    cursor: Box<dyn Cursor + 'a>,
    sequence: Sequence,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
    waiting: VecDeque<Vec<u8>>,
    ended: bool,
}

impl<'a> PastKeys<'a> {
    /// Keys of a range of data keys with a history row that spans `sequence`.
    pub(super) fn open(
        namespace: &'a Namespace,
        range: KeyRange<'_>,
        sequence: Sequence,
    ) -> Result<PastKeys<'a>> {
        // A history key is its data key, a NUL and more, so both sort alike.
        let cursor = namespace.backend.scan(Space::History, range)?;
        Ok(PastKeys {
            cursor,
            sequence,
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
            waiting: VecDeque::new(),
            ended: false,
        })
    }

    /// Reads on until there is a next key, or none any more.
    pub(super) fn fill(&mut self) -> Result<()> {
        while self.waiting.is_empty() && !self.ended {
            let mut outcome = Ok(());
            let (waiting, sequence) = (&mut self.waiting, self.sequence);
            let (lo, hi) = (self.lo.as_slice(), self.hi.as_deref());
            let read = self.cursor.next_batch(ROWS, &mut |key, row| {
                if outcome.is_err() {
                    return;
                }
                outcome = split_history_key(key).and_then(|(data_key, first)| {
                    let inside = data_key >= lo && hi.is_none_or(|hi| data_key < hi);
                    let spans = first <= sequence && read_history_end(row)? > sequence;
                    if inside && spans {
                        waiting.push_back(data_key.to_vec());
                    }
                    Ok(())
                });
            })?;
            outcome?;
            self.ended = read == 0;
        }
        Ok(())
    }

    pub(super) fn first(&self) -> Option<&[u8]> {
        self.waiting.front().map(Vec::as_slice)
    }

    /// Goes past a key.
    pub(super) fn pass(&mut self, key: &[u8]) {
        while self.first().is_some_and(|first| first <= key) {
            self.waiting.pop_front();
        }
    }
}
