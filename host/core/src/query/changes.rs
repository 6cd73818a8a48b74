//! The keys that were changed after a commit, as the journal tells them, each about once.

use std::collections::HashSet;

use super::evaluate::Evaluator;
use crate::journal::read_journal;
use crate::namespace::Namespace;
use crate::row_batch::each_row;
use crate::stored_key::{journal_key, split_journal_key};
use crate::{KeyRange, Result, Sequence, Space};

/// Most bytes of keys that are remembered as told; beyond it some are told again.
const SEEN_BYTES_MAX: usize = 8 << 20;
/// What a remembered key takes beside its bytes, about.
const KEY_OVERHEAD_BYTES: usize = 64;

pub(crate) struct Changes {
    next: Sequence,
    seen: HashSet<Vec<u8>>,
    seen_bytes: usize,
}

impl Changes {
    /// The changes of the commits after one.
    pub(crate) fn after(sequence: Sequence) -> Changes {
        Changes {
            next: Sequence(sequence.0.saturating_add(1)),
            seen: HashSet::new(),
            seen_bytes: 0,
        }
    }

    /// Tells the keys of commits that came since the last call and that a query asks for.
    pub(crate) fn follow(
        &mut self,
        namespace: &Namespace,
        evaluator: &Evaluator<'_>,
        tell: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let lo = journal_key(self.next);
        let range = KeyRange {
            lo: &lo,
            hi: None,
            reverse: false,
        };
        let mut cursor = namespace.backend.scan(Space::Journal, range)?;
        each_row(
            |most, visit| cursor.next_batch(most, visit),
            |key, row| self.take(key, row, evaluator, tell),
        )
    }

    fn take(
        &mut self,
        key: &[u8],
        row: &[u8],
        evaluator: &Evaluator<'_>,
        tell: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let sequence = split_journal_key(key)?;
        for (_, key) in read_journal(row)?.changes {
            if !evaluator.has_key(key) || self.seen.contains(key) {
                continue;
            }
            if self.seen_bytes > SEEN_BYTES_MAX {
                self.seen.clear();
                self.seen_bytes = 0;
            }
            self.seen_bytes += key.len() + KEY_OVERHEAD_BYTES;
            self.seen.insert(key.to_vec());
            tell(key)?;
        }
        self.next = Sequence(sequence.0.saturating_add(1));
        Ok(())
    }
}
