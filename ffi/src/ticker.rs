//! Calls of a progress function while an operation runs.
//!
//! They come from a thread of their own, which ends before the end of its operation is told: so there
//! is no call after it, and `destroy` has run. No lock is held during a call.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use statekeep_plugin_api::Status;

use crate::error::Failure;
use crate::op::{ProgressFn, ProgressInfo, UserData};

/// Shortest time between two calls.
const INTERVAL: Duration = Duration::from_millis(100);

/// What the operation, its handle and the calling thread share.
#[derive(Default)]
pub(crate) struct Ticker {
    state: Mutex<Ticking>,
    changed: Condvar,
}

#[derive(Default)]
struct Ticking {
    had: bool,
    runs: bool,
    ended: bool,
}

/// Says that the thread is gone, however it went.
struct Runs(Arc<dyn Told>);

/// An operation whose progress is told.
pub(crate) trait Told: Send + Sync + 'static {
    fn ticker(&self) -> &Ticker;
    fn info(&self) -> ProgressInfo;
}

impl Drop for Runs {
    fn drop(&mut self) {
        let ticker = self.0.ticker();
        ticker.state.lock().runs = false;
        ticker.changed.notify_all();
    }
}

impl Ticker {
    /// Ends the calls. With `wait` none runs any more when it returns.
    pub(crate) fn end(&self, wait: bool) {
        let mut state = self.state.lock();
        state.ended = true;
        self.changed.notify_all();
        while wait && state.runs {
            self.changed.wait(&mut state);
        }
    }

    /// Whether to go on after the interval.
    fn pause(&self) -> bool {
        let mut state = self.state.lock();
        if !state.ended {
            self.changed.wait_for(&mut state, INTERVAL);
        }
        !state.ended
    }
}

/// Has `callback` called while `told` runs; not at all when it has ended.
pub(crate) fn start(
    told: Arc<dyn Told>,
    callback: ProgressFn,
    user: UserData,
) -> Result<(), Failure> {
    let callback = callback.ok_or_else(|| Failure::null("callback"))?;
    {
        let mut state = told.ticker().state.lock();
        if std::mem::replace(&mut state.had, true) {
            let message = "this operation has a progress callback already; it takes one";
            return Err(Failure::new(Status::ALREADY_EXISTS, message));
        }
        if state.ended {
            return Ok(());
        }
        state.runs = true;
    }
    let runs = Runs(told);
    let thread = std::thread::Builder::new().name("statekeep-progress".to_owned());
    let spawned = thread.spawn(move || {
        // Dropped in this order: `destroy` runs before the operation may end.
        let (runs, user) = (runs, user);
        loop {
            let info = runs.0.info();
            // SAFETY: the caller's function with the caller's data and a struct that outlives the
            // call; no lock is held.
            unsafe { callback(user.data, &raw const info) };
            if !runs.0.ticker().pause() {
                break;
            }
        }
        drop(user);
    });
    match spawned {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("cannot start a thread: {error}");
            Err(Failure::new(Status::OUT_OF_MEMORY, message))
        }
    }
}
