//! Deletions: `del/TXN` names backups that are to go and why, `fin/ID-TXN` says how that ended for one
//! of them, and `fin/ID` that it is purged.
//!
//! One object deletes any number of backups at once, so a crash deletes all of them or none. The first
//! put of an end counts: a purge and an undelete cannot both win. A purged backup never comes back, so
//! `fin/ID` needs no reading: writers look for it before they build on a backup.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use statekeep_core::{Error, ErrorKind, Result};
use ulid::Ulid;

use crate::create::is_put;
use crate::name::{BackupId, Folder, ObjectName, ulid_id};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::sealed::{self, DOCUMENT_BYTES_MAX, FORMAT_VERSION, seal};
use crate::store::{Put, read_all};

/// Most backups of one deletion.
pub const DELETED_MAX: usize = 25_000;

ulid_id! {
    /// The id of a deletion, a ULID.
    DeletionId, "deletion id"
}

/// A backup that is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedBackup {
    /// Its id.
    pub id: BackupId,
    /// Why, in words.
    pub reason: String,
}

/// The object `del/TXN`. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    format: u32,
    repository: String,
    /// Its id, which is its object's name.
    pub id: DeletionId,
    /// When it was decided.
    pub created_unix_ms: i64,
    /// Until then it can be undone.
    pub grace_until_unix_ms: i64,
    /// Who decided it; may be empty.
    pub principal: String,
    /// What goes.
    pub backups: Vec<DeletedBackup>,
}

/// How a deletion ended for one backup.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Purged,
    Undeleted,
    /// It cannot be read now. Nothing is removed for it, and it is not forgotten; never written.
    #[serde(skip)]
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct EndObject {
    format: u32,
    deletion: DeletionId,
    backup: BackupId,
    end: End,
    unix_ms: i64,
}

/// A deletion, and how it ended for those of its backups for which it has.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) deletion: Deletion,
    pub(crate) ends: HashMap<BackupId, End>,
}

impl Pending {
    /// The backups of which nothing was decided yet.
    pub(crate) fn open(&self) -> impl Iterator<Item = &DeletedBackup> {
        let backups = self.deletion.backups.iter();
        backups.filter(|backup| !self.ends.contains_key(&backup.id))
    }
}

/// What the deletions of a repository say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trash {
    pub(crate) pending: Vec<Pending>,
    /// Those with a `fin/ID`.
    pub(crate) purged: HashSet<BackupId>,
    /// Ends of deletions that are not among those: tidied away in part, unreadable, or just written.
    pub(super) unclear: Vec<(DeletionId, BackupId)>,
}

impl Trash {
    /// The deletion that a backup is under, and whether that is decided; `None` when it is under none.
    pub(crate) fn of(&self, id: BackupId) -> Option<(&Deletion, bool)> {
        self.pending.iter().find_map(|pending| {
            let mut backups = pending.deletion.backups.iter();
            backups.find(|backup| backup.id == id)?;
            match pending.ends.get(&id) {
                None => Some((&pending.deletion, false)),
                Some(End::Purged) => Some((&pending.deletion, true)),
                // Without `fin/ID` nothing of it was removed.
                Some(End::Undeleted | End::Unknown) => None,
            }
        })
    }

    /// The backups that lists leave out.
    pub(crate) fn hidden(&self) -> HashSet<BackupId> {
        let mut hidden = self.purged.clone();
        for pending in &self.pending {
            let ids = pending.deletion.backups.iter().map(|backup| backup.id);
            hidden.extend(ids.filter(|id| {
                let end = pending.ends.get(id);
                matches!(end, None | Some(End::Purged))
            }));
        }
        hidden
    }
}

fn deletion_object(id: DeletionId) -> Result<ObjectName> {
    ObjectName::new(Folder::Deletions, &id.to_string())
}

fn end_object(id: BackupId, deletion: DeletionId) -> Result<ObjectName> {
    ObjectName::new(Folder::Ends, &format!("{id}-{deletion}"))
}

/// `fin/ID`
pub(super) fn purged_object(id: BackupId) -> Result<ObjectName> {
    ObjectName::new(Folder::Ends, &id.to_string())
}

impl Repository {
    /// Writes down that backups go, all of them or none.
    pub(crate) fn put_deletion(
        &self,
        backups: Vec<DeletedBackup>,
        grace_ms: u64,
        principal: &str,
    ) -> Result<Deletion> {
        if backups.len() > DELETED_MAX {
            return Err(Error::TooLarge {
                what: "number of backups in one deletion",
                actual: backups.len() as u64,
                limit_name: "DELETED_MAX",
                limit: DELETED_MAX as u64,
            });
        }
        let now = self.now_ms();
        let grace = i64::try_from(grace_ms).unwrap_or(i64::MAX);
        let deletion = Deletion {
            format: FORMAT_VERSION,
            repository: self.id.clone(),
            id: DeletionId(Ulid::new()),
            created_unix_ms: now,
            grace_until_unix_ms: now.saturating_add(grace),
            principal: principal.to_owned(),
            backups,
        };
        let name = deletion_object(deletion.id)?;
        if is_put(self.store.as_ref(), &name, &seal("deletion", &deletion)?)? {
            return Ok(deletion);
        }
        let message = format!("{name} is there already");
        Err(Error::other(ErrorKind::AlreadyExists, message))
    }

    /// Everything that is deleted, or was and is not tidied away. Deletions that cannot be read are
    /// told; nothing of them is ever purged.
    pub(crate) fn trash(&self, problems: &mut Vec<Problem>) -> Result<Trash> {
        let mut trash = Trash::default();
        let deletions = self.store.list(Folder::Deletions, "")?.objects;
        // After the deletions: what has ended is not seen as open.
        let mut ends: BTreeMap<DeletionId, Vec<BackupId>> = BTreeMap::new();
        for object in self.store.list(Folder::Ends, "")?.objects {
            match object.name.leaf().split_once('-') {
                None => trash.purged.extend(BackupId::parse(object.name.leaf())),
                Some((backup, deletion)) => {
                    if let (Ok(backup), Ok(deletion)) =
                        (BackupId::parse(backup), DeletionId::parse(deletion))
                    {
                        ends.entry(deletion).or_default().push(backup);
                    }
                }
            }
        }
        for object in deletions {
            let read = read_all(self.store.as_ref(), &object.name, DOCUMENT_BYTES_MAX)
                .and_then(|bytes| sealed::open::<Deletion>(&object.name.to_string(), &bytes));
            let deletion = match read {
                Ok(deletion)
                    if deletion_object(deletion.id)? == object.name
                        && deletion.repository == self.id =>
                {
                    deletion
                }
                Ok(deletion) => {
                    let (id, of) = (deletion.id, &deletion.repository);
                    let reason = format!("it says that it is deletion {id} of repository {of}");
                    let error = Error::corrupt(object.name.to_string(), reason);
                    problems.push(Problem::of(&object.name, &error));
                    continue;
                }
                // It was tidied away since.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    problems.push(Problem::of(&object.name, &error));
                    continue;
                }
            };
            let mut known = HashMap::new();
            for backup in ends.remove(&deletion.id).unwrap_or_default() {
                let end = match self.end(backup, deletion.id) {
                    Ok(end) => end,
                    Err(error) => {
                        problems.push(Problem::of(&end_object(backup, deletion.id)?, &error));
                        Some(End::Unknown)
                    }
                };
                known.extend(end.map(|end| (backup, end)));
            }
            let ends = known;
            trash.pending.push(Pending { deletion, ends });
        }
        let unclear = ends.into_iter();
        trash.unclear = unclear
            .flat_map(|(deletion, backups)| backups.into_iter().map(move |id| (deletion, id)))
            .collect();
        Ok(trash)
    }

    fn end(&self, backup: BackupId, deletion: DeletionId) -> Result<Option<End>> {
        let name = end_object(backup, deletion)?;
        match read_all(self.store.as_ref(), &name, DOCUMENT_BYTES_MAX) {
            Ok(bytes) => {
                let end: EndObject = sealed::open(&name.to_string(), &bytes)?;
                if (end.backup, end.deletion) != (backup, deletion) {
                    let reason = "it is the end of another backup or deletion";
                    return Err(Error::corrupt(name.to_string(), reason));
                }
                Ok(Some(end.end))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Claims the end of a deletion for one backup, and answers the end that it has: that of whoever
    /// came first. `None` when the deletion has ended for all of its backups and is tidied away, whatever
    /// was decided of this one.
    pub(crate) fn claim(
        &self,
        deletion: DeletionId,
        backup: BackupId,
        end: End,
    ) -> Result<Option<End>> {
        let object = EndObject {
            format: FORMAT_VERSION,
            deletion,
            backup,
            end,
            unix_ms: self.now_ms(),
        };
        let name = end_object(backup, deletion)?;
        let put = self.store.put_new(&name, &seal("end", &object)?)?;
        let decided = match put {
            Put::Created => Some(end),
            Put::Exists => self.end(backup, deletion)?,
        };
        if self.is_pending(deletion)? {
            return Ok(decided);
        }
        if put == Put::Created {
            self.store.delete(&name)?;
        }
        Ok(None)
    }

    /// Whether the record of a deletion is there. It goes before its ends, so what was read of these before
    /// is how they were decided first.
    pub(super) fn is_pending(&self, deletion: DeletionId) -> Result<bool> {
        self.store.exists(&deletion_object(deletion)?)
    }

    /// Says that a backup is purged, which nothing takes back.
    pub(crate) fn mark_purged(&self, backup: BackupId) -> Result<()> {
        let purged = serde_json::json!({ "format": FORMAT_VERSION, "backup": backup });
        let _ = self
            .store
            .put_new(&purged_object(backup)?, &seal("end", &purged)?)?;
        Ok(())
    }

    /// Whether a backup that is not there was purged.
    pub(crate) fn is_purged(&self, backup: BackupId) -> Result<bool> {
        self.store.exists(&purged_object(backup)?)
    }

    /// Takes a deletion away that is over for all of its backups, with its ends. The record first: without
    /// the end of a backup that was undeleted it would be open again.
    pub(crate) fn tidy_deletion(&self, deletion: &Deletion) -> Result<()> {
        self.store.delete(&deletion_object(deletion.id)?)?;
        for backup in &deletion.backups {
            self.store.delete(&end_object(backup.id, deletion.id)?)?;
        }
        Ok(())
    }

    /// Takes the ends away that whoever took their deletion away left.
    pub(super) fn tidy_ends(&self, trash: &Trash) -> Result<()> {
        for (deletion, backup) in &trash.unclear {
            if !self.is_pending(*deletion)? {
                self.store.delete(&end_object(*backup, *deletion)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statekeep_core::Progress;

    use super::{DeletedBackup, Deletion, End, deletion_object};
    use crate::name::{BackupId, Folder};
    use crate::repository::Repository;
    use crate::testing::{backup, disk, repository, rows};

    /// A backup, and a deletion of it that was taken back.
    fn undeleted(repository: &Repository) -> (BackupId, Deletion) {
        let id = backup(repository, &rows(9, 9), "none", &Progress::new())
            .unwrap()
            .id;
        let going = vec![DeletedBackup {
            id,
            reason: String::new(),
        }];
        let deletion = repository.put_deletion(going, 0, "").unwrap();
        repository.undelete(id).unwrap();
        (id, deletion)
    }

    fn ends(repository: &Repository) -> usize {
        repository
            .store
            .list(Folder::Ends, "")
            .unwrap()
            .objects
            .len()
    }

    /// Who listed deletions before one was undeleted and tidied away found its end free again, and purged
    /// what had been told to be there.
    #[test]
    fn what_was_tidied_away_is_not_decided_anew() {
        let repository = repository(&disk()).unwrap();
        let (id, deletion) = undeleted(&repository);
        let claim = |end| repository.claim(deletion.id, id, end).unwrap();
        assert_eq!(claim(End::Purged), Some(End::Undeleted));
        repository.tidy_deletion(&deletion).unwrap();
        assert_eq!(claim(End::Purged), None);
        assert_eq!(claim(End::Undeleted), None);
        assert_eq!(ends(&repository), 0);
        assert!(
            repository
                .collect(&Progress::new())
                .unwrap()
                .purged
                .is_empty()
        );
        assert_eq!(repository.list().unwrap().backups[0].id, id);
    }

    /// A collector that was killed after it took a deletion away left its ends for ever.
    #[test]
    fn ends_without_their_deletion_go() {
        let repository = repository(&disk()).unwrap();
        let (id, deletion) = undeleted(&repository);
        let record = deletion_object(deletion.id).unwrap();
        repository.store.delete(&record).unwrap();
        assert_eq!(ends(&repository), 1);
        let claimed = repository.claim(deletion.id, id, End::Purged).unwrap();
        assert_eq!((claimed, ends(&repository)), (None, 1));
        repository.collect(&Progress::new()).unwrap();
        assert_eq!(ends(&repository), 0);
        assert_eq!(repository.list().unwrap().backups[0].id, id);
    }
}
