//! Opening a state directory: what is at the path, whose it is, and whether it holds together.
//!
//! What always holds: a folder that is not ours is never changed, and nothing is acknowledged on
//! names that a power cut could still take back.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::namespace::{Engine, NamespaceInfo};
use super::sweep::{self, MARKER, unfinished};
use super::{
    CreateOptions, Current, Init, Inner, NamespaceId, Opened, StateDir, check_backend, current,
    lock, namespaces_in, short_name,
};
use crate::backend::needed;
use crate::vfs::{DirEntry, FileLock, Vfs, create_dir_all, failed, sync_dir_if_ours, unless_gone};
use crate::{Backend, Error, ErrorKind, Plugins, Result};

/// How often creation is tried again when another process creates or sweeps at the same moment.
const ATTEMPTS_MAX: usize = 16;

/// The default place of backups in a state directory, and the file that a repository has.
const BACKUPS: &str = "backups";
const BACKUPS_MARK: &str = "FORMAT";

/// A fresh volume may come with the folder of the file system's own repairs.
const LOST_AND_FOUND: &str = "lost+found";

/// A state directory's place in the file system.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) parent: PathBuf,
    pub(super) name: String,
}

enum Found {
    Nothing,
    /// An empty folder, one that somebody began to fill, or one with only the backups of a state.
    Folder,
    State,
}

/// What creation hands to opening.
pub(super) struct Fresh {
    pub(super) lock: Box<dyn FileLock>,
    /// The filled backend, when it lives only in this process.
    pub(super) kept: Option<Arc<dyn Backend>>,
}

pub(super) fn open(
    vfs: Arc<dyn Vfs>,
    path: &Path,
    options: &CreateOptions,
    plugins: Arc<dyn Plugins>,
    init: &Init<'_>,
) -> Result<Opened> {
    let place = resolve(&*vfs, path, options.create)?;
    let opening = Opening {
        vfs,
        place,
        options,
        plugins,
        init,
    };
    for _ in 0..ATTEMPTS_MAX {
        let fresh = match opening.look()? {
            Found::State => return opening.existing(None),
            _ if !options.create => return Err(no_state(path)),
            Found::Nothing => opening.create_beside()?,
            Found::Folder => opening.create_inside()?,
        };
        if fresh.is_some() {
            return opening.existing(fresh);
        }
    }
    let holder = "processes that create it at the same time".to_owned();
    Err(Error::Busy {
        path: opening.place.path,
        holder,
    })
}

fn no_state(path: &Path) -> Error {
    let path = path.display();
    let message = format!("there is no state at {path}; set `create` to make one");
    Error::other(ErrorKind::NotFound, message)
}

pub(super) fn refused(path: &Path, reason: &str) -> Error {
    Error::invalid("state directory", format!("{}: {reason}", path.display()))
}

/// The one spelling of the path, so that one state has one name whichever way it is reached.
fn resolve(vfs: &dyn Vfs, path: &Path, create: bool) -> Result<Place> {
    let asked = std::path::absolute(path).map_err(failed("resolve", path))?;
    let nameless = || refused(path, "a state needs a folder with a name of its own");
    let there = match vfs.exists(&asked) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(refused(path, "a part of the path is a file, not a folder"));
        }
        there => there.map_err(failed("look for", path))?,
    };
    let path = if there {
        canonical(vfs, &asked)?
    } else if create {
        let name = asked.file_name().ok_or_else(nameless)?;
        let parent = asked.parent().ok_or_else(nameless)?;
        create_dir_all(vfs, parent)?;
        canonical(vfs, parent)?.join(name)
    } else {
        return Err(no_state(path));
    };
    let parent = path.parent().ok_or_else(nameless)?.to_owned();
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(nameless)?
        .to_owned();
    if unfinished(&name).is_some() {
        return Err(refused(
            &path,
            "this name marks unfinished work, which is swept; rename it",
        ));
    }
    Ok(Place { path, parent, name })
}

/// The one spelling of what is there.
fn canonical(vfs: &dyn Vfs, path: &Path) -> Result<PathBuf> {
    vfs.canonical(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused(
            path,
            "a symbolic link leads nowhere; make the folder that it names, or remove the link",
        ),
        _ => failed("resolve", path)(error),
    })
}

/// One call of [`StateDir::open`].
pub(super) struct Opening<'a> {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) place: Place,
    pub(super) options: &'a CreateOptions,
    pub(super) plugins: Arc<dyn Plugins>,
    pub(super) init: &'a Init<'a>,
}

impl Opening<'_> {
    fn look(&self) -> Result<Found> {
        let path = &self.place.path;
        let not_ours = |what: &str| refused(path, &format!("not a Statekeep state: {what}"));
        let file = path.join(current::CURRENT);
        match self.vfs.exists(&file) {
            Ok(true) => return Ok(Found::State),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(not_ours("it is a file, not a folder"));
            }
            Err(error) => return Err(failed("look for", &file)(error)),
        }
        let entries = match self.vfs.read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(not_ours(&error.to_string()));
            }
            Err(error) => return Err(failed("list", path)(error)),
        };
        let holds = |name: &str| entries.iter().any(|entry| entry.name == name);
        // Another process may have put its state here between the two looks.
        if holds(current::CURRENT) {
            return Ok(Found::State);
        }
        let is_fresh = entries.iter().all(|entry| entry.name == LOST_AND_FOUND);
        if holds(MARKER) || is_fresh || self.is_left_with_backups(&entries)? {
            return Ok(Found::Folder);
        }
        if entries
            .iter()
            .any(|entry| entry.is_dir && entry.name.parse::<NamespaceId>().is_ok())
        {
            return Err(self.damaged("it is missing"));
        }
        Err(not_ours(
            "the folder is not empty and holds no CURRENT; choose another or an empty one",
        ))
    }

    /// Whether the backups of a state are all that is left of it, so that one can be made around
    /// them. A lock file or leftovers without them could be anybody's.
    fn is_left_with_backups(&self, entries: &[DirEntry]) -> Result<bool> {
        let ours = |entry: &DirEntry| match &*entry.name {
            BACKUPS | lock::LOCK | LOST_AND_FOUND => true,
            _ => sweep::is_leftover(entry),
        };
        Ok(entries.iter().all(ours) && self.has_backups()?)
    }

    fn has_backups(&self) -> Result<bool> {
        let format = self.place.path.join(BACKUPS).join(BACKUPS_MARK);
        match self.vfs.exists(&format) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
            there => there.map_err(failed("look for", &format)),
        }
    }

    /// CURRENT cannot be used: the error names what a repair has to choose from.
    pub(super) fn damaged(&self, reason: &str) -> Error {
        let found = match namespaces_in(&*self.vfs, &self.place.path) {
            Ok(names) if names.is_empty() => "no namespace is there".to_owned(),
            Ok(names) => {
                let names: Vec<_> = names.iter().map(NamespaceId::to_string).collect();
                format!("namespaces there: {}", names.join(", "))
            }
            Err(error) => error.to_string(),
        };
        let what = self.place.path.join(current::CURRENT).display().to_string();
        let backups = match self.has_backups() {
            Ok(true) => self.place.path.join(BACKUPS).display().to_string(),
            _ => "REPOSITORY".to_owned(),
        };
        Error::corrupt(
            what,
            format!(
                "{reason}; {found}; put the file back from a copy, or restore a backup into a new \
                 folder: statekeep --path NEW --set backup.dir={backups} backup restore ID"
            ),
        )
    }

    pub(super) fn engine(&self, backend: &str) -> Engine {
        Engine {
            plugins: Arc::clone(&self.plugins),
            name: short_name(backend).to_owned(),
            options: self.options.backend_options.clone(),
        }
    }

    fn existing(&self, fresh: Option<Fresh>) -> Result<Opened> {
        let (vfs, path) = (&*self.vfs, &self.place.path);
        let created = fresh.is_some();
        let (lock, kept) = match fresh {
            Some(fresh) => (fresh.lock, fresh.kept),
            None => (lock::take(vfs, path)?, None),
        };
        let current = self.read_current()?;
        check_backend(path, &current.backend, &self.options.backend)?;
        let folder = path.join(current.namespace.to_string());
        self.check_namespace(&current, &folder)?;
        // The state is whole, so the mark of its making goes, before there is anything to lose.
        let marker = path.join(MARKER);
        if vfs.exists(&marker).map_err(failed("look for", &marker))? {
            unless_gone(vfs.remove_file(&marker)).map_err(failed("remove", &marker))?;
        }
        // A process that was killed may have renamed what we see and not synced it; whatever is
        // acknowledged from here on rests on these names.
        vfs.sync_dir(path)
            .map_err(failed("sync the directory", path))?;
        sync_dir_if_ours(vfs, &self.place.parent)?;
        sweep::inside(vfs, path);
        sweep::pending(vfs, path, current.namespace);
        sweep::beside(vfs, &self.place.parent, &self.place.name);
        let filled = kept.is_some();
        let backend = match kept {
            Some(backend) => backend,
            None => self
                .engine(&current.backend)
                .open(&folder)
                .map_err(needed)?,
        };
        let volatile = !backend.capabilities().persistent;
        if volatile && !filled {
            (self.init)(&*backend, &current.state)?;
        }
        let inner = Inner {
            vfs: Arc::clone(&self.vfs),
            plugins: Arc::clone(&self.plugins),
            path: path.clone(),
            options: Mutex::new(HashMap::from([(
                current.backend.clone(),
                self.options.backend_options.clone(),
            )])),
            current: Mutex::new(current.clone()),
            _lock: lock,
        };
        let dir = StateDir {
            inner: Arc::new(inner),
        };
        Ok(Opened {
            dir,
            current,
            backend,
            created,
            initialised: created || volatile,
        })
    }

    fn read_current(&self) -> Result<Current> {
        Current::read(&*self.vfs, &self.place.path).map_err(|error| match error {
            Error::Corrupt { reason, .. } => self.damaged(&reason),
            Error::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                self.damaged("it is missing")
            }
            error => error,
        })
    }

    fn check_namespace(&self, current: &Current, folder: &Path) -> Result<()> {
        if !self
            .vfs
            .exists(folder)
            .map_err(failed("look for", folder))?
        {
            let reason = format!("it names {}, which is not there", current.namespace);
            return Err(self.damaged(&reason));
        }
        let info = NamespaceInfo::expect(&*self.vfs, folder, current.namespace, current.state)?;
        if info.backend == current.backend {
            return Ok(());
        }
        let (said, is) = (&current.backend, &info.backend);
        Err(self.damaged(&format!(
            "it names the backend `{said}` and the namespace is of `{is}`"
        )))
    }
}
