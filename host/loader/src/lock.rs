//! `plugins.lock`: which library files may be loaded, by SHA-256.
//!
//! A TOML file of `[[plugin]]` tables with id, version, sha256, epoch and interfaces. It is trusted
//! as the plugins are: same owner and mode rules, for it and for the folders above it. Writers hold
//! a lock on its folder, write a new file beside it, sync it and rename it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::elf::Library;
use crate::manifest::{self, Manifest};
use crate::{LIBRARY_BYTES_MAX, LoadError, Result, trust};

/// Largest lock file that is read.
pub const LOCK_BYTES_MAX: u64 = 4 * 1024 * 1024;

const HEADER: &str = "# Libraries that Statekeep may load. Written by `statekeep plugin add`; one table a library.\n\n";

/// The content of a lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The libraries that may be loaded.
    #[serde(default)]
    pub plugin: Vec<LockEntry>,
}

/// One library that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockEntry {
    /// Id of the plugin.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// ABI epoch.
    pub epoch: u32,
    /// Ids of its interfaces.
    pub interfaces: Vec<String>,
}

impl Lock {
    /// Reads a lock file; `None` when there is none.
    pub fn read(path: &Path) -> Result<Option<Lock>> {
        match path.try_exists() {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(source) => return Err(trust::file_error("find", path, source)),
        }
        let file = trust::read(path, "LOCK_BYTES_MAX", LOCK_BYTES_MAX)?;
        let bad = |reason: String| LoadError::BadLock {
            path: path.to_owned(),
            reason,
        };
        let text = String::from_utf8(file.bytes).map_err(|_| bad("it is not UTF-8".into()))?;
        toml::from_str(&text)
            .map(Some)
            .map_err(|error| bad(error.message().to_owned()))
    }

    /// Whether a library may be loaded: its hash is listed, under the id that it has.
    pub(crate) fn check(
        lock_file: Option<&Path>,
        path: &Path,
        sha256: &str,
        manifest: &Manifest,
    ) -> Result<()> {
        let unlisted = |lock: String| {
            Err(LoadError::Unlisted {
                path: path.to_owned(),
                sha256: sha256.to_owned(),
                lock,
            })
        };
        let Some(lock_file) = lock_file else {
            return unlisted("any lock file (plugins.lock is not configured)".to_owned());
        };
        let Some(lock) = Lock::read(lock_file)? else {
            return unlisted(format!("{}, which does not exist", lock_file.display()));
        };
        match lock
            .plugin
            .iter()
            .find(|entry| entry.sha256.eq_ignore_ascii_case(sha256))
        {
            None => unlisted(lock_file.display().to_string()),
            Some(entry) if entry.id != manifest.id => Err(LoadError::LockDiffers {
                path: path.to_owned(),
                found: manifest.id.clone(),
                listed: entry.id.clone(),
            }),
            Some(_) => Ok(()),
        }
    }
}

/// Lists a library in a lock file, in place of an older entry of the same id, and returns the entry.
///
/// The library passes every check but the hash; none of its code runs. Run it in a child process
/// first (`statekeep plugin check`): listing it says that you trust it.
pub fn lock_add(path: &Path, lock_file: &Path) -> Result<LockEntry> {
    let library = trust::read(path, "LIBRARY_BYTES_MAX", LIBRARY_BYTES_MAX)?;
    let parsed = Library::parse(&library.path, &library.bytes)?;
    let manifest = manifest::of_library(&parsed, &library.path)?;
    manifest.check_epoch(&library.path)?;
    parsed.check()?;
    let entry = LockEntry {
        id: manifest.id,
        version: manifest.version,
        sha256: trust::hex(&trust::sha256(&library.bytes)),
        epoch: manifest.epoch,
        interfaces: manifest.interfaces,
    };
    update(lock_file, &entry)?;
    Ok(entry)
}

fn update(lock_file: &Path, entry: &LockEntry) -> Result<()> {
    let lock_file = trust::canonical(lock_file)?;
    let folder = lock_file.parent().unwrap_or(Path::new("/"));
    let failed = |action, source| trust::file_error(action, &lock_file, source);
    let guard = rustix::fs::open(folder, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|fd| rustix::fs::flock(&fd, FlockOperation::LockExclusive).map(|()| fd))
        .map_err(|errno| failed("lock the folder of", errno.into()))?;
    let mut lock = Lock::read(&lock_file)?.unwrap_or_default();
    lock.plugin
        .retain(|known| known.id != entry.id && known.sha256 != entry.sha256);
    lock.plugin.push(entry.clone());
    lock.plugin.sort_by(|a, b| a.id.cmp(&b.id));
    let text = toml::to_string(&lock)
        .map_err(|error| failed("write", std::io::Error::other(error.to_string())))?;
    replace(&lock_file, format!("{HEADER}{text}").as_bytes())
        .map_err(|source| failed("write", source))?;
    rustix::fs::fsync(&guard).map_err(|errno| failed("sync the folder of", errno.into()))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let mut file = File::from(rustix::fs::open(&new, flags, mode)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
