//! What a query will do, for people and tools.

use serde::Serialize;

use super::model::{Condition, Query};
use super::plan::split_conditions;
use super::source::Source;
use crate::Result;

/// Index rows are counted up to this many.
const ESTIMATE_MAX: u64 = 1_000;

/// How a query is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explain {
    /// The index that serves; without one all keys of the scopes are read.
    pub index: Option<String>,
    /// The conditions that narrow what is read of the index.
    pub range: Vec<String>,
    /// What is checked on each record that is read: conditions, filter, scope and key patterns.
    pub checked: Vec<String>,
    /// Where the order comes from.
    pub order: ExplainOrder,
    /// Rows that are read of the index at most, counted up to 1,000; nothing without an index.
    pub estimate: Option<u64>,
}

/// Where the order of rows comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainOrder {
    /// Rows are read in the order of their keys; reading ends with the page.
    Key,
    /// Rows are read in the order of the index; reading ends with the page.
    Index,
    /// Everything is read and the first rows are kept.
    Sort,
}

impl Explain {
    /// As JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| crate::Error::corrupt("JSON value", error.to_string()))
    }
}

impl Source<'_> {
    /// What [`Source::run`] would do.
    pub(crate) fn explain(&self, query: &Query) -> Result<Explain> {
        let plan = self.plan(query);
        let indexes = self.indexes();
        let served = plan.as_ref().and_then(|plan| {
            let index = indexes.iter().find(|index| index.id == plan.id);
            index.map(|index| &index.path)
        });
        let (range, mut checked) = split_conditions(query, served);
        let text = |conditions: &[&Condition]| -> Vec<String> {
            conditions
                .iter()
                .map(|condition| condition.to_string())
                .collect()
        };
        let (range, mut checked) = (text(&range), text(&std::mem::take(&mut checked)));
        checked.extend(
            query
                .filter
                .as_ref()
                .map(|filter| format!("filter {}", filter.text)),
        );
        checked.extend(query.key.as_ref().map(|glob| format!("key {}", glob.text)));
        if query.scope.text() != "*" {
            checked.push(format!("scope {}", query.scope.text()));
        }
        let order = match &plan {
            Some(plan) if plan.ordered && !query.order.is_empty() => ExplainOrder::Index,
            Some(plan) if plan.ordered => ExplainOrder::Key,
            None if query.order.is_empty() => ExplainOrder::Key,
            _ => ExplainOrder::Sort,
        };
        let estimate = match &plan {
            Some(plan) => Some(self.count(plan, ESTIMATE_MAX)?),
            None => None,
        };
        Ok(Explain {
            index: plan.map(|plan| plan.name),
            range,
            checked,
            order,
            estimate,
        })
    }
}
