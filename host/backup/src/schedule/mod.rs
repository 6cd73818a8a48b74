//! Scheduled backups and cleanups: when one is due, and the thread that makes it.
//!
//! `plan` says when, `decide` whether one is due now, both without a clock; `scheduler` holds the
//! thread, `run` is what that does turn by turn, `work` what it is made to do. What counts is what the
//! repository shows: the newest backup of this state, whoever made it, and the newest cleanup that a
//! schedule of this state wrote down.

mod decide;
mod plan;
#[cfg(test)]
mod race_tests;
mod run;
mod scheduler;
mod status;
#[cfg(test)]
mod tests;
mod work;

pub use plan::{Daily, EVERY_MS_MIN, JITTER_MS_MAX, SPAN_MS_MAX, ScheduleConfig, When};
pub use scheduler::Scheduler;
pub use status::{ScheduleStatus, ScheduledRun};
pub use work::{Backups, Cleaned, Cleanups};
