//! Engine errors as statuses.
//!
//! Never one that promises "nothing was applied": a batch that fails half way has changed pages.
//! NO_SPACE comes from the check before a commit starts (`Room` of the SDK).

use sled::Error as Engine;
use statekeep_plugin_sdk::{Error, Status};

/// The error for `what` (a verb: "commit") that failed in the engine.
pub(crate) fn of(error: Engine, what: &str) -> Error {
    let error = match error {
        // sled reports a held lock as an error without a kind of its own.
        Engine::Io(error) if error.to_string().contains("could not acquire lock") => Error::new(
            Status::BUSY,
            "another process or instance has the store open; close it first",
        ),
        Engine::Io(error) => Error::from(error),
        Engine::Corruption { at, .. } => Error::corrupt(format!(
            "stored bytes are damaged at {at:?}; restore the state from a backup"
        )),
        Engine::Unsupported(text) => Error::new(Status::INCOMPATIBLE, text),
        Engine::ReportableBug(text) => Error::new(Status::INTERNAL, text),
        Engine::CollectionNotFound(_) => Error::new(Status::INTERNAL, "the tree is gone"),
    };
    error.context(format_args!("sled {what} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_locks_and_a_full_disk_are_told_apart() {
        let full = std::io::Error::from_raw_os_error(28);
        let error = of(Engine::Io(full), "commit");
        assert_eq!((error.status(), error.os_error()), (Status::IO, 28));
        let held = std::io::Error::other("could not acquire lock on \"db\"");
        assert_eq!(of(Engine::Io(held), "open").status(), Status::BUSY);
        let damaged = Engine::Corruption { at: None, bt: () };
        assert_eq!(of(damaged, "get").status(), Status::CORRUPT);
    }
}
