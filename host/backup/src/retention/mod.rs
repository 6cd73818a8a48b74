//! Retention: which backups stay.
//!
//! Policies vote on the whole list, a rule counts the votes, floors hold whatever they say. Nothing here
//! deletes anything: the plan is carried out by `cleanup`.

mod panel;
mod plan;
#[cfg(test)]
mod plan_tests;
mod rule;

pub(crate) use panel::Panel;
pub use plan::{Ballot, Floor, Judgement, NamedVote, judge};
pub use rule::{Choice, POLICIES_MAX, RULE_DEPTH_MAX, RetentionRule};
