//! Status codes, shared by the plugin ABI and the C API: one numbering, append-only.
//!
//! Zero is OK, positive codes are expected outcomes, negative codes are errors. A number is never
//! reused. A receiver treats an unknown code as a failure.

use abi_stable::StableAbi;

/// The outcome of a call; see the module's constants.
#[repr(transparent)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, StableAbi)]
pub struct Status(pub i32);

macro_rules! statuses {
    ($($(#[doc = $doc:literal])+ $name:ident = $value:literal, retryable: $retry:literal;)+) => {
        impl Status {
            $($(#[doc = $doc])+ pub const $name: Status = Status($value);)+
        }
        /// Every status: name, number, whether a retry can succeed, and what it means.
        pub const TABLE: &[Entry] = &[$(Entry {
            name: stringify!($name),
            value: $value,
            retryable: $retry,
            doc: concat!($($doc),+),
        }),+];
    };
}

/// One row of [`TABLE`].
#[derive(Copy, Clone, Debug)]
pub struct Entry {
    /// The name, as in `STATEKEEP_STATUS_<NAME>`.
    pub name: &'static str,
    /// The number.
    pub value: i32,
    /// Whether the same call can succeed when made again.
    pub retryable: bool,
    /// What it means.
    pub doc: &'static str,
}

statuses! {
    /// The call did what it says.
    OK = 0, retryable: false;
    /// The key, backup or row is not there; no error object is made for a missing key.
    NOT_FOUND = 1, retryable: false;
    /// The caller's buffer is too small; the needed size is in the length.
    BUFFER_TOO_SMALL = 2, retryable: false;
    /// The operation has not ended within the time given; it goes on.
    PENDING = 3, retryable: true;

    /// An argument is NULL, malformed, out of range or of an unknown kind.
    INVALID_ARGUMENT = -1, retryable: false;
    /// This part is not built, or the plugin does not offer it.
    UNSUPPORTED = -2, retryable: false;
    /// The operating system or the storage engine reported an I/O error.
    IO = -3, retryable: false;
    /// Stored bytes are not what was written.
    CORRUPT = -4, retryable: false;
    /// A condition of the commit did not hold, or the state is open with another configuration.
    CONFLICT = -5, retryable: true;
    /// Whether the commit took place is unknown; ask again with its token.
    INDETERMINATE = -6, retryable: false;
    /// A limit was exceeded; the message names it.
    TOO_LARGE = -7, retryable: false;
    /// The service is away for the moment; nothing was applied.
    UNAVAILABLE = -8, retryable: true;
    /// Another process or operation holds it; the message names the holder.
    BUSY = -9, retryable: true;
    /// The handle was closed.
    CLOSED = -10, retryable: false;
    /// A sync or a call failed earlier; no more writes until it is opened again.
    POISONED = -11, retryable: false;
    /// A panic was stopped at the boundary; the message carries its text.
    PANIC = -12, retryable: false;
    /// Access was refused by the operating system or by a grant.
    PERMISSION_DENIED = -13, retryable: false;
    /// A hook refused the change; the message names hook and reason.
    VETOED = -14, retryable: false;
    /// A callback wrote into the state that it guards, or made a call that would wait for itself.
    REENTRANT = -15, retryable: false;
    /// The process forked after the manager was opened.
    FORKED = -16, retryable: false;
    /// The call must be made from another thread.
    WRONG_THREAD = -17, retryable: false;
    /// The past that was asked for has been trimmed.
    COMPACTED = -18, retryable: false;
    /// The operation was cancelled.
    CANCELLED = -19, retryable: false;
    /// A time limit ran out.
    TIMEOUT = -20, retryable: true;
    /// It is there already.
    ALREADY_EXISTS = -21, retryable: false;
    /// The disk or a quota is full; nothing was applied.
    NO_SPACE = -22, retryable: false;
    /// The target can only be read.
    READ_ONLY = -23, retryable: false;
    /// A format, ABI or version is not one that this build reads; the message names it.
    INCOMPATIBLE = -24, retryable: false;
    /// A plugin is missing, refused or misbehaved; the message names it.
    PLUGIN = -25, retryable: false;
    /// Memory could not be had.
    OUT_OF_MEMORY = -26, retryable: false;
    /// A fault of this library; please report it.
    INTERNAL = -27, retryable: false;
}

impl Status {
    /// Whether the call did what it says.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Whether this is an error (an unknown positive code is a failure too, but not an error).
    pub const fn is_error(self) -> bool {
        self.0 < 0
    }

    /// The row of [`TABLE`], or `None` for a number that this build does not know.
    pub fn entry(self) -> Option<&'static Entry> {
        TABLE.iter().find(|entry| entry.value == self.0)
    }

    /// The name as in `STATEKEEP_STATUS_<NAME>`, `UNKNOWN` for a number that has none.
    pub fn name(self) -> &'static str {
        self.entry().map_or("UNKNOWN", |entry| entry.name)
    }

    /// Whether the same call can succeed when made again.
    pub fn is_retryable(self) -> bool {
        self.entry().is_some_and(|entry| entry.retryable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_errors_are_negative() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in TABLE {
            assert!(seen.insert(entry.value), "{} is used twice", entry.value);
        }
        assert_eq!(Status::NOT_FOUND.0, 1);
        assert!(Status::IO.is_error());
        assert!(Status::CONFLICT.is_retryable());
        assert!(!Status::CORRUPT.is_retryable());
        assert_eq!(Status(-999).name(), "UNKNOWN");
    }
}
