//! Steps over whole trees and small files, built from the calls of [`Vfs`] alone.
//!
//! Everything here is safe to stop at any call: what is left is a leftover with a recognisable
//! name, or a removal to be continued.

use std::io;
use std::path::{Path, PathBuf};

use super::{Vfs, WriteFile, failed};
use crate::{Error, Result};

/// Deepest tree that is walked.
const DEPTH_MAX: usize = 32;
/// How often a directory is listed again because files vanished while it was synced.
const PASSES_MAX: usize = 16;

fn too_deep(path: &Path) -> Error {
    let name = "directory depth";
    Error::TooLarge {
        what: "directory tree",
        actual: path.components().count() as u64,
        limit_name: name,
        limit: DEPTH_MAX as u64,
    }
}

/// Makes every file and every name below a directory durable, and the names in it; its own name in
/// its parent is left to the caller.
pub fn sync_tree(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    sync_below(vfs, path, 0)
}

fn sync_below(vfs: &dyn Vfs, path: &Path, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(too_deep(path));
    }
    // An engine may tidy up for a moment after it was closed: a name that has gone may have been
    // renamed to one that this pass did not list.
    for _ in 0..PASSES_MAX {
        let mut vanished = false;
        for entry in vfs.read_dir(path).map_err(failed("list", path))? {
            let child = path.join(&entry.name);
            let synced = if entry.is_dir {
                sync_below(vfs, &child, depth + 1)
            } else {
                vfs.sync_file(&child).map_err(failed("sync", &child))
            };
            match synced {
                Err(error) if is_not_found(&error) => vanished = true,
                synced => synced?,
            }
        }
        if !vanished {
            return vfs
                .sync_dir(path)
                .map_err(failed("sync the directory", path));
        }
    }
    Err(Error::File {
        action: "sync the directory",
        path: path.to_owned(),
        source: io::Error::other("files in it keep vanishing; is something else using it?"),
    })
}

/// Bytes of all files below a directory. What vanishes meanwhile counts as nothing.
pub(crate) fn tree_bytes(vfs: &dyn Vfs, path: &Path) -> Result<u64> {
    bytes_below(vfs, path, 0)
}

fn bytes_below(vfs: &dyn Vfs, path: &Path, depth: usize) -> Result<u64> {
    if depth > DEPTH_MAX {
        return Err(too_deep(path));
    }
    let entries = match vfs.read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(failed("list", path))?,
    };
    let mut bytes = 0u64;
    for entry in entries {
        bytes += match entry.is_dir {
            true => bytes_below(vfs, &path.join(&entry.name), depth + 1)?,
            false => entry.len,
        };
    }
    Ok(bytes)
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Removes a directory and all below it. What is gone already is no error, so two may remove one
/// tree at once; a `LOCK` file goes last, so that a half-removed tree can still be told from one
/// that somebody is building.
pub fn remove_tree(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    remove_below(vfs, path, 0)
}

fn remove_below(vfs: &dyn Vfs, path: &Path, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(too_deep(path));
    }
    let mut entries = match vfs.read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed("list", path))?,
    };
    entries.sort_by_key(|entry| entry.name == "LOCK");
    for entry in entries {
        let child = path.join(&entry.name);
        if entry.is_dir {
            remove_below(vfs, &child, depth + 1)?;
        } else {
            unless_gone(vfs.remove_file(&child)).map_err(failed("remove", &child))?;
        }
    }
    unless_gone(vfs.remove_dir(path)).map_err(failed("remove the directory", path))
}

/// Takes "it is not there" for success.
pub(crate) fn unless_gone(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// Creates a directory and those above it that are missing, each of them durable.
pub fn create_dir_all(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    if vfs.exists(path).map_err(failed("look for", path))? {
        // An earlier run may have been killed after it made this directory and before the sync.
        return sync_dir_if_ours(vfs, parent);
    }
    create_dir_all(vfs, parent)?;
    match vfs.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        answer => answer.map_err(failed("create the directory", path))?,
    }
    vfs.sync_dir(parent)
        .map_err(failed("sync the directory", parent))
}

/// Syncs a directory that we may not be allowed to read or write; then we have made no name in it.
pub(crate) fn sync_dir_if_ours(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match vfs.sync_dir(path) {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => Ok(()),
        answer => answer.map_err(failed("sync the directory", path)),
    }
}

/// Reads a whole file of at most `bytes_max` bytes.
pub fn read_small(vfs: &dyn Vfs, path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let file = vfs.open(path).map_err(failed("open", path))?;
    let len = file.len().map_err(failed("read", path))?;
    if len > bytes_max {
        let reason = format!("it has {len} bytes; at most {bytes_max} are expected");
        return Err(Error::corrupt(path.display().to_string(), reason));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)
        .map_err(failed("read", path))?;
    Ok(bytes)
}

/// Writes a new file and syncs its content; its name is durable after a sync of the directory.
pub fn write_new_synced(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = vfs.create(path).map_err(failed("create", path))?;
    write_synced(file, path, bytes)
}

fn write_synced(mut file: Box<dyn WriteFile>, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).map_err(failed("write", path))?;
    file.sync().map_err(failed("sync", path))
}

/// Puts new content at `dir/name`, in place of the old if there is any: written as
/// `dir/temporary`, synced, renamed, the directory synced. A reader, and a crash at any step, sees
/// the old content or the new. On an error before the rename the temporary file is removed again;
/// after it, [`ReplaceError::Unsynced`] says that the new content is in place but may be lost.
pub fn replace_file(
    vfs: &dyn Vfs,
    dir: &Path,
    name: &str,
    temporary: &str,
    bytes: &[u8],
) -> Result<(), ReplaceError> {
    let (from, to) = (dir.join(temporary), dir.join(name));
    let written = write_new_synced(vfs, &from, bytes);
    put_in_place(vfs, written, &from, &to, dir)
}

/// As [`replace_file`], for a file that any user may read. The caller holds a lock that keeps other
/// writers out: a temporary file that a killed one left is removed first.
pub fn replace_readable_file(
    vfs: &dyn Vfs,
    dir: &Path,
    name: &Path,
    temporary: &Path,
    bytes: &[u8],
) -> Result<(), ReplaceError> {
    let (from, to) = (dir.join(temporary), dir.join(name));
    unless_gone(vfs.remove_file(&from))
        .map_err(failed("remove", &from))
        .map_err(ReplaceError::Unchanged)?;
    let written = vfs
        .create_readable(&from)
        .map_err(failed("create", &from))
        .and_then(|file| write_synced(file, &from, bytes));
    put_in_place(vfs, written, &from, &to, dir)
}

fn put_in_place(
    vfs: &dyn Vfs,
    written: Result<()>,
    from: &Path,
    to: &Path,
    dir: &Path,
) -> Result<(), ReplaceError> {
    let renamed = written.and_then(|()| vfs.rename(from, to).map_err(failed("replace", to)));
    if let Err(error) = renamed {
        if let Err(left) = unless_gone(vfs.remove_file(from)) {
            tracing::warn!(path = %from.display(), error = %left, "a temporary file stays behind");
        }
        return Err(ReplaceError::Unchanged(error));
    }
    vfs.sync_dir(dir)
        .map_err(failed("sync the directory", dir))
        .map_err(ReplaceError::Unsynced)
}

/// How [`replace_file`] failed.
#[derive(Debug)]
pub enum ReplaceError {
    /// The old content stands.
    Unchanged(Error),
    /// The new content is in place, but a power cut may bring the old one back.
    Unsynced(Error),
}

impl From<ReplaceError> for Error {
    fn from(error: ReplaceError) -> Error {
        match error {
            ReplaceError::Unchanged(error) | ReplaceError::Unsynced(error) => error,
        }
    }
}

/// The nearest folder around a path, which need not be there, that holds all of these names; symbolic
/// links on the way to it are followed.
pub fn folder_around(vfs: &dyn Vfs, path: &Path, names: &[&str]) -> Result<Option<PathBuf>> {
    let is_there = |path: &Path| match vfs.exists(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        there => there.map_err(failed("look for", path)),
    };
    let parents = || path.ancestors().skip(1);
    for parent in parents().filter(|parent| *parent != Path::new("")) {
        if !is_there(parent)? {
            continue;
        }
        let found = vfs.canonical(parent).map_err(failed("resolve", parent))?;
        for folder in found.ancestors() {
            let mut all = true;
            for name in names {
                all = all && is_there(&folder.join(name))?;
            }
            if all {
                return Ok(Some(folder.to_owned()));
            }
        }
        return Ok(None);
    }
    Ok(None)
}
