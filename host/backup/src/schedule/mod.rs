//! Scheduled backups and cleanups: when one is due, and the thread that makes it.
//!
//! `plan` says when, `decide` whether one is due now, both without a clock; `run` is the thread, `work`
//! what it does. What counts is what the repository shows: the newest backup of this state, whoever made
//! it, and the newest cleanup that a schedule of this state wrote down.

mod decide;
mod plan;
#[cfg(test)]
mod race_tests;
mod run;
mod status;
#[cfg(test)]
mod tests;
mod work;

pub use plan::{Daily, EVERY_MS_MIN, JITTER_MS_MAX, SPAN_MS_MAX, ScheduleConfig, When};
pub use run::Scheduler;
pub use status::{ScheduleStatus, ScheduledRun};
pub use work::{Backups, Cleaned, Cleanups};
