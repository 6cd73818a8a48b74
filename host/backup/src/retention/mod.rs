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
mod simulate;
mod timed;
mod trial;
mod words;

pub(crate) use panel::Panel;
pub(crate) use plan::Decided;
pub use plan::{Ballot, Floor, Judgement, NamedVote, judge};
pub(crate) use registry::Policies;
pub use registry::{CALLBACKS_MAX, PolicyFn, is_inside_policy};
pub use rule::{Choice, POLICIES_MAX, RULE_DEPTH_MAX, RetentionRule};
pub use simulate::{
    Coverage, Keeper, KeeperKind, Lifeline, PictureFormat, SAMPLES_OF_COURSE_MAX, SIMULATED_MAX,
    Sample, SimulateOptions, Simulation, Sizes, SizesFrom, Steady, TagEvery, simulate,
};
pub(crate) use trial::try_by;
pub use trial::{DESCRIBED_MAX, DescribedBackup, Trial, try_rule};
