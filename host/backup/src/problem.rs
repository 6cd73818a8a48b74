//! Something wrong with an object of a repository.

use serde::Serialize;
use statekeep_core::{Error, ErrorKind};

use crate::name::ObjectName;

/// Classes of problems.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The object is not there.
    Missing,
    /// Its bytes are not those that were written.
    Checksum,
    /// Its bytes are as written, but do not fit together.
    Integrity,
    /// It could not be read: an I/O error, or a codec that is not installed.
    Unreadable,
    /// A format that this build does not know.
    Incompatible,
}

/// Which object, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The object's name, with the place in it where known.
    pub object: String,
    /// What was found, and what was expected.
    pub what: String,
    /// Its class.
    pub kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(
        kind: ProblemKind,
        object: &impl ToString,
        what: impl Into<String>,
    ) -> Problem {
        Problem {
            object: object.to_string(),
            what: what.into(),
            kind,
        }
    }

    pub(crate) fn of(name: &ObjectName, error: &Error) -> Problem {
        Problem::at(name.to_string(), error)
    }

    pub(crate) fn at(object: String, error: &Error) -> Problem {
        let kind = match error.kind() {
            ErrorKind::NotFound => ProblemKind::Missing,
            ErrorKind::Corrupt | ErrorKind::InvalidArgument | ErrorKind::TooLarge => {
                ProblemKind::Checksum
            }
            ErrorKind::Incompatible => ProblemKind::Incompatible,
            _ => ProblemKind::Unreadable,
        };
        let what = match error {
            // The object is named already; other subjects, such as a key, stay.
            Error::Corrupt { what, reason } | Error::Incompatible { what, reason }
                if *what == object || matches!(what.as_str(), "segment" | "block" | "object") =>
            {
                reason.clone()
            }
            Error::File { action, source, .. } => format!("cannot {action} it: {source}"),
            other => other.to_string(),
        };
        Problem { object, what, kind }
    }

    /// The error of an operation that cannot go on.
    pub(crate) fn into_error(self) -> Error {
        let Problem { object, what, kind } = self;
        match kind {
            ProblemKind::Checksum | ProblemKind::Integrity => Error::corrupt(object, what),
            ProblemKind::Incompatible => Error::Incompatible {
                what: object,
                reason: what,
            },
            ProblemKind::Missing => Error::corrupt(
                object,
                format!("it is missing from the repository ({what})"),
            ),
            ProblemKind::Unreadable => {
                Error::other(ErrorKind::Io, format!("cannot read {object}: {what}"))
            }
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.what)
    }
}
