//! Running a query at one commit: exact while writers go on.
//!
//! The commit S is pinned. Rows of an index lead to candidates, whose records are read as they were
//! at S. The index itself shows what has come since: a key that was changed after S may have lost its
//! row, so after each batch of rows the journal is followed and every key that it names is looked at
//! too, as it was at S. A row that is met and whose commit the journal does not tell yet is waited
//! for. When an index is dropped under a query, the query begins again without it.

use super::changes::Changes;
use super::evaluate::{Evaluator, NO_VALUE, place_of_key, place_of_row};
use super::model::Query;
use super::order::{split, unended};
use super::page::First;
use super::pattern::prefix_range;
use super::plan::{IndexPlan, Range};
use super::source::Source;
use crate::index::{split_value_key, value_prefix};
use crate::list::literal_prefix;
use crate::snapshot::in_row;
use crate::{KeyRange, Result, Space, TenantNumber};

/// Rows of an index that are read at once, at first and at most.
const ROWS_FIRST: usize = 32;
const ROWS_MAX: usize = 1_024;

/// The index rows of a range of values.
pub(crate) fn row_range(id: u32, (lo, hi): &Range) -> Range {
    let prefix = value_prefix(id);
    ([&prefix[..], lo].concat(), [&prefix[..], hi].concat())
}

/// A query in progress.
pub(crate) struct Run<'r, 'q> {
    pub(crate) source: &'r Source<'r>,
    pub(crate) tenant: TenantNumber,
    pub(crate) query: &'q Query,
    pub(crate) evaluator: &'r Evaluator<'q>,
    pub(crate) first: First,
    pub(crate) after: Option<&'r [u8]>,
    pub(crate) examined: u64,
}

impl Run<'_, '_> {
    /// Reads by an index. Answers false when the index was dropped meanwhile.
    pub(crate) fn index(&mut self, plan: &IndexPlan) -> Result<bool> {
        self.memory()?;
        let mut changes = Changes::after(self.source.snapshot.sequence());
        let mut ranges: Vec<_> = plan.ranges.iter().collect();
        if plan.reverse {
            ranges.reverse();
        }
        for range in ranges {
            let (mut lo, mut hi) = row_range(plan.id, range);
            self.narrow(plan, &mut lo, &mut hi);
            if lo >= hi {
                continue;
            }
            let range = KeyRange {
                lo: &lo,
                hi: Some(&hi),
                reverse: plan.reverse,
            };
            match self.index_range(plan, range, &mut changes)? {
                Outcome::Ended => {}
                Outcome::Full => return Ok(true),
                Outcome::Dropped => return Ok(false),
            }
        }
        // A key that was changed may stand among the rest already, before others of it are found.
        if plan.rest && !self.first.is_full_before(&[NO_VALUE]) {
            self.scan()?;
        }
        Ok(true)
    }

    fn index_range(
        &mut self,
        plan: &IndexPlan,
        range: KeyRange<'_>,
        changes: &mut Changes,
    ) -> Result<Outcome> {
        let snapshot = self.source.snapshot;
        let namespace = snapshot.namespace();
        let mut cursor = namespace.backend.scan(Space::Index, range)?;
        let mut rows_max = ROWS_FIRST;
        loop {
            let mut rows: Vec<Vec<u8>> = Vec::new();
            let mut ended = false;
            while rows.len() < rows_max && !ended {
                let most = rows_max - rows.len();
                ended = cursor.next_batch(most, &mut |key, _| rows.push(key.to_vec()))? == 0;
            }
            // Where a scan sees one instant, it sees each commit with its journal row or not at all.
            if !namespace.capabilities.snapshot_scans {
                snapshot.settle();
            }
            changes.follow(namespace, self.evaluator, &mut |key| self.look_at(key))?;
            if !namespace.index.has(plan.id) {
                return Ok(Outcome::Dropped);
            }
            for row in &rows {
                let (encoding, data_key) = split_value_key(row)?;
                if plan.ordered {
                    let place = match self.query.order.is_empty() {
                        true => place_of_key(data_key),
                        false => place_of_row(encoding, data_key, plan.reverse),
                    };
                    if self.first.is_full_before(&place) {
                        return Ok(Outcome::Full);
                    }
                }
                self.look_at(data_key)?;
            }
            if ended {
                return Ok(Outcome::Ended);
            }
            rows_max = (rows_max * 2).min(ROWS_MAX);
        }
    }

    /// Leaves out the rows up to the place where an ordered query continues.
    fn narrow(&self, plan: &IndexPlan, lo: &mut Vec<u8>, hi: &mut Vec<u8>) {
        let Some(after) = self.after.filter(|_| plan.ordered) else {
            return;
        };
        let prefix = value_prefix(plan.id);
        if self.query.order.is_empty() {
            // All rows have the same value, and `lo` is all of its encoding.
            if let Some(data_key) = self.data_key(after) {
                *lo = [&lo[..], &data_key, b"\0"].concat();
            }
        } else if plan.reverse {
            match self.row_at(after, true) {
                Some(row) => *hi = [&prefix[..], &row].concat().min(hi.clone()),
                None => hi.clone_from(lo),
            }
        } else {
            match self.row_at(after, false) {
                Some(row) => *lo = [&prefix[..], &row, b"\0"].concat().max(lo.clone()),
                None => lo.clone_from(hi),
            }
        }
    }

    /// The row of an index at a place in its order, without what all rows begin with. Nothing for a
    /// place behind all rows, that of a record without one.
    fn row_at(&self, place: &[u8], reverse: bool) -> Option<Vec<u8>> {
        let (0, rest) = place.split_first().map(|(first, rest)| (*first, rest))? else {
            return None;
        };
        let rest: Vec<u8> = rest
            .iter()
            .map(|byte| if reverse { !byte } else { *byte })
            .collect();
        let (encoding, _, key) = split(&rest)?;
        Some([encoding, &self.data_key(key)?].concat())
    }

    /// The data key of a place in the order of keys.
    fn data_key(&self, place: &[u8]) -> Option<Vec<u8>> {
        let key = unended(place)?;
        Some([&self.tenant.0.to_be_bytes()[..], &key].concat())
    }

    /// Looks at a key as it was at S.
    fn look_at(&mut self, data_key: &[u8]) -> Result<()> {
        if self.is_own(data_key)
            && let Some(record) = self.source.snapshot.record(data_key)?
        {
            self.offer(data_key, &record)?;
        }
        Ok(())
    }

    fn is_own(&self, data_key: &[u8]) -> bool {
        data_key.starts_with(&self.tenant.0.to_be_bytes()) && self.evaluator.has_key(data_key)
    }

    fn offer(&mut self, data_key: &[u8], record: &[u8]) -> Result<()> {
        self.examined += 1;
        let wanted = |place: &[u8]| self.first.wants(place);
        let found = self.evaluator.examine(data_key, record, wanted);
        if let Some((place, found)) = found.map_err(|error| in_row(data_key, error))? {
            self.first.take(place, found);
        }
        Ok(())
    }

    /// What the stored keys of the query's scopes and keys begin with.
    fn key_prefix(&self) -> Vec<u8> {
        let mut prefix = self.query.scope.key_prefix(self.tenant);
        if let Some(glob) = self
            .query
            .key
            .as_ref()
            .filter(|_| self.query.scope.is_one())
        {
            prefix.extend_from_slice(literal_prefix(&glob.text).as_bytes());
        }
        prefix
    }

    /// Reads every record that may match, in the order of keys.
    pub(crate) fn scan(&mut self) -> Result<()> {
        self.memory()?;
        let (mut lo, hi) = prefix_range(self.key_prefix());
        let by_key = self.query.order.is_empty();
        if let Some(after) = self.after.filter(|_| by_key)
            && let Some(key) = self.data_key(after)
        {
            lo = lo.max([&key[..], b"\0"].concat());
        }
        if hi.as_ref().is_some_and(|hi| lo >= *hi) {
            return Ok(());
        }
        let range = KeyRange {
            lo: &lo,
            hi: hi.as_deref(),
            reverse: false,
        };
        let mut scan = self.source.snapshot.scan_range(range)?;
        let (mut outcome, mut full) = (Ok(()), false);
        loop {
            let read = scan.next_batch(16, &mut |data_key, record| {
                full |= by_key && self.first.is_full_before(&place_of_key(data_key));
                if outcome.is_ok() && !full && self.is_own(data_key) {
                    outcome = self.offer(data_key, record);
                }
            })?;
            if read == 0 || full || outcome.is_err() {
                return outcome;
            }
        }
    }

    /// Looks at the records in memory only, as they are.
    fn memory(&mut self) -> Result<()> {
        let namespace = self.source.snapshot.namespace().clone();
        if !self.source.live || namespace.ephemeral.is_empty() {
            return Ok(());
        }
        let (lo, hi) = prefix_range(self.key_prefix());
        let range = KeyRange {
            lo: &lo,
            hi: hi.as_deref(),
            reverse: false,
        };
        let mut last: Option<Vec<u8>> = None;
        loop {
            let rows = namespace.ephemeral.range(range, last.as_deref(), 256);
            let Some((key, _)) = rows.last() else {
                return Ok(());
            };
            last = Some(key.clone());
            for (data_key, record) in rows {
                let shown = self.is_own(&data_key) && self.source.snapshot.shows(&record);
                // A key that was stored at S is what it was at S.
                if shown && self.source.snapshot.record(&data_key)?.is_none() {
                    self.offer(&data_key, &record)?;
                }
            }
        }
    }
}

/// How the reading of a range of index rows ended.
enum Outcome {
    Ended,
    /// No later row can belong to the page.
    Full,
    Dropped,
}
