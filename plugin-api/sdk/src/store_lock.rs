//! A lock that keeps every other opener of a store away, those of the same process too.

use std::fs::{File, TryLockError};

use crate::{Error, Result, Status};

/// A lock on an open file or folder, released when this is dropped.
#[derive(Debug)]
pub struct StoreLock {
    file: File,
    pid: u32,
}

impl StoreLock {
    /// Locks a file or folder that was opened for this.
    ///
    /// # Errors
    /// BUSY when somebody else holds it.
    pub fn take(file: File) -> Result<StoreLock> {
        match file.try_lock() {
            Ok(()) => Ok(StoreLock {
                file,
                pid: std::process::id(),
            }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                Status::BUSY,
                "another process or instance has the store open; close it first",
            )),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The locked file or folder.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // A child that was forked meanwhile shares the open file until it runs another program: it
        // must not release what is its parent's, and closing alone would leave its copy locked.
        if self.pid == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_open_file_does_not_keep_the_lock() {
        let path = std::env::temp_dir().join(format!("statekeep-lock-{}", std::process::id()));
        let open = || File::create(&path).unwrap();
        let lock = StoreLock::take(open()).unwrap();
        // As a forked child has one until it runs another program.
        let copy = lock.file().try_clone().unwrap();
        let error = StoreLock::take(open()).unwrap_err();
        assert_eq!(error.status(), Status::BUSY);
        drop(lock);
        StoreLock::take(open()).unwrap();
        drop(copy);
        std::fs::remove_file(&path).unwrap();
    }
}
