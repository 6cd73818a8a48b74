//! Retention: which backups stay.
//!
//! Policies vote on the whole list, a rule counts the votes, floors hold whatever they say. Nothing here
//! deletes anything: the plan is carried out by `cleanup`.

mod panel;
mod plan;
#[cfg(test)]
mod plan_tests;
mod registry;
mod rule;
mod timed;

pub(crate) use panel::Panel;
pub use plan::{Ballot, Floor, Judgement, NamedVote, judge};
pub(crate) use registry::Policies;
pub use registry::{CALLBACKS_MAX, PolicyFn, is_inside_policy};
pub use rule::{Choice, POLICIES_MAX, RULE_DEPTH_MAX, RetentionRule};
