//! The state directory: who owns it, which namespace is current, how both come to be and change.
//!
//! ```text
//! STATE/CURRENT         backend and namespace in use; replaced by rename
//! STATE/LOCK            held by the one process that has the state open
//! STATE/ns-ID/          a namespace: NAMESPACE and engine/; PENDING until it was once in use
//! STATE/backups/        the default place of backups; looked at and never changed here
//! STATE/CREATING        only while a folder that was there before is being made a state
//! ```
//! What always holds: a state, a namespace and CURRENT appear under their names only when they are
//! complete and on stable storage, so a stop anywhere leaves the old or the new. What unfinished
//! work leaves is called `*.creating-ID`, `*.removing-ID` or `CURRENT.tmp-ID`, or is marked PENDING,
//! and swept at open.

mod build;
mod create;
mod current;
mod document;
mod ids;
mod lock;
mod namespace;
mod pending;
mod sweep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

pub(crate) use current::CURRENT;
pub use current::Current;
pub use ids::{BadId, NamespaceId, StateId};
pub use namespace::NamespaceInfo;
pub use pending::PendingNamespace;

use self::current::now;
use self::namespace::Engine;
use crate::backend::needed;
use crate::vfs::{FileLock, ReplaceError, Vfs, failed, tree_bytes};
use crate::{Backend, Error, ErrorKind, Plugins, Result};

/// Writes the first rows of a new namespace, with [`Durability::Sync`](crate::Durability::Sync). It
/// may run more than once for one state: what an attempt wrote that was not finished is gone.
pub type Init<'a> = dyn Fn(&dyn Backend, &StateId) -> Result<()> + 'a;

/// How a state directory is opened.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// Make the state if there is none at the path.
    pub create: bool,
    /// The backend's short or full name. Of a state that is there it must be the backend in use;
    /// empty stands for whichever that is.
    pub backend: String,
    /// The user's settings for the backend, a JSON object.
    pub backend_options: serde_json::Value,
}

/// A state directory with the backend of its current namespace.
pub struct Opened {
    /// The directory; holds the lock.
    pub dir: StateDir,
    /// What CURRENT says.
    pub current: Current,
    /// The current namespace's backend.
    pub backend: Arc<dyn Backend>,
    /// The state was made by this call.
    pub created: bool,
    /// `init` filled this backend in this call: at creation, and at each opening of a state whose
    /// backend keeps its rows only as long as the process.
    pub initialised: bool,
}

/// An open state directory. Clones share it; the lock is released when the last of them and the
/// last [`PendingNamespace`] is gone.
#[derive(Clone)]
pub struct StateDir {
    inner: Arc<Inner>,
}

struct Inner {
    vfs: Arc<dyn Vfs>,
    plugins: Arc<dyn Plugins>,
    path: PathBuf,
    /// The settings of each backend that this process was told.
    options: Mutex<HashMap<String, serde_json::Value>>,
    current: Mutex<Current>,
    _lock: Box<dyn FileLock>,
}

/// `fjall` and `statekeep.fjall` are one backend; stored is the short form.
fn short_name(backend: &str) -> &str {
    backend.strip_prefix("statekeep.").unwrap_or(backend)
}

impl StateDir {
    /// Opens the state at a path, making it first if there is none and `options.create` says so.
    /// Takes the lock, sweeps what dead creators left.
    ///
    /// # Errors
    /// `Busy` with the holder; `NotFound` when there is no state and none may be made;
    /// `InvalidArgument` for a folder that holds something else, which is never touched (backups
    /// alone are no such thing: a state is made around them); `Corrupt`
    /// with the namespaces found when CURRENT is missing or damaged; `Incompatible` for a later
    /// format; `Conflict` when the state has another backend; errors of the backend and of `init`.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        options: &CreateOptions,
        plugins: Arc<dyn Plugins>,
        init: &Init<'_>,
    ) -> Result<Opened> {
        create::open(vfs, path, options, plugins, init)
    }

    /// Where it is: absolute, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What CURRENT says.
    pub fn current(&self) -> Current {
        self.inner.current.lock().clone()
    }

    /// Starts a namespace beside the current one, on a backend with its settings, and fills its
    /// first rows by `init`.
    pub fn create_namespace(
        &self,
        backend: &str,
        backend_options: &serde_json::Value,
        init: &Init<'_>,
    ) -> Result<PendingNamespace> {
        let engine = Engine {
            plugins: Arc::clone(&self.inner.plugins),
            name: short_name(backend).to_owned(),
            options: backend_options.clone(),
        };
        PendingNamespace::start(&self.inner, engine, self.current().state, init)
    }

    /// Makes a published namespace the current one, durably. [`StateDir::settle_current`] should
    /// follow when there is time.
    ///
    /// # Errors
    /// `Indeterminate`: the new CURRENT is in place but was not synced, so a power cut may bring the
    /// old one back. Nothing may be acknowledged on either namespace: close and open again. Any
    /// other error: the old CURRENT stands.
    pub fn replace_current(&self, namespace: NamespaceId, backend: &str) -> Result<Current> {
        let mut current = self.inner.current.lock();
        let folder = self.folder(namespace);
        let info = NamespaceInfo::expect(&*self.inner.vfs, &folder, namespace, current.state)?;
        check_backend(&folder, &info.backend, backend)?;
        // With its mark it would be swept as soon as it is no longer in use.
        pending::unmark(&*self.inner.vfs, &self.folder(current.namespace))?;
        let next = Current {
            state: current.state,
            backend: info.backend,
            namespace,
            generation: current.generation + 1,
            written: now(),
        };
        match next.replace(&*self.inner.vfs, &self.inner.path) {
            Ok(()) => {}
            Err(ReplaceError::Unchanged(error)) => return Err(error),
            Err(ReplaceError::Unsynced(error)) => {
                let message = format!(
                    "{} names {namespace} now, and whether that survives a power cut is unknown: \
                     {error}; close the state and open it again",
                    self.inner.path.join(current::CURRENT).display()
                );
                return Err(Error::other(ErrorKind::Indeterminate, message));
            }
        }
        *current = next.clone();
        Ok(next)
    }

    /// Takes the mark of unfinished work from the namespace that has become current. Left out, the
    /// next opening or replacement does it.
    pub fn settle_current(&self) -> Result<()> {
        let current = self.inner.current.lock();
        pending::unmark(&*self.inner.vfs, &self.folder(current.namespace))
    }

    /// The settings that this process has for a backend; none when it was never told any.
    pub fn backend_options(&self, backend: &str) -> serde_json::Value {
        let known = self.inner.options.lock();
        known
            .get(short_name(backend))
            .cloned()
            .unwrap_or_else(no_options)
    }

    /// Remembers the settings of a backend for as long as the directory is open.
    pub fn set_backend_options(&self, backend: &str, options: serde_json::Value) {
        let mut known = self.inner.options.lock();
        known.insert(short_name(backend).to_owned(), options);
    }

    /// Every namespace that is or was in use, oldest first. Those that are not current stay until
    /// [`StateDir::remove_namespace`]: they are the undo of a restore or swap.
    pub fn namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let state = self.current().state;
        let vfs = &*self.inner.vfs;
        let mut all = Vec::new();
        for id in namespaces_in(vfs, &self.inner.path)? {
            let folder = self.folder(id);
            let is_current = self.current().namespace == id;
            if is_current || !pending::is_marked(vfs, &folder)? {
                all.push(NamespaceInfo::expect(vfs, &folder, id, state)?);
            }
        }
        Ok(all)
    }

    /// Bytes of all files of a namespace.
    pub fn namespace_bytes(&self, namespace: NamespaceId) -> Result<u64> {
        tree_bytes(&*self.inner.vfs, &self.folder(namespace))
    }

    /// Opens the backend of a namespace that is not current, for an undo.
    pub fn open_namespace(&self, namespace: NamespaceId) -> Result<Arc<dyn Backend>> {
        let folder = self.folder(namespace);
        let state = self.current().state;
        let info = NamespaceInfo::expect(&*self.inner.vfs, &folder, namespace, state)?;
        self.engine(&info.backend).open(&folder).map_err(needed)
    }

    /// Removes a namespace for good. Its backend must be closed.
    ///
    /// # Errors
    /// `Conflict` for the current one.
    pub fn remove_namespace(&self, namespace: NamespaceId) -> Result<()> {
        let current = self.inner.current.lock();
        if current.namespace == namespace {
            let message = format!("{namespace} is in use and cannot be removed");
            return Err(Error::other(ErrorKind::Conflict, message));
        }
        pending::take_away(&*self.inner.vfs, &self.folder(namespace))
    }

    /// Removes a published namespace that did not become current because of `error`, unless it may
    /// have: then the next opening decides. What cannot be removed is swept by the next opening.
    pub(crate) fn give_up(&self, namespace: NamespaceId, error: &Error) {
        if error.kind() != ErrorKind::Indeterminate
            && let Err(left) = self.remove_namespace(namespace)
        {
            tracing::warn!(%namespace, error = %left, "a namespace that was never in use stays behind");
        }
    }

    fn folder(&self, namespace: NamespaceId) -> PathBuf {
        self.inner.path.join(namespace.to_string())
    }

    fn engine(&self, backend: &str) -> Engine {
        Engine {
            plugins: Arc::clone(&self.inner.plugins),
            name: backend.to_owned(),
            options: self.backend_options(backend),
        }
    }
}

fn no_options() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// The namespaces whose folders are in a state directory, oldest first.
fn namespaces_in(vfs: &dyn Vfs, path: &Path) -> Result<Vec<NamespaceId>> {
    let entries = vfs.read_dir(path).map_err(failed("list", path))?;
    let folders = entries.into_iter().filter(|entry| entry.is_dir);
    Ok(folders
        .filter_map(|entry| entry.name.parse().ok())
        .collect())
}

fn check_backend(place: &Path, found: &str, asked: &str) -> Result<()> {
    if asked.is_empty() || short_name(asked) == found {
        return Ok(());
    }
    let message = format!(
        "{} uses the backend `{found}` and `{asked}` was asked for; set `backend = \"{found}\"` and \
         its `backend_options` in the configuration, or open it so and swap it to `{asked}`",
        place.display()
    );
    Err(Error::other(ErrorKind::Conflict, message))
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
