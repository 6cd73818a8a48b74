//! A namespace that is being made beside the one in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::namespace::Engine;
use super::sweep::{creating, removing, unfinished};
use super::{Init, Inner, NamespaceId, StateId};
use crate::vfs::{Vfs, failed, remove_tree, sync_tree, unless_gone};
use crate::{Backend, Result};

/// Marks a published namespace that was never in use. It is none to go back to, so an opening that
/// finds another one current removes it.
const MARK: &str = "PENDING";

pub(super) fn is_marked(vfs: &dyn Vfs, folder: &Path) -> Result<bool> {
    let mark = folder.join(MARK);
    vfs.exists(&mark).map_err(failed("look for", &mark))
}

/// Takes the mark away, durably: one that came back after a power cut would cost an undo.
pub(super) fn unmark(vfs: &dyn Vfs, folder: &Path) -> Result<()> {
    if !is_marked(vfs, folder)? {
        return Ok(());
    }
    let mark = folder.join(MARK);
    unless_gone(vfs.remove_file(&mark)).map_err(failed("remove", &mark))?;
    vfs.sync_dir(folder)
        .map_err(failed("sync the directory", folder))
}

/// A namespace under construction; dropped, it is removed and the state is as it was.
pub struct PendingNamespace {
    // Dropped in this order: the backend lets go of its files before they are removed.
    backend: Arc<dyn Backend>,
    engine: Engine,
    namespace: NamespaceId,
    folder: Unfinished,
}

impl PendingNamespace {
    pub(super) fn start(
        state: &Arc<Inner>,
        engine: Engine,
        id: StateId,
        init: &Init<'_>,
    ) -> Result<PendingNamespace> {
        let namespace = NamespaceId::new();
        let path = state.path.join(creating(&namespace.to_string()));
        let folder = Unfinished {
            state: Arc::clone(state),
            path,
            done: false,
        };
        let backend = engine.build(&*state.vfs, &folder.path, namespace, id, init)?;
        Ok(PendingNamespace {
            backend,
            engine,
            namespace,
            folder,
        })
    }

    /// The identity it will have.
    pub fn id(&self) -> NamespaceId {
        self.namespace
    }

    /// The backend to fill. Let go of every clone before [`PendingNamespace::publish`].
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Makes everything in it durable and gives it its name; answers the backend, opened again (one
    /// that is not persistent is the same instance). It is in use only after
    /// [`StateDir::replace_current`](super::StateDir::replace_current).
    ///
    /// On an error the namespace is removed and the state is as it was.
    pub fn publish(self) -> Result<(NamespaceId, Arc<dyn Backend>)> {
        let PendingNamespace {
            backend,
            engine,
            namespace,
            mut folder,
        } = self;
        let state = Arc::clone(&folder.state);
        let kept = engine.close(backend)?;
        let mark = folder.path.join(MARK);
        drop(state.vfs.create(&mark).map_err(failed("create", &mark))?);
        sync_tree(&*state.vfs, &folder.path)?;
        let target = state.path.join(namespace.to_string());
        state
            .vfs
            .rename(&folder.path, &target)
            .map_err(failed("rename", &folder.path))?;
        folder.path = target;
        state
            .vfs
            .sync_dir(&state.path)
            .map_err(failed("sync the directory", &state.path))?;
        let backend = match kept {
            Some(backend) => backend,
            None => engine.open(&folder.path)?,
        };
        folder.done = true;
        Ok((namespace, backend))
    }
}

/// A folder that is removed unless the work in it was done.
struct Unfinished {
    state: Arc<Inner>,
    path: PathBuf,
    done: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Err(error) = take_away(&*self.state.vfs, &self.path) {
            // Swept at the next opening.
            tracing::warn!(folder = %self.path.display(), %error, "unfinished work stays behind");
        }
    }
}

/// Removes a namespace folder in a way that never leaves half of it under its own name.
pub(super) fn take_away(vfs: &dyn Vfs, folder: &Path) -> Result<()> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let doomed = match unfinished(name) {
        Some(_) => folder.to_owned(),
        None => {
            let doomed = folder.with_file_name(removing(name));
            vfs.rename(folder, &doomed)
                .map_err(failed("rename", folder))?;
            // Before anything in it goes: a power cut could bring the old name back.
            if let Some(parent) = folder.parent() {
                vfs.sync_dir(parent)
                    .map_err(failed("sync the directory", parent))?;
            }
            doomed
        }
    };
    remove_tree(vfs, &doomed)
}
