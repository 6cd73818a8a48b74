//! Making a state, so that it is there whole or not at all.
//!
//! Where nothing is at the path, the state is built as a sibling, `NAME.creating-ID`, whose lock
//! tells a living creator from a dead one, and renamed into place, the lock with it. A folder that
//! is there already may be a mount point, or all that we may write to, and has an owner and a mode
//! that somebody chose: it is filled in place. There the marker `CREATING` says that a folder
//! without CURRENT is unfinished and which namespace is, and CURRENT is what finishes it. Of two
//! creators one wins, and the other finds the state or is `Busy`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::create::{Fresh, Opening, refused};
use super::sweep::{self, MARKER, creating};
use super::{Current, NamespaceId, StateId, current, lock, namespaces_in, pending};
use crate::vfs::{Vfs, failed, read_small, remove_tree, replace_file, sync_tree};
use crate::{Backend, Error, ErrorKind, Result};

/// The marker holds one name of a namespace, or nothing.
const MARKER_BYTES_MAX: u64 = 4096;

impl Opening<'_> {
    fn check_named(&self) -> Result<()> {
        if !self.options.backend.is_empty() {
            return Ok(());
        }
        let reason = "a new state needs the name of its backend";
        Err(Error::invalid("backend", reason))
    }

    fn first_current(&self, state: StateId, namespace: NamespaceId, backend: String) -> Current {
        let written = current::now();
        Current {
            state,
            backend,
            namespace,
            generation: 1,
            written,
        }
    }

    /// Builds a state beside its place and renames it there; `None` when another process was in
    /// the way, so that it is worth looking again.
    pub(super) fn create_beside(&self) -> Result<Option<Fresh>> {
        self.check_named()?;
        let vfs = &*self.vfs;
        let staging = self.place.parent.join(creating(&self.place.name));
        vfs.create_dir(&staging)
            .map_err(failed("create the directory", &staging))?;
        match self.build_beside(&staging) {
            Ok(fresh) => Ok(fresh),
            Err(error) => {
                // Another process may have taken us for dead before we had the lock.
                let swept = error.kind() == ErrorKind::NotFound
                    && vfs.exists(&staging).is_ok_and(|is_there| !is_there);
                discard(vfs, &staging);
                if swept { Ok(None) } else { Err(error) }
            }
        }
    }

    fn build_beside(&self, staging: &Path) -> Result<Option<Fresh>> {
        let (vfs, path) = (&*self.vfs, &self.place.path);
        let lock = match lock::take(vfs, staging) {
            // Another process sweeps what it takes for the leftovers of a dead one.
            Err(Error::Busy { .. }) => return Ok(None),
            lock => lock?,
        };
        let (state, namespace) = (StateId::new(), NamespaceId::new());
        let engine = self.engine(&self.options.backend);
        let folder = staging.join(namespace.to_string());
        let backend = engine.build(vfs, &folder, namespace, state, self.init)?;
        let kept = engine.close(backend)?;
        self.first_current(state, namespace, engine.name)
            .replace(vfs, staging)?;
        sync_tree(vfs, staging)?;
        match vfs.rename(staging, path) {
            Ok(()) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                    discard(vfs, staging);
                    return Ok(None);
                }
                io::ErrorKind::NotADirectory => {
                    return Err(refused(
                        path,
                        "not a Statekeep state: it is a file, not a folder",
                    ));
                }
                _ => return Err(failed("rename", staging)(error)),
            },
        }
        let parent = &self.place.parent;
        vfs.sync_dir(parent)
            .map_err(failed("sync the directory", parent))?;
        Ok(Some(Fresh { lock, kept }))
    }

    /// Fills a folder that is there; `None` when another process has done so meanwhile. What a
    /// failure leaves in it is the marker and the lock file.
    pub(super) fn create_inside(&self) -> Result<Option<Fresh>> {
        self.check_named()?;
        let (vfs, path) = (&*self.vfs, &self.place.path);
        // Before the lock file: a folder with a lock file alone could be anybody's.
        let marker = path.join(MARKER);
        match vfs.create(&marker) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => drop(made.map_err(failed("create", &marker))?),
        }
        vfs.sync_dir(path)
            .map_err(failed("sync the directory", path))?;
        let lock = lock::take(vfs, path)?;
        let file = path.join(current::CURRENT);
        if vfs.exists(&file).map_err(failed("look for", &file))? {
            return Ok(None);
        }
        self.clear_inside()?;
        let namespace = NamespaceId::new();
        match self.build_inside(namespace) {
            Ok(kept) => Ok(Some(Fresh { lock, kept })),
            Err(error) => {
                // CURRENT in place and not synced is a state: the next opening decides.
                if vfs.exists(&file).is_ok_and(|is_there| !is_there)
                    && let Err(left) = self.clear_inside()
                {
                    tracing::warn!(error = %left, "unfinished work stays behind");
                }
                Err(error)
            }
        }
    }

    fn build_inside(&self, namespace: NamespaceId) -> Result<Option<Arc<dyn Backend>>> {
        let (vfs, path) = (&*self.vfs, &self.place.path);
        let state = StateId::new();
        let name = namespace.to_string();
        let bytes = format!("{name}\n");
        replace_file(vfs, path, MARKER, &current::temporary(), bytes.as_bytes())?;
        let engine = self.engine(&self.options.backend);
        let staging = path.join(creating(&name));
        let backend = engine.build(vfs, &staging, namespace, state, self.init)?;
        let kept = engine.close(backend)?;
        sync_tree(vfs, &staging)?;
        vfs.rename(&staging, &path.join(&name))
            .map_err(failed("rename", &staging))?;
        vfs.sync_dir(path)
            .map_err(failed("sync the directory", path))?;
        let first = self.first_current(state, namespace, engine.name);
        first.replace(vfs, path)?;
        Ok(kept)
    }

    /// Removes what a dead creator left in a folder whose lock we hold: unfinished work, and the
    /// namespace that the marker names. Any other namespace was once in use.
    fn clear_inside(&self) -> Result<()> {
        let (vfs, path) = (&*self.vfs, &self.place.path);
        let marker = path.join(MARKER);
        let bytes = read_small(vfs, &marker, MARKER_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        let begun = text.trim_end().parse::<NamespaceId>().ok();
        for namespace in namespaces_in(vfs, path)? {
            if Some(namespace) != begun {
                return Err(self.damaged("it is missing"));
            }
            pending::take_away(vfs, &path.join(namespace.to_string()))?;
        }
        sweep::try_inside(vfs, path)
    }
}

/// Removes what we were building; what stays is swept at the next opening.
fn discard(vfs: &dyn Vfs, staging: &Path) {
    if let Err(error) = remove_tree(vfs, staging) {
        tracing::warn!(folder = %staging.display(), %error, "unfinished work stays behind");
    }
}
