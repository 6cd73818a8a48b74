//! What a repository takes: by folder, backup, chain, series, scope and age.
//!
//! Runs are shared by the backups that need them, so the bytes of backups do not add up to those of the
//! repository: each backup says what it wrote, what it alone needs and what it shares. Nothing is
//! changed, and no record is read.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use statekeep_core::{ErrorKind, Phase, Progress, Result, UnixMs};

use super::facts::disks;
use super::forecast::{Forecast, ForecastBackup};
use crate::facts::CountedBy;
use crate::manager::{BackupManager, Ends};
use crate::manifest::{BackupKind, Manifest};
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::verify::{PROBLEMS_MAX, read_run_object};

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
    fn add(&mut self, bytes: u64) {
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
    /// What could not be read, at most [`PROBLEMS_MAX`]; what only these need counts as unknown.
    pub problems: Vec<Problem>,
}

/// A run, and who needs it.
struct RunUse {
    stored: Stored,
    listed: u32,
}

/// A backup as the report needs it.
struct Shown {
    manifest: Manifest,
    /// Places in the list of runs.
    runs: Vec<usize>,
    manifest_bytes: u64,
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

/// One look at a repository.
struct Survey {
    /// Lengths of segments and runs.
    lens: HashMap<ObjectName, u64>,
    runs: Vec<RunUse>,
    places: HashMap<ObjectName, usize>,
    needed: HashSet<ObjectName>,
    listed: Vec<Shown>,
    trash: Vec<Shown>,
}

impl Survey {
    fn new(
        repository: &Repository,
        report: &mut StorageReport,
        progress: &Progress,
    ) -> Result<Survey> {
        report.repository.clone_from(&repository.id);
        let mut survey = Survey {
            lens: HashMap::new(),
            runs: Vec::new(),
            places: HashMap::new(),
            needed: HashSet::new(),
            listed: Vec::new(),
            trash: Vec::new(),
        };
        let mut manifests = Vec::new();
        for folder in Folder::ALL {
            let mut stored = Stored::default();
            for object in repository.store.list(folder, "")?.objects {
                stored.add(object.len);
                match folder {
                    Folder::Segments | Folder::Runs => {
                        survey.lens.insert(object.name, object.len);
                    }
                    Folder::Manifests => manifests.push(object),
                    _ => {}
                }
            }
            report.stored.objects += stored.objects;
            report.stored.bytes = report.stored.bytes.saturating_add(stored.bytes);
            if stored.objects > 0 {
                report.folders.push(FolderStorage {
                    folder: folder.name(),
                    stored,
                });
            }
        }
        let trash = repository.trash(&mut report.problems)?;
        progress.expect(manifests.len() as u64, 0);
        for object in manifests {
            progress.check()?;
            progress.add(1, object.len, 0);
            let manifest = match repository.slot(&object.name) {
                Ok(Some((manifest, _))) => manifest,
                Ok(None) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    report.problems.push(Problem::of(&object.name, &error));
                    continue;
                }
            };
            let is_listed = !trash.hides(manifest.id);
            let runs = survey.read_runs(repository, &manifest, is_listed, report, progress)?;
            let shown = Shown {
                manifest,
                runs,
                manifest_bytes: object.len,
            };
            match is_listed {
                true => survey.listed.push(shown),
                false => survey.trash.push(shown),
            }
        }
        report.problems.truncate(PROBLEMS_MAX);
        Ok(survey)
    }

    /// The places of the runs that a backup needs, each of which is read once.
    fn read_runs(
        &mut self,
        repository: &Repository,
        manifest: &Manifest,
        is_listed: bool,
        report: &mut StorageReport,
        progress: &Progress,
    ) -> Result<Vec<usize>> {
        let mut runs = Vec::new();
        for row in manifest.needs() {
            let place = match self.places.get(&row.name) {
                Some(place) => *place,
                None => {
                    progress.check()?;
                    let mut stored = Stored::default();
                    stored.add(row.bytes);
                    self.needed.insert(row.name.clone());
                    match read_run_object(repository, row) {
                        Ok(run) => {
                            for segment in run.segments {
                                if self.needed.insert(segment.name.clone()) {
                                    let len = self.lens.get(&segment.name).copied();
                                    stored.add(len.unwrap_or_default());
                                }
                            }
                        }
                        Err(problem) => report.problems.push(problem),
                    }
                    let place = self.runs.len();
                    self.runs.push(RunUse { stored, listed: 0 });
                    self.places.insert(row.name.clone(), place);
                    place
                }
            };
            if !runs.contains(&place) {
                runs.push(place);
            }
        }
        if is_listed {
            for place in &runs {
                if let Some(run) = self.runs.get_mut(*place) {
                    run.listed += 1;
                }
            }
        }
        Ok(runs)
    }

    /// What a forecast is made of: the listed backups of a state, and the bytes of segments and runs.
    fn points(&self, state: &str) -> (Vec<ForecastBackup>, u64) {
        let own = (self.listed.iter())
            .map(|shown| &shown.manifest)
            .filter(|manifest| manifest.state == state);
        let points = own.map(|manifest| ForecastBackup {
            started_unix_ms: manifest.started_unix_ms,
            records: manifest.records,
            raw_bytes: (manifest.kind != BackupKind::Incremental).then_some(manifest.raw_bytes),
            stored_bytes: manifest.stored_bytes,
        });
        (points.collect(), self.lens.values().sum())
    }

    fn run_bytes<'a>(&self, places: impl IntoIterator<Item = &'a usize>) -> u64 {
        let runs = places.into_iter().filter_map(|place| self.runs.get(*place));
        runs.fold(0, |sum, run| sum.saturating_add(run.stored.bytes))
    }

    fn tell(mut self, report: &mut StorageReport, chain_max: u32) {
        self.listed.sort_by_key(|shown| shown.manifest.id);
        let mut owned: HashMap<BackupId, u64> = HashMap::new();
        for (name, len) in &self.lens {
            if let Some(owner) = name.owner() {
                let bytes = owned.entry(owner).or_default();
                *bytes = bytes.saturating_add(*len);
            }
            if !self.needed.contains(name) {
                report.unknown.add(*len);
            }
        }
        for shown in &self.listed {
            let (only, shared): (Vec<_>, Vec<_>) = shown
                .runs
                .iter()
                .partition(|place| self.runs.get(**place).is_some_and(|run| run.listed == 1));
            let own = owned.get(&shown.manifest.id).copied().unwrap_or_default();
            report.backups.push(BackupStorage {
                id: shown.manifest.id,
                kind: shown.manifest.kind.name(),
                series: shown.manifest.series.clone(),
                started_unix_ms: shown.manifest.started_unix_ms,
                own_bytes: own.saturating_add(shown.manifest_bytes),
                only_bytes: self.run_bytes(only).saturating_add(shown.manifest_bytes),
                shared_bytes: self.run_bytes(shared),
            });
        }
        self.tell_trash(report);
        self.tell_chains(report, chain_max);
        self.tell_series(report);
        self.tell_scopes(report);
        tell_ages(report);
    }

    fn tell_trash(&self, report: &mut StorageReport) {
        let mut seen = HashSet::new();
        for shown in &self.trash {
            report.trash.add(shown.manifest_bytes);
            for place in shown.runs.iter().filter(|place| seen.insert(**place)) {
                if let Some(run) = self.runs.get(*place).filter(|run| run.listed == 0) {
                    report.trash.objects += run.stored.objects;
                    report.trash.bytes = report.trash.bytes.saturating_add(run.stored.bytes);
                }
            }
        }
    }

    /// Bytes that several backups need together.
    fn together(&self, backups: &[&Shown]) -> u64 {
        let places: HashSet<usize> = (backups.iter())
            .flat_map(|shown| shown.runs.iter().copied())
            .collect();
        let manifests = backups.iter().map(|shown| shown.manifest_bytes);
        manifests.fold(self.run_bytes(&places), u64::saturating_add)
    }

    fn tell_chains(&self, report: &mut StorageReport, chain_max: u32) {
        let all = self.listed.iter().chain(&self.trash);
        let parents: HashMap<BackupId, Option<BackupId>> = all
            .map(|shown| {
                let manifest = &shown.manifest;
                let of_chain = manifest.kind == BackupKind::Incremental;
                (manifest.id, manifest.parent.filter(|_| of_chain))
            })
            .collect();
        let mut chains: BTreeMap<BackupId, Vec<&Shown>> = BTreeMap::new();
        for shown in &self.listed {
            let mut full = shown.manifest.id;
            // No further than there are backups: what manifests say may be a circle.
            for _ in 0..parents.len() {
                match parents.get(&full).copied().flatten() {
                    Some(parent) => full = parent,
                    None => break,
                }
            }
            chains.entry(full).or_default().push(shown);
        }
        for (full, backups) in chains {
            let Some(newest) = backups.last() else {
                continue;
            };
            let lengths = backups.iter().map(|shown| shown.manifest.chain);
            report.chains.push(ChainStorage {
                full,
                backups: backups.len() as u64,
                bytes: self.together(&backups),
                newest: newest.manifest.id,
                newest_unix_ms: newest.manifest.started_unix_ms,
                length: lengths.max().unwrap_or_default(),
                length_max: chain_max,
            });
        }
    }

    fn tell_series(&self, report: &mut StorageReport) {
        let mut series: BTreeMap<&str, Vec<&Shown>> = BTreeMap::new();
        for shown in &self.listed {
            let name = shown.manifest.series.as_str();
            series.entry(name).or_default().push(shown);
        }
        let rows = series.into_iter().map(|(name, backups)| SeriesStorage {
            series: name.to_owned(),
            backups: backups.len() as u64,
            bytes: self.together(&backups),
        });
        report.series = rows.collect();
    }

    fn tell_scopes(&self, report: &mut StorageReport) {
        let Some(newest) = self.listed.last().map(|shown| &shown.manifest) else {
            return;
        };
        let names: HashMap<u32, &str> = (newest.tenants.iter())
            .map(|tenant| (tenant.number, tenant.name.as_str()))
            .collect();
        let all: u64 = newest.counts.rows.iter().map(|row| row.bytes).sum();
        report.counted_by = newest.counts.by;
        report.scopes = (newest.counts.rows.iter())
            .map(|row| ScopeStorage {
                tenant: row.tenant.map(|number| match names.get(&number) {
                    Some(name) => (*name).to_owned(),
                    // The default tenant has no row.
                    None if number == 0 => String::new(),
                    None => format!("#{number}"),
                }),
                scope: row.scope.clone(),
                records: row.records,
                raw_bytes: row.bytes,
                share: row.bytes as f64 / all.max(1) as f64,
            })
            .collect();
        report
            .scopes
            .sort_by_key(|row| std::cmp::Reverse(row.raw_bytes));
    }
}

fn tell_ages(report: &mut StorageReport) {
    let mut from = i64::MIN;
    for (age, below) in AGES {
        let of_age = report.backups.iter().filter(|backup| {
            let ms = report.at_unix_ms.saturating_sub(backup.started_unix_ms);
            (from..below).contains(&ms)
        });
        let row = of_age.fold((0, 0_u64), |sum, backup| {
            (sum.0 + 1, sum.1.saturating_add(backup.own_bytes))
        });
        report.ages.push(AgeStorage {
            age,
            backups: row.0,
            bytes: row.1,
        });
        from = below;
    }
}
