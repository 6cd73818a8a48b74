//! Scheduled backups: when one is due, and the thread that makes it.
//!
//! `plan` says when, `decide` whether one is due now, both without a clock; `run` is the thread. What
//! counts is the newest backup of this state in the repository, whoever made it.

mod decide;
mod plan;
#[cfg(test)]
mod race_tests;
mod run;
mod status;
#[cfg(test)]
mod tests;

pub use plan::{Daily, EVERY_MS_MIN, JITTER_MS_MAX, SPAN_MS_MAX, ScheduleConfig, When};
pub use run::Scheduler;
pub use status::{ScheduleStatus, ScheduledRun};
