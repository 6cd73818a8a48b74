//! `statekeep_op`: one long piece of work, whatever it does.
//!
//! It runs on a thread of its own and keeps its state open until it has ended. Progress is pulled;
//! the outcome is kept until the handle is freed, so it can be asked for again.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, Host, Progress, to_text};
use crate::error::{Error, Failure};
use crate::guard::{self, guard, need, put};
use crate::handle::{self, Kind};
use crate::input;
use crate::manager::{Manager, Reference, manager};
use crate::ticker::{self, Ticker, Told};

/// An opaque operation.
#[repr(C)]
pub struct Op {
    _opaque: [u8; 0],
}

/// Phase of an operation: it has not started.
pub const OP_PHASE_WAITING: u32 = 0;
/// Phase of an operation: it reads what it needs.
pub const OP_PHASE_PREPARING: u32 = 1;
/// Phase of an operation: records go through.
pub const OP_PHASE_COPYING: u32 = 2;
/// Phase of an operation: it makes the result visible; from here on it cannot be cancelled.
pub const OP_PHASE_COMMITTING: u32 = 3;
/// Phase of an operation: it has ended, well or not.
pub const OP_PHASE_DONE: u32 = 4;
/// Phase of an operation: a swap takes over what was committed since it began to copy.
pub const OP_PHASE_FOLLOWING: u32 = 5;
/// Phase of an operation: a swap compares both sides.
pub const OP_PHASE_VERIFYING: u32 = 6;

/// How far an operation is; start from `STATEKEEP_PROGRESS_INIT`. A total of 0 is not known. The
/// struct grows at its end; `struct_size` tells the library what the caller knows.
#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct ProgressInfo {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// `STATEKEEP_OP_PHASE_*`.
    pub phase: u32,
    /// 1 when the outcome is there.
    pub is_done: u32,
    /// Records that went through.
    pub records: u64,
    /// Records expected.
    pub records_total: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Bytes expected to be read.
    pub bytes_total: u64,
    /// Commits that a swap has still to take over.
    pub commits_behind: u64,
    /// Milliseconds since it began, or that it took.
    pub elapsed_ms: u64,
    /// Bytes read in a second, on average.
    pub bytes_per_second: u64,
    /// Milliseconds that are left at that rate; -1 when not known.
    pub left_ms: i64,
}

/// Called while an operation runs, with how far it is; `info` is good until it returns.
pub type ProgressFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, info: *const ProgressInfo)>;

/// Called once when an operation has ended, with the status that `statekeep_op_wait` returns.
pub type OpDoneFn = Option<unsafe extern "C" fn(user_data: *mut c_void, status: Status)>;
/// Called exactly once when the library no longer needs `user_data`.
pub type DestroyFn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Data of the caller; dropping it runs the caller's `destroy`.
pub(crate) struct UserData {
    pub(crate) data: *mut c_void,
    pub(crate) destroy: DestroyFn,
}

// SAFETY: the header says that callbacks and `destroy` run on any thread; the library only passes
// the pointer on.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the caller's function with the caller's data, once, since this is dropped once.
            unsafe { destroy(self.data) };
        }
    }
}

type OnDone = (unsafe extern "C" fn(*mut c_void, Status), UserData);

/// What a `statekeep_op` and its thread share.
struct Work {
    progress: Progress,
    state: Mutex<Outcome>,
    ended: Condvar,
    ticker: Ticker,
}

impl Told for Work {
    fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    fn info(&self) -> ProgressInfo {
        let now = self.progress.snapshot();
        let is_done = self.state.lock().result.is_some();
        ProgressInfo {
            struct_size: size_of::<ProgressInfo>(),
            phase: if is_done {
                OP_PHASE_DONE
            } else {
                phase_number(now.phase)
            },
            is_done: u32::from(is_done),
            records: now.records,
            records_total: now.records_total,
            bytes_in: now.bytes_in,
            bytes_out: now.bytes_out,
            bytes_total: now.bytes_total,
            commits_behind: now.commits_behind,
            elapsed_ms: now.elapsed_ms,
            bytes_per_second: now.bytes_per_second,
            left_ms: now
                .left_ms
                .map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        }
    }
}

#[derive(Default)]
struct Outcome {
    result: Option<Result<String, Failure>>,
    on_done: Option<OnDone>,
    had_on_done: bool,
}

impl Outcome {
    /// The result as a status, when there is one.
    fn status(&self) -> Option<Status> {
        let result = self.result.as_ref()?;
        Some(result.as_ref().map_or_else(Failure::status, |_| Status::OK))
    }

    /// The result, which is PENDING without a text while there is none.
    fn get(&self) -> Result<&str, Failure> {
        match &self.result {
            None => Err(Failure::new(Status::PENDING, String::new())),
            Some(Ok(json)) => Ok(json),
            Some(Err(failure)) => Err(failure.clone()),
        }
    }
}

/// The handle's side of the work.
struct Operation(Arc<Work>);

impl Kind for Operation {
    const NUMBER: u64 = 6;
    const NAME: &'static str = "statekeep_op";
    type C = Op;
}

impl Drop for Operation {
    fn drop(&mut self) {
        // Whoever freed the handle is told no more; `destroy` runs here, outside the lock. A call
        // that runs is not waited for, since it may be the one that frees.
        self.0.ticker.end(false);
        let forgotten = self.0.state.lock().on_done.take();
        drop(forgotten);
    }
}

fn call((function, user): OnDone, status: Status) {
    // SAFETY: the caller's function with the caller's data; no lock is held, and it runs once, since
    // it was taken out of the state.
    unsafe { function(user.data, status) };
}

/// Starts the job that `prepare` makes of the inputs, on a thread of its own, and gives its operation;
/// what the job returns is the result of the operation as JSON.
///
/// # Safety
/// `out` is NULL or valid for one write.
pub(crate) unsafe fn start<J, T>(
    manager: *const Manager,
    out: *mut *mut Op,
    prepare: impl FnOnce(&Reference) -> Result<J, Failure>,
) -> Result<(), Failure>
where
    J: FnOnce(&Host, &Progress) -> Result<T, engine::Error> + Send + 'static,
    T: Serialize,
{
    need(out, "out")?;
    let manager = self::manager(manager)?;
    let job = prepare(&manager)?;
    let lease = manager.lease().share();
    let work = Arc::new(Work {
        progress: Progress::new(),
        state: Mutex::new(Outcome::default()),
        ended: Condvar::new(),
        ticker: Ticker::default(),
    });
    let op = handle::insert(Operation(Arc::clone(&work)))?;
    let thread = std::thread::Builder::new().name("statekeep-op".to_owned());
    let spawned = thread.spawn(move || {
        let result = match guard::stop(|| to_text(&job(lease.host(), &work.progress)?)) {
            Ok(Ok(json)) => Ok(json),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(panic) => {
                lease.health().poison();
                Err(panic)
            }
        };
        work.ticker.end(true);
        // Before the end is told: who waited for it may open the state's directory elsewhere.
        drop(lease);
        let (on_done, status) = {
            let mut state = work.state.lock();
            state.result = Some(result);
            (
                state.on_done.take(),
                state.status().unwrap_or(Status::INTERNAL),
            )
        };
        work.ended.notify_all();
        if let Some(on_done) = on_done {
            call(on_done, status);
        }
    });
    match spawned {
        Ok(_) => {
            // SAFETY: the caller's promise.
            unsafe { put(out, op) };
            Ok(())
        }
        Err(error) => {
            handle::close::<Operation>(op)?;
            Err(Failure::new(
                Status::OUT_OF_MEMORY,
                format!("cannot start a thread: {error}"),
            ))
        }
    }
}

/// Waits until an operation has ended: the status and error of the operation itself. PENDING,
/// without an error object, when `timeout_ms` ran out; a negative one waits as long as it takes, 0
/// only asks. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_wait(
    op: *const Op,
    timeout_ms: i64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let operation = handle::get::<Operation>(op)?;
        // A deadline that the clock cannot say is as good as none.
        let deadline = u64::try_from(timeout_ms)
            .ok()
            .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        let mut state = operation.0.state.lock();
        while state.result.is_none() {
            match deadline {
                None => operation.0.ended.wait(&mut state),
                Some(deadline) => {
                    if operation
                        .0
                        .ended
                        .wait_until(&mut state, deadline)
                        .timed_out()
                    {
                        break;
                    }
                }
            }
        }
        state.get().map(|_| ())
    })
}

/// How far an operation is. `out->struct_size` says how much of the struct the caller knows.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_progress(
    op: *const Op,
    out: *mut ProgressInfo,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        need(out, "out")?;
        // SAFETY: the header's contract for structs that grow.
        let size = unsafe { input::cleared(out, "progress") }?;
        let info = ProgressInfo {
            struct_size: size,
            ..handle::get::<Operation>(op)?.0.info()
        };
        // SAFETY: as above.
        unsafe { input::write_growing(out, &info, size) };
        Ok(())
    })
}

fn phase_number(name: &str) -> u32 {
    match name {
        "preparing" => OP_PHASE_PREPARING,
        "copying" => OP_PHASE_COPYING,
        "committing" => OP_PHASE_COMMITTING,
        "done" => OP_PHASE_DONE,
        "following" => OP_PHASE_FOLLOWING,
        "verifying" => OP_PHASE_VERIFYING,
        _ => OP_PHASE_WAITING,
    }
}

/// Asks an operation to stop, which then ends as CANCELLED and leaves nothing behind; one that is
/// committing or has ended is not changed. Returns at once. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_cancel(op: *const Op, err: *mut *mut Error) -> Status {
    guard!(err, zero(), || {
        handle::get::<Operation>(op)?.0.progress.cancel();
        Ok(())
    })
}

/// Limits the bytes of the repository that a backup writes, or a verification or restore reads, in a
/// second, from now on; 0 takes the limit away. Other operations are not changed by it.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_limit_rate(
    op: *const Op,
    bytes_per_second: u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let operation = handle::get::<Operation>(op)?;
        operation.0.progress.limit_rate(bytes_per_second);
        Ok(())
    })
}

/// The result as one JSON object; PENDING, without an error object, while there is none; the
/// operation's own status and error when it failed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_result_json(
    op: *const Op,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let operation = handle::get::<Operation>(op)?;
        let state = operation.0.state.lock();
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, state.get()?) };
        Ok(())
    })
}

/// Has a function called when the operation has ended: at most once, on the operation's thread, or
/// at once on this one when it has ended already. Freeing the operation takes the call back.
/// `destroy`, which may be NULL, runs exactly once, also when this function fails. A second
/// registration is ALREADY_EXISTS. The callback may call any function but must not unwind, long-jump
/// or wait. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_on_done(
    op: *const Op,
    callback: OpDoneFn,
    user_data: *mut c_void,
    destroy: DestroyFn,
    err: *mut *mut Error,
) -> Status {
    let user = UserData {
        data: user_data,
        destroy,
    };
    guard!(err, zero(), move || {
        let user = user;
        let callback = callback.ok_or_else(|| Failure::null("callback"))?;
        let operation = handle::get::<Operation>(op)?;
        let mut state = operation.0.state.lock();
        if std::mem::replace(&mut state.had_on_done, true) {
            drop(state);
            let message = "this operation has a callback already; it takes one";
            return Err(Failure::new(Status::ALREADY_EXISTS, message));
        }
        match state.status() {
            None => state.on_done = Some((callback, user)),
            Some(status) => {
                drop(state);
                // The callback may close handles, which a thread that is in a call may not.
                drop(operation);
                call((callback, user), status);
            }
        }
        Ok(())
    })
}

/// Has a function called while the operation runs, at once and then at most ten times a second, on a
/// thread of the library's own. None comes after its end, which waits for a call that runs; none at
/// all when it has ended. Freeing the operation takes the calls back, but for one that runs.
/// `destroy`, which may be NULL, runs exactly once, also when this function fails. A second
/// registration is ALREADY_EXISTS. The callback may call any function, to cancel the operation among
/// them, but must not unwind, long-jump, or wait for the operation. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_on_progress(
    op: *const Op,
    callback: ProgressFn,
    user_data: *mut c_void,
    destroy: DestroyFn,
    err: *mut *mut Error,
) -> Status {
    let user = UserData {
        data: user_data,
        destroy,
    };
    guard!(err, zero(), move || {
        let user = user;
        let work = Arc::clone(&handle::get::<Operation>(op)?.0);
        ticker::start(work, callback, user)
    })
}

/// Frees an operation's handle; NULL is allowed. Work that is running goes on, unseen and without
/// its callback; cancel it first to stop it. A callback that is running is not waited for.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_op_free(op: *mut Op) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !op.is_null() {
            handle::close::<Operation>(op)?;
        }
        Ok(())
    })
}
