//! The one macro around every exported body.
//!
//! It zeroes the outputs first, refuses calls in a forked child and inside a log callback, runs the
//! body, turns a failure into a status and an error object, and stops a panic: the panic becomes
//! PANIC with its text, goes to the log callback, and poisons the manager that the call was using
//! (see `Pin`'s `Drop`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm;
use statekeep_plugin_api::Status;

use crate::error::{Error, FORKED_ERROR, Failure};

/// Wraps the body of an exported function.
///
/// `guard!(err, zero(a, b), || ..)` is for functions with a status: `a` and `b` are output pointers,
/// zeroed before anything else, NULL allowed. `guard!(pure VALUE, || ..)` is for functions that
/// touch no state and also work in a forked child and in a log callback; `VALUE` is returned if the
/// body panics.
macro_rules! guard {
    (pure $otherwise:expr, $body:expr) => {
        $crate::guard::run_pure($otherwise, $body)
    };
    ($err:expr, zero($($out:expr),*), $body:expr) => {{
        // SAFETY: by the header's contract each output pointer is NULL or valid for one write.
        $(unsafe { $crate::guard::zero($out) };)*
        let (err, body) = ($err, $body);
        // SAFETY: the same holds for `err`.
        unsafe { $crate::guard::run(err, body) }
    }};
}
pub(crate) use guard;

/// A type that is written to C: its value when a call fails.
pub(crate) trait Output: Sized {
    /// Zero, NULL or empty.
    const ZERO: Self;
}

impl Output for u32 {
    const ZERO: u32 = 0;
}
impl Output for u64 {
    const ZERO: u64 = 0;
}
impl Output for i64 {
    const ZERO: i64 = 0;
}
impl Output for f64 {
    const ZERO: f64 = 0.0;
}
impl Output for usize {
    const ZERO: usize = 0;
}
impl<T> Output for *mut T {
    const ZERO: *mut T = ptr::null_mut();
}
impl<T> Output for *const T {
    const ZERO: *const T = ptr::null();
}

/// Writes the zero of an output.
///
/// # Safety
/// `out` is NULL or valid for one write.
pub(crate) unsafe fn zero<T: Output>(out: *mut T) {
    // SAFETY: the caller's promise.
    unsafe { put(out, T::ZERO) };
}

/// Writes an output that the caller may have left out.
///
/// # Safety
/// `out` is NULL or valid for one write.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and valid by the caller's promise.
        unsafe { out.write(value) };
    }
}

/// Refuses a NULL for an output that is needed; before the body does anything.
pub(crate) fn need<T>(out: *mut T, name: &'static str) -> Result<(), Failure> {
    if out.is_null() {
        Err(Failure::null(name))
    } else {
        Ok(())
    }
}

/// See [`guard`].
///
/// # Safety
/// `err` is NULL or valid for one write.
pub(crate) unsafe fn run(
    err: *mut *mut Error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { zero(err) };
    if forked() {
        // A fixed token: in the child another thread's locks may be held for ever.
        // SAFETY: the caller's promise.
        unsafe { put(err, FORKED_ERROR) };
        return Status::FORKED;
    }
    let outcome = if crate::log::is_inside() {
        // The line may have been written under a lock that the call needs, by this very thread.
        let message = "a log callback called the library; only functions of errors, buffers, \
            statuses and versions answer there; make this call after the callback has returned";
        drop(body);
        Ok(Err(Failure::new(Status::REENTRANT, message)))
    } else {
        stop(body)
    };
    let failure = match outcome {
        Ok(Ok(())) => return Status::OK,
        Ok(Err(failure)) => failure,
        Err(failure) => failure,
    };
    let status = failure.status();
    if !err.is_null() && failure.has_text() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { err.write(crate::handle::insert(failure).unwrap_or(ptr::null_mut())) };
    }
    status
}

/// See [`guard`].
pub(crate) fn run_pure<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Runs a body; a panic becomes a failure and a line in the log.
pub(crate) fn stop<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a text")
            .to_owned();
        // Dropping a foreign payload could panic again.
        std::mem::forget(payload);
        let _ = catch_unwind(|| crate::log::emit(crate::log::LOG_ERROR, &format!("panic: {text}")));
        Failure::new(
            Status::PANIC,
            format!("a panic was stopped: {text}; please report it"),
        )
    })
}

/// A word that the kernel sets to zero in a child of this process.
struct Page(*const AtomicU32);

// SAFETY: the page is an atomic in memory that is mapped for the life of the process.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

static ARMED: OnceLock<Result<Page, u32>> = OnceLock::new();

/// Remembers this process; from now on its children are refused. Called by the first open.
pub(crate) fn arm() {
    ARMED.get_or_init(|| wiped_page().map_err(|_| pid()));
}

fn pid() -> u32 {
    rustix::process::getpid()
        .as_raw_nonzero()
        .get()
        .cast_unsigned()
}

fn wiped_page() -> rustix::io::Result<Page> {
    const BYTES: usize = 4096;
    let access = mm::ProtFlags::READ | mm::ProtFlags::WRITE;
    // SAFETY: a fresh private mapping of its own; no memory of ours is touched.
    let page =
        unsafe { mm::mmap_anonymous(ptr::null_mut(), BYTES, access, mm::MapFlags::PRIVATE) }?;
    // SAFETY: the mapping above, whole; the advice only says what a child sees in it.
    unsafe { mm::madvise(page, BYTES, mm::Advice::LinuxWipeOnFork) }?;
    let word = page.cast::<AtomicU32>().cast_const();
    // SAFETY: the mapping is aligned to a page, zeroed, writable, and is never unmapped.
    unsafe { (*word).store(1, Ordering::Relaxed) };
    Ok(Page(word))
}

/// Whether this process is a child of the one that opened a manager.
pub(crate) fn forked() -> bool {
    match ARMED.get() {
        None => false,
        // SAFETY: mapped for the life of the process, see `wiped_page`.
        Some(Ok(page)) => unsafe { (*page.0).load(Ordering::Relaxed) == 0 },
        Some(Err(opener)) => *opener != pid(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_with_its_text_and_outputs_are_zeroed() {
        let (mut err, mut out) = (ptr::null_mut(), 7_u64);
        let status = guard!(&raw mut err, zero(&raw mut out), || {
            if forked() {
                return Ok(());
            }
            panic!("planted {}", 1)
        });
        assert_eq!((status, out), (Status::PANIC, 0));
        let failure = crate::handle::get::<Failure>(err).unwrap();
        assert!(
            failure.message().contains("planted 1"),
            "{}",
            failure.message()
        );
    }

    #[test]
    fn a_failure_without_text_makes_no_object() {
        let mut err = ptr::null_mut();
        let status = guard!(&raw mut err, zero(), || Err(Failure::absent()));
        assert_eq!(status, Status::NOT_FOUND);
        assert!(err.is_null());
    }
}
