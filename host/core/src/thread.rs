//! Threads of the engine's own, by name. A thread that cannot be started is an error, not a panic.

use std::thread::{Builder, JoinHandle};

use crate::{Error, ErrorKind, Result};

/// Starts a thread.
///
/// # Errors
/// `Unavailable` when the system has no more threads to give.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    #[cfg(test)]
    if REFUSED.get() == Some(name.to_owned()).as_deref() {
        return Err(refused(name, "planted"));
    }
    let started = Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|error| refused(name, error))
}

fn refused(name: &str, reason: impl std::fmt::Display) -> Error {
    let message = format!("cannot start the thread `{name}`: {reason}");
    Error::other(ErrorKind::Unavailable, message)
}

#[cfg(test)]
thread_local! {
    /// The thread that this one cannot start.
    pub(crate) static REFUSED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}
