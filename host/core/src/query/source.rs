//! What a query reads: a tenant at one commit, and the indexes that may serve.

use std::sync::Arc;

use super::evaluate::{Evaluator, Match};
use super::model::Query;
use super::page::First;
use super::plan::{Choice, IndexPlan, plan};
use super::run::{Run, row_range};
use super::{QueryFacts, QueryPage, QueryRow, token};
use crate::index::Index;
use crate::list::page_limit;
use crate::{KeyRange, Plugins, Result, Snapshot, Space, TenantNumber, split_key};

/// A commit that is more commits old than this is queried without an index.
const JOURNAL_COMMITS_MAX: u64 = 1_000;
/// Rows of an index that are counted at once.
const COUNT_ROWS: usize = 1_024;

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
    pub(crate) fn indexes(&self) -> Vec<Arc<Index>> {
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
                let read = cursor.next_batch(COUNT_ROWS, &mut |_, _| count += 1)?;
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
