//! Engine errors as statuses.
//!
//! A transaction that fails before or in its commit is rolled back whole, and what it wrote to the log
//! has no end mark, so a full disk is NO_SPACE: nothing was applied. Every other failure to write is
//! IO, which promises nothing.

use rusqlite::Error as Engine;
use rusqlite::ffi::{self, ErrorCode};
use statekeep_plugin_sdk::{Error, Result, Status};

/// Turns an engine's answer into the plugin's, with the verb that was under way.
pub(crate) trait During<T> {
    /// The value, or the error of `what` ("commit").
    fn during(self, what: &str) -> Result<T>;
}

impl<T> During<T> for std::result::Result<T, Engine> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|error| of(&error, what))
    }
}

/// The error for `what` that failed in the engine.
pub(crate) fn of(error: &Engine, what: &str) -> Error {
    let text = error.to_string();
    let Engine::SqliteFailure(failure, _) = error else {
        // Types and parameters are the plugin's own, unless the file was changed by another program.
        let text = format!("sqlite {what} failed: {text}");
        return Error::new(Status::INTERNAL, text);
    };
    let (status, advice) = match failure.code {
        ErrorCode::DiskFull => (Status::NO_SPACE, "free some space on the disk"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            Status::BUSY,
            "another process or instance has the store open; close it first",
        ),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (
            Status::CORRUPT,
            "stored bytes are damaged; restore the state from a backup",
        ),
        ErrorCode::TooBig => (Status::TOO_LARGE, "a row is larger than SQLite takes"),
        ErrorCode::OutOfMemory => (Status::OUT_OF_MEMORY, "memory could not be had"),
        ErrorCode::ReadOnly => (Status::READ_ONLY, "the store's files cannot be written"),
        ErrorCode::PermissionDenied => (Status::PERMISSION_DENIED, "access was refused"),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => {
            (Status::IO, "check the disk and the system's log")
        }
        _ => (Status::INTERNAL, "unexpected answer"),
    };
    let code = failure.extended_code;
    let text = format!("sqlite {what} failed: {text} (code {code}); {advice}");
    Error::new(status, text).with_os_error(code)
}

/// Whether a sync failed: what the system had not yet written may be lost without a further error.
pub(crate) fn is_sync(error: &Engine) -> bool {
    let code = error.sqlite_error().map(|failure| failure.extended_code);
    matches!(
        code,
        Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: i32) -> Status {
        let failure = Engine::SqliteFailure(ffi::Error::new(code), None);
        let error = of(&failure, "commit");
        assert_eq!(error.os_error(), code);
        assert!(error.message().starts_with("sqlite commit failed: "));
        error.status()
    }

    #[test]
    fn a_full_disk_damage_locks_and_faults_of_the_disk_are_told_apart() {
        assert_eq!(status(ffi::SQLITE_FULL), Status::NO_SPACE);
        assert_eq!(status(ffi::SQLITE_IOERR_WRITE), Status::IO);
        assert_eq!(status(ffi::SQLITE_IOERR_SHMSIZE), Status::IO);
        assert_eq!(status(ffi::SQLITE_CORRUPT), Status::CORRUPT);
        assert_eq!(status(ffi::SQLITE_NOTADB), Status::CORRUPT);
        assert_eq!(status(ffi::SQLITE_BUSY), Status::BUSY);
    }

    #[test]
    fn only_a_failed_sync_counts_as_one() {
        let sync = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
        assert!(is_sync(&Engine::SqliteFailure(sync, None)));
        let write = ffi::Error::new(ffi::SQLITE_IOERR_WRITE);
        assert!(!is_sync(&Engine::SqliteFailure(write, None)));
    }
}
