//! Exit codes: what a script can tell without reading a message.

use std::process::ExitCode;

use statekeep::ErrorKind;

/// The codes, as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
    0  done
    1  error
    2  usage: a wrong argument, name, value or setting
    3  not found: no such state, key, backup or plugin; a past that was trimmed
    4  conflict, or busy: another process has the state open
    5  corrupt, or a verification that found damage
    6  refused: an incompatible format, a plugin, a permission
    7  `doctor` found what somebody should look at
    8  `doctor` found what is broken or about to be
  130  cancelled, by Ctrl-C or at a question

Every verb and its JSON: docs/cli.md. Every setting: docs/configuration.md.";

/// How the command ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// An error without a code of its own.
    Error = 1,
    /// A wrong argument, name, value or setting.
    Usage = 2,
    /// It is not there.
    NotFound = 3,
    /// A condition did not hold, or somebody else holds the state.
    Conflict = 4,
    /// Stored bytes are not what was written.
    Corrupt = 5,
    /// A format, plugin or permission stands against it.
    Refused = 6,
    /// The doctor has warnings.
    Warned = 7,
    /// The doctor found errors.
    Ailing = 8,
    /// Ctrl-C, or "no" at a question.
    Cancelled = 130,
}

impl Exit {
    /// The code of an error.
    pub fn of(kind: ErrorKind) -> Exit {
        match kind {
            ErrorKind::NotFound | ErrorKind::Compacted => Exit::NotFound,
            ErrorKind::InvalidArgument | ErrorKind::TooLarge => Exit::Usage,
            ErrorKind::Conflict | ErrorKind::Busy | ErrorKind::AlreadyExists => Exit::Conflict,
            ErrorKind::Corrupt => Exit::Corrupt,
            ErrorKind::Incompatible | ErrorKind::Plugin | ErrorKind::PermissionDenied => {
                Exit::Refused
            }
            ErrorKind::Cancelled => Exit::Cancelled,
            _ => Exit::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
