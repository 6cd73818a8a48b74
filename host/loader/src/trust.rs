//! Reads a file only if nobody but root and we could have written it.
//!
//! The path is made canonical, then walked from `/` down with one `openat` a folder, following no
//! link, so that what was checked is what is read. Every folder and the file must belong to root or
//! to the effective user and must not be writable by group or others. One exception: a folder with
//! the sticky bit that belongs to root or us (`/tmp`) may stand above other folders, since in it
//! nobody can rename what belongs to another user; it may not hold the file itself, since anyone
//! could put a file there.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::{LoadError, Result};

/// Largest library that is loaded.
pub const LIBRARY_BYTES_MAX: u64 = 512 * 1024 * 1024;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// A file that passed the checks.
pub(crate) struct Trusted {
    /// The canonical path.
    pub path: PathBuf,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Reads a file after checking it and every folder above it.
pub(crate) fn read(path: &Path, limit_name: &'static str, limit: u64) -> Result<Trusted> {
    let path = canonical(path)?;
    let name = path
        .file_name()
        .ok_or_else(|| LoadError::NotRegular { path: path.clone() })?;
    let folder = check_folders(path.parent().unwrap_or(Path::new("/")))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file =
        rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP => LoadError::Symlink { path: path.clone() },
            errno => file_error("open", &path, errno.into()),
        })?;
    let stat = stat(&file, &path)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(LoadError::NotRegular { path });
    }
    check_owner(&stat, &path)?;
    if stat.st_mode & GROUP_OR_OTHERS_WRITE != 0 {
        return Err(LoadError::Writable {
            path,
            mode: stat.st_mode & 0o7777,
        });
    }
    let bytes = read_limited(File::from(file), &path, limit_name, limit)?;
    Ok(Trusted { path, bytes })
}

/// Reads a regular file up to a limit, without trusting it.
pub(crate) fn read_untrusted(path: &Path, limit_name: &'static str, limit: u64) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| file_error("open", path, errno.into()))?;
    if !FileType::from_raw_mode(stat(&file, path)?.st_mode).is_file() {
        return Err(LoadError::NotRegular {
            path: path.to_owned(),
        });
    }
    read_limited(File::from(file), path, limit_name, limit)
}

/// SHA-256 of the bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

pub(crate) fn file_error(action: &'static str, path: &Path, source: io::Error) -> LoadError {
    LoadError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The folder made canonical, the last name as it is: a link there is refused, not followed.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(LoadError::NotRegular {
            path: path.to_owned(),
        });
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder =
        std::fs::canonicalize(folder).map_err(|source| file_error("find", folder, source))?;
    Ok(folder.join(name))
}

/// Checks `/` and every folder down to this one, which must not be writable by others at all.
fn check_folders(folder: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut path = PathBuf::from("/");
    let mut fd = rustix::fs::open("/", flags, Mode::empty())
        .map_err(|errno| file_error("open", &path, errno.into()))?;
    let mut names = folder.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    loop {
        let next = names.next();
        check_folder(&stat(&fd, &path)?, &path, next.is_none())?;
        let Some(name) = next else { return Ok(fd) };
        path.push(name);
        fd = rustix::fs::openat(&fd, name, flags, Mode::empty())
            .map_err(|errno| file_error("open", &path, errno.into()))?;
    }
}

fn check_folder(stat: &Stat, path: &Path, holds_file: bool) -> Result<()> {
    check_owner(stat, path)?;
    let is_sticky = stat.st_mode & STICKY != 0;
    if stat.st_mode & GROUP_OR_OTHERS_WRITE != 0 && (holds_file || !is_sticky) {
        return Err(LoadError::Writable {
            path: path.to_owned(),
            mode: stat.st_mode & 0o7777,
        });
    }
    Ok(())
}

fn check_owner(stat: &Stat, path: &Path) -> Result<()> {
    let euid = rustix::process::geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != euid {
        return Err(LoadError::ForeignOwner {
            path: path.to_owned(),
            owner: stat.st_uid,
            euid,
        });
    }
    Ok(())
}

fn stat(fd: &OwnedFd, path: &Path) -> Result<Stat> {
    rustix::fs::fstat(fd).map_err(|errno| file_error("stat", path, errno.into()))
}

fn read_limited(file: File, path: &Path, limit_name: &'static str, limit: u64) -> Result<Vec<u8>> {
    let too_large = |bytes| LoadError::TooLarge {
        path: path.to_owned(),
        bytes,
        limit_name,
        limit,
    };
    let len = file
        .metadata()
        .map_err(|source| file_error("stat", path, source))?
        .len();
    if len > limit {
        return Err(too_large(len));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| file_error("read", path, source))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
