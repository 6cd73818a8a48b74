//! A retention rule played over a calendar that has not come yet: what would be kept when, and why.
//!
//! The real policies are asked by the same panel and held by the same floors as in a cleanup after each
//! backup. No clock is read and nothing is random: the same input gives the same answer.

mod advice;
mod coverage;
mod keeper;
mod picture;
mod play;
#[cfg(test)]
pub(super) mod simulate_tests;
mod sizes;

use std::sync::Arc;

use serde::Serialize;
use statekeep_core::{Error, Phase, Plugins, Progress, Result, UnixMs};

pub use coverage::Coverage;
pub use keeper::{Keeper, KeeperKind};
pub use picture::PictureFormat;
pub use sizes::{Sizes, SizesFrom};

use crate::cleanup::RetentionConfig;
use crate::manager::{BackupManager, Ends};
use crate::retention::{Panel, Policies, RetentionRule};
use crate::schedule::{SPAN_MS_MAX, When};

/// Most backups that one simulation makes.
pub const SIMULATED_MAX: u64 = 100_000;
/// Most points of the course of a simulation.
pub const SAMPLES_OF_COURSE_MAX: usize = 480;

/// What is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulateOptions {
    /// When the first backup is made.
    pub start: UnixMs,
    /// When the next ones are.
    pub when: When,
    /// For how long, milliseconds.
    pub for_ms: u64,
    /// Most incremental backups on one full; 0 when all are full ones.
    pub chain_max: u32,
    /// A backup is a full one when the newest full one is that old; `None` leaves it to `chain_max`.
    pub full_every_ms: Option<u64>,
    /// How large backups are.
    pub sizes: Sizes,
    /// Each so many-th backup is verified as soon as it is made; 0 for none.
    pub verify_every: u32,
    /// Tags that some backups have.
    pub tags: Vec<TagEvery>,
}

/// A tag that each so many-th backup has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagEvery {
    /// The tag.
    pub tag: String,
    /// Each so many-th, from the first on; 0 counts as 1.
    pub every: u32,
}

/// The course of a simulation and its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// The rule that was played.
    pub rule: RetentionRule,
    /// The same in words.
    pub rule_in_words: String,
    /// When backups were made, in words.
    pub schedule_in_words: String,
    /// When the first backup was made, milliseconds since 1970-01-01 UTC.
    pub start_unix_ms: i64,
    /// When the simulation ended, milliseconds since 1970-01-01 UTC.
    pub end_unix_ms: i64,
    /// The zone of the calendars; empty for UTC.
    pub time_zone: String,
    /// How long forgotten backups stayed in the trash, milliseconds.
    pub grace_ms: u64,
    /// How large backups were taken to be.
    pub sizes: Sizes,
    /// Backups that were made.
    pub made: u64,
    /// Those that were forgotten again.
    pub forgotten: u64,
    /// Those that are there at the end.
    pub kept: u64,
    /// Most at a time.
    pub kept_max: u64,
    /// Bytes of those that are there at the end.
    pub bytes: u64,
    /// Most bytes at a time, without the trash.
    pub bytes_max: u64,
    /// Bytes of what is in the trash at the end.
    pub trash_bytes: u64,
    /// Most bytes at a time, with the trash: what the repository needs.
    pub bytes_max_with_trash: u64,
    /// The age of the oldest one that is there at the end, milliseconds.
    pub oldest_age_ms: u64,
    /// Between what the numbers moved in the last quarter, when they had settled.
    pub steady: Option<Steady>,
    /// What kept backups, the strongest first.
    pub keepers: Vec<Keeper>,
    /// What can be restored at the end, by age.
    pub coverage: Vec<Coverage>,
    /// What the user may not have meant, each with what to do.
    pub warnings: Vec<String>,
    /// The course, oldest first.
    pub course: Vec<Sample>,
    /// Every backup, oldest first.
    pub lifelines: Vec<Lifeline>,
}

/// Between what the numbers moved once they had settled.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Steady {
    /// Fewest backups.
    pub kept_min: u64,
    /// Most backups.
    pub kept_max: u64,
    /// Fewest bytes, without the trash.
    pub bytes_min: u64,
    /// Most bytes, without the trash.
    pub bytes_max: u64,
}

/// A stretch of the course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it ended, milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: i64,
    /// Backups then.
    pub kept: u64,
    /// Most backups in it.
    pub kept_max: u64,
    /// Of the backups then, how many each of `keepers` kept.
    pub by_keeper: Vec<u64>,
    /// Bytes then, without the trash.
    pub bytes: u64,
    /// Bytes in the trash then.
    pub trash_bytes: u64,
    /// Most bytes in it, with the trash.
    pub bytes_max_with_trash: u64,
    /// The age of the oldest backup then, milliseconds.
    pub oldest_age_ms: u64,
}

/// One backup from its making to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lifeline {
    /// An id as real ones are.
    pub id: String,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub made_unix_ms: i64,
    /// `full`, `incremental` or `synthetic`.
    pub kind: &'static str,
    /// Bytes that it wrote.
    pub stored_bytes: u64,
    /// It was verified.
    pub verified: bool,
    /// When it was forgotten; `None` when it is there at the end.
    pub forgotten_unix_ms: Option<i64>,
    /// When it was removed; `None` when it is there at the end or in the trash.
    pub removed_unix_ms: Option<i64>,
    /// What kept it last: a place in `keepers`; `None` when nothing ever did.
    pub keeper: Option<usize>,
    /// Why it is kept, or why it was forgotten.
    pub reason: String,
}

impl Simulation {
    /// A picture of it that needs nothing else: what was kept when, how much that took, and what can be
    /// restored at the end.
    pub fn picture(&self, format: PictureFormat) -> String {
        picture::draw(self, format)
    }

    fn span_ms(&self) -> u64 {
        u64::try_from(self.end_unix_ms.saturating_sub(self.start_unix_ms)).unwrap_or(1)
    }
}

/// Plays a rule. Of `retention` the graces, the time zone, the limit of the storage and that of the policies
/// count; after each backup a cleanup follows.
///
/// # Errors
/// `InvalidArgument` for a rule that cannot be made and for a time without end, `TooLarge` for more than
/// [`SIMULATED_MAX`] backups, `Cancelled`, and what a policy fails with.
pub fn simulate(
    rule: &RetentionRule,
    retention: &RetentionConfig,
    options: &SimulateOptions,
    plugins: &Arc<dyn Plugins>,
    progress: &Progress,
) -> Result<Simulation> {
    play_by(
        rule,
        retention,
        options,
        (&Policies::default(), plugins),
        progress,
    )
}

impl BackupManager {
    /// As [`simulate`], also with the policies that the program registered. Neither the state nor the
    /// repository is touched.
    ///
    /// # Errors
    /// As those of [`simulate`].
    pub fn simulate(
        &self,
        rule: &RetentionRule,
        retention: &RetentionConfig,
        options: &SimulateOptions,
        progress: &Progress,
    ) -> Result<Simulation> {
        let _ends = Ends(progress);
        progress.enter(Phase::Preparing);
        let sources = (&self.policies, self.manager.plugins());
        play_by(rule, retention, options, sources, progress)
    }
}

fn play_by(
    rule: &RetentionRule,
    retention: &RetentionConfig,
    options: &SimulateOptions,
    (policies, plugins): (&Policies, &Arc<dyn Plugins>),
    progress: &Progress,
) -> Result<Simulation> {
    if !(1..=SPAN_MS_MAX).contains(&options.for_ms) {
        let reason = format!("a simulation plays from 1 ms to {SPAN_MS_MAX} ms, ten years");
        return Err(Error::invalid("simulation", reason));
    }
    if matches!(options.when, When::EveryMs(0)) {
        let reason = "no time is between two backups; say how much";
        return Err(Error::invalid("simulation", reason));
    }
    let limit = std::time::Duration::from_millis(retention.policy_time_limit_ms);
    let panel = Panel::of(rule, policies, plugins, limit)?;
    let played = play::play(&panel, retention, options, progress)?;
    Ok(advice::sum_up(rule, retention, options, played))
}
