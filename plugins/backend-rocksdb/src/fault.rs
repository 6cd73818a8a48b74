//! Engine errors as statuses.
//!
//! Never one that promises "nothing was applied": a write that failed may have reached the log in part
//! and be completed by the next open. A full disk therefore is IO here; NO_SPACE comes from the check
//! before a commit starts (`Room` of the SDK).

use rocksdb::{Error as Engine, ErrorKind};
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

fn of(error: &Engine, what: &str) -> Error {
    // The C interface hands out texts only.
    let text = error.to_string();
    let is_lock = text.contains("lock file") || text.contains("lock hold by current process");
    let (status, advice) = match error.kind() {
        ErrorKind::IOError if is_lock => (
            Status::BUSY,
            "another process or instance has the store open; close it first",
        ),
        ErrorKind::IOError => (Status::IO, "check the disk and its free space"),
        ErrorKind::Corruption => (
            Status::CORRUPT,
            "stored bytes are damaged; restore the state from a backup",
        ),
        ErrorKind::NotSupported | ErrorKind::InvalidArgument => (
            Status::INCOMPATIBLE,
            "the store is not one that this plugin made, or a newer one did",
        ),
        _ => (Status::INTERNAL, "unexpected answer"),
    };
    Error::new(status, format!("rocksdb {what} failed: {text}; {advice}"))
}
