//! Sessions of a local store: who may write temporary files, and whether a writer lives.
//!
//! A session is a lock file that is held from the first put to the end of the store; the kernel
//! frees the lock when the process ends, so a lock that can be had belonged to a writer that is gone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use statekeep_core::vfs::{FileLock, LockOutcome, Vfs};
use statekeep_core::{Error, ErrorKind, Result};
use ulid::Ulid;

use super::{LOCK, LocalStore, file_error, holder};
use crate::name::Folder;

const SESSION_TRIES: u32 = 8;

/// The right to write temporary files, from the first put to the end of the store.
pub(super) struct Session {
    pub(super) id: String,
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    lock: Option<Box<dyn FileLock>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Every temporary file is gone or renamed by now; a file that stays is swept later.
        if let Err(error) = self.vfs.remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a lock file stays behind");
        }
        self.lock = None;
    }
}

/// Whether a text has the form of a session's name, which is safe in a path.
pub(super) fn is_session(text: &str) -> bool {
    Ulid::from_string(text).is_ok_and(|ulid| ulid.to_string() == text)
}

impl LocalStore {
    pub(super) fn begin(&self) -> Result<Arc<Session>> {
        let mut slot = self.session.lock();
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        // The process that renamed the repository into place may have died before it synced the
        // folder above; what we acknowledge stands on that name.
        // Where we may not even read that folder, we have not made the name either.
        if let Some(parent) = self.root.parent() {
            match self.vfs.sync_dir(parent) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                answer => answer.map_err(file_error("sync", parent))?,
            }
        }
        self.vfs
            .sync_dir(&self.root)
            .map_err(file_error("sync", &self.root))?;
        let folder = self.root.join(Folder::Leases.name());
        for _ in 0..SESSION_TRIES {
            let id = Ulid::new().to_string();
            let path = folder.join(format!("{LOCK}{id}"));
            let outcome = self
                .vfs
                .try_lock(&path, &holder())
                .map_err(file_error("lock", &path))?;
            // Busy: a sweeper met the file before it was locked.
            if let LockOutcome::Held(lock) = outcome {
                let session = Session {
                    id,
                    path,
                    vfs: Arc::clone(&self.vfs),
                    lock: Some(lock),
                };
                let session = Arc::new(session);
                *slot = Some(Arc::clone(&session));
                return Ok(session);
            }
        }
        let message = format!(
            "cannot get a writer's lock in {}; try again",
            folder.display()
        );
        Err(Error::other(ErrorKind::Unavailable, message))
    }

    pub(super) fn lock_path(&self, session: &str) -> PathBuf {
        let folder = self.root.join(Folder::Leases.name());
        folder.join(format!("{LOCK}{session}"))
    }

    /// This store's session, if it has written anything.
    pub(super) fn own(&self) -> Option<String> {
        let session = self.session.lock();
        session.as_ref().map(|session| session.id.clone())
    }

    /// Whether the writer of a session is gone. Its lock file is left in place, locked by us.
    pub(super) fn claim(&self, session: &str) -> Result<Option<Box<dyn FileLock>>> {
        let path = self.lock_path(session);
        match self
            .vfs
            .try_lock(&path, &holder())
            .map_err(file_error("lock", &path))?
        {
            LockOutcome::Held(lock) => Ok(Some(lock)),
            LockOutcome::Busy(_) => Ok(None),
        }
    }

    /// Names with a prefix and the id of a session, with the folder each is in.
    pub(super) fn leftovers_of(&self, prefix: &str) -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for folder in Folder::ALL {
            let path = self.root.join(folder.name());
            let entries = self
                .vfs
                .read_dir(&path)
                .map_err(file_error("list", &path))?;
            for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
                let Some(rest) = entry.name.strip_prefix(prefix) else {
                    continue;
                };
                let id = rest.split('-').next().unwrap_or_default();
                if is_session(id) {
                    found.push((id.to_owned(), path.join(&entry.name)));
                }
            }
        }
        Ok(found)
    }
}
