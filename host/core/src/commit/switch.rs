//! The moment another namespace takes the place of the one in use, between two commits: restore,
//! swap of the backend, undo.
//!
//! Until CURRENT is replaced the old namespace is untouched and in use; its folder stays as the
//! undo. Sequences go on rising over the change.

use std::sync::Arc;
use std::time::Instant;

use super::Committer;
use super::core::{Core, Position};
use super::request::Done;
use super::turn::Turn;
use crate::namespace::Namespace;
use crate::state_dir::{NamespaceId, StateDir};
use crate::{Backend, Error, ErrorKind, Result};

/// Completes a namespace at its turn.
pub(crate) type Complete = dyn FnOnce(&Turn<'_>) -> Result<Arc<dyn Backend>> + Send;

/// A namespace on stable storage, not yet in use, and what is left to do at its turn.
pub(crate) struct SwitchWork {
    /// The namespace that the new one was made from; with another one in use nothing is done.
    pub(crate) from: Option<NamespaceId>,
    pub(crate) to: NamespaceId,
    /// Completes the new namespace, durably, and hands its backend over.
    pub(crate) complete: Box<Complete>,
    pub(crate) heritage: Heritage,
    pub(crate) dir: StateDir,
    /// Replaces CURRENT; `Indeterminate` when a power cut may bring the old one back.
    pub(crate) replace: Box<dyn FnOnce() -> Result<()> + Send>,
}

/// What a namespace takes over that is in no row.
pub(crate) enum Heritage {
    Nothing,
    /// It goes on where the one in use ends: records in memory only, and what snapshots need.
    Continues,
    /// Its backend is still read through this namespace, which was in use before.
    Returns(Arc<Namespace>),
}

impl Core {
    /// Answers the microseconds that commits had to wait in [`Done::count`].
    pub(crate) fn switch(&mut self, committer: &Committer, work: SwitchWork) -> Result<Done> {
        let begun = Instant::now();
        let old = self.namespace.clone();
        if let Some(from) = work.from.filter(|from| *from != old.id) {
            let message = format!(
                "the state was restored, swapped or undone meanwhile: {} was in use and {} is; \
                 nothing was changed, try again",
                from, old.id
            );
            return Err(Error::other(ErrorKind::Conflict, message));
        }
        // The old namespace is the undo, so it must be whole on stable storage too.
        self.flush(committer)?;
        let backend = (work.complete)(&self.now(committer))?;
        let generation = old.generation + 1;
        let (namespace, tenant_next) = Namespace::load(
            backend,
            generation,
            work.dir,
            old.index.plugins().clone(),
            old.cache.facts().bytes_max,
        )?;
        if let Err(error) = (work.replace)() {
            if error.kind() == ErrorKind::Indeterminate {
                let _ = committer.poison(error.to_string());
            }
            return Err(error);
        }
        // Only now: what it takes over belongs to the old one until then.
        let namespace = Arc::new(namespace.after(&old, work.to, &work.heritage));
        self.position = Position {
            head: namespace.head_row(),
            tenant_next,
        };
        self.namespace = namespace.clone();
        self.dirty = false;
        committer.put_in_use(Some(&namespace));
        let head = self.position.head.sequence;
        Ok(Done {
            sequence: Some(head),
            count: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            head,
        })
    }
}
