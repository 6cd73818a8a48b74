//! Cleanup: what the policies forget is deleted by one record, can be undeleted for a grace, and is then
//! removed by the collector.

mod collect;
mod deletion;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use serde::Serialize;
use statekeep_core::{
    BackupFacts, BackupSort, Circumstances, Error, ErrorKind, Phase, Progress, Result, UnixMs,
};

pub use collect::Collected;
pub use deletion::{DELETED_MAX, DeletedBackup, Deletion, DeletionId};
pub use state::{StateCleanup, StateRows};

use crate::list::{BackupSummary, not_found};
use crate::manager::{BackupManager, Ends};
use crate::manifest::BackupKind;
use crate::name::{BackupId, Folder, ObjectName};
use crate::repository::Repository;
use crate::restore::SAFETY_TAG;
use crate::retention::{DescribedBackup, Judgement, Panel, RetentionRule, Trial, try_by};
use deletion::End;

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

/// A backup that is deleted and can still come back, or is about to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrashRow {
    /// Its id.
    pub id: BackupId,
    /// The deletion it is under.
    pub deletion: DeletionId,
    /// When it was deleted, milliseconds since 1970-01-01 UTC.
    pub deleted_unix_ms: i64,
    /// Until when it can surely be undeleted, milliseconds since 1970-01-01 UTC.
    pub grace_until_unix_ms: i64,
    /// Why it was deleted.
    pub reason: String,
    /// Who asked for it; may be empty.
    pub principal: String,
    /// It is decided: it cannot come back.
    pub purged: bool,
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
    /// `InvalidArgument` for a rule that cannot be made and when a policy fails, `Plugin` for one that is not
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

    /// What the policies say of every backup at a moment; the inner error is one of theirs.
    fn judge_all(
        &self,
        repository: &Repository,
        (rule, retention): (&RetentionRule, &RetentionConfig),
        now: UnixMs,
    ) -> Result<Result<Vec<Judgement>>> {
        let list = repository.list()?;
        if let Some(problem) = list.problems.first() {
            let message = format!(
                "not every backup can be read, so none is judged: {problem}; `repository check` shows \
                 what is wrong"
            );
            return Ok(Err(Error::other(ErrorKind::Corrupt, message)));
        }
        // Without what deleted backups take until the end of their grace: to forget more would not free it
        // earlier, and each cleanup would forget more.
        let bytes = list.backups.iter().map(|backup| backup.stored_bytes);
        let circumstances = Circumstances {
            now,
            storage_bytes: bytes.fold(0, u64::saturating_add),
            storage_bytes_max: retention.storage_bytes_max,
            time_zone: retention.time_zone.clone(),
        };
        let mut series: BTreeMap<&str, Vec<&BackupSummary>> = BTreeMap::new();
        for backup in &list.backups {
            series.entry(&backup.series).or_default().push(backup);
        }
        Ok(self.judge_series(series.into_values(), (rule, retention), circumstances))
    }

    fn judge_series<'a>(
        &self,
        series: impl Iterator<Item = Vec<&'a BackupSummary>>,
        (rule, retention): (&RetentionRule, &RetentionConfig),
        mut circumstances: Circumstances,
    ) -> Result<Vec<Judgement>> {
        let limit = Duration::from_millis(retention.policy_time_limit_ms);
        let panel = Panel::of(rule, &self.policies, self.manager.plugins(), limit)?;
        let mut judged = Vec::new();
        for backups in series {
            let facts: Arc<[BackupFacts]> = facts(&backups).into();
            let (seen, grace_ms) = (Arc::new(circumstances.clone()), retention.safety_grace_ms);
            let of_series = panel.judge(&facts, &seen, grace_ms)?;
            let goes = of_series.iter().filter(|judged| !judged.keep);
            // What one series gives up no other one has to.
            circumstances.storage_bytes = goes
                .fold(circumstances.storage_bytes, |bytes, judged| {
                    bytes.saturating_sub(judged.stored_bytes)
                });
            judged.extend(of_series);
        }
        Ok(judged)
    }

    /// Tries a rule: on the backups that there are, or on described ones; at a moment, or now. Nothing is
    /// deleted.
    ///
    /// # Errors
    /// `InvalidArgument` for a rule that cannot be made and for what describes no backup, and what keeps
    /// the repository from being read.
    pub fn try_rule(
        &self,
        rule: &RetentionRule,
        backups: Option<&[DescribedBackup]>,
        at: Option<UnixMs>,
    ) -> Result<Trial> {
        let at = at.unwrap_or_else(|| self.state().clock().now());
        let (policies, plugins) = (&self.policies, self.manager.plugins());
        let retention = self.retention();
        if let Some(backups) = backups {
            return try_by(rule, &retention, backups, at, policies, plugins);
        }
        let judged = match self.find()? {
            Some(repository) => self.judge_all(&repository, (rule, &retention), at)?,
            None => Ok(Vec::new()),
        };
        Ok(Trial::of(rule, at, judged))
    }

    /// Deletes backups by hand, all of them or none. They can be undeleted for the configured grace; the
    /// next cleanup after it removes them.
    ///
    /// # Errors
    /// `NotFound` for one that is not there or is deleted already, `Conflict` for a pinned one.
    pub fn delete(&self, ids: &[BackupId], principal: &str) -> Result<Deletion> {
        let Some(first) = ids.first() else {
            return Err(Error::invalid("backups", "name at least one"));
        };
        let repository = self.existing(*first)?;
        let mut backups = Vec::new();
        for id in ids {
            repository.manifest(*id)?;
            if repository.is_pinned(*id)? {
                let message = format!("backup {id} is pinned; `backup unpin {id}` lets it go");
                return Err(Error::other(ErrorKind::Conflict, message));
            }
            backups.push(DeletedBackup {
                id: *id,
                reason: "deleted by hand".to_owned(),
            });
        }
        let deletion = repository.put_deletion(backups, self.retention().grace_ms, principal)?;
        self.tell_deletion(&deletion);
        Ok(deletion)
    }

    /// What is deleted and not removed yet, by id.
    pub fn trash(&self) -> Result<Vec<TrashRow>> {
        let Some(repository) = self.find()? else {
            return Ok(Vec::new());
        };
        let trash = repository.trash(&mut Vec::new())?;
        let mut rows = Vec::new();
        for pending in &trash.pending {
            for backup in &pending.deletion.backups {
                let purged = match pending.ends.get(&backup.id) {
                    None => false,
                    Some(End::Purged) => true,
                    Some(End::Undeleted | End::Unknown) => continue,
                };
                rows.push(TrashRow {
                    id: backup.id,
                    deletion: pending.deletion.id,
                    deleted_unix_ms: pending.deletion.created_unix_ms,
                    grace_until_unix_ms: pending.deletion.grace_until_unix_ms,
                    reason: backup.reason.clone(),
                    principal: pending.deletion.principal.clone(),
                    purged,
                });
            }
        }
        rows.sort_by_key(|row| (row.id, row.deletion));
        Ok(rows)
    }

    /// Takes the deletion of a backup back.
    ///
    /// # Errors
    /// `NotFound` when it is not deleted or gone, `Compacted` when it is being removed.
    pub fn undelete(&self, id: BackupId) -> Result<()> {
        self.existing(id)?.undelete(id)?;
        self.tell_undeletion(id);
        Ok(())
    }
}

impl Repository {
    /// Takes every deletion of a backup back.
    pub(crate) fn undelete(&self, id: BackupId) -> Result<()> {
        let trash = self.trash(&mut Vec::new())?;
        let mut found = trash.purged.contains(&id);
        let mut purged = found;
        for pending in &trash.pending {
            if !pending
                .deletion
                .backups
                .iter()
                .any(|backup| backup.id == id)
            {
                continue;
            }
            match pending.ends.get(&id) {
                Some(End::Undeleted | End::Unknown) => continue,
                Some(End::Purged) => purged = true,
                None => {
                    purged |= self.claim(pending.deletion.id, id, End::Undeleted)? == End::Purged;
                }
            }
            found = true;
        }
        if purged && !self.store.exists(&ObjectName::manifest(id))? {
            return Err(not_found(id));
        }
        if purged {
            let message = format!("backup {id} is being removed: its grace is over");
            return Err(Error::other(ErrorKind::Compacted, message));
        }
        if !found {
            // Tells whether there is one of that id at all.
            self.manifest(id)?;
            let message = format!("backup {id} is not deleted; `backup trash` lists what is");
            return Err(Error::other(ErrorKind::NotFound, message));
        }
        Ok(())
    }

    /// Refuses a backup that is deleted.
    pub(crate) fn check_not_deleted(&self, id: BackupId) -> Result<()> {
        // Nearly always empty.
        if self.store.list(Folder::Deletions, "")?.objects.is_empty() {
            return Ok(());
        }
        match self.trash(&mut Vec::new())?.of(id) {
            None => Ok(()),
            Some((_, true)) => Err(not_found(id)),
            Some((deletion, false)) => {
                let message = format!(
                    "backup {id} was deleted by {}; `backup undelete {id}` takes that back",
                    deletion.id
                );
                Err(Error::other(ErrorKind::NotFound, message))
            }
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

/// A series as policies see it.
fn facts(backups: &[&BackupSummary]) -> Vec<BackupFacts> {
    let place: HashMap<BackupId, usize> = backups
        .iter()
        .enumerate()
        .map(|(i, backup)| (backup.id, i))
        .collect();
    backups
        .iter()
        .map(|backup| BackupFacts {
            id: backup.id.to_string(),
            series: backup.series.clone(),
            label: backup.label.clone().unwrap_or_default(),
            tags: backup.tags.clone(),
            sort: match backup.kind {
                kind if kind == BackupKind::Incremental.name() => BackupSort::Incremental,
                kind if kind == BackupKind::Synthetic.name() => BackupSort::Synthetic,
                _ => BackupSort::Full,
            },
            is_pinned: backup.pin,
            is_verified: backup.last_verified_unix_ms.is_some(),
            is_in_use: backup.in_use,
            is_safety: backup.tags.iter().any(|tag| tag == SAFETY_TAG),
            parent: backup.parent.and_then(|parent| place.get(&parent).copied()),
            created: UnixMs(backup.started_unix_ms),
            sequence: backup.sequence,
            records: backup.records,
            raw_bytes: backup.raw_bytes,
            stored_bytes: backup.stored_bytes,
            restores: backup.restores,
        })
        .collect()
}
