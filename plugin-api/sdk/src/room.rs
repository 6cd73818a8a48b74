//! Room on the disk, asked for before a commit begins.
//!
//! For engines that do not get over a full disk: they stop for good, or wait for ever, when a write
//! fails for want of space. So commits are refused, with nothing applied, while there still is room to
//! write out what is in memory; they go on when space is freed. Somebody else may fill the disk between
//! the check and the write, so this makes a full disk rare for the engine, not impossible.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Commit, Error, Op, Result, Status};

/// An answer of the file system is good for this many committed bytes...
const BYTES_BETWEEN_CHECKS: u64 = 4 << 20;
/// ...and for this long, since others fill the disk too.
const TIME_BETWEEN_CHECKS: Duration = Duration::from_millis(100);

/// The gate in front of commits, asked while the lock that orders them is held.
#[derive(Debug)]
pub struct Room {
    directory: PathBuf,
    free_bytes_min: u64,
    bytes_left: u64,
    checked: Option<Instant>,
}

impl Room {
    /// For the store in `directory`, whose backend option `free_bytes_min` is what a commit must leave
    /// free; 0 switches the check off.
    pub fn new(directory: &Path, free_bytes_min: u64) -> Room {
        Room {
            directory: directory.to_owned(),
            free_bytes_min,
            bytes_left: 0,
            checked: None,
        }
    }

    /// Lets a commit pass while the disk has room for it.
    ///
    /// # Errors
    /// `NO_SPACE` while it has less; what the file system answered when it cannot be asked.
    pub fn take(&mut self, commit: &Commit<'_>) -> Result<()> {
        match self.free_bytes_min {
            0 => Ok(()),
            _ => self.take_bytes(bytes_of(commit)),
        }
    }

    fn take_bytes(&mut self, bytes: u64) -> Result<()> {
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

/// Bytes of keys and values that a commit writes.
fn bytes_of(commit: &Commit<'_>) -> u64 {
    let rows = commit.ops().map(|op| match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete { key, .. } => key.len(),
    });
    rows.sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_leaves_too_little_room_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Room::new(folder.path(), 1 << 50).take_bytes(1).unwrap_err();
        assert_eq!(error.status(), Status::NO_SPACE);
        assert!(error.message().contains("`free_bytes_min`"), "{error}");

        let mut room = Room::new(folder.path(), 1);
        room.take_bytes(100).unwrap();
        let error = room.take_bytes(1 << 60).unwrap_err();
        assert_eq!(error.status(), Status::NO_SPACE);
        room.take_bytes(100).unwrap();
    }
}
