//! A state of restored records in a directory of its own, made whole or not at all.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value as Json};

use super::RestoreSource;
use super::fill::{Filling, describe};
use crate::commit::begin_state;
use crate::manager::ulid_of;
use crate::meta::{Fork, Meta};
use crate::state_dir::{CURRENT, CreateOptions, StateDir, StateId};
use crate::{Backend, Error, ErrorKind, OpenOptions, Plugins, Result, Sequence, StateManager, vfs};

/// A new state that is being filled.
pub struct FreshState<'a> {
    filling: &'a mut Filling,
    target: &'a dyn Backend,
    notes: Map<String, Json>,
    fork: Option<Fork>,
}

impl FreshState<'_> {
    /// Adds a record under its stored key, as
    /// [`NamespaceBuilder::put`](super::NamespaceBuilder::put) does.
    pub fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        self.filling.put(self.target, key, record)
    }

    /// Adds to what the journal says about the restore.
    pub fn note(&mut self, name: &str, value: impl Into<Json>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    /// As [`NamespaceBuilder::fork_of`](super::NamespaceBuilder::fork_of).
    pub fn fork_of(&mut self, timeline: &str) {
        self.fork = Fork::of(timeline, self.filling.source.sequence);
    }
}

/// A state that was made of restored records. It is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredState {
    /// Its id, which no other state has.
    pub state_id: String,
    /// Its first commit, that of the restore, which comes after all of the source.
    pub sequence: Sequence,
}

impl StateManager {
    /// Makes a state at `options.path` of the records that `fill` puts, with an id and a timeline of
    /// its own, durably. `fill` is run again when another process was in the way.
    ///
    /// # Errors
    /// Those of `fill`, `AlreadyExists` for a state that is there, `InvalidArgument` for a folder that
    /// is not empty or lies in another state, `Unsupported` for a backend that keeps nothing on disk: nothing was made then.
    pub fn create_restored(
        options: &OpenOptions,
        plugins: Arc<dyn Plugins>,
        source: &RestoreSource,
        fill: &mut (dyn FnMut(&mut FreshState<'_>) -> Result<()> + Send),
    ) -> Result<RestoredState> {
        for name in [CURRENT, "backups"] {
            let place = options.path.join(name);
            if options
                .vfs
                .exists(&place)
                .map_err(vfs::failed("look for", &place))?
            {
                let reason = format!(
                    "{} is not empty; a restore makes a new state in a folder that is not there or \
                     empty",
                    options.path.display()
                );
                return Err(Error::other(ErrorKind::AlreadyExists, reason));
            }
        }
        if let Some(around) = vfs::folder_around(&*options.vfs, &options.path, &[CURRENT])? {
            let reason = format!(
                "{} lies in {}, which is a state itself: what is in its folder goes with it; choose a \
                 place outside of it",
                options.path.display(),
                around.display()
            );
            return Err(Error::invalid("directory of a restore", reason));
        }
        let clock = options.clock.clone();
        let work = Mutex::new((fill, Sequence(0)));
        let init = |backend: &dyn Backend, id: &StateId| {
            let capabilities = backend.capabilities();
            if !capabilities.persistent {
                let message = "a state is not restored into a backend that keeps nothing on disk";
                return Err(Error::other(ErrorKind::Unsupported, message));
            }
            let mut work = work.lock();
            let (fill, sequence) = &mut *work;
            let mut filling = Filling::new(source.clone(), capabilities)?;
            let mut fresh = FreshState {
                filling: &mut filling,
                target: backend,
                notes: Map::new(),
                fork: None,
            };
            fill(&mut fresh)?;
            let (mut detail, fork) = (fresh.notes, fresh.fork);
            filling.flush(backend)?;
            describe(&mut detail, source, filling.records);
            let meta = Meta {
                fork,
                ..Meta::new_state(ulid_of(id)?, clock.now())
            };
            *sequence = begin_state(backend, meta, source, &Json::Object(detail))?;
            Ok(())
        };
        let create = CreateOptions {
            create: true,
            backend: options.backend.clone(),
            backend_options: options.backend_options.clone(),
        };
        let vfs = options.vfs.clone();
        let opened = StateDir::open(vfs, &options.path, &create, plugins, &init)?;
        if !opened.created {
            let message = format!("{} was made by somebody else", options.path.display());
            return Err(Error::other(ErrorKind::AlreadyExists, message));
        }
        Ok(RestoredState {
            state_id: opened.current.state.to_string(),
            sequence: work.into_inner().1,
        })
    }
}
