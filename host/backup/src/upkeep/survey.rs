//! One look at a whole repository, in the order that makes it safe to act upon.
//!
//! Objects are listed first, then leases are read, then manifests. A writer whose object was seen
//! is alive when its lease is looked at, or its manifest is seen, or it is gone for good; and an
//! object that came later is no candidate. `docs/adr/0006` names the model behind the order.

use std::collections::{BTreeMap, HashMap, HashSet};

use statekeep_core::{Error, ErrorKind, Progress, Result};

use crate::lease::Leases;
use crate::manifest::Manifest;
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::{Problem, ProblemKind};
use crate::repository::Repository;
use crate::store::ObjectInfo;
use crate::upkeep::{Creation, Stray, StrayKind};
use crate::verify::read_run_object;

/// Folders whose objects belong to one backup, in the order in which they may be removed: the lease
/// last, since it tells the next collector what this is.
const OWNED: [Folder; 4] = [Folder::Segments, Folder::Runs, Folder::Pins, Folder::Leases];

/// What a commit slot says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Slot {
    Committed,
    Aborted,
    Damaged,
}

/// What was seen.
pub(super) struct Survey {
    /// Objects of [`OWNED`] folders, before anything else was looked at.
    pub(super) objects: Vec<ObjectInfo>,
    pub(super) problems: Vec<Problem>,
    pub(super) backups: u64,
    leases: Leases,
    slots: HashMap<BackupId, Slot>,
    ended: HashSet<BackupId>,
    needed: HashSet<ObjectName>,
    /// Why it is not known what all backups need.
    unknown: Option<String>,
}

/// The backup that an object belongs to; `None` for a name that no repository gives.
pub(super) fn owner(name: &ObjectName) -> Option<BackupId> {
    match name.folder()? {
        Folder::Segments | Folder::Runs => name.owner(),
        Folder::Leases => name.leased(),
        Folder::Pins | Folder::Manifests => BackupId::parse(name.leaf()).ok(),
        _ => None,
    }
}

pub(super) fn foreign(name: &impl ToString) -> Problem {
    let what = "it is nothing that a repository holds; remove it, or put it elsewhere";
    Problem::new(ProblemKind::Integrity, name, what)
}

impl Survey {
    pub(super) fn new(repository: &Repository, progress: &Progress) -> Result<Survey> {
        let mut survey = Survey {
            objects: Vec::new(),
            problems: Vec::new(),
            backups: 0,
            leases: Leases::default(),
            slots: HashMap::new(),
            ended: HashSet::new(),
            needed: HashSet::new(),
            unknown: None,
        };
        for folder in OWNED {
            let listing = repository.store.list(folder, "")?;
            survey.problems.extend(listing.foreign.iter().map(foreign));
            for object in listing.objects {
                if owner(&object.name).is_some() {
                    survey.objects.push(object);
                } else {
                    survey.problems.push(foreign(&object.name));
                }
            }
        }
        // Before the leases, as the model asks: what ends later counts as needed.
        let ends = repository.store.list(Folder::Ends, "")?.objects;
        let ends = ends
            .iter()
            .filter_map(|end| BackupId::parse(end.name.leaf()).ok());
        survey.ended = ends.collect();
        survey.leases = repository.leases(&mut survey.problems)?;
        survey.read_manifests(repository, progress)?;
        Ok(survey)
    }

    fn read_manifests(&mut self, repository: &Repository, progress: &Progress) -> Result<()> {
        let lens: HashMap<ObjectName, u64> = self
            .objects
            .iter()
            .map(|object| (object.name.clone(), object.len))
            .collect();
        let listing = repository.store.list(Folder::Manifests, "")?;
        self.problems.extend(listing.foreign.iter().map(foreign));
        for object in listing.objects {
            progress.check()?;
            let Some(id) = owner(&object.name) else {
                self.problems.push(foreign(&object.name));
                continue;
            };
            let slot = match repository.slot(&object.name) {
                // What is left of it is for the collector.
                Ok(Some(_)) if self.ended.contains(&id) => Slot::Committed,
                Ok(Some((manifest, _))) => {
                    self.backups += 1;
                    self.read_runs(repository, &manifest, &lens, progress)?;
                    Slot::Committed
                }
                Ok(None) => Slot::Aborted,
                // It was deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    self.damaged(Problem::of(&object.name, &error));
                    Slot::Damaged
                }
            };
            self.slots.insert(id, slot);
        }
        Ok(())
    }

    fn damaged(&mut self, problem: Problem) {
        let unknown = || {
            format!(
                "what {} needs is not known, since it is damaged",
                problem.object
            )
        };
        self.unknown.get_or_insert_with(unknown);
        self.problems.push(problem);
    }

    fn read_runs(
        &mut self,
        repository: &Repository,
        manifest: &Manifest,
        lens: &HashMap<ObjectName, u64>,
        progress: &Progress,
    ) -> Result<()> {
        for row in manifest.needs() {
            if !self.needed.insert(row.name.clone()) {
                continue;
            }
            progress.check()?;
            let run = match read_run_object(repository, row) {
                Ok(run) => run,
                Err(mut problem) => {
                    problem
                        .what
                        .push_str(&format!("; backup {} needs it", manifest.id));
                    self.damaged(problem);
                    continue;
                }
            };
            progress.add(0, row.bytes, 0);
            for segment in run.segments {
                let len = match lens.get(&segment.name) {
                    Some(len) => Ok(*len),
                    // Perhaps it came after the list.
                    None => repository
                        .store
                        .open(&segment.name)
                        .and_then(|file| file.len()),
                };
                let needs = format!("backup {} needs it", manifest.id);
                match len {
                    Ok(len) if len == segment.bytes => {}
                    Ok(len) => {
                        let what = format!("it has {len} of {} bytes; {needs}", segment.bytes);
                        let problem = Problem::new(ProblemKind::Checksum, &segment.name, what);
                        self.problems.push(problem);
                    }
                    Err(error) => {
                        let mut problem = Problem::of(&segment.name, &error);
                        problem.what.push_str(&format!("; {needs}"));
                        self.problems.push(problem);
                    }
                }
                self.needed.insert(segment.name);
            }
        }
        Ok(())
    }

    /// Whether the commit slot of a backup was seen.
    pub(super) fn saw_slot(&self, backup: BackupId) -> bool {
        self.slots.contains_key(&backup)
    }

    /// Whether the lease of a backup was seen.
    pub(super) fn saw_lease(&self, backup: BackupId) -> bool {
        self.leases.writers.contains_key(&backup)
    }

    /// Why strays that may once have been part of a backup are kept, if they are.
    pub(super) fn undecided(&self) -> Option<String> {
        let writer = self.leases.writers.iter().find(|(_, held)| held.is_alive);
        if self.unknown.is_some() {
            return self.unknown.clone();
        }
        if self.backups == 0 {
            return Some("no backup is listed at all".to_owned());
        }
        let mut readers = self.leases.readers();
        if let Some(mark) = readers.find(|mark| !self.saw_slot(mark.backup)) {
            return Some(format!(
                "process {} reads backup {}, whose manifest is not there",
                mark.held.process(),
                mark.backup
            ));
        }
        // A backup in the making may build on one whose manifest was taken away by hand.
        writer.map(|(id, _)| format!("backup {id} is being made, and may build on them"))
    }

    /// The strays, in the order in which they may be removed.
    pub(super) fn strays(&self) -> Vec<Stray> {
        let decided = self.undecided().is_none();
        let strays = self.objects.iter().filter_map(|object| {
            let backup = owner(&object.name)?;
            let kind = self.stray_kind(backup, &object.name)?;
            (decided || kind != StrayKind::Unreferenced).then(|| Stray {
                object: object.name.to_string(),
                bytes: object.len,
                backup,
                since_unix_ms: backup.begun_unix_ms(),
                kind,
            })
        });
        strays.collect()
    }

    /// How many objects are kept although no manifest is known to need them.
    pub(super) fn kept(&self) -> usize {
        let kinds = self.objects.iter().filter_map(|object| {
            let backup = owner(&object.name)?;
            self.stray_kind(backup, &object.name)
        });
        let unreferenced = kinds
            .filter(|kind| *kind == StrayKind::Unreferenced)
            .count();
        if self.undecided().is_some() {
            unreferenced
        } else {
            0
        }
    }

    fn stray_kind(&self, backup: BackupId, name: &ObjectName) -> Option<StrayKind> {
        if name.is_mark() && name.folder() == Some(Folder::Leases) {
            let is_read = self.leases.readers().any(|mark| mark.name == *name);
            return (!is_read).then_some(StrayKind::Finished);
        }
        let held = self.leases.writers.get(&backup);
        if held.is_some_and(|held| held.is_alive) || self.needed.contains(name) {
            return None;
        }
        let never = !self.ended.contains(&backup);
        match (self.slots.get(&backup), name.folder()?) {
            (Some(Slot::Damaged), _) | (Some(Slot::Committed), Folder::Pins) => None,
            (Some(Slot::Committed), folder) if !never && folder != Folder::Leases => None,
            (Some(Slot::Committed), Folder::Leases) => Some(StrayKind::Finished),
            (Some(Slot::Committed), _) => Some(StrayKind::Unreferenced),
            (Some(Slot::Aborted), _) => Some(StrayKind::Abandoned),
            (None, _) if held.is_some() && never => Some(StrayKind::Abandoned),
            (None, _) => Some(StrayKind::Unreferenced),
        }
    }

    /// Backups with a lease and without a manifest.
    pub(super) fn creations(&self) -> Vec<Creation> {
        let open = |id: &BackupId| !matches!(self.slots.get(id), Some(Slot::Committed));
        let mut creations: BTreeMap<BackupId, Creation> = self
            .leases
            .writers
            .iter()
            .filter(|(id, _)| open(id))
            .map(|(id, held)| {
                let lease = held.lease.as_ref();
                let creation = Creation {
                    backup: *id,
                    process: held.process(),
                    started_unix_ms: lease
                        .map_or_else(|| id.begun_unix_ms(), |lease| lease.started_unix_ms),
                    is_alive: held.is_alive,
                    objects: 0,
                    bytes: 0,
                };
                (*id, creation)
            })
            .collect();
        for object in &self.objects {
            if let Some(creation) = owner(&object.name).and_then(|id| creations.get_mut(&id)) {
                creation.objects += 1;
                creation.bytes = creation.bytes.saturating_add(object.len);
            }
        }
        creations.into_values().collect()
    }
}

/// The error of a verb that removes things, where nothing that it could go by is there.
pub(super) fn no_backups() -> Error {
    let message = "the repository lists no backup, so nothing is removed; make a backup first, or \
                   remove the whole folder yourself";
    Error::other(ErrorKind::Conflict, message)
}
