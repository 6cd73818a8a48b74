//! The proof that a copy is the state: as of one commit, both sides have the same rows, and the copy's
//! index rows are those that the records give.

use std::collections::BTreeMap;

use super::Swap;
use crate::index::index_of;
use crate::journal::read_history_end;
use crate::row_batch::{Visit, each_row};
use crate::stored_key::journal_key;
use crate::{Backend, Error, KeyRange, Progress, Result, Sequence, Snapshot, Space, StateDigest};

/// Rows, their bytes and their digest.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) digest: StateDigest,
}

impl Sums {
    /// Of the rows of a cursor that `counts` says to count.
    fn of(
        progress: &Progress,
        next: impl FnMut(usize, &mut Visit<'_>) -> Result<usize>,
        mut counts: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<Sums> {
        let mut sums = Sums::default();
        each_row(next, |key, value| {
            progress.check()?;
            if counts(key, value)? {
                sums.add(key, value);
            }
            Ok(())
        })?;
        Ok(sums)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        self.bytes += (key.len() + value.len()) as u64;
        self.digest.add(key, value);
    }

    fn of_space(
        progress: &Progress,
        backend: &dyn Backend,
        space: Space,
        hi: Option<&[u8]>,
        counts: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<Sums> {
        let range = KeyRange {
            hi,
            ..KeyRange::default()
        };
        let mut cursor = backend.scan(space, range)?;
        Sums::of(
            progress,
            |most, visit| cursor.next_batch(most, visit),
            counts,
        )
    }
}

impl Swap {
    /// Compares the records, history and journal that both sides have as of a snapshot that the
    /// target has come to, and the target's index rows with those of the records; answers the sums of
    /// the records. `ready` are indexes that were whole before the snapshot.
    ///
    /// # Errors
    /// `Corrupt` when they differ.
    pub(super) fn verify(
        &self,
        snapshot: &Snapshot,
        ready: &[u32],
        target: &dyn Backend,
    ) -> Result<Sums> {
        let (progress, source) = (&self.progress, &*self.source.namespace.backend);
        let all = |_: &[u8], _: &[u8]| Ok(true);
        let mut wanted = IndexSums::default();
        let mut scan = snapshot.scan()?;
        let records = Sums::of(
            progress,
            |most, visit| scan.next_batch(most, visit),
            |key, record| {
                let rows = self.index_rows(key, record);
                rows.iter().try_for_each(|row| wanted.add(row))?;
                Ok(true)
            },
        )?;
        let copied = Sums::of_space(progress, target, Space::Data, None, all)?;
        compare("records", &records, &copied)?;

        let ended = |_: &[u8], row: &[u8]| Ok(read_history_end(row)? <= snapshot.sequence());
        let there = Sums::of_space(progress, source, Space::History, None, ended)?;
        let copied = Sums::of_space(progress, target, Space::History, None, all)?;
        compare("history rows", &there, &copied)?;

        let hi = journal_key(Sequence(snapshot.sequence().0.saturating_add(1)));
        let there = Sums::of_space(progress, source, Space::Journal, Some(&hi), all)?;
        let copied = Sums::of_space(progress, target, Space::Journal, None, all)?;
        compare("journal rows", &there, &copied)?;

        let mut found = IndexSums::default();
        let add = |row: &[u8], _: &[u8]| found.add(row).map(|()| true);
        Sums::of_space(progress, target, Space::Index, None, add)?;
        // An index that is being built or was dropped meanwhile may lack rows or have some left.
        let known = &self.source.namespace.index;
        let whole = ready.iter().filter(|id| known.has(**id)).copied().map(Some);
        for index in whole.chain([None]) {
            let what = match index {
                Some(id) => format!("rows of the index with the id {id}"),
                None => "expiry rows".to_owned(),
            };
            compare(&what, &wanted.of(index), &found.of(index))?;
        }
        Ok(records)
    }
}

/// Sums of the rows of each index, and of those of expiries.
#[derive(Default)]
struct IndexSums(BTreeMap<Option<u32>, Sums>);

impl IndexSums {
    fn add(&mut self, row: &[u8]) -> Result<()> {
        self.0.entry(index_of(row)?).or_default().add(row, &[]);
        Ok(())
    }

    fn of(&self, index: Option<u32>) -> Sums {
        self.0.get(&index).copied().unwrap_or_default()
    }
}

fn compare(what: &str, source: &Sums, target: &Sums) -> Result<()> {
    if source == target {
        return Ok(());
    }
    let reason = format!(
        "the state has {} {what} with the digest {} and the copy has {} with {}; the state is as it \
         was, check its disk and memory before you try again",
        source.rows, source.digest, target.rows, target.digest
    );
    Err(Error::corrupt("copy of the state", reason))
}
