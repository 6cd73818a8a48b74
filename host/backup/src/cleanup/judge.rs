//! What the policies say of the backups of a repository: for a cleanup, and to try a rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use statekeep_core::{BackupFacts, BackupSort, Circumstances, Error, ErrorKind, Result, UnixMs};

use super::RetentionConfig;
use crate::list::BackupSummary;
use crate::manager::BackupManager;
use crate::manifest::BackupKind;
use crate::name::BackupId;
use crate::repository::Repository;
use crate::restore::SAFETY_TAG;
use crate::retention::{DescribedBackup, Judgement, Panel, RetentionRule, Trial, try_by};

impl BackupManager {
    /// What the policies say of every backup at a moment; the inner error is one of theirs.
    pub(super) fn judge_all(
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
