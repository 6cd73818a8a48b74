//! Room on the disk, asked for before a commit begins.
//!
//! fjall stops for good when a write fails for want of space, and a commit that waits for a buffer
//! which cannot be written out would wait for ever. So commits are refused, with nothing applied,
//! while there still is room to write out what is in memory; they go on when space is freed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use statekeep_plugin_sdk::{Error, Result, Status};

/// An answer of the file system is good for this many committed bytes...
const BYTES_BETWEEN_CHECKS: u64 = 4 << 20;
/// ...and for this long, since others fill the disk too.
const TIME_BETWEEN_CHECKS: Duration = Duration::from_millis(100);

/// The gate in front of commits.
#[derive(Debug)]
pub(crate) struct Room {
    directory: PathBuf,
    free_bytes_min: u64,
    bytes_left: u64,
    checked: Option<Instant>,
}

impl Room {
    /// `free_bytes_min` of 0 switches the check off.
    pub(crate) fn new(directory: &Path, free_bytes_min: u64) -> Room {
        Room {
            directory: directory.to_owned(),
            free_bytes_min,
            bytes_left: 0,
            checked: None,
        }
    }

    /// Refuses a commit of `bytes` while the disk has too little room.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<()> {
        if self.free_bytes_min == 0 {
            return Ok(());
        }
        let fresh = self
            .checked
            .is_some_and(|at| at.elapsed() < TIME_BETWEEN_CHECKS);
        if fresh && bytes <= self.bytes_left {
            self.bytes_left -= bytes;
            return Ok(());
        }
        let found = rustix::fs::statvfs(&self.directory)
            .map_err(|errno| Error::from(std::io::Error::from(errno)))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let min = self.free_bytes_min.saturating_add(bytes);
        if free < min {
            self.checked = None;
            return Err(Error::new(
                Status::NO_SPACE,
                format!(
                    "{free} bytes are free on the disk of {}, and {min} must be for this commit; \
                     free some space, or lower the backend option `free_bytes_min`",
                    self.directory.display()
                ),
            ));
        }
        self.checked = Some(Instant::now());
        self.bytes_left = BYTES_BETWEEN_CHECKS;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_leaves_too_little_room_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Room::new(folder.path(), 1 << 50).take(1).unwrap_err();
        assert_eq!(error.status(), Status::NO_SPACE);
        assert!(error.message().contains("`free_bytes_min`"), "{error}");

        let mut room = Room::new(folder.path(), 1);
        room.take(100).unwrap();
        assert_eq!(room.take(1 << 60).unwrap_err().status(), Status::NO_SPACE);
        room.take(100).unwrap();
        Room::new(folder.path(), 0).take(u64::MAX).unwrap();
    }
}
