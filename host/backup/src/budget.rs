//! A budget of bytes in flight: what bounds the memory of a pipeline.

use parking_lot::{Condvar, Mutex};
use statekeep_core::{Error, ErrorKind, Result};

/// Raw bytes of blocks in flight. A block costs at most three times its raw size (raw, stored,
/// unpacked to compare), so blocks take at most 48 MiB; a block larger than the whole budget goes
/// through alone.
pub(crate) const IN_FLIGHT_BYTES_MAX: usize = 16 << 20;

#[derive(Default)]
struct State {
    used: usize,
    stopped: bool,
    first_error: Option<Error>,
}

/// Shared by the threads of one pipeline; the first failure stops all of them.
pub(crate) struct Budget {
    bytes_max: usize,
    state: Mutex<State>,
    room: Condvar,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::of(IN_FLIGHT_BYTES_MAX)
    }
}

/// Part of the budget, given back when dropped.
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of less than [`IN_FLIGHT_BYTES_MAX`], for a pipeline that shares memory with others.
    pub(crate) fn of(bytes_max: usize) -> Budget {
        Budget {
            bytes_max,
            state: Mutex::default(),
            room: Condvar::new(),
        }
    }

    /// Waits for room; fails once the pipeline has stopped.
    pub(crate) fn acquire(&self, bytes: usize) -> Result<Permit<'_>> {
        let mut state = self.state.lock();
        while !state.stopped && state.used > 0 && state.used + bytes > self.bytes_max {
            self.room.wait(&mut state);
        }
        if state.stopped {
            return Err(stopped());
        }
        state.used += bytes;
        Ok(Permit {
            budget: self,
            bytes,
        })
    }

    /// Stops the pipeline; the first error is kept.
    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.first_error.get_or_insert(error);
        self.room.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// The first error, once.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.state.lock().first_error.take()
    }

    /// Stops the pipeline when the thread that holds it unwinds.
    pub(crate) fn guard(&self, what: &'static str) -> UnwindGuard<'_> {
        UnwindGuard { budget: self, what }
    }
}

pub(crate) fn stopped() -> Error {
    Error::other(
        ErrorKind::Internal,
        "the pipeline stopped after an earlier error",
    )
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.state.lock().used -= self.bytes;
        self.budget.room.notify_all();
    }
}

pub(crate) struct UnwindGuard<'a> {
    budget: &'a Budget,
    what: &'static str,
}

impl Drop for UnwindGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let message = format!(
                "a panic stopped the {}; the operation changed nothing",
                self.what
            );
            self.budget.fail(Error::other(ErrorKind::Panic, message));
        }
    }
}
