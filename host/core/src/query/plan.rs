//! Which index serves a query, and what it has to read of it.
//!
//! An index serves when its pattern covers the query's scopes and either a condition on its path
//! narrows what must be read, or the query is ordered by its path alone. Of several the one whose
//! condition narrows most is taken. Every record that is found is checked against the whole query,
//! so a plan decides the cost and never the answer.

use super::model::{Condition, Query, Test};
use super::order::{Scalar, text_prefix};
use super::path::Path;
use super::pattern::ScopePattern;
use crate::stored_key::prefix_end;

/// An index that may be used.
pub(crate) struct Choice<'i> {
    pub(crate) name: &'i str,
    pub(crate) id: u32,
    pub(crate) scope: &'i ScopePattern,
    pub(crate) path: &'i Path,
}

/// How an index is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexPlan {
    pub(crate) name: String,
    pub(crate) id: u32,
    /// Ranges of encoded values, in order and apart from one another.
    pub(crate) ranges: Vec<Range>,
    /// Rows come in the order of the query.
    pub(crate) ordered: bool,
    pub(crate) reverse: bool,
    /// Records without a row match too and come last.
    pub(crate) rest: bool,
}

/// Encoded values from the first to before the second.
pub(crate) type Range = (Vec<u8>, Vec<u8>);

/// The plan of a query: an index, or a scan when there is none that serves.
pub(crate) fn plan<'i>(
    query: &Query,
    choices: impl Iterator<Item = Choice<'i>>,
) -> Option<IndexPlan> {
    let served = choices.filter_map(|choice| {
        if !choice.scope.covers(&query.scope) {
            return None;
        }
        let (rank, plan) = serve(query, &choice)?;
        Some((rank, !plan.ordered, choice.name, plan))
    });
    served
        .min_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)))
        .map(|(_, _, _, plan)| plan)
}

/// How narrow a condition is, the narrowest first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Points,
    Between,
    OneSided,
    OrderOnly,
}

fn serve(query: &Query, choice: &Choice<'_>) -> Option<(Rank, IndexPlan)> {
    let conditions = query.conditions.iter();
    let tests: Vec<_> = conditions
        .filter(|condition| condition.path.leads_where(choice.path))
        .flat_map(|condition| &condition.tests)
        .collect();
    let by_path = match query.order.as_slice() {
        [order] => order.path.leads_where(choice.path),
        _ => false,
    };
    let ranges = ranges(&tests);
    if ranges.is_none() && !by_path {
        return None;
    }
    let mut one = false;
    let rank = match (&ranges, bounds(&tests)) {
        (None, _) => Rank::OrderOnly,
        (_, (_, _, true)) => {
            one = ranges.as_ref().is_some_and(|ranges| ranges.len() <= 1);
            Rank::Points
        }
        (_, (true, true, _)) => Rank::Between,
        _ => Rank::OneSided,
    };
    let rest = ranges.is_none();
    Some((
        rank,
        IndexPlan {
            name: choice.name.to_owned(),
            id: choice.id,
            ranges: ranges.unwrap_or_else(|| vec![everything()]),
            // The rows of one value are in the order of their keys.
            ordered: by_path || (query.order.is_empty() && one),
            reverse: by_path && query.keys_descend(),
            rest,
        },
    ))
}

/// Whether tests bound the value from below, from above, and to some points.
fn bounds(tests: &[&Test]) -> (bool, bool, bool) {
    let mut found = (false, false, false);
    for test in tests {
        match test {
            Test::Eq(_) | Test::In(_) => found.2 = true,
            Test::Lt(_) | Test::Lte(_) => found.1 = true,
            Test::Gt(_) | Test::Gte(_) => found.0 = true,
            Test::Prefix(_) => (found.0, found.1) = (true, true),
            Test::Ne(_) | Test::Exists(_) => {}
        }
    }
    found
}

/// All encodings.
pub(crate) fn everything() -> Range {
    (vec![0], vec![0xFF])
}

/// The encodings that tests leave over, or nothing when they leave over records without a row.
fn ranges(tests: &[&Test]) -> Option<Vec<Range>> {
    let mut left: Option<Vec<Range>> = None;
    for test in tests {
        let Some(of_test) = ranges_of(test) else {
            continue;
        };
        left = Some(match left {
            None => of_test,
            Some(left) => intersect(&left, &of_test),
        });
    }
    left
}

fn ranges_of(test: &Test) -> Option<Vec<Range>> {
    Some(match test {
        Test::Eq(value) => vec![point(value)],
        Test::In(values) => {
            let mut points: Vec<_> = values.iter().map(point).collect();
            // Long strings may share their encoding.
            points.dedup();
            points
        }
        Test::Lt(value) if !value.is_cut() => vec![(least(value), value.encoded())],
        Test::Lt(value) | Test::Lte(value) => vec![(least(value), point(value).1)],
        Test::Gt(value) if !value.is_cut() => vec![(point(value).1, end(value))],
        Test::Gt(value) | Test::Gte(value) => vec![(value.encoded(), end(value))],
        Test::Prefix(prefix) => {
            let lo = text_prefix(prefix);
            let hi = prefix_end(&lo).unwrap_or_else(|| everything().1);
            vec![(lo, hi)]
        }
        Test::Ne(_) | Test::Exists(_) => return None,
    })
}

fn point(value: &Scalar) -> Range {
    let lo = value.encoded();
    let hi = prefix_end(&lo).unwrap_or_else(|| everything().1);
    (lo, hi)
}

fn least(value: &Scalar) -> Vec<u8> {
    vec![value.kind().bounds().0]
}

fn end(value: &Scalar) -> Vec<u8> {
    vec![value.kind().bounds().1]
}

fn intersect(a: &[Range], b: &[Range]) -> Vec<Range> {
    let mut both = Vec::new();
    for (a_lo, a_hi) in a {
        for (b_lo, b_hi) in b {
            let (lo, hi) = (a_lo.max(b_lo), a_hi.min(b_hi));
            if lo < hi {
                both.push((lo.clone(), hi.clone()));
            }
        }
    }
    both.sort();
    both
}

/// Conditions that an index on a path narrows by, and the others.
pub(crate) fn split_conditions<'q>(
    query: &'q Query,
    path: Option<&Path>,
) -> (Vec<&'q Condition>, Vec<&'q Condition>) {
    let serves = |condition: &&Condition| {
        path.is_some_and(|path| condition.path.leads_where(path))
            && condition.tests.iter().any(|test| ranges_of(test).is_some())
    };
    query.conditions.iter().partition(serves)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
