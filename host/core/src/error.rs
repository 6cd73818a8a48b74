//! What can go wrong, one variant a cause that a caller can act on.
//!
//! [`Error::kind`] classifies; the kinds have the same names as the status codes of the C ABI.

use std::path::PathBuf;

/// Result with the core's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Classes of errors; each is one status code of the C ABI.
#[non_exhaustive]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// It is not there.
    NotFound,
    /// An argument is malformed, out of range or of an unknown kind.
    InvalidArgument,
    /// Not built, or not offered by the plugin.
    Unsupported,
    /// The operating system or the engine reported an I/O error.
    Io,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A condition did not hold.
    Conflict,
    /// Whether a commit took place is unknown.
    Indeterminate,
    /// A limit was exceeded.
    TooLarge,
    /// The service is away for the moment.
    Unavailable,
    /// Another process or operation holds it.
    Busy,
    /// It was closed.
    Closed,
    /// A sync failed earlier; no more writes until it is opened again.
    Poisoned,
    /// A panic was stopped.
    Panic,
    /// Access was refused.
    PermissionDenied,
    /// A hook refused the change.
    Vetoed,
    /// A callback wrote into the state that it guards.
    Reentrant,
    /// The past that was asked for has been trimmed.
    Compacted,
    /// The operation was cancelled.
    Cancelled,
    /// A time limit ran out.
    Timeout,
    /// It is there already.
    AlreadyExists,
    /// The disk or a quota is full.
    NoSpace,
    /// The target can only be read.
    ReadOnly,
    /// A format or version that this build does not read.
    Incompatible,
    /// A plugin is missing, refused or misbehaved.
    Plugin,
    /// Memory could not be had.
    OutOfMemory,
    /// A fault of this library.
    Internal,
}

/// An error of the core, or of a plugin behind it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name, key, value, option or argument is not acceptable.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// What it is: `key`, `scope`, `config key`, ...
        what: &'static str,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// A named limit was exceeded.
    #[error("{what} of {actual} exceeds the limit {limit_name} = {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        actual: u64,
        /// The configuration key or constant of the limit.
        limit_name: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A file operation of the host failed.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// Stored bytes are not what was written.
    #[error("corrupt {what}: {reason}")]
    Corrupt {
        /// File, segment or row, with its name.
        what: String,
        /// What does not fit.
        reason: String,
    },
    /// A format, version or engine that does not fit this build or configuration.
    #[error("incompatible {what}: {reason}")]
    Incompatible {
        /// What it is.
        what: String,
        /// The version found and what to do.
        reason: String,
    },
    /// The state is open elsewhere.
    #[error("{path} is in use by {holder}; close it there first")]
    Busy {
        /// The state directory or repository.
        path: PathBuf,
        /// Process id and host of the holder, as its lock file says.
        holder: String,
    },
    /// A key is not what a change expected of it, so nothing was changed.
    #[error("{what} {found}, and {expected} was expected; read it again and decide anew")]
    Changed {
        /// The key and its scope, or the range of keys.
        what: String,
        /// What was expected, in words.
        expected: String,
        /// What was found, in words.
        found: String,
        /// The commit that wrote the key as it is, when it is there.
        current: Option<crate::Sequence>,
    },
    /// The past that was asked for has been trimmed.
    #[error("{what}: the past before commit {} has been trimmed; the oldest that can be read is {}",
        .oldest.0, .oldest.0)]
    Compacted {
        /// What was asked for.
        what: String,
        /// The oldest sequence that can be read.
        oldest: crate::Sequence,
    },
    /// The manager takes no more writes.
    #[error("no more writes: {reason}; close and open the state again")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The manager has been closed.
    #[error("the state is closed")]
    Closed,
    /// Anything else, from a backend, codec or service, already in words.
    #[error("{message}")]
    Other {
        /// Its class.
        kind: ErrorKind,
        /// What happened, to what, and what to do next.
        message: String,
    },
}

impl Error {
    /// An error of a given class.
    pub fn other(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::Other {
            kind,
            message: message.into(),
        }
    }

    /// An unacceptable argument.
    pub fn invalid(what: &'static str, reason: impl Into<String>) -> Error {
        Error::Invalid {
            what,
            reason: reason.into(),
        }
    }

    /// Stored bytes that are not what was written.
    pub fn corrupt(what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Corrupt {
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Invalid { .. } => ErrorKind::InvalidArgument,
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::File { source, .. } => io_kind(source),
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Incompatible { .. } => ErrorKind::Incompatible,
            Error::Busy { .. } => ErrorKind::Busy,
            Error::Changed { .. } => ErrorKind::Conflict,
            Error::Compacted { .. } => ErrorKind::Compacted,
            Error::Poisoned { .. } => ErrorKind::Poisoned,
            Error::Closed => ErrorKind::Closed,
            Error::Other { kind, .. } => *kind,
        }
    }
}

/// The class of an operating system error.
pub fn io_kind(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Os;
    match error.kind() {
        Os::NotFound => ErrorKind::NotFound,
        Os::PermissionDenied => ErrorKind::PermissionDenied,
        Os::AlreadyExists => ErrorKind::AlreadyExists,
        Os::StorageFull | Os::QuotaExceeded => ErrorKind::NoSpace,
        Os::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        Os::OutOfMemory => ErrorKind::OutOfMemory,
        Os::TimedOut => ErrorKind::Timeout,
        _ => ErrorKind::Io,
    }
}
