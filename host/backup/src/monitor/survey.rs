//! One look at a repository for the report of what it takes: names and lengths of all objects, every
//! manifest and each run object once.

use std::collections::{BTreeMap, HashMap, HashSet};

use statekeep_core::{ErrorKind, Progress, Result};

use super::forecast::ForecastBackup;
use super::storage::{
    AGES, AgeStorage, BackupStorage, ChainStorage, FolderStorage, ScopeStorage, SeriesStorage,
    StorageReport, Stored,
};
use crate::manifest::{BackupKind, Manifest};
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::verify::{PROBLEMS_MAX, read_run_object};

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

/// What one look at a repository found.
pub(super) struct Survey {
    /// Lengths of segments and runs.
    lens: HashMap<ObjectName, u64>,
    runs: Vec<RunUse>,
    places: HashMap<ObjectName, usize>,
    needed: HashSet<ObjectName>,
    listed: Vec<Shown>,
    trash: Vec<Shown>,
}

impl Survey {
    pub(super) fn new(
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
        let hidden = repository.trash(&mut report.problems)?.hidden();
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
            let is_listed = !hidden.contains(&manifest.id);
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
    pub(super) fn points(&self, state: &str) -> (Vec<ForecastBackup>, u64) {
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

    /// Puts it all into the report.
    pub(super) fn tell(mut self, report: &mut StorageReport, chain_max: u32) {
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
