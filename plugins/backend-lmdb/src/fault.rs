//! Engine errors as statuses.
//!
//! A commit that fails before its meta page is written has changed nothing, whatever of it reached
//! the disk, so a full map or disk is NO_SPACE there and the store goes on. Where LMDB says EIO, a
//! sync may have failed, or a write been cut short by the end of the disk: that stays IO, after
//! which it is not known what the disk holds.

use heed::{Error as Engine, MdbError};
use statekeep_plugin_sdk::{Error, Result, Status};

/// Results of LMDB as results of the plugin.
pub(crate) trait During<T> {
    /// The same, with an error that says during what (a verb: "get") it happened.
    fn during(self, what: &str) -> Result<T>;

    /// The same for a transaction up to and with the writing of its meta page.
    fn during_commit(self) -> Result<T>;
}

impl<T> During<T> for heed::Result<T> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|error| of(error, what))
    }

    fn during_commit(self) -> Result<T> {
        self.map_err(|error| match &error {
            Engine::Io(io) if is_full(io) => Error::new(
                Status::NO_SPACE,
                format!("LMDB commit failed: {io}; free some space on the disk"),
            )
            .with_os_error(io.raw_os_error().unwrap_or_default()),
            Engine::Io(io) if io.raw_os_error() == Some(EIO) => {
                let next = "the disk failed, or has no space left: check it, and what is free";
                Error::io(format!("LMDB commit failed: {io}; {next}")).with_os_error(EIO)
            }
            _ => of(error, "commit"),
        })
    }
}

const EIO: i32 = 5;

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

fn of(error: Engine, what: &str) -> Error {
    let error = match error {
        Engine::Io(error) if error.kind() == std::io::ErrorKind::OutOfMemory => Error::new(
            Status::OUT_OF_MEMORY,
            format!("{error}; lower the backend option `map_bytes_max`"),
        ),
        Engine::Io(error) => Error::from(error),
        Engine::EnvAlreadyOpened => Error::new(
            Status::BUSY,
            "this process has the store open under the same path; close it first",
        ),
        Engine::Mdb(error) => of_lmdb(error),
        other => Error::new(Status::INTERNAL, other.to_string()),
    };
    error.context(format_args!("LMDB {what} failed"))
}

fn of_lmdb(error: MdbError) -> Error {
    let (status, next) = match error {
        MdbError::MapFull => (
            Status::NO_SPACE,
            "open the state with a larger backend option `map_bytes_max`",
        ),
        MdbError::ReadersFull => (
            Status::UNAVAILABLE,
            "close some scans, or raise the backend option `readers_max`",
        ),
        MdbError::TxnFull | MdbError::BadValSize => (Status::TOO_LARGE, "write less at once"),
        MdbError::Panic => (
            Status::POISONED,
            "an earlier write to disk failed; check the disk, then open the state again",
        ),
        MdbError::VersionMismatch => (Status::INCOMPATIBLE, "the store is of another LMDB"),
        MdbError::Corrupted | MdbError::Invalid | MdbError::PageNotFound => {
            (Status::CORRUPT, "restore the state from a backup")
        }
        _ => (Status::INTERNAL, "this is a fault of the plugin"),
    };
    Error::new(status, format!("{error}; {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_by_what_it_did_to_the_commit() {
        let full = || Engine::from(std::io::Error::from_raw_os_error(28));
        let refused = Err::<(), _>(full()).during_commit().unwrap_err();
        assert_eq!(
            (refused.status(), refused.os_error()),
            (Status::NO_SPACE, 28)
        );
        let short = Engine::from(std::io::Error::from_raw_os_error(EIO));
        let short = Err::<(), _>(short).during_commit().unwrap_err();
        assert_eq!((short.status(), short.os_error()), (Status::IO, EIO));
        assert!(short.message().contains("no space left"), "{short}");
        let unknown = Err::<(), _>(full()).during("flush").unwrap_err();
        assert_eq!((unknown.status(), unknown.os_error()), (Status::IO, 28));
        assert!(
            unknown.message().starts_with("LMDB flush failed: "),
            "{unknown}"
        );
    }

    #[test]
    fn a_map_that_address_space_does_not_hold_names_its_option() {
        let none = Engine::from(std::io::Error::from_raw_os_error(12));
        let error = Err::<(), _>(none).during("open").unwrap_err();
        assert_eq!(error.status(), Status::OUT_OF_MEMORY);
        assert!(error.message().contains("`map_bytes_max`"), "{error}");
    }

    #[test]
    fn every_cause_names_its_option_or_next_step() {
        for (error, status, next) in [
            (MdbError::MapFull, Status::NO_SPACE, "`map_bytes_max`"),
            (MdbError::ReadersFull, Status::UNAVAILABLE, "`readers_max`"),
            (MdbError::Panic, Status::POISONED, "open the state again"),
            (MdbError::Corrupted, Status::CORRUPT, "backup"),
        ] {
            let error = of(Engine::Mdb(error), "get");
            assert_eq!(error.status(), status);
            assert!(error.message().contains(next), "{error}");
        }
    }
}
