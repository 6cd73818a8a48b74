//! The one file layer under all that the host writes: state directory, backups, `plugins.lock`.
//!
//! Real files in production, a simulated disk in tests that counts every call, fails or kills at
//! the N-th, and drops what was not synced. No other file of `host` creates, writes, renames or
//! removes a file (a house rule, run as a test); reading settings and plugins, canonical paths and
//! the lock on a folder are outside. An engine's own files belong to its plugin.
//! What always holds: a name is on stable storage only after `sync_dir` of its directory, content
//! only after a sync of the file, whatever order the calls came in.

mod real;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod tree;

use std::io;
use std::path::{Path, PathBuf};

pub use real::RealVfs;
pub use tree::{
    ReplaceError, create_dir_all, folder_around, read_small, remove_tree, replace_file,
    replace_readable_file, sync_tree, write_new_synced,
};
pub(crate) use tree::{sync_dir_if_ours, tree_bytes, unless_gone};

use crate::Error;

/// Turns the answer of a file operation into an error that names the action (`read`, `sync the
/// directory`) and the path.
pub fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Name within the directory; entries whose name is not UTF-8 are reported as an error.
    pub name: String,
    /// Whether it is a directory (a symbolic link is not).
    pub is_dir: bool,
    /// Length in bytes, for a file.
    pub len: u64,
}

/// A file open for reading at any offset.
pub trait ReadFile: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the whole buffer from an offset, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A new file, written from its start to its end.
pub trait WriteFile: Send {
    /// Appends all bytes.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when the content is on stable storage; its name is not until the directory is synced.
    fn sync(&mut self) -> io::Result<()>;
}

/// An advisory lock, held until it is dropped or the process ends.
pub trait FileLock: Send + Sync {}

/// The outcome of asking for a lock.
pub enum LockOutcome {
    /// It is ours.
    Held(Box<dyn FileLock>),
    /// Somebody else holds it; the text is what they wrote into the file.
    Busy(String),
}

/// How much room there is on a disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Tells one disk from another.
    pub disk: u64,
    /// Bytes that are used or can be, by whoever asks.
    pub bytes: u64,
    /// Bytes that can be used.
    pub free_bytes: u64,
}

/// The file operations of the host. Paths are absolute.
pub trait Vfs: Send + Sync {
    /// Opens a regular file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Creates a file that is not there yet; `AlreadyExists` otherwise.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// As [`create`](Vfs::create), but any user may read the file: mode 0644 less the umask.
    fn create_readable(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.create(path)
    }

    /// Renames, replacing a file or an empty directory at the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file to a name that is not there yet; `AlreadyExists` otherwise.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates one directory, mode 0700.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Lists a directory, sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Returns when the names in a directory are on stable storage.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns when the content of a file that somebody else wrote is on stable storage.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Whether anything is at the path.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// The one spelling of the path of something that is there: symbolic links resolved.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// How much room there is on the disk of something that is there; `None` where nobody can tell.
    fn space(&self, path: &Path) -> io::Result<Option<DiskSpace>> {
        let _ = path;
        Ok(None)
    }

    /// Tries to take the advisory lock on a file, which is created when absent and holds `content`
    /// once the lock is ours. A second attempt is `Busy`, from this process as from any other. The
    /// file stays when the lock is released: to remove it is the right of the holder alone.
    fn try_lock(&self, path: &Path, content: &str) -> io::Result<LockOutcome>;
}
