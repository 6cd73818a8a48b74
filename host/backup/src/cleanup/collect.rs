//! The collector: carries out deletions whose grace is over.
//!
//! The order is that of the model in `tests/protocol`, and each step is needed: segments are listed
//! first; ends are claimed and read; then leases are looked at: while a writer is at work nothing more is
//! done, and what a reader reads counts as needed; slots of writers that are gone are taken; only then
//! manifests say what is needed. What was listed and nobody needs is removed, then what was found out of what is purged, then the manifests of that,
//! then the records. A crash anywhere leaves what the next collection continues.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use statekeep_core::{ErrorKind, Phase, Progress, Result};

use super::deletion::{End, Trash, purged_object};
use crate::lease::Leases;
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::verify::read_run_object;

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Backups that are gone for good.
    pub purged: Vec<BackupId>,
    /// Objects that were removed.
    pub objects: u64,
    /// Bytes of segments and runs that were freed.
    pub space_freed: u64,
    /// Why what is due was not removed yet; the next collection goes on.
    pub postponed: Option<String>,
    /// What is wrong and was left as it is.
    pub problems: Vec<Problem>,
}

/// What the manifests say.
#[derive(Default)]
struct Needs {
    /// All that listed slots are of.
    seen: HashSet<BackupId>,
    /// How many backups stay.
    stay: u64,
    /// Runs and segments that they need.
    objects: HashSet<ObjectName>,
    /// Purged ones whose manifest is there.
    gone: Vec<BackupId>,
    /// Backups that those that stay were made after, or built on.
    named: HashSet<BackupId>,
}

impl Repository {
    /// Carries out what is due.
    pub(crate) fn collect(&self, progress: &Progress) -> Result<Collected> {
        let mut done = Collected::default();
        let leases = self.leases(&mut Vec::new())?;
        self.tidy_readers(&leases)?;
        if self.store.list(Folder::Deletions, "")?.objects.is_empty()
            && self.store.list(Folder::Ends, "")?.objects.is_empty()
        {
            return Ok(done);
        }
        let mut candidates = BTreeMap::new();
        for folder in [Folder::Segments, Folder::Runs] {
            for object in self.store.list(folder, "")?.objects {
                candidates.insert(object.name, object.len);
            }
        }
        self.claim_due(&mut done.problems)?;
        let trash = self.trash(&mut done.problems)?;
        for pending in &trash.pending {
            for (backup, _) in pending.ends.iter().filter(|(_, end)| **end == End::Purged) {
                // A collector that claimed it may have stopped before it said so.
                if !trash.purged.contains(backup) && self.is_pending(pending.deletion.id)? {
                    self.mark_purged(*backup)?;
                }
            }
        }
        let mut purged = self.trash(&mut Vec::new())?.purged;
        // Its manifest is the last of a backup that goes.
        let listed = self.store.list(Folder::Manifests, "")?.objects;
        let mut listed = listed
            .iter()
            .filter_map(|object| BackupId::parse(object.name.leaf()).ok());
        if !listed.any(|id| purged.contains(&id)) {
            self.tidy_records(&trash)?;
            return Ok(done);
        }
        let leases = self.leases(&mut done.problems)?;
        if let Some(busy) = self.fence_writers(&leases)? {
            done.postponed = Some(busy);
            return Ok(done);
        }
        // What is purged and read counts as needed; the next collection removes it.
        let mut held = HashSet::new();
        for mark in leases.readers().filter(|mark| purged.remove(&mark.backup)) {
            held.insert(mark.backup);
            done.postponed = Some(format!(
                "process {} reads backup {}, which is kept until that is done; run the cleanup again then",
                mark.held.process(),
                mark.backup
            ));
        }
        let Some(needs) = self.needs((&purged, &held), &mut done, progress)? else {
            return Ok(done);
        };
        progress.enter(Phase::Committing);
        for (name, len) in &candidates {
            progress.check()?;
            if !needs.objects.contains(name) && !self.is_unseen(name, &needs.seen)? {
                self.store.delete(name)?;
                done.objects += 1;
                done.space_freed = done.space_freed.saturating_add(*len);
            }
        }
        // Before their manifests, so that what a crash leaves is found by the next collection.
        self.forget_attestations(&needs.gone)?;
        for id in &needs.gone {
            self.store.delete(&ObjectName::pin(*id))?;
            self.store.delete(&ObjectName::manifest(*id))?;
            done.objects += 1;
            done.purged.push(*id);
        }
        self.tidy_records(&trash)?;
        self.tidy_marks(&purged, &needs.named)?;
        Ok(done)
    }

    /// Claims the end of everything whose grace is over. What was pinned meanwhile comes back.
    fn claim_due(&self, problems: &mut Vec<Problem>) -> Result<()> {
        let now = self.now_ms();
        let trash = self.trash(problems)?;
        for pending in trash.pending {
            if pending.deletion.grace_until_unix_ms > now {
                continue;
            }
            for backup in pending.open() {
                let end = match self.is_pinned(backup.id)? {
                    true => End::Undeleted,
                    false => End::Purged,
                };
                if self.claim(pending.deletion.id, backup.id, end)? == Some(End::Purged) {
                    self.mark_purged(backup.id)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the commit slots of writers that are gone; answers who is at work, if anybody is.
    fn fence_writers(&self, leases: &Leases) -> Result<Option<String>> {
        let writers = &leases.writers;
        if let Some((id, held)) = writers.iter().find(|(_, held)| held.is_alive) {
            let process = held.process();
            return Ok(Some(format!(
                "process {process} is at work on backup {id}, and may need what is to be removed; run \
                 the cleanup again when it is done"
            )));
        }
        if !self.store.is_death_certain() {
            for id in writers.keys() {
                self.abort(*id, "cleanup")?;
            }
        }
        Ok(None)
    }

    /// What all backups need that stay, or are `held` although they are purged; `None` when that cannot be known now.
    fn needs(
        &self,
        (purged, held): (&HashSet<BackupId>, &HashSet<BackupId>),
        done: &mut Collected,
        progress: &Progress,
    ) -> Result<Option<Needs>> {
        let mut needs = Needs::default();
        for object in self.store.list(Folder::Manifests, "")?.objects {
            progress.check()?;
            let Ok(id) = BackupId::parse(object.name.leaf()) else {
                continue;
            };
            needs.seen.insert(id);
            let manifest = match self.slot(&object.name) {
                Ok(Some((manifest, _))) => manifest,
                Ok(None) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    done.postponed = Some(format!(
                        "what {} needs is not known, since it is damaged",
                        object.name
                    ));
                    done.problems.push(Problem::of(&object.name, &error));
                    return Ok(None);
                }
            };
            if purged.contains(&id) {
                needs.gone.push(id);
                continue;
            }
            needs.stay += u64::from(!held.contains(&id));
            let previous = manifest.previous.as_ref().map(|previous| previous.id);
            needs
                .named
                .extend(previous.into_iter().chain(manifest.parent));
            for row in manifest.needs() {
                if !needs.objects.insert(row.name.clone()) {
                    continue;
                }
                match read_run_object(self, row) {
                    Ok(run) => {
                        let names = run.segments.into_iter().map(|segment| segment.name);
                        needs.objects.extend(names);
                    }
                    Err(problem) => {
                        done.postponed = Some(format!(
                            "what backup {id} needs is not known, since {} is damaged",
                            row.name
                        ));
                        done.problems.push(problem);
                        return Ok(None);
                    }
                }
            }
        }
        if needs.stay == 0 {
            done.postponed = Some("no backup that stays is listed, so none is removed".to_owned());
            return Ok(None);
        }
        Ok(Some(needs))
    }

    /// Whether an object is of a backup that is there although the list did not show it: lists of an
    /// object store may be a moment old.
    fn is_unseen(&self, name: &ObjectName, seen: &HashSet<BackupId>) -> Result<bool> {
        match name.owner() {
            Some(owner) if !seen.contains(&owner) => {
                Ok(self.slot(&ObjectName::manifest(owner)).map_or_else(
                    |error| match error.kind() {
                        ErrorKind::NotFound => Ok(false),
                        _ => Err(error),
                    },
                    |slot| Ok(slot.is_some()),
                )?)
            }
            Some(_) => Ok(false),
            // No repository gives such a name; `repository check` tells it.
            None => Ok(true),
        }
    }

    /// Takes away the records of deletions that are over for all of their backups.
    fn tidy_records(&self, trash: &Trash) -> Result<()> {
        for pending in &trash.pending {
            let mut over = true;
            for backup in &pending.deletion.backups {
                over &= match pending.ends.get(&backup.id) {
                    Some(End::Undeleted) => true,
                    Some(End::Purged) => !self.store.exists(&ObjectName::manifest(backup.id))?,
                    Some(End::Unknown) | None => false,
                };
            }
            if over {
                self.tidy_deletion(&pending.deletion)?;
            }
        }
        self.tidy_ends(trash)
    }

    /// Takes away what says of backups that they are purged, but for those that another one names: a
    /// verification of that would miss them.
    fn tidy_marks(&self, purged: &HashSet<BackupId>, named: &HashSet<BackupId>) -> Result<()> {
        for id in purged.difference(named) {
            let ends = self.store.list(Folder::Ends, &format!("{id}-"))?.objects;
            if ends.is_empty() && !self.store.exists(&ObjectName::manifest(*id))? {
                self.store.delete(&purged_object(*id)?)?;
            }
        }
        Ok(())
    }
}
