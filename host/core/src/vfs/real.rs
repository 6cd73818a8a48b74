//! The file layer over the operating system.
//!
//! Files are made with mode 0600, unless all may read them, and directories with 0700. A symbolic
//! link at the end of a path is never followed, so a planted link cannot lead a write out of the
//! state directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, fadvise};

use super::{DirEntry, DiskSpace, FileLock, LockOutcome, ReadFile, Vfs, WriteFile};

/// Most bytes of a holder's text that are read back.
const HOLDER_BYTES_MAX: u64 = 4096;
/// How often a lock file may vanish between opening and locking it before we give up.
const LOCK_ATTEMPTS_MAX: usize = 16;

/// The real file system.
#[derive(Copy, Clone, Debug, Default)]
pub struct RealVfs;

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opens a regular file for reading; a FIFO or device is refused instead of waited for.
fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ))
    }
}

struct RealRead(File);

impl ReadFile for RealRead {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// The disk begins to write a file out whenever it has grown by this much: a sync of all of a large
/// file would hold up every other sync of the file system, those of commits among them.
const WRITE_OUT_BYTES: u64 = 4 << 20;

struct RealWrite {
    file: File,
    len: u64,
    /// Up to here it is being written out.
    written_out: u64,
}

impl WriteFile for RealWrite {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        let waits = self.len - self.written_out;
        if waits >= WRITE_OUT_BYTES {
            // Linux begins to write the range. Nothing depends on it; what fails, fails in `sync`.
            let range = NonZeroU64::new(waits);
            let _advice = fadvise(&self.file, self.written_out, range, Advice::DontNeed);
            self.written_out = self.len;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn create_new(path: &Path, mode: u32) -> io::Result<Box<dyn WriteFile>> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    Ok(Box::new(RealWrite {
        file,
        len: 0,
        written_out: 0,
    }))
}

/// Holds the open file; the kernel's lock belongs to it.
struct RealLock {
    file: File,
    pid: u32,
}

impl FileLock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // A forked child shares this open file: it must not release what is its parent's, and the
        // parent's release must not wait for the child to close its copy.
        if self.pid == std::process::id()
            && let Err(error) = self.file.unlock()
        {
            tracing::warn!(%error, "cannot release a lock; closing its file does");
        }
    }
}

/// Renames without replacing, where the file system lacks `RENAME_NOREPLACE`.
fn link_and_unlink(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

#[cfg(target_os = "linux")]
fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_and_unlink(from, to),
        answer => Ok(answer?),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    link_and_unlink(from, to)
}

impl Vfs for RealVfs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(RealRead(open_regular(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        create_new(path, 0o600)
    }

    fn create_readable(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        create_new(path, 0o644)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        rename_noreplace(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| {
                let text = format!("it holds a name that is not UTF-8: {}", name.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            // Of the entry itself, not of what a link points to. An entry that has gone meanwhile
            // was not there.
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let len = if metadata.is_file() {
                metadata.len()
            } else {
                0
            };
            entries.push(DirEntry {
                name,
                is_dir: metadata.is_dir(),
                len,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new()
            .read(true)
            .custom_flags(flags(OFlags::DIRECTORY))
            .open(path)?
            .sync_all()
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        open_regular(path)?.sync_all()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn space(&self, path: &Path) -> io::Result<Option<DiskSpace>> {
        let space = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        // What only root may use counts neither as used nor as free.
        let used = space.f_blocks.saturating_sub(space.f_bfree);
        Ok(Some(DiskSpace {
            disk: fs::metadata(path)?.dev(),
            bytes: bytes(used.saturating_add(space.f_bavail)),
            free_bytes: bytes(space.f_bavail),
        }))
    }

    fn try_lock(&self, path: &Path, content: &str) -> io::Result<LockOutcome> {
        for _ in 0..LOCK_ATTEMPTS_MAX {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
                .open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut text = Vec::new();
                    (&mut file).take(HOLDER_BYTES_MAX).read_to_end(&mut text)?;
                    return Ok(LockOutcome::Busy(
                        String::from_utf8_lossy(&text).into_owned(),
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The holder before us may have removed or moved the file after we opened it: a lock
            // on a file that is no longer at the path excludes nobody.
            if !is_at(&file, path)? {
                continue;
            }
            let written = file
                .set_len(0)
                .and_then(|()| file.write_all(content.as_bytes()));
            if let Err(error) = written {
                // A full disk must not keep anybody from opening a state to make room in it.
                tracing::warn!(path = %path.display(), %error, "cannot note who holds the lock");
            }
            let pid = std::process::id();
            return Ok(LockOutcome::Held(Box::new(RealLock { file, pid })));
        }
        Err(io::Error::new(
            io::ErrorKind::Interrupted,
            "the lock file is replaced again and again",
        ))
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_and_directories_are_private_and_listed_in_order() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        RealVfs.create_dir(&at("b")).unwrap();
        let mut file = RealVfs.create(&at("a")).unwrap();
        file.write_all(b"hello").unwrap();
        file.sync().unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a"), mode("b")), (0o600, 0o700));
        let entry = |name: &str, is_dir, len| DirEntry {
            name: name.into(),
            is_dir,
            len,
        };
        assert_eq!(
            RealVfs.read_dir(root.path()).unwrap(),
            [entry("a", false, 5), entry("b", true, 0)]
        );
        let kind = RealVfs.create(&at("a")).err().unwrap().kind();
        assert_eq!(kind, io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn rename_new_never_replaces() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for (name, text) in [("old", "old"), ("new", "new")] {
            fs::write(at(name), text).unwrap();
        }
        for rename in [rename_noreplace, link_and_unlink] {
            let error = rename(&at("new"), &at("old")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read(at("old")).unwrap(), b"old");
        RealVfs.rename_new(&at("new"), &at("third")).unwrap();
        assert_eq!(fs::read(at("third")).unwrap(), b"new");
        assert!(!RealVfs.exists(&at("new")).unwrap());
    }

    #[test]
    fn links_and_fifos_are_not_followed_or_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("outside"), "x").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), 0o600.into()).unwrap();
        assert!(RealVfs.open(&at("link")).is_err());
        assert!(RealVfs.try_lock(&at("link"), "me").is_err());
        assert!(RealVfs.open(&at("fifo")).is_err());
        assert_eq!(fs::read(at("outside")).unwrap(), b"x");
    }

    #[test]
    fn a_second_lock_in_one_process_is_busy_and_the_file_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("LOCK");
        let LockOutcome::Held(lock) = RealVfs.try_lock(&path, "first\n").unwrap() else {
            panic!("a free lock was busy");
        };
        let LockOutcome::Busy(text) = RealVfs.try_lock(&path, "second\n").unwrap() else {
            panic!("the lock was given twice");
        };
        assert_eq!(text, "first\n");
        drop(lock);
        assert!(RealVfs.exists(&path).unwrap());
        assert!(matches!(
            RealVfs.try_lock(&path, "third\n").unwrap(),
            LockOutcome::Held(_)
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "third\n");
    }

    #[test]
    fn a_name_that_is_not_utf8_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        let error = RealVfs.read_dir(root.path()).unwrap_err();
        assert!(error.to_string().contains("not UTF-8"), "{error}");
    }
}
