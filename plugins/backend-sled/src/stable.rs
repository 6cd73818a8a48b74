//! What sled leaves out on the way to stable storage, and what it leaves behind.
//!
//! sled 0.34 ends a flush with `sync_file_range`, which by its manual gives no guarantee after a
//! crash of the machine, and never syncs the files in `blobs/` that hold its large pages. A synced
//! commit therefore syncs the new blobs, their folder and the data file as well. Between commits it
//! writes over what it has moved elsewhere, on the strength of that flush: so the data file is
//! written through wherever the file system can do that, or a power cut may cost the store.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder's time of change may stand still for this long while files are added.
const CLOCK_STEP: Duration = Duration::from_millis(100);

/// The files of a store, as far as they must be synced.
#[derive(Debug)]
pub(crate) struct Stable {
    /// None when every write to it is synced by the kernel.
    data: Option<File>,
    blobs: PathBuf,
    synced: HashSet<OsString>,
    /// Time of change of the folder when all its files were synced, once it is old enough to tell.
    unchanged: Option<SystemTime>,
}

impl Stable {
    /// For the open store in `directory`.
    pub(crate) fn open(directory: &Path) -> io::Result<Stable> {
        let blobs = directory.join("blobs");
        let data = File::open(data_file(directory))?;
        write_through(&File::open(&blobs)?);
        let is_through = write_through(&data);
        Ok(Stable {
            data: (!is_through).then_some(data),
            blobs,
            synced: HashSet::new(),
            unchanged: None,
        })
    }

    /// Syncs what the log refers to; comes before the log's own flush.
    pub(crate) fn sync_blobs(&mut self) -> io::Result<()> {
        let changed = fs::metadata(&self.blobs)?.modified()?;
        if self.unchanged == Some(changed) {
            return Ok(());
        }
        let mut present = HashSet::new();
        let mut is_new = false;
        for entry in fs::read_dir(&self.blobs)? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.synced.contains(&name) {
                match File::open(entry.path()) {
                    Ok(file) => file.sync_all()?,
                    // sled removes blobs that no page uses any more.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                is_new = true;
            }
            present.insert(name);
        }
        if is_new {
            File::open(&self.blobs)?.sync_all()?;
        }
        self.synced = present;
        let age = SystemTime::now().duration_since(changed);
        self.unchanged = age.is_ok_and(|age| age > CLOCK_STEP).then_some(changed);
        Ok(())
    }

    /// Syncs the data file; comes after the log's own flush.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.data.as_ref().map_or(Ok(()), File::sync_all)
    }
}

/// Makes a folder ready for sled to open: files that it makes are written through, and half of a
/// table of pages, which sled would take for a whole one and refuse, is gone.
pub(crate) fn prepare(directory: &Path) -> io::Result<()> {
    write_through(&File::open(directory)?);
    if File::open(data_file(directory)).is_ok_and(|data| data.try_lock().is_err()) {
        // Somebody has it open and may be writing one.
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Asks the file system to sync each write to a file, or in a folder and to the files that are made
/// in it; answers whether it will.
#[cfg(target_os = "linux")]
fn write_through(file: &File) -> bool {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let ask = || {
        let flags = ioctl_getflags(file)?;
        if !flags.contains(IFlags::SYNC) {
            ioctl_setflags(file, flags | IFlags::SYNC)?;
        }
        ioctl_getflags(file)
    };
    ask().is_ok_and(|flags| flags.contains(IFlags::SYNC))
}

#[cfg(not(target_os = "linux"))]
fn write_through(_: &File) -> bool {
    false
}

/// The file that sled locks and writes its log to.
pub(crate) fn data_file(directory: &Path) -> PathBuf {
    directory.join("db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_new_blob_is_synced_and_removed_ones_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs");
        fs::create_dir(&blobs).unwrap();
        fs::write(data_file(folder.path()), b"").unwrap();
        let mut stable = Stable::open(folder.path()).unwrap();
        for name in ["1", "2"] {
            fs::write(blobs.join(name), b"page").unwrap();
            stable.sync_blobs().unwrap();
            assert!(stable.synced.contains(&OsString::from(name)));
        }
        fs::remove_file(blobs.join("1")).unwrap();
        stable.sync_blobs().unwrap();
        assert_eq!(stable.synced.len(), 1);
    }
}
