//! Deletions by hand, what is deleted and not removed yet, and taking that back.

use serde::Serialize;
use statekeep_core::{Error, ErrorKind, Result};

use super::deletion::{DeletedBackup, Deletion, DeletionId, End};
use crate::list::not_found;
use crate::manager::BackupManager;
use crate::name::{BackupId, Folder, ObjectName};
use crate::repository::Repository;

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
                None => match self.claim(pending.deletion.id, id, End::Undeleted)? {
                    Some(end) => purged |= end == End::Purged,
                    // It ended meanwhile, one way or the other.
                    None => continue,
                },
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
