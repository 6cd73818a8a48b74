//! `plugins.lock`: which library files may be loaded, by SHA-256.
//!
//! A TOML file of `[[plugin]]` tables with id, version, sha256, epoch and interfaces. It is trusted
//! as the plugins are: same owner and mode rules, for it and for the folders above it. Writers hold
//! a lock on its folder and replace it through the core's file layer: written beside it, synced,
//! renamed.

use std::ffi::OsString;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use statekeep_core::Error;
use statekeep_core::vfs::{RealVfs, replace_readable_file};

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
    let name = lock_file.file_name().unwrap_or_default();
    let _guard = rustix::fs::open(folder, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|fd| rustix::fs::flock(&fd, FlockOperation::LockExclusive).map(|()| fd))
        .map_err(|errno| failed("lock the folder of", errno.into()))?;
    let mut lock = Lock::read(&lock_file)?.unwrap_or_default();
    lock.plugin
        .retain(|known| known.id != entry.id && known.sha256 != entry.sha256);
    lock.plugin.push(entry.clone());
    lock.plugin.sort_by(|a, b| a.id.cmp(&b.id));
    let text = toml::to_string(&lock)
        .map_err(|error| failed("write", std::io::Error::other(error.to_string())))?;
    let mut temporary = OsString::from(name);
    temporary.push(".new");
    let bytes = format!("{HEADER}{text}");
    replace_readable_file(
        &RealVfs,
        folder,
        name.as_ref(),
        temporary.as_ref(),
        bytes.as_bytes(),
    )
    .map_err(|error| match Error::from(error) {
        Error::File {
            action,
            path,
            source,
        } => trust::file_error(action, &path, source),
        error => failed("write", std::io::Error::other(error.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn entry(id: &str, sha256: &str) -> LockEntry {
        LockEntry {
            id: id.to_owned(),
            version: "1.0.0".to_owned(),
            sha256: sha256.to_owned(),
            epoch: 1,
            interfaces: Vec::new(),
        }
    }

    fn ids(lock_file: &Path) -> Vec<String> {
        let lock = Lock::read(lock_file).unwrap().unwrap();
        lock.plugin.into_iter().map(|entry| entry.id).collect()
    }

    /// Root lists a plugin, a service of another user loads it: the file is not ours alone.
    #[test]
    fn a_lock_file_is_replaced_and_all_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock_file = folder.path().join("plugins.lock");
        update(&lock_file, &entry("b", "02")).unwrap();
        update(&lock_file, &entry("a", "01")).unwrap();
        assert_eq!(ids(&lock_file), ["a", "b"]);
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        assert_eq!(mode_of(&lock_file), mode_of(&plain) & 0o644);
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2, "something was left beside the lock file");
    }

    /// A writer that was killed, or anybody else, left something under the temporary name.
    #[test]
    fn what_lies_under_the_temporary_name_is_removed_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let lock_file = folder.path().join("plugins.lock");
        let temporary = folder.path().join("plugins.lock.new");
        fs::write(&temporary, "half a li").unwrap();
        update(&lock_file, &entry("a", "01")).unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "mine").unwrap();
        symlink(&outside, &temporary).unwrap();
        update(&lock_file, &entry("b", "02")).unwrap();
        assert_eq!(ids(&lock_file), ["a", "b"]);
        assert_eq!(fs::read(&outside).unwrap(), b"mine");
        assert!(!temporary.exists());
    }
}
