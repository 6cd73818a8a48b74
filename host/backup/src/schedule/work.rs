//! What is done on a schedule: backups, and cleanups.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use statekeep_core::{Error, ErrorKind, Progress, Result, UnixMs};

use super::decide::Made;
use crate::create::CreateOptions;
use crate::index::Known;
use crate::manager::BackupManager;
use crate::manifest::BackupKind;
use crate::name::BackupId;

/// The word that finds scheduled backups.
const TAG: &str = "scheduled";

/// What a schedule does; [`Backups`] or [`Cleanups`].
pub trait Work: Send + Sync + 'static {
    /// What one run of it did.
    type Done: Clone + Send + Serialize + 'static;
    /// What it is called.
    const WHAT: &'static str;
    /// The name of its thread.
    const THREAD: &'static str;
    /// How long its thread leaves alone a state that was just opened.
    const SETTLES: Duration;
    /// That there is no schedule, and what sets one.
    const NO_SCHEDULE: &'static str;

    /// What counts as done.
    fn made(&self) -> Result<Vec<Made>>;

    /// Whether somebody is making a backup in the repository that began after `since`.
    fn is_busy(&self, since: UnixMs) -> Result<bool>;

    /// Does it; a full backup where that is asked for.
    fn run(&self, full: bool, progress: &Progress) -> Result<Self::Done>;
}

fn is_busy(backups: &BackupManager, since: UnixMs) -> Result<bool> {
    let Some(repository) = backups.find()? else {
        return Ok(false);
    };
    // Leases that cannot be read hold nobody up.
    let leases = repository.leases(&mut Vec::new())?;
    let mut leases = leases.writers.values().filter(|held| held.is_alive);
    Ok(leases.any(|held| {
        let lease = held.lease.as_ref();
        lease.is_some_and(|lease| lease.started_unix_ms > since.0)
    }))
}

/// Backups of a state.
pub struct Backups(pub(super) Arc<BackupManager>);

impl Work for Backups {
    type Done = BackupId;
    const WHAT: &'static str = "backup";
    const THREAD: &'static str = "statekeep-schedule";
    const SETTLES: Duration = Duration::ZERO;
    const NO_SCHEDULE: &'static str =
        "no backups are scheduled; set `backup.every` or `backup.daily_at`";

    fn made(&self) -> Result<Vec<Made>> {
        let Some(repository) = self.0.find()? else {
            return Ok(Vec::new());
        };
        // Manifests that cannot be read are told by `list`.
        let slots = repository.slots(Known::Used, &mut Vec::new())?;
        let state = self.0.state().state_id();
        let rows = slots.into_iter().filter_map(|slot| slot.backup);
        let made = rows.filter(|row| row.state == state).map(|row| Made {
            at: UnixMs(row.started_unix_ms),
            is_full: row.kind != BackupKind::Incremental,
        });
        Ok(made.collect())
    }

    fn is_busy(&self, since: UnixMs) -> Result<bool> {
        is_busy(&self.0, since)
    }

    fn run(&self, full: bool, progress: &Progress) -> Result<BackupId> {
        let options = CreateOptions {
            tags: vec![TAG.to_owned()],
            incremental: full.then_some(false),
            ..CreateOptions::default()
        };
        Ok(self.0.create(&options, progress)?.id)
    }
}

/// What a scheduled cleanup did.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// Backups that it deleted.
    pub deleted: u64,
    /// Backups that it removed for good.
    pub purged: u64,
    /// Bytes that it freed.
    pub space_freed: u64,
}

/// Cleanups of a repository: by the configured policies, where there are any, and of what was deleted
/// longer ago than its grace. Each state has its own, as it has its own policies.
pub struct Cleanups {
    backups: Arc<BackupManager>,
    /// The last one of this process: it counts also where there is no repository to write it down in.
    last: Mutex<Option<UnixMs>>,
}

impl Cleanups {
    pub(super) fn new(backups: Arc<BackupManager>) -> Cleanups {
        Cleanups {
            backups,
            last: Mutex::default(),
        }
    }
}

impl Work for Cleanups {
    type Done = Cleaned;
    const WHAT: &'static str = "cleanup";
    const THREAD: &'static str = "statekeep-cleanup";
    /// A program registers its own policies after it opened the state.
    const SETTLES: Duration = Duration::from_secs(2);
    const NO_SCHEDULE: &'static str =
        "no cleanups are scheduled; set `retention.every` or `retention.daily_at`";

    fn made(&self) -> Result<Vec<Made>> {
        let written = match self.backups.find()? {
            Some(repository) => repository
                .attested()?
                .cleanup_of(&self.backups.state().state_id()),
            None => None,
        };
        let newest = written.max(*self.last.lock());
        Ok(newest
            .map(|at| Made { at, is_full: false })
            .into_iter()
            .collect())
    }

    fn is_busy(&self, since: UnixMs) -> Result<bool> {
        is_busy(&self.backups, since)
    }

    fn run(&self, _full: bool, progress: &Progress) -> Result<Cleaned> {
        let started = self.backups.state().clock().now();
        let report = self.backups.scheduled_cleanup(progress)?;
        if let Some(why) = report.failure.or(report.state.failure) {
            return Err(Error::other(ErrorKind::Plugin, why));
        }
        *self.last.lock() = Some(started);
        if let Some(repository) = self.backups.find()?
            && let Err(error) = repository.attest_cleanup(&self.backups.state().state_id(), started)
        {
            tracing::warn!(%error, "that a cleanup was done is known to this process only");
        }
        Ok(Cleaned {
            deleted: report.deleted,
            purged: report.collected.purged.len() as u64,
            space_freed: report.space_freed,
        })
    }
}
