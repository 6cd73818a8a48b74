//! The error of every plugin function: a status for the program, a text for people.

use std::fmt;

use statekeep_plugin_api::Status;

/// Result of a plugin function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: what happened, to what, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    os_error: i32,
    message: String,
}

impl Error {
    /// An error with a status of [`Status`]'s table. A status that is not an error becomes
    /// `INTERNAL` when it crosses the boundary, so that no failure looks like success; the
    /// exceptions are `NOT_FOUND` of a backend's `get` and `BUFFER_TOO_SMALL` of a codec.
    pub fn new(status: Status, message: impl Into<String>) -> Error {
        Error {
            status,
            os_error: 0,
            message: message.into(),
        }
    }

    /// An argument or option is malformed, out of range or of an unknown kind.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Status::INVALID_ARGUMENT, message)
    }

    /// Not built, or not offered.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(Status::UNSUPPORTED, message)
    }

    /// Stored bytes are not what was written.
    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::new(Status::CORRUPT, message)
    }

    /// A limit was exceeded; the message names it.
    pub fn too_large(message: impl Into<String>) -> Error {
        Error::new(Status::TOO_LARGE, message)
    }

    /// The operating system or the engine reported an I/O error.
    pub fn io(message: impl Into<String>) -> Error {
        Error::new(Status::IO, message)
    }

    /// The same error with the errno behind it.
    #[must_use]
    pub fn with_os_error(mut self, os_error: i32) -> Error {
        self.os_error = os_error;
        self
    }

    /// The same error with `what` in front of its text: `what: text`.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The status that the host gets.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The errno or engine code behind it, 0 when there is none.
    pub fn os_error(&self) -> i32 {
        self.os_error
    }

    /// The text that the host gets.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status.name())
    }
}

impl std::error::Error for Error {}

/// A text alone has the status `PLUGIN`.
impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::new(Status::PLUGIN, message)
    }
}

/// A text alone has the status `PLUGIN`.
impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::new(Status::PLUGIN, message)
    }
}

/// Never a status that promises "nothing was applied" (such as `NO_SPACE`): a failed write may have
/// reached the disk in part, and a commit must not say otherwise.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        use std::io::ErrorKind;
        let status = match error.kind() {
            ErrorKind::PermissionDenied => Status::PERMISSION_DENIED,
            ErrorKind::ReadOnlyFilesystem => Status::READ_ONLY,
            ErrorKind::OutOfMemory => Status::OUT_OF_MEMORY,
            _ => Status::IO,
        };
        Error::new(status, error.to_string()).with_os_error(error.raw_os_error().unwrap_or(0))
    }
}
