//! Reads what the alert rules look at.
//!
//! A round lists the names of manifests, deletions, their ends, pins and attestations, and reads those
//! documents alone that no round or list of this process read before, and deletions that are not carried
//! out. The names of segments and runs are listed again only when backups came or went.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use parking_lot::Mutex;
use statekeep_core::{Result, UnixMs};

use super::alerts::{AlertFacts, DiskFacts};
use super::apart::disks_of;
use super::forecast::{
    Forecast, ForecastBackup, ForecastInput, LIMIT_STORAGE, disk_limit, forecast,
};
use crate::cleanup::storage_bytes;
use crate::manager::BackupManager;
use crate::manifest::BackupKind;
use crate::name::BackupId;
use crate::name::Folder;
use crate::repository::Repository;
use crate::schedule::ScheduleStatus;

/// What a disk of the repository holds, in words.
const BACKUPS: &str = "backups";

/// What a round leaves to the next: the bytes of the repository, and what was in it then.
#[derive(Default)]
pub(super) struct Remembered {
    storage: Mutex<Option<(u64, u64)>>,
}

impl Remembered {
    fn storage_bytes(&self, repository: &Repository) -> Result<u64> {
        let is = fingerprint(repository)?;
        let mut storage = self.storage.lock();
        if let Some((was, bytes)) = *storage
            && was == is
        {
            return Ok(bytes);
        }
        let bytes = storage_bytes(repository)?;
        *storage = Some((is, bytes));
        Ok(bytes)
    }
}

/// Another one when backups came or went.
fn fingerprint(repository: &Repository) -> Result<u64> {
    // The slots as the list before this saw them; their order is that of a map.
    let slots = repository.rows.lock().keys().fold(0, |sum: u64, id| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    });
    let mut hasher = DefaultHasher::new();
    slots.hash(&mut hasher);
    for folder in [Folder::Deletions, Folder::Ends] {
        for object in repository.store.list(folder, "")?.objects {
            object.name.hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}

/// Reads everything; what cannot be read is said in the facts.
pub(super) fn facts(
    backups: &BackupManager,
    schedule: &ScheduleStatus<BackupId>,
    remembered: &Remembered,
    now: UnixMs,
) -> (AlertFacts, Forecast) {
    let cleanups = backups.cleanups();
    let mut facts = AlertFacts {
        repository: backups.config().dir.display().to_string(),
        chain_max: backups.config().chain_max,
        storage_bytes_max: backups.retention().storage_bytes_max,
        disks: disks(backups),
        scheduled: schedule.enabled,
        // A time of the day comes every day.
        schedule_every_ms: schedule.every_ms.unwrap_or(86_400_000),
        schedule_failures: schedule.failures_in_row,
        schedule_error: schedule.last_error.clone(),
        cleanup_failing_since_unix_ms: cleanups.failing_since_unix_ms,
        cleanup_error: cleanups.last_error,
        ..AlertFacts::default()
    };
    let read = backups.find().and_then(|found| match found {
        Some(repository) => {
            of_repository(&repository, remembered, &mut facts)?;
            Ok(points(&repository, &backups.state().state_id()))
        }
        None => Ok(Vec::new()),
    });
    let points = read.unwrap_or_else(|error| {
        facts.unreadable = Some(error.to_string());
        Vec::new()
    });
    let mut forecast = Forecast::default();
    if facts.unreadable.is_none() {
        forecast = backups.forecast(points, facts.storage_bytes, &facts.disks, now);
        note(&forecast, &mut facts);
    }
    (facts, forecast)
}

/// The backups of a state that the last list showed.
fn points(repository: &Repository, state: &str) -> Vec<ForecastBackup> {
    let rows = repository.rows.lock();
    let rows = rows.values().filter_map(|row| row.backup.as_ref());
    rows.filter(|backup| backup.state == state)
        .map(|backup| ForecastBackup {
            started_unix_ms: backup.started_unix_ms,
            records: backup.records,
            raw_bytes: (backup.kind != BackupKind::Incremental).then_some(backup.raw_bytes),
            stored_bytes: backup.stored_bytes,
        })
        .collect()
}

/// Says in the facts when limits are reached.
fn note(forecast: &Forecast, facts: &mut AlertFacts) {
    for reach in &forecast.reaches {
        if reach.limit == LIMIT_STORAGE {
            facts.storage_full_unix_ms = reach.expected_unix_ms;
        }
        for disk in &mut facts.disks {
            if reach.limit == disk_limit(disk) {
                disk.full_unix_ms = reach.expected_unix_ms;
            }
        }
    }
}

impl BackupManager {
    /// The forecast that these backups of its state allow.
    pub(super) fn forecast(
        &self,
        backups: Vec<ForecastBackup>,
        storage_bytes: u64,
        disks: &[DiskFacts],
        now: UnixMs,
    ) -> Forecast {
        let of_backups = disks.iter().filter(|disk| disk.holds.contains(BACKUPS));
        forecast(&ForecastInput {
            now_unix_ms: now.0,
            backups,
            storage_bytes,
            storage_bytes_max: self.retention().storage_bytes_max,
            has_retention: self.retention().rule.is_some(),
            disks: of_backups.cloned().collect(),
        })
    }
}

/// Reads what the rules look at in a repository.
pub(super) fn of_repository(
    repository: &Repository,
    remembered: &Remembered,
    facts: &mut AlertFacts,
) -> Result<()> {
    let list = repository.list()?;
    facts.storage_bytes = remembered.storage_bytes(repository)?;
    let listed: HashSet<_> = list.backups.iter().map(|backup| backup.id).collect();
    for row in repository.rows.lock().values() {
        if let Some(backup) = row.backup.as_ref().filter(|_| !listed.contains(&row.id)) {
            facts.trash_backups += 1;
            facts.trash_bytes = facts.trash_bytes.saturating_add(backup.stored_bytes);
        }
    }
    facts.problems = list.problems.len() as u64;
    facts.problem = list.problems.first().map(ToString::to_string);
    facts.backups = list.backups.len() as u64;
    let begun = || list.backups.iter().map(|backup| backup.started_unix_ms);
    (facts.oldest_unix_ms, facts.newest_unix_ms) = (begun().min(), begun().max());
    let verified = list.backups.iter();
    facts.verified_unix_ms = verified
        .filter_map(|backup| backup.last_verified_unix_ms)
        .max();
    facts.restore_tested_unix_ms = list.last_restore_test_unix_ms;
    if let Some(newest) = list.backups.last() {
        facts.newest = Some(newest.id.to_string());
        facts.chain_length = newest.chain;
    }
    Ok(())
}

/// The disks that state and repository are on.
pub(super) fn disks(backups: &BackupManager) -> Vec<DiskFacts> {
    let state = backups.state();
    let mut places = vec![("state", state.path())];
    if backups.opener.is_none() {
        places.push((BACKUPS, &backups.config().dir));
    }
    disks_of(state.vfs().as_ref(), &places)
}
