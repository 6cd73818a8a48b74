//! What sled's own `flush` leaves out: the file system's metadata, the disk's cache, and blobs.
//!
//! sled 0.34 ends a flush with `sync_file_range`, which by its manual gives no guarantee after a
//! crash of the machine, and never syncs the files in `blobs/` that hold its large pages. A synced
//! commit therefore syncs the new blobs, their folder and the data file as well.

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
    data: File,
    blobs: PathBuf,
    synced: HashSet<OsString>,
    /// Time of change of the folder when all its files were synced, once it is old enough to tell.
    unchanged: Option<SystemTime>,
}

impl Stable {
    /// For the open store in `directory`.
    pub(crate) fn open(directory: &Path) -> io::Result<Stable> {
        Ok(Stable {
            data: File::open(data_file(directory))?,
            blobs: directory.join("blobs"),
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
        self.data.sync_all()
    }
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
