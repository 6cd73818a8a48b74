//! What a repository takes: by folder, backup, chain, series, scope and age.
//!
//! Runs are shared by the backups that need them, so the bytes of backups do not add up to those of the
//! repository: each backup says what it wrote, what it alone needs and what it shares. Nothing is
//! changed, and no record is read.

use serde::Serialize;
use statekeep_core::{Phase, Progress, Result, UnixMs};

use super::facts::disks;
use super::forecast::Forecast;
use super::survey::Survey;
use crate::facts::CountedBy;
use crate::manager::{BackupManager, Ends};
use crate::name::BackupId;
use crate::problem::Problem;

const DAY_MS: i64 = 86_400_000;

/// The ages that a report counts by: a name, and the milliseconds that a backup of that age is younger
/// than.
pub const AGES: [(&str, i64); 6] = [
    ("under a day", DAY_MS),
    ("under a week", 7 * DAY_MS),
    ("under a month", 30 * DAY_MS),
    ("under a quarter", 91 * DAY_MS),
    ("under a year", 365 * DAY_MS),
    ("older", i64::MAX),
];

/// A number of objects and their bytes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Stored {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A folder of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderStorage {
    /// Its name: `seg` are records, `run` and `man` say which belong together, and `docs/format.md`
    /// describes the others.
    pub folder: &'static str,
    /// What is in it.
    #[serde(flatten)]
    pub stored: Stored,
}

/// A backup that is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupStorage {
    /// Its id.
    pub id: BackupId,
    /// How it was made.
    pub kind: &'static str,
    /// The series that retention counts it in.
    pub series: String,
    /// When it was begun, milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: i64,
    /// Bytes of all objects that it wrote and that are there, whoever needs them now.
    pub own_bytes: u64,
    /// Bytes that no other listed backup needs: what removing it alone would free.
    pub only_bytes: u64,
    /// Bytes that it needs and others need too.
    pub shared_bytes: u64,
}

/// A full backup and the incrementals on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainStorage {
    /// The full backup; the oldest known ancestor where that was removed.
    pub full: BackupId,
    /// Listed backups of the chain.
    pub backups: u64,
    /// Bytes that they need together.
    pub bytes: u64,
    /// The newest of them.
    pub newest: BackupId,
    /// When that was begun, milliseconds since 1970-01-01 UTC.
    pub newest_unix_ms: i64,
    /// Incrementals on one full that its longest backup needs, itself counted.
    pub length: u32,
    /// How many there may be, by the setting `backup.chain_max`.
    pub length_max: u32,
}

/// The backups of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesStorage {
    /// Its name.
    pub series: String,
    /// Listed backups.
    pub backups: u64,
    /// Bytes that they need together.
    pub bytes: u64,
}

/// The records of one scope, or kind of scopes, in the newest backup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScopeStorage {
    /// The tenant, empty for the default one; `None` when counted over all tenants.
    pub tenant: Option<String>,
    /// The scope or kind.
    pub scope: String,
    /// Its records.
    pub records: u64,
    /// Bytes of their stored keys and records, before the codec.
    pub raw_bytes: u64,
    /// Its part of the raw bytes of all records, 0 to 1.
    pub share: f64,
}

/// The listed backups of an age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgeStorage {
    /// One of [`AGES`].
    pub age: &'static str,
    /// How many.
    pub backups: u64,
    /// Bytes of the objects that they wrote.
    pub bytes: u64,
}

/// What a repository takes, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StorageReport {
    /// The repository's id; empty when there is none yet.
    pub repository: String,
    /// The moment that ages are counted from, milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: i64,
    /// Everything in it.
    #[serde(flatten)]
    pub stored: Stored,
    /// How many bytes segments and runs may have, by the setting `retention.storage_bytes_max`.
    pub storage_bytes_max: Option<u64>,
    /// By folder; those that hold nothing are left out.
    pub folders: Vec<FolderStorage>,
    /// What goes with the backups that are deleted and not removed yet.
    pub trash: Stored,
    /// Segments and runs that no backup is known to need: strays, and those of backups in the making.
    pub unknown: Stored,
    /// By backup, oldest first.
    pub backups: Vec<BackupStorage>,
    /// By chain, oldest first.
    pub chains: Vec<ChainStorage>,
    /// By series.
    pub series: Vec<SeriesStorage>,
    /// By scope, largest first.
    pub scopes: Vec<ScopeStorage>,
    /// What a row of `scopes` stands for.
    pub counted_by: CountedBy,
    /// By age, youngest first.
    pub ages: Vec<AgeStorage>,
    /// How the state and its backups grow.
    pub forecast: Forecast,
    /// What could not be read, at most [`PROBLEMS_MAX`](crate::PROBLEMS_MAX); what only these need counts as unknown.
    pub problems: Vec<Problem>,
}

impl BackupManager {
    /// What the repository takes. Reads the names and lengths of all objects, every manifest and each
    /// run object once; no segment. For 10,000 backups that is tens of thousands of small files or
    /// requests, so it is for people and daily jobs; the metrics have the sums.
    ///
    /// # Errors
    /// Folders that cannot be listed, `Cancelled`. Documents that cannot be read are in `problems`.
    pub fn storage(&self, progress: &Progress) -> Result<StorageReport> {
        let _ends = Ends(progress);
        progress.enter(Phase::Preparing);
        let mut report = StorageReport {
            at_unix_ms: self.state().clock().now().0,
            storage_bytes_max: self.retention().storage_bytes_max,
            ..StorageReport::default()
        };
        if let Some(repository) = self.find()? {
            let survey = Survey::new(&repository, &mut report, progress)?;
            let (points, bytes) = survey.points(&self.state().state_id());
            let now = UnixMs(report.at_unix_ms);
            report.forecast = self.forecast(points, bytes, &disks(self), now);
            survey.tell(&mut report, self.config.chain_max);
        }
        Ok(report)
    }
}
