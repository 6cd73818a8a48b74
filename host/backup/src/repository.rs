//! The repository as a whole: its creation, its FORMAT object and its manifests.
//!
//! A repository is built as `NAME.creating-ID` beside its place, synced, renamed and the folder
//! above is synced, so it is there wholly or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use statekeep_core::vfs::{LockOutcome, Vfs, create_dir_all};
use statekeep_core::{Clock, Error, ErrorKind, Result, SystemClock};
use ulid::Ulid;

use crate::attest::Records;
use crate::create::is_put;
use crate::encryption::{KeyId, KeySource, Keyring, Mark};
use crate::index::Rows;
use crate::local::{LocalStore, file_error, holder};
use crate::name::{Folder, ObjectName};
use crate::sealed::{self, DOCUMENT_BYTES_MAX, FORMAT_VERSION};
use crate::store::{Store, read_all};

const CREATING: &str = ".creating-";
const BUILD_LOCK: &str = ".lock";

/// Most times that a repository is begun because others, who make it at the same moment, sweep what was
/// begun.
const BEGINNINGS_MAX: u32 = 16;

/// The format number of an encrypted repository.
const FORMAT_ENCRYPTED: u32 = 2;

/// What FORMAT says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FormatObject {
    format: u32,
    repository: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encryption: Option<Mark>,
}

/// The objects of a repository that is not there yet.
struct Beginning {
    format: Vec<u8>,
    /// Of an encrypted one.
    key: Option<(ObjectName, Vec<u8>)>,
}

impl Beginning {
    fn new(key: Option<&KeySource>, clock: &Arc<dyn Clock>) -> Result<Beginning> {
        let mut document = FormatObject {
            format: FORMAT_VERSION,
            repository: Ulid::new().to_string(),
            encryption: None,
        };
        let mut first = None;
        if let Some(source) = key {
            let (mark, name, bytes) =
                Keyring::generate(&document.repository, source, clock.now().0)?;
            document.format = FORMAT_ENCRYPTED;
            document.encryption = Some(mark);
            first = Some((name, bytes));
        }
        Ok(Beginning {
            format: sealed::seal("FORMAT", &document)?,
            key: first,
        })
    }
}

/// An open repository. Shared by all threads.
pub(crate) struct Repository {
    /// Of an encrypted repository, its objects in the clear.
    pub(crate) store: Arc<dyn Store>,
    /// The repository's id, which every manifest repeats.
    pub(crate) id: String,
    /// What lists have read; slots never change.
    pub(crate) rows: Mutex<Rows>,
    /// Whose time goes into what is written, and by which graces end: that of the state.
    pub(crate) clock: Arc<dyn Clock>,
    /// Attestations that were read; they never change.
    pub(crate) records: Mutex<Records>,
    /// What opened it; `None` when it is not encrypted.
    pub(crate) keyring: Option<Keyring>,
}

impl Repository {
    /// Gives it another clock than the system's.
    pub(crate) fn with_clock(self, clock: &Arc<dyn Clock>) -> Repository {
        Repository {
            clock: Arc::clone(clock),
            ..self
        }
    }

    /// The time, milliseconds since 1970-01-01 UTC.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().0
    }

    /// The repository whose FORMAT, called `name`, has these bytes. With a key, it has to be encrypted.
    fn with(
        store: Arc<dyn Store>,
        name: &str,
        bytes: &[u8],
        key: Option<&KeySource>,
    ) -> Result<Repository> {
        let document: FormatObject = sealed::open_up_to(FORMAT_ENCRYPTED, name, bytes)?;
        let id = document.repository;
        let (store, keyring) = match document.encryption {
            Some(mark) if document.format == FORMAT_ENCRYPTED => {
                let (store, keyring) = Keyring::unlock(store, &id, &mark, key)?;
                (store, Some(keyring))
            }
            None if document.format == FORMAT_VERSION && key.is_some() => {
                let reason = "it is not encrypted, and `backup.encryption` asks for one that is; \
                              name another `backup.dir` for a new one, or unset the passphrase or \
                              key file to use this one as it is";
                return Err(Error::Incompatible {
                    what: format!("backup repository {id}"),
                    reason: reason.to_owned(),
                });
            }
            None if document.format == FORMAT_VERSION => (store, None),
            _ => {
                let reason = "its format and what it says of encryption do not belong together";
                return Err(Error::corrupt(name, reason));
            }
        };
        Ok(Repository {
            store,
            id,
            rows: Mutex::default(),
            clock: Arc::new(SystemClock),
            records: Mutex::default(),
            keyring,
        })
    }

    /// Opens the repository in a folder; `None` when nothing is there, or an empty folder.
    pub(crate) fn open(
        vfs: &Arc<dyn Vfs>,
        root: &Path,
        key: Option<&KeySource>,
    ) -> Result<Option<Repository>> {
        if !vfs.exists(root).map_err(file_error("look up", root))? {
            return Ok(None);
        }
        let store = LocalStore::new(Arc::clone(vfs), root.to_owned());
        let format = root.join("FORMAT");
        let is_there = match vfs.exists(&format) {
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                let reason = format!(
                    "{} is a file, and a repository is a folder; configure another",
                    root.display()
                );
                return Err(Error::invalid("backup.dir", reason));
            }
            is_there => is_there.map_err(file_error("look up", &format))?,
        };
        if !is_there {
            let entries = vfs.read_dir(root).map_err(file_error("list", root))?;
            if entries.is_empty() {
                return Ok(None);
            }
            let what = format!("folder {}", root.display());
            let reason = "it is no backup repository (it has no FORMAT) and is not empty; \
                          configure another `backup.dir`";
            return Err(Error::Incompatible {
                what,
                reason: reason.to_owned(),
            });
        }
        let bytes = read_all(&store, &ObjectName::format(), DOCUMENT_BYTES_MAX)?;
        let name = format.display().to_string();
        Repository::with(Arc::new(store), &name, &bytes, key).map(Some)
    }

    /// Opens the repository in a store that has no folders to make; `None` when it is not there.
    pub(crate) fn in_store(
        store: Arc<dyn Store>,
        key: Option<&KeySource>,
    ) -> Result<Option<Repository>> {
        match read_all(store.as_ref(), &ObjectName::format(), DOCUMENT_BYTES_MAX) {
            Ok(bytes) => Repository::with(store, "FORMAT", &bytes, key).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the repository in such a store, or makes it: the first FORMAT that is put counts.
    pub(crate) fn in_store_or_new(
        store: Arc<dyn Store>,
        key: Option<&KeySource>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Repository> {
        if let Some(repository) = Repository::in_store(Arc::clone(&store), key)? {
            return Ok(repository.with_clock(clock));
        }
        let beginning = Beginning::new(key, clock)?;
        if let Some((name, bytes)) = &beginning.key {
            // Before FORMAT: what is found has its key.
            let _ = store.put_new(name, bytes)?;
        }
        let is_ours = is_put(store.as_ref(), &ObjectName::format(), &beginning.format)?;
        if let (false, Some((name, _))) = (is_ours, &beginning.key) {
            // Somebody else's was first, and is read below.
            store.delete(name)?;
        }
        Repository::in_store(store, key)?
            .map(|repository| repository.with_clock(clock))
            .ok_or_else(|| Error::corrupt("FORMAT", "the repository vanished while it was created"))
    }

    /// Opens the repository in a folder, or makes it.
    pub(crate) fn open_or_create(
        vfs: &Arc<dyn Vfs>,
        root: &Path,
        key: Option<&KeySource>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Repository> {
        if let Some(repository) = Repository::open(vfs, root, key)? {
            return Ok(repository.with_clock(clock));
        }
        if let Some(parent) = root.parent() {
            create_dir_all(vfs.as_ref(), parent)?;
            sweep_creations(vfs.as_ref(), root)?;
        }
        let beginning = Beginning::new(key, clock)?;
        let mut left = BEGINNINGS_MAX;
        while let Err(error) = create(vfs.as_ref(), root, &beginning) {
            left -= 1;
            // Another maker swept the folder between its creation and its lock.
            if error.kind() != ErrorKind::NotFound || left == 0 {
                return Err(error);
            }
        }
        let made = Repository::open(vfs, root, key)?.ok_or_else(|| {
            Error::corrupt(
                root.display().to_string(),
                "the repository vanished while it was created",
            )
        })?;
        Ok(made.with_clock(clock))
    }
}

fn create(vfs: &dyn Vfs, root: &Path, beginning: &Beginning) -> Result<()> {
    let mut name = root.as_os_str().to_owned();
    name.push(format!("{CREATING}{}", Ulid::new()));
    let building = PathBuf::from(name);
    vfs.create_dir(&building)
        .map_err(file_error("create", &building))?;
    let outcome = build(vfs, root, &building, beginning);
    if outcome.is_err() {
        // What stays is swept when a repository is created here again.
        if let Err(error) = remove_building(vfs, &building) {
            tracing::debug!(path = %building.display(), %error, "a half-made repository stays behind");
        }
    }
    outcome
}

fn build(vfs: &dyn Vfs, root: &Path, building: &Path, beginning: &Beginning) -> Result<()> {
    let lock_path = building.join(BUILD_LOCK);
    let lock = match vfs.try_lock(&lock_path, &holder()) {
        Ok(LockOutcome::Held(lock)) => lock,
        // Who sweeps has it, and takes the folder away.
        Ok(LockOutcome::Busy(_)) => {
            return Err(file_error("lock", &lock_path)(
                io::ErrorKind::NotFound.into(),
            ));
        }
        Err(error) => return Err(file_error("lock", &lock_path)(error)),
    };
    for folder in Folder::ALL {
        let path = building.join(folder.name());
        vfs.create_dir(&path).map_err(file_error("create", &path))?;
        if let Some((name, bytes)) = &beginning.key
            && folder == Folder::Keys
        {
            write(vfs, &path.join(name.leaf()), bytes)?;
        }
        vfs.sync_dir(&path).map_err(file_error("sync", &path))?;
    }
    write(vfs, &building.join("FORMAT"), &beginning.format)?;
    vfs.sync_dir(building)
        .map_err(file_error("sync", building))?;
    match vfs.rename(building, root) {
        // Somebody else made it meanwhile.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            ) =>
        {
            return remove_building(vfs, building);
        }
        other => other.map_err(file_error("create", root))?,
    }
    if let Some(parent) = root.parent() {
        vfs.sync_dir(parent).map_err(file_error("sync", parent))?;
    }
    let lock_path = root.join(BUILD_LOCK);
    vfs.remove_file(&lock_path)
        .map_err(file_error("remove", &lock_path))?;
    drop(lock);
    Ok(())
}

fn write(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = vfs.create(path).map_err(file_error("create", path))?;
    file.write_all(bytes).map_err(file_error("write", path))?;
    file.sync().map_err(file_error("sync", path))
}

/// Removes exactly what [`build`] makes; anything else keeps the folder.
fn remove_building(vfs: &dyn Vfs, building: &Path) -> Result<()> {
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let keys = building.join(Folder::Keys.name());
    for entry in vfs.read_dir(&keys).unwrap_or_default() {
        let path = keys.join(&entry.name);
        if KeyId::parse(&entry.name).is_ok() {
            vfs.remove_file(&path)
                .map_err(file_error("remove", &path))?;
        }
    }
    for folder in Folder::ALL {
        let path = building.join(folder.name());
        match vfs.remove_dir(&path) {
            Err(error) if absent(&error) => {}
            other => other.map_err(file_error("remove", &path))?,
        }
    }
    for file in ["FORMAT", BUILD_LOCK] {
        let path = building.join(file);
        match vfs.remove_file(&path) {
            Err(error) if absent(&error) => {}
            other => other.map_err(file_error("remove", &path))?,
        }
    }
    match vfs.remove_dir(building) {
        Err(error) if absent(&error) => Ok(()),
        other => other.map_err(file_error("remove", building)),
    }
}

/// Removes what creations that are gone left beside the repository's place.
fn sweep_creations(vfs: &dyn Vfs, root: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (
        root.parent(),
        root.file_name().and_then(|name| name.to_str()),
    ) else {
        return Ok(());
    };
    for entry in vfs.read_dir(parent).map_err(file_error("list", parent))? {
        let id = entry
            .name
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(CREATING));
        let own =
            id.is_some_and(|id| Ulid::from_string(id).is_ok_and(|ulid| ulid.to_string() == id));
        if !own || !entry.is_dir {
            continue;
        }
        let path = parent.join(&entry.name);
        match vfs.try_lock(&path.join(BUILD_LOCK), &holder()) {
            Ok(LockOutcome::Held(lock)) => {
                remove_building(vfs, &path)?;
                drop(lock);
            }
            Ok(LockOutcome::Busy(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file_error("lock", &path)(error)),
        }
    }
    Ok(())
}
