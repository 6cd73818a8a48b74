//! Which keys may differ between two snapshots of a namespace: those that the journal names between
//! their commits, and those whose time came between the moments by which they judge expiry.

use super::Snapshot;
use super::least_keys::LeastKeys;
use crate::index::{expiry_range, split_expiry_key};
use crate::journal::read_journal;
use crate::row_batch::each_row;
use crate::stored_key::{journal_key, split_journal_key};
use crate::{CommitKind, KeyRange, Result, Sequence, Space, UnixMs};

/// What collects keys. It may drop some when it knows which.
pub(super) trait KeySet {
    /// Whether `add` would take the key.
    fn wants(&self, key: &[u8]) -> bool;
    fn add(&mut self, key: &[u8]);
}

/// The least keys that are not below a first one.
pub(super) struct KeysFrom<'a> {
    pub(super) lo: &'a [u8],
    pub(super) keys: &'a mut LeastKeys,
}

impl KeySet for KeysFrom<'_> {
    fn wants(&self, key: &[u8]) -> bool {
        key >= self.lo && self.keys.wants(key)
    }

    fn add(&mut self, key: &[u8]) {
        if key >= self.lo {
            self.keys.add(key);
        }
    }
}

/// Collects the keys that may differ between `first` and the later `second`.
pub(super) fn find_candidates(
    first: &Snapshot,
    second: &Snapshot,
    keys: &mut impl KeySet,
) -> Result<()> {
    if let (Some(from), Some(to)) = (first.expired_at, second.expired_at) {
        find_ended(second, from, to, keys)?;
    }
    // A key that has lost its expiry row before that was read is in the journal from here on.
    second.settle();
    let lo = journal_key(Sequence(first.sequence.0 + 1));
    let range = KeyRange {
        lo: &lo,
        hi: None,
        reverse: false,
    };
    let mut cursor = second.namespace.backend.scan(Space::Journal, range)?;
    each_row(
        |most, visit| cursor.next_batch(most, visit),
        |key, row| {
            let sequence = split_journal_key(key)?;
            let row = read_journal(row)?;
            let counts = sequence <= second.sequence || row.kind == CommitKind::Expire;
            for (_, key) in row.changes {
                // What expired between the two may have been written anew after the second.
                if keys.wants(key) && (counts || second.had_ended(key)?) {
                    keys.add(key);
                }
            }
            Ok(())
        },
    )
}

/// Collects the keys of stored records whose time came after `from`, at `to` at the latest.
pub(super) fn find_ended(
    snapshot: &Snapshot,
    from: UnixMs,
    to: UnixMs,
    keys: &mut impl KeySet,
) -> Result<()> {
    let (lo, hi) = expiry_range(from, to);
    let range = KeyRange {
        lo: &lo,
        hi: Some(&hi),
        reverse: false,
    };
    let mut cursor = snapshot.namespace.backend.scan(Space::Index, range)?;
    each_row(
        |most, visit| cursor.next_batch(most, visit),
        |key, _| {
            keys.add(split_expiry_key(key)?.1);
            Ok(())
        },
    )
}
