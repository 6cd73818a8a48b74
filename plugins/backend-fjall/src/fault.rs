//! Engine errors as statuses.
//!
//! Never one that promises "nothing was applied": a write that failed may have reached the journal
//! in part and be completed when the file is closed. ENOSPC therefore is IO here; NO_SPACE comes
//! from the check before a commit starts (`Room` of the SDK).

use fjall::{Error as Engine, LsmError};
use statekeep_plugin_sdk::{Error, Status};

/// The error for `what` (a verb: "commit") that failed in the engine.
pub(crate) fn of(error: Engine, what: &str) -> Error {
    let (status, text) = match error {
        Engine::Io(error) | Engine::Storage(LsmError::Io(error)) => {
            return Error::from(error).context(format_args!("fjall {what} failed"));
        }
        Engine::Locked => (
            Status::BUSY,
            "another process or instance has the store open; close it first".to_owned(),
        ),
        Engine::Poisoned => (
            Status::POISONED,
            "an earlier write to disk failed and the engine takes no more; check the disk and its \
             free space, then open the state again"
                .to_owned(),
        ),
        Engine::InvalidVersion(Some(version)) => (
            Status::INCOMPATIBLE,
            format!("the store has fjall's format {version:?}, this plugin reads format 3"),
        ),
        Engine::Storage(LsmError::InvalidVersion(version)) => (
            Status::INCOMPATIBLE,
            format!("a table has format {version}, which this plugin does not read"),
        ),
        Engine::KeyspaceDeleted => (
            Status::INTERNAL,
            "the keyspace was deleted under the plugin".to_owned(),
        ),
        damaged => (
            Status::CORRUPT,
            format!("stored bytes are damaged ({damaged:?}); restore the state from a backup"),
        ),
    };
    Error::new(status, text).context(format_args!("fjall {what} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_promise_that_nothing_was_applied() {
        let full = std::io::Error::from_raw_os_error(28);
        let error = of(Engine::Io(full), "commit");
        assert_eq!(error.status(), Status::IO);
        assert_eq!(error.os_error(), 28);
        assert!(
            error.message().starts_with("fjall commit failed: "),
            "{error}"
        );
    }

    #[test]
    fn damage_poison_and_locks_are_told_apart() {
        assert_eq!(of(Engine::Locked, "open").status(), Status::BUSY);
        assert_eq!(of(Engine::Poisoned, "commit").status(), Status::POISONED);
        assert_eq!(of(Engine::InvalidTrailer, "get").status(), Status::CORRUPT);
        let version = Engine::Storage(LsmError::InvalidVersion(9));
        assert_eq!(of(version, "open").status(), Status::INCOMPATIBLE);
    }
}
