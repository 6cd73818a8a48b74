//! Cleanup: what the policies forget is deleted by one record, can be undeleted for a grace, and is then
//! removed by the collector.

mod collect;
mod deletion;
mod judge;
mod state;
mod trash;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use serde::Serialize;
use statekeep_core::{Error, ErrorKind, Phase, Progress, Result, UnixMs};

pub use collect::Collected;
pub use deletion::{DELETED_MAX, DeletedBackup, Deletion, DeletionId};
pub use state::{StateCleanup, StateRows};
pub use trash::TrashRow;

use crate::manager::{BackupManager, Ends};
use crate::name::{BackupId, Folder};
use crate::repository::Repository;
use crate::retention::{DescribedBackup, Judgement, RetentionRule, try_by};

const DAY_MS: u64 = 86_400_000;
/// How often a cleanup that waits for another one looks whether it was cancelled.
const TURN_CHECK: Duration = Duration::from_millis(50);

/// Which backups stay, and how long what goes can come back.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionConfig {
    /// The policies; `None` keeps every backup.
    pub rule: Option<RetentionRule>,
    /// How long a deleted backup can be undeleted, milliseconds.
    pub grace_ms: u64,
    /// How long no policy may forget a backup that was made before a restore, milliseconds.
    pub safety_grace_ms: u64,
    /// The time zone of calendars; empty for UTC.
    pub time_zone: String,
    /// How many bytes the repository may have; `None` for any number.
    pub storage_bytes_max: Option<u64>,
    /// How long a policy may take, milliseconds.
    pub policy_time_limit_ms: u64,
    /// A cleanup follows each backup.
    pub automatic: bool,
    /// Cleanups remove of the state itself what has expired and the past that its limits do not keep.
    pub state: bool,
}

impl Default for RetentionConfig {
    fn default() -> RetentionConfig {
        RetentionConfig {
            rule: None,
            grace_ms: 7 * DAY_MS,
            safety_grace_ms: 7 * DAY_MS,
            time_zone: String::new(),
            storage_bytes_max: None,
            policy_time_limit_ms: 10_000,
            automatic: false,
            state: false,
        }
    }
}

/// How to clean up.
#[derive(Clone, Debug, Default)]
pub struct CleanupOptions {
    /// Delete nothing, only say what would be.
    pub dry_run: bool,
    /// Other policies than the configured ones.
    pub rule: Option<RetentionRule>,
    /// Another grace than the configured one, milliseconds.
    pub grace_ms: Option<u64>,
    /// Whether the state itself is cleaned up too; as configured when `None`.
    pub state: Option<bool>,
    /// Who asks for it; may be empty.
    pub principal: String,
}

/// What a cleanup did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanupReport {
    /// Nothing was deleted, since only a plan was asked for.
    pub dry_run: bool,
    /// Backups that were judged.
    pub evaluated: u64,
    /// Those that stay.
    pub retained: u64,
    /// Those that were deleted; they can be undeleted until the end of their grace.
    pub deleted: u64,
    /// Those that would have been, in a dry run.
    pub would_delete: u64,
    /// The deletion, if one was written.
    pub deletion: Option<DeletionId>,
    /// Until when it can be undone, milliseconds since 1970-01-01 UTC.
    pub grace_until_unix_ms: Option<i64>,
    /// Earlier deletions that were carried out.
    pub collected: Collected,
    /// Bytes that were freed.
    pub space_freed: u64,
    /// What became of each backup and why, oldest first in each series.
    pub decisions: Vec<Judgement>,
    /// What became of the state itself.
    pub state: StateCleanup,
    /// Why nothing was decided: a policy failed.
    pub failure: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

impl BackupManager {
    /// Gives the manager its retention.
    #[must_use]
    pub fn with_retention(mut self, retention: RetentionConfig) -> BackupManager {
        self.retention = RwLock::new(Arc::new(retention));
        self
    }

    /// Its retention.
    pub fn retention(&self) -> Arc<RetentionConfig> {
        Arc::clone(&self.retention.read())
    }

    /// Gives the manager another retention, which holds from the next cleanup on. Every policy of it is
    /// opened before, and asked about one backup.
    ///
    /// # Errors
    /// `InvalidArgument` for a rule that cannot be made and when a policy fails, `NotFound` for one that is not
    /// there; the retention is then the one from before.
    pub fn set_retention(&self, retention: RetentionConfig) -> Result<()> {
        if let Some(rule) = &retention.rule {
            let one = [DescribedBackup {
                age_ms: Some(0),
                ..DescribedBackup::default()
            }];
            let (policies, plugins) = (&self.policies, self.manager.plugins());
            let at = self.state().clock().now();
            let trial = try_by(rule, &retention, &one, at, policies, plugins)?;
            if let Some(why) = trial.failure {
                let reason = format!("{why}; nothing was changed");
                return Err(Error::invalid("retention", reason));
            }
        }
        *self.retention.write() = Arc::new(retention);
        Ok(())
    }

    /// Deletes what the policies forget, and removes what was deleted longer ago than its grace. When a
    /// policy fails nothing is deleted, and the report says why. Where that is asked for, also removes what
    /// has expired in the state and the past that its limits do not keep.
    ///
    /// # Errors
    /// `Unsupported` without any policy, unless the state is cleaned up, and what keeps the repository from being read or written.
    pub fn cleanup(&self, options: &CleanupOptions, progress: &Progress) -> Result<CleanupReport> {
        self.clean_up_alone(options, true, progress)
    }

    /// A cleanup as configured, which without any policy only carries out earlier deletions.
    ///
    /// # Errors
    /// As [`BackupManager::cleanup`].
    pub(crate) fn scheduled_cleanup(&self, progress: &Progress) -> Result<CleanupReport> {
        self.clean_up_alone(&CleanupOptions::default(), false, progress)
    }

    /// One cleanup after the other: two at once would be safe, but judge and list everything twice.
    fn clean_up_alone(
        &self,
        options: &CleanupOptions,
        needs_rule: bool,
        progress: &Progress,
    ) -> Result<CleanupReport> {
        let _ends = Ends(progress);
        let mut turn = None;
        while turn.is_none() && !options.dry_run {
            progress.check()?;
            turn = self.cleaning.try_lock_for(TURN_CHECK);
        }
        let outcome = self.clean_up(options, needs_rule, progress);
        self.tell_cleanup(options, &outcome);
        outcome
    }

    fn clean_up(
        &self,
        options: &CleanupOptions,
        needs_rule: bool,
        progress: &Progress,
    ) -> Result<CleanupReport> {
        let started = Instant::now();
        progress.enter(Phase::Preparing);
        let retention = self.retention();
        let mut report = CleanupReport {
            dry_run: options.dry_run,
            state: StateCleanup::of(self.state()),
            ..CleanupReport::default()
        };
        let cleans_state = options.state.unwrap_or(retention.state);
        let rule = options.rule.as_ref().or(retention.rule.as_ref());
        if needs_rule && rule.is_none() && !cleans_state {
            let message = "no retention policy is configured, so every backup stays; set \
                           `backup.max_backups` or `retention.policies`, or name a policy";
            return Err(Error::other(ErrorKind::Unsupported, message));
        }
        if let Some(repository) = self.find()? {
            self.clean_up_backups(
                &repository,
                (rule, &retention),
                (options, progress),
                &mut report,
            )?;
        }
        if cleans_state {
            report.state.carry_out(self.state(), options.dry_run);
        }
        report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }

    fn clean_up_backups(
        &self,
        repository: &Repository,
        (rule, retention): (Option<&RetentionRule>, &RetentionConfig),
        (options, progress): (&CleanupOptions, &Progress),
        report: &mut CleanupReport,
    ) -> Result<()> {
        match rule
            .map(|rule| {
                let now = UnixMs(repository.now_ms());
                self.judge_all(repository, (rule, retention), now)
            })
            .transpose()?
        {
            None => {}
            Some(Ok(decisions)) => report.decisions = decisions,
            Some(Err(error)) => report.failure = Some(error.to_string()),
        }
        report.evaluated = report.decisions.len() as u64;
        let mut going: Vec<&Judgement> = report
            .decisions
            .iter()
            .filter(|judged| !judged.keep)
            .collect();
        going.sort_by_key(|judged| judged.priority);
        let count = going.len() as u64;
        report.retained = report.evaluated - count;
        if options.dry_run {
            report.would_delete = count;
        } else {
            if !going.is_empty() {
                let grace_ms = options.grace_ms.unwrap_or(retention.grace_ms);
                let backups = going
                    .iter()
                    .map(|judged| {
                        Ok(DeletedBackup {
                            id: BackupId::parse(&judged.backup)?,
                            reason: judged.reason.clone(),
                        })
                    })
                    .collect::<Result<_>>()?;
                let deletion = repository.put_deletion(backups, grace_ms, &options.principal)?;
                report.deleted = count;
                report.deletion = Some(deletion.id);
                report.grace_until_unix_ms = Some(deletion.grace_until_unix_ms);
            }
            report.collected = repository.collect(progress)?;
            report.space_freed = report.collected.space_freed;
        }
        Ok(())
    }

    /// The cleanup that follows a backup. The backup stands whatever becomes of it.
    pub(crate) fn clean_up_after(&self) {
        let retention = self.retention();
        let asks = retention.rule.is_some() || retention.state;
        if !retention.automatic || !asks {
            return;
        }
        let done = self.cleanup(&CleanupOptions::default(), &Progress::new());
        if let Ok(report) = &done
            && let Some(why) = &report.state.failure
        {
            tracing::warn!(why, "the state was not cleaned up after a backup was made");
        }
        match done {
            Ok(CleanupReport {
                failure: Some(why), ..
            }) => tracing::warn!(why, "no backup was judged after a backup was made"),
            Ok(report) => tracing::info!(
                deleted = report.deleted,
                purged = report.collected.purged.len(),
                freed = report.space_freed,
                "backups were cleaned up"
            ),
            Err(error) => tracing::warn!(%error, "backups were not cleaned up"),
        }
    }
}

pub(crate) fn storage_bytes(repository: &Repository) -> Result<u64> {
    let mut bytes = 0_u64;
    for folder in [Folder::Segments, Folder::Runs] {
        let objects = repository.store.list(folder, "")?.objects;
        bytes = objects
            .iter()
            .fold(bytes, |sum, object| sum.saturating_add(object.len));
    }
    Ok(bytes)
}
