//! A repository in a local folder, over the host's file layer.
//!
//! Every object is written as a temporary file in its folder, synced, renamed to a name that is
//! not there yet, and the folder is synced before the put is acknowledged. A store that writes
//! holds the lock `lease/.lock-SESSION` and names its temporary files `.tmp-SESSION-N`; others
//! sweep them only once they get that lock, which the kernel frees when a process ends.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use statekeep_core::vfs::{ReadFile, Vfs, WriteFile};
use statekeep_core::{Error, ErrorKind, Result};

use crate::name::{Folder, ObjectName};
use crate::store::{Listing, Object, ObjectInfo, ObjectWriter, Put, Store};

mod session;

use session::{Session, is_session};

const TEMPORARY: &str = ".tmp-";
pub(crate) const LOCK: &str = ".lock-";

/// Objects as files of one folder.
pub struct LocalStore {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    session: Mutex<Option<Arc<Session>>>,
    files: AtomicU64,
}

/// Turns an error of the operating system into ours.
pub(crate) fn file_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Who holds a lock, for its file's text.
pub(crate) fn holder() -> String {
    format!("pid {}", std::process::id())
}

impl LocalStore {
    /// A store over a folder that is a repository already.
    pub(crate) fn new(vfs: Arc<dyn Vfs>, root: PathBuf) -> LocalStore {
        LocalStore {
            vfs,
            root,
            session: Mutex::new(None),
            files: AtomicU64::new(0),
        }
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn folder(&self, name: &ObjectName) -> PathBuf {
        name.folder()
            .map_or_else(|| self.root.clone(), |folder| self.root.join(folder.name()))
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.folder(name).join(name.leaf())
    }
}

impl Store for LocalStore {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put> {
        let mut writer = self.create(name)?;
        writer.write(bytes)?;
        writer.finish()
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>> {
        let session = self.begin()?;
        let folder = self.folder(name);
        let number = self.files.fetch_add(1, Relaxed);
        let temporary = folder.join(format!("{TEMPORARY}{}-{number}", session.id));
        let file = self
            .vfs
            .create(&temporary)
            .map_err(file_error("create", &temporary))?;
        Ok(Box::new(LocalWriter {
            target: self.path(name),
            folder,
            temporary: Some(temporary),
            file,
            vfs: Arc::clone(&self.vfs),
            _session: session,
        }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn Object>> {
        let path = self.path(name);
        let file = self.vfs.open(&path).map_err(file_error("open", &path))?;
        Ok(Box::new(LocalObject { file, path }))
    }

    fn exists(&self, name: &ObjectName) -> Result<bool> {
        let path = self.path(name);
        self.vfs.exists(&path).map_err(file_error("look up", &path))
    }

    fn list(&self, folder: Folder, prefix: &str) -> Result<Listing> {
        let path = self.root.join(folder.name());
        let mut listing = Listing::default();
        for entry in self
            .vfs
            .read_dir(&path)
            .map_err(file_error("list", &path))?
        {
            if entry.name.starts_with('.') || !entry.name.starts_with(prefix) {
                continue;
            }
            match ObjectName::new(folder, &entry.name) {
                Ok(name) if !entry.is_dir => {
                    listing.objects.push(ObjectInfo {
                        name,
                        len: entry.len,
                    });
                }
                _ => listing
                    .foreign
                    .push(format!("{}/{}", folder.name(), entry.name)),
            }
        }
        listing.objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let path = self.path(name);
        match self.vfs.remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(file_error("remove", &path))?,
        }
        let folder = self.folder(name);
        self.vfs
            .sync_dir(&folder)
            .map_err(file_error("sync", &folder))
    }

    fn session(&self) -> Result<String> {
        Ok(self.begin()?.id.clone())
    }

    fn is_alive(&self, session: &str) -> Result<bool> {
        if !is_session(session) {
            return Err(Error::corrupt(
                "lease",
                format!("`{session}` is not a session"),
            ));
        }
        if self.own().as_deref() == Some(session) {
            return Ok(true);
        }
        let path = self.lock_path(session);
        if !self
            .vfs
            .exists(&path)
            .map_err(file_error("look up", &path))?
        {
            return Ok(false);
        }
        Ok(self.claim(session)?.is_none())
    }

    fn is_death_certain(&self) -> bool {
        true
    }

    fn leftovers(&self) -> Result<u64> {
        let mut found = 0;
        let mut dead: HashMap<String, bool> = HashMap::new();
        for (session, _) in self.leftovers_of(TEMPORARY)? {
            let is_dead = match dead.get(&session) {
                Some(is_dead) => *is_dead,
                None => !self.is_alive(&session)?,
            };
            dead.insert(session, is_dead);
            found += u64::from(is_dead);
        }
        Ok(found)
    }

    fn sweep(&self) -> Result<u64> {
        let own = self.own();
        // Temporary files first: their lock is older than they are, so a temporary file of this
        // list whose lock can be had belongs to nobody.
        let files = self.leftovers_of(TEMPORARY)?;
        let locks = self.leftovers_of(LOCK)?;
        let mut sessions: Vec<&String> = files.iter().chain(&locks).map(|(id, _)| id).collect();
        sessions.sort_unstable();
        sessions.dedup();
        let mut removed = 0;
        for session in sessions.into_iter().filter(|id| own.as_ref() != Some(*id)) {
            let Some(lock) = self.claim(session)? else {
                continue;
            };
            for (_, path) in files.iter().filter(|(id, _)| id == session) {
                match self.vfs.remove_file(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => {
                        other.map_err(file_error("remove", path))?;
                        removed += 1;
                    }
                }
            }
            let path = self.lock_path(session);
            match self.vfs.remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(file_error("remove", &path))?,
            }
            drop(lock);
        }
        Ok(removed)
    }

    fn foreign(&self) -> Result<Vec<String>> {
        let root = &self.root;
        let entries = self.vfs.read_dir(root).map_err(file_error("list", root))?;
        let ours = |name: &str, is_dir: bool| {
            let folder = Folder::ALL.iter().any(|folder| folder.name() == name);
            if is_dir { folder } else { name == "FORMAT" }
        };
        let mut foreign: Vec<String> = entries
            .into_iter()
            .filter(|entry| !entry.name.starts_with('.') && !ours(&entry.name, entry.is_dir))
            .map(|entry| entry.name)
            .collect();
        foreign.sort_unstable();
        Ok(foreign)
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

struct LocalWriter {
    file: Box<dyn WriteFile>,
    /// `None` once it was renamed or removed.
    temporary: Option<PathBuf>,
    target: PathBuf,
    folder: PathBuf,
    vfs: Arc<dyn Vfs>,
    _session: Arc<Session>,
}

impl ObjectWriter for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(file_error("write", &self.target))
    }

    fn finish(mut self: Box<Self>) -> Result<Put> {
        self.file.sync().map_err(file_error("sync", &self.target))?;
        let Some(temporary) = &self.temporary else {
            return Err(Error::other(
                ErrorKind::Internal,
                "an object was finished twice",
            ));
        };
        match self.vfs.rename_new(temporary, &self.target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Put::Exists),
            other => other.map_err(file_error("create", &self.target))?,
        }
        self.temporary = None;
        self.vfs
            .sync_dir(&self.folder)
            .map_err(file_error("sync", &self.folder))?;
        Ok(Put::Created)
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        let Some(temporary) = self.temporary.take() else {
            return;
        };
        // What cannot be removed now is swept by the next writer.
        if let Err(error) = self.vfs.remove_file(&temporary) {
            tracing::debug!(path = %temporary.display(), %error, "a temporary file stays behind");
        }
    }
}

struct LocalObject {
    file: Box<dyn ReadFile>,
    path: PathBuf,
}

impl Object for LocalObject {
    fn len(&self) -> Result<u64> {
        self.file
            .len()
            .map_err(file_error("read the length of", &self.path))
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        match self.file.read_exact_at(buf, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::corrupt(
                self.path.display().to_string(),
                format!(
                    "it ends before byte {}",
                    offset.saturating_add(buf.len() as u64)
                ),
            )),
            other => other.map_err(file_error("read", &self.path)),
        }
    }
}
