//! Engine errors as statuses.
//!
//! Hardly one promises "nothing was applied": a sync that failed may have reached the disk all the
//! same, and redb takes no more commits after any write that failed. ENOSPC therefore is IO here;
//! NO_SPACE comes from the check before a commit starts (`Room` of the SDK).

use redb::Error as Engine;
use statekeep_plugin_sdk::{Error, Result, Status};

/// Results of redb as results of the plugin.
pub(crate) trait During<T> {
    /// The same, with an error that says during what (a verb: "commit") it happened.
    fn during(self, what: &str) -> Result<T>;
}

impl<T, E: Into<Engine>> During<T> for Result<T, E> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|error| of(error.into(), what))
    }
}

fn of(error: Engine, what: &str) -> Error {
    let error = match error {
        Engine::Io(error) => Error::from(error),
        Engine::DatabaseAlreadyOpen => Error::new(
            Status::BUSY,
            "another process or instance has the store open; close it first",
        ),
        Engine::PreviousIo => Error::new(
            Status::POISONED,
            "an earlier write to disk failed and the engine takes no more; check the disk and its \
             free space, then open the state again",
        ),
        Engine::UpgradeRequired(version) => Error::new(
            Status::INCOMPATIBLE,
            format!("the store has redb's file format {version}, which this plugin does not read"),
        ),
        // Found while the rows are put into the transaction, which then ends without a trace.
        Engine::ValueTooLarge(len) => Error::too_large(format!("a row of {len} bytes")),
        Engine::Corrupted(text) => Error::corrupt(format!(
            "stored bytes are damaged ({text}); restore the state from a backup"
        )),
        other => Error::new(Status::INTERNAL, other.to_string()),
    };
    error.context(format_args!("redb {what} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_promise_that_nothing_was_applied() {
        let full = std::io::Error::from_raw_os_error(28);
        let error = of(Engine::Io(full), "commit");
        assert_eq!((error.status(), error.os_error()), (Status::IO, 28));
        let text = error.message();
        assert!(text.starts_with("redb commit failed: "), "{text}");
    }

    #[test]
    fn damage_poison_and_locks_are_told_apart() {
        for (error, status) in [
            (Engine::DatabaseAlreadyOpen, Status::BUSY),
            (Engine::PreviousIo, Status::POISONED),
            (Engine::UpgradeRequired(2), Status::INCOMPATIBLE),
            (Engine::Corrupted("page".to_owned()), Status::CORRUPT),
        ] {
            assert_eq!(of(error, "open").status(), status);
        }
    }
}
