//! The copy of a namespace as of the commit at which a swap begins, in commits of bounded size.
//!
//! Records and the index rows that follow from them come from a snapshot; history rows that had ended
//! by then, and journal rows, do not change while the swap pins the floor. What came later is left to
//! the follower.

use super::Swap;
use crate::journal::read_history_end;
use crate::row_batch::each_row;
use crate::stored_key::journal_key;
use crate::{Backend, Error};
use crate::{KeyRange, Result, Sequence, Snapshot, Space, split_key};

/// Rows that are counted at once.
const COUNT_ROWS: usize = 1_024;

impl Swap {
    /// Counts what there is to copy.
    pub(super) fn expect(&self) -> Result<()> {
        let (mut records, mut bytes) = (0, 0);
        for space in [Space::Data, Space::History, Space::Journal] {
            let source = &self.source.namespace.backend;
            let mut cursor = source.scan(space, KeyRange::default())?;
            let count = &mut |key: &[u8], row: &[u8]| {
                records += u64::from(space == Space::Data);
                bytes += (key.len() + row.len()) as u64;
            };
            while cursor.next_batch(COUNT_ROWS, count)? > 0 {
                self.progress.check()?;
            }
        }
        self.progress.expect(records, bytes);
        Ok(())
    }

    /// Copies all but the meta rows.
    pub(super) fn copy(&mut self, snapshot: &Snapshot, target: &dyn Backend) -> Result<()> {
        let mut scan = snapshot.scan()?;
        each_row(
            |most, visit| scan.next_batch(most, visit),
            |key, record| {
                let room = self.put_record(target, key, record);
                room.map_err(|error| in_key(key, error))?;
                self.copied(1, key, record)
            },
        )?;
        self.copy_past(snapshot, target)
    }

    fn copy_past(&mut self, snapshot: &Snapshot, target: &dyn Backend) -> Result<()> {
        let source = self.source.namespace.clone();
        let mut history = source.backend.scan(Space::History, KeyRange::default())?;
        each_row(
            |most, visit| history.next_batch(most, visit),
            |key, row| {
                // A later one comes with the commit that ended it.
                if read_history_end(row)? <= snapshot.sequence() {
                    self.bulk.put(target, Space::History, key, row)?;
                }
                self.copied(0, key, row)
            },
        )?;
        let hi = journal_key(Sequence(snapshot.sequence().0.saturating_add(1)));
        let until = KeyRange {
            hi: Some(&hi),
            ..KeyRange::default()
        };
        let mut journal = source.backend.scan(Space::Journal, until)?;
        each_row(
            |most, visit| journal.next_batch(most, visit),
            |key, row| {
                self.bulk.put(target, Space::Journal, key, row)?;
                self.copied(0, key, row)
            },
        )
    }

    fn copied(&self, records: u64, key: &[u8], value: &[u8]) -> Result<()> {
        let bytes = (key.len() + value.len()) as u64;
        self.progress.add(records, bytes, bytes);
        self.progress.check()
    }
}

/// Says of which record a limit speaks.
fn in_key(key: &[u8], error: Error) -> Error {
    match (split_key(key), &error) {
        (Ok((_, scope, key)), Error::TooLarge { .. }) => {
            let message = format!("the backend cannot hold `{key}` in {scope}: {error}");
            Error::other(error.kind(), message)
        }
        _ => error,
    }
}
