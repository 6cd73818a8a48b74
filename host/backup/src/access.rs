//! How a manager reaches its repository: at first use, with the key that it was given.
//!
//! The repository stays open, so that a passphrase is stretched once. One that was removed or
//! replaced meanwhile is opened anew.

use std::sync::Arc;

use statekeep_core::{Error, ErrorKind, Result};

use crate::encryption::{KeyId, KeyInfo, KeySource};
use crate::list::not_found;
use crate::manager::BackupManager;
use crate::name::{BackupId, ObjectName};
use crate::repository::Repository;

impl BackupManager {
    /// Says what opens the repository. With a secret, a repository that the first backup makes is
    /// encrypted, and one that is not encrypted is refused; without one, one that is. Touches no file.
    #[must_use]
    pub fn with_key(self, key: Option<KeySource>) -> BackupManager {
        BackupManager { key, ..self }
    }

    /// The keys of the repository, oldest first: the passphrases and key files that open it.
    ///
    /// # Errors
    /// `NotFound` before the first backup, `Unsupported` for a repository that is not encrypted,
    /// `PermissionDenied` for a wrong secret; so too all calls below.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        self.present()?.keys()
    }

    /// Adds a key: `source` opens the repository too. No backup is written again.
    ///
    /// # Errors
    /// `TooLarge` above [`crate::KEYS_MAX`] keys.
    pub fn add_key(&self, source: &KeySource, label: Option<&str>) -> Result<KeyInfo> {
        self.present()?.add_key(source, label)
    }

    /// Removes a key: its secret no longer opens the repository.
    ///
    /// # Errors
    /// `NotFound`, and `Conflict` for the key that opened the repository here.
    pub fn remove_key(&self, id: KeyId) -> Result<()> {
        self.present()?.remove_key(id)
    }

    /// Puts a key made of `source` in the place of the one that opened the repository here. This
    /// manager goes on; the next one needs the other secret.
    pub fn change_key(&self, source: &KeySource) -> Result<KeyInfo> {
        self.present()?.change_key(source)
    }

    pub(crate) fn present(&self) -> Result<Arc<Repository>> {
        self.find()?.ok_or_else(|| {
            let message = format!(
                "there is no backup repository at {}; the first backup makes it. If there were backups, is \
                 `backup.dir` right, and is its disk there?",
                self.config.dir.display()
            );
            Error::other(ErrorKind::NotFound, message)
        })
    }

    pub(crate) fn existing(&self, id: BackupId) -> Result<Arc<Repository>> {
        self.find()?.ok_or_else(|| not_found(id))
    }

    pub(crate) fn find(&self) -> Result<Option<Arc<Repository>>> {
        let mut slot = self.repository.lock();
        if let Some(repository) = &*slot
            && repository.store.exists(&ObjectName::format())?
        {
            return Ok(Some(Arc::clone(repository)));
        }
        // Not made yet, or removed or put elsewhere by somebody.
        let key = self.key.as_ref();
        let found = match &self.opener {
            Some(open) => Repository::in_store(open()?, key)?,
            None => Repository::open(self.manager.vfs(), &self.config.dir, key)?,
        };
        let clock = self.manager.clock();
        *slot = found.map(|found| Arc::new(found.with_clock(clock)));
        Ok(slot.clone())
    }

    pub(crate) fn open_or_create(&self) -> Result<Arc<Repository>> {
        if let Some(repository) = self.find()? {
            return Ok(repository);
        }
        let (key, clock, vfs) = (self.key.as_ref(), self.manager.clock(), self.manager.vfs());
        let repository = match &self.opener {
            Some(open) => Repository::in_store_or_new(open()?, key, clock)?,
            None => Repository::open_or_create(vfs, &self.config.dir, key, clock)?,
        };
        let repository = Arc::new(repository);
        *self.repository.lock() = Some(Arc::clone(&repository));
        Ok(repository)
    }
}
