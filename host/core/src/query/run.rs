//! Running a query at one commit: exact while writers go on.
//!
//! The commit S is pinned. Rows of an index lead to candidates, whose records are read as they were
//! at S. The index itself shows what has come since: a key that was changed after S may have lost its
//! row, so after each batch of rows the journal is followed and every key that it names is looked at
//! too, as it was at S. A row that is met and whose commit the journal does not tell yet is waited
//! for. When an index is dropped under a query, the query begins again without it.

use std::collections::HashSet;

use super::evaluate::{Evaluator, Match, place_of_key, place_of_row};
use super::model::Query;
use super::order::{split, unended};
use super::page::First;
use super::pattern::prefix_range;
use super::plan::{Choice, IndexPlan, plan};
use super::{QueryFacts, QueryPage, QueryRow, token};
use crate::index::{Index, split_value_key, value_prefix};
use crate::journal::read_journal;
use crate::list::{literal_prefix, page_limit};
use crate::snapshot::in_row;
use crate::stored_key::{journal_key, split_journal_key};
use crate::{Error, KeyRange, Plugins, Result, Sequence, Snapshot, Space, TenantNumber, split_key};

/// Rows of an index that are read at once, at first and at most.
const ROWS_FIRST: usize = 32;
const ROWS_MAX: usize = 1_024;
/// A commit that is more commits old than this is queried without an index.
const JOURNAL_COMMITS_MAX: u64 = 1_000;
/// Most bytes of keys that are remembered as looked at; beyond it some are looked at again.
const SEEN_BYTES_MAX: usize = 8 << 20;

/// What a query reads.
pub(crate) struct Source<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Missing for a tenant that has never been written to.
    pub(crate) tenant: Option<TenantNumber>,
    pub(crate) plugins: &'a dyn Plugins,
    /// Records in memory only are looked at too.
    pub(crate) live: bool,
}

impl Source<'_> {
    /// The indexes that may serve.
    pub(crate) fn indexes(&self) -> Vec<std::sync::Arc<Index>> {
        let mut all = self.snapshot.namespace().index.all();
        all.retain(|index| Some(index.number) == self.tenant && index.is_ready());
        all
    }

    /// The index that serves a query. Of a commit long past none does: the journal since then would
    /// have to be read.
    pub(crate) fn plan(&self, query: &Query) -> Option<IndexPlan> {
        let head = self.snapshot.namespace().head().0;
        if head.0.saturating_sub(self.snapshot.sequence().0) > JOURNAL_COMMITS_MAX {
            return None;
        }
        let indexes = self.indexes();
        let choices = indexes.iter().map(|index| Choice {
            name: &index.name,
            id: index.id,
            scope: &index.scope,
            path: &index.path,
        });
        plan(query, choices)
    }

    /// Runs a query.
    ///
    /// # Errors
    /// `TooLarge` for a page beyond `limits.page_keys_max` and an offset beyond
    /// `limits.query_bytes_max`; `InvalidArgument` for an `after` of another query; `Corrupt` for a
    /// record that cannot be read.
    pub(crate) fn run(&self, query: &Query) -> Result<QueryPage> {
        let limits = self.snapshot.limits();
        let limit = page_limit(limits, query.limit)?;
        let after = query.after.as_deref();
        let after = after.map(|text| token::read(query, text)).transpose()?;
        // A page that continues another has skipped its rows already.
        let skip = if after.is_some() { 0 } else { query.offset };
        let Some(tenant) = self.tenant else {
            return Ok(QueryPage::default());
        };
        let evaluator = Evaluator::new(query, self.plugins);
        loop {
            let plan = self.plan(query);
            let ordered = plan
                .as_ref()
                .map_or(query.order.is_empty(), |plan| plan.ordered);
            let bytes_max = match ordered && skip == 0 {
                true => limits.page_bytes_max.min(limits.query_bytes_max),
                false => limits.query_bytes_max,
            };
            let first = First::new(limit.saturating_add(skip), bytes_max, after.clone());
            let mut run = Run {
                source: self,
                tenant,
                query,
                evaluator: &evaluator,
                first,
                after: after.as_deref(),
                examined: 0,
            };
            let whole = match &plan {
                Some(plan) => run.index(plan)?,
                None => run.scan().map(|()| true)?,
            };
            if whole {
                let facts = QueryFacts {
                    examined: run.examined,
                    index: plan.map(|plan| plan.name),
                };
                let (rows, next) = run.first.finish(skip, limits.page_bytes_max)?;
                return page(query, rows, next.as_deref(), facts);
            }
        }
    }

    /// The number of rows of an index that a plan reads, counted up to `most`.
    pub(crate) fn count(&self, plan: &IndexPlan, most: u64) -> Result<u64> {
        let mut count = 0;
        for range in &plan.ranges {
            let (lo, hi) = row_range(plan.id, range);
            let range = KeyRange {
                lo: &lo,
                hi: Some(&hi),
                reverse: false,
            };
            let mut cursor = self
                .snapshot
                .namespace()
                .backend
                .scan(Space::Index, range)?;
            loop {
                let read = cursor.next_batch(ROWS_MAX, &mut |_, _| count += 1)?;
                if read == 0 {
                    break;
                }
                if count >= most {
                    return Ok(most);
                }
            }
        }
        Ok(count)
    }
}

fn page(
    query: &Query,
    rows: Vec<Match>,
    next: Option<&[u8]>,
    facts: QueryFacts,
) -> Result<QueryPage> {
    let row = |found: Match| {
        let (_, scope, key) = split_key(&found.data_key)?;
        Ok(QueryRow {
            scope,
            key,
            value: found.value,
            sequence: found.sequence,
        })
    };
    Ok(QueryPage {
        rows: rows.into_iter().map(row).collect::<Result<_>>()?,
        next: next.map(|place| token::write(query, place)),
        facts,
    })
}

fn row_range(id: u32, (lo, hi): &(Vec<u8>, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    let prefix = value_prefix(id);
    ([&prefix[..], lo].concat(), [&prefix[..], hi].concat())
}

/// A query in progress.
struct Run<'r, 'q> {
    source: &'r Source<'r>,
    tenant: TenantNumber,
    query: &'q Query,
    evaluator: &'r Evaluator<'q>,
    first: First,
    after: Option<&'r [u8]>,
    examined: u64,
}

/// Keys that the journal names after S.
struct Changes {
    next: Sequence,
    seen: HashSet<Vec<u8>>,
    seen_bytes: usize,
}

impl Run<'_, '_> {
    /// Reads by an index. Answers false when the index was dropped meanwhile.
    fn index(&mut self, plan: &IndexPlan) -> Result<bool> {
        self.memory()?;
        let mut changes = Changes {
            next: Sequence(self.source.snapshot.sequence().0.saturating_add(1)),
            seen: HashSet::new(),
            seen_bytes: 0,
        };
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
        if plan.rest && !self.first.is_full() {
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
            snapshot.settle();
            self.follow(changes)?;
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

    /// Looks at the keys of commits that came since the last call, as they were at S.
    fn follow(&mut self, changes: &mut Changes) -> Result<()> {
        let lo = journal_key(changes.next);
        let range = KeyRange {
            lo: &lo,
            hi: None,
            reverse: false,
        };
        let namespace = self.source.snapshot.namespace().clone();
        let mut cursor = namespace.backend.scan(Space::Journal, range)?;
        loop {
            let mut keys = Vec::new();
            let mut failure = None;
            let read = cursor.next_batch(64, &mut |key, row| {
                if failure.is_none() {
                    failure = changes.note(key, row, self.evaluator, &mut keys).err();
                }
            })?;
            if let Some(error) = failure {
                return Err(error);
            }
            for key in keys {
                self.look_at(&key)?;
            }
            if read == 0 {
                return Ok(());
            }
        }
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
    fn scan(&mut self) -> Result<()> {
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

impl Changes {
    /// Takes the keys of a journal row that a query asks for and that it has not looked at.
    fn note(
        &mut self,
        key: &[u8],
        row: &[u8],
        evaluator: &Evaluator<'_>,
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let sequence = split_journal_key(key)?;
        for (_, key) in read_journal(row)?.changes {
            if !evaluator.has_key(key) || self.seen.contains(key) {
                continue;
            }
            if self.seen_bytes > SEEN_BYTES_MAX {
                self.seen.clear();
                self.seen_bytes = 0;
            }
            self.seen_bytes += key.len() + 64;
            self.seen.insert(key.to_vec());
            keys.push(key.to_vec());
        }
        self.next = Sequence(sequence.0.saturating_add(1));
        Ok(())
    }
}
