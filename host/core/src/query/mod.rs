//! Queries over JSON documents: conditions, filters, order and projection, by index or by scan.
//!
//! A [`Query`] is data, read from JSON (docs/queries.md). It answers what a scan of every record at
//! one commit would answer; an index only makes it cheaper. Raw values match nothing.

mod changes;
mod evaluate;
mod explain;
mod model;
pub(crate) mod order;
mod page;
pub(crate) mod path;
pub(crate) mod pattern;
mod plan;
mod run;
mod source;
pub(crate) mod token;

pub use explain::{Explain, ExplainOrder};
pub use model::{
    QUERY_FILTER_BYTES_MAX, QUERY_FILTER_DEPTH_MAX, QUERY_IN_MAX, QUERY_ORDER_MAX,
    QUERY_SELECT_MAX, QUERY_TEXT_BYTES_MAX, QUERY_WHERE_MAX, Query,
};
pub use path::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};
pub(crate) use source::Source;

use crate::counts::Operation;
use crate::{BlockingTenant, Key, Result, Scope, Sequence, Tenant, TenantSnapshot, Value};

/// A record that matches a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRow {
    /// Its scope.
    pub scope: Scope,
    /// Its key.
    pub key: Key,
    /// Its JSON value, or what was selected of it.
    pub value: Value,
    /// The commit that wrote it.
    pub sequence: Sequence,
}

/// What a page has cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryFacts {
    /// Records that were read and checked.
    pub examined: u64,
    /// The index that served.
    pub index: Option<String>,
}

/// A page of the rows that match a query, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryPage {
    /// The rows.
    pub rows: Vec<QueryRow>,
    /// The `after` of the next page; `None` when this is the last one.
    pub next: Option<String>,
    /// What the page has cost.
    pub facts: QueryFacts,
}

impl QueryPage {
    /// The page as JSON: `{"rows":[{"scope","key","value","sequence"}],"next","facts"}`, values as
    /// they are stored.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| crate::Error::corrupt("JSON value", error.to_string()))
    }
}

impl BlockingTenant {
    /// A page of the records that match a query, as of one commit. Records of class `ephemeral` are
    /// read as they are meanwhile.
    ///
    /// # Errors
    /// `InvalidArgument` for an `after` of another query, `TooLarge` for a page beyond
    /// `limits.page_keys_max` or an offset beyond `limits.query_bytes_max`, `Corrupt` for a record
    /// that cannot be read.
    pub fn query(&self, query: &Query) -> Result<QueryPage> {
        self.manager.committer.counts.operation(Operation::Query);
        self.with_source(|source| source.run(query))
    }

    /// How a query would be answered now.
    pub fn explain(&self, query: &Query) -> Result<Explain> {
        self.with_source(|source| source.explain(query))
    }

    fn with_source<T>(&self, read: impl FnOnce(&Source<'_>) -> Result<T>) -> Result<T> {
        let snapshot = self.manager.snapshot()?;
        read(&Source {
            tenant: self.slot.number(snapshot.namespace()),
            snapshot: &snapshot,
            plugins: &**self.manager.plugins(),
            live: true,
        })
    }
}

impl TenantSnapshot {
    /// A page of the records that matched a query at this commit. An `after` may be used at another
    /// commit.
    ///
    /// # Errors
    /// As [`BlockingTenant::query`]; `Compacted` when that past has been trimmed.
    pub fn query(&self, query: &Query) -> Result<QueryPage> {
        self.counts().operation(Operation::Query);
        self.source().run(query)
    }

    /// How a query would be answered at this commit.
    pub fn explain(&self, query: &Query) -> Result<Explain> {
        self.source().explain(query)
    }

    fn source(&self) -> Source<'_> {
        Source {
            snapshot: self.snapshot(),
            tenant: self.number(),
            plugins: self.plugins(),
            live: false,
        }
    }
}

impl Tenant {
    /// As [`BlockingTenant::query`], without blocking.
    pub async fn query(&self, query: &Query) -> Result<QueryPage> {
        let query = query.clone();
        self.aside(move |tenant| tenant.query(&query)).await
    }

    /// As [`BlockingTenant::explain`], without blocking.
    pub async fn explain(&self, query: &Query) -> Result<Explain> {
        let query = query.clone();
        self.aside(move |tenant| tenant.explain(&query)).await
    }
}
