//! The one door between the host and a plugin's code: every trampoline goes through [`call`].
//!
//! No panic leaves it. A panic answers PANIC with its text and poisons the instance: every later
//! call on it answers POISONED with the text of the first panic, since what the panic left half
//! done cannot be trusted.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use statekeep_plugin_api::{ErrorOut, Instance, OutBuf, Status};

use crate::{Capabilities, Error, Host, Level, Result, memory};

/// What an `Instance` pointer points to.
pub(crate) struct Slot<T> {
    pub(crate) plugin: T,
    pub(crate) host: Host,
    /// Of a backend: asked once, since they are the same for its life.
    pub(crate) capabilities: OnceLock<Capabilities>,
    poison: OnceLock<String>,
}

impl<T> Slot<T> {
    /// Moves a new instance to the heap; [`close`] takes it back.
    pub(crate) fn open(plugin: T, host: Host) -> *mut Instance {
        let slot = Slot {
            plugin,
            host,
            capabilities: OnceLock::new(),
            poison: OnceLock::new(),
        };
        Box::into_raw(Box::new(slot)).cast()
    }

    fn poison(&self, text: String) -> Error {
        self.host.log(Level::Error, &format!("panic: {text}"));
        // A second panic at the same time loses: the first text stays.
        let _ = self.poison.set(text.clone());
        Error::new(Status::PANIC, text)
    }
}

/// Runs `body` on the instance unless it is poisoned; reports its error or panic.
///
/// # Safety
/// `instance` is NULL or was made by [`Slot::<T>::open`] and is not closed; `err` is NULL or valid.
#[inline]
pub(crate) unsafe fn call<T>(
    instance: *const Instance,
    err: *mut ErrorOut,
    body: impl FnOnce(&Slot<T>) -> Result<Status>,
) -> Status {
    // SAFETY: NULL or a live slot of this type, by the caller's promise.
    let Some(slot) = (unsafe { instance.cast::<Slot<T>>().as_ref() }) else {
        // SAFETY: NULL or valid.
        return unsafe { report(err, &memory::null("instance")) };
    };
    let error = match slot.poison.get() {
        Some(text) => Error::new(
            Status::POISONED,
            format!("this instance is poisoned by an earlier panic, open a new one: {text}"),
        ),
        None => match stop_panic(|| body(slot)) {
            Ok(Ok(status)) => return status,
            Ok(Err(error)) => error,
            Err(text) => slot.poison(text),
        },
    };
    // SAFETY: NULL or valid.
    unsafe { report(err, &error) }
}

/// For functions that have no status: `otherwise` after an error or panic, and on a poisoned one.
///
/// # Safety
/// As for [`call`].
pub(crate) unsafe fn value<T, V>(
    instance: *const Instance,
    otherwise: V,
    body: impl FnOnce(&T) -> V,
) -> V {
    let mut answer = None;
    let store = &mut answer;
    // SAFETY: the caller's promise is that of `call`.
    unsafe {
        call::<T>(instance, std::ptr::null_mut(), |slot| {
            *store = Some(body(&slot.plugin));
            Ok(Status::OK)
        });
    }
    answer.unwrap_or(otherwise)
}

/// Runs what makes an instance: as [`call`], with nothing to poison.
///
/// # Safety
/// `err` is NULL or valid.
pub(crate) unsafe fn open(err: *mut ErrorOut, body: impl FnOnce() -> Result<()>) -> Status {
    let error = match stop_panic(body) {
        Ok(Ok(())) => return Status::OK,
        Ok(Err(error)) => error,
        Err(text) => Error::new(Status::PANIC, text),
    };
    // SAFETY: NULL or valid.
    unsafe { report(err, &error) }
}

/// Drops an instance; a panic of its `drop` goes to the log.
///
/// # Safety
/// `instance` is NULL or was made by [`Slot::<T>::open`]; it is not used again.
pub(crate) unsafe fn close<T>(instance: *mut Instance) {
    if instance.is_null() {
        return;
    }
    // SAFETY: made by `open` from a box of this type, and given back once.
    let slot = unsafe { Box::from_raw(instance.cast::<Slot<T>>()) };
    let host = slot.host.clone();
    if let Err(text) = stop_panic(|| drop(slot)) {
        host.log(Level::Error, &format!("panic while closing: {text}"));
    }
}

/// The panic's text instead of the panic. Dropping its payload may panic again: stopped as well.
pub(crate) fn stop_panic<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let text = text_of(&*payload);
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // Its drop is not to be trusted either; a leak is the lesser harm.
            std::mem::forget(second);
        }
        text
    })
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}

/// Writes an error where the host asked for it and answers its status.
///
/// # Safety
/// `err` is NULL or valid, its message buffer as well.
#[cold]
pub(crate) unsafe fn report(err: *mut ErrorOut, error: &Error) -> Status {
    let status = match error.status() {
        Status::OK | Status::PENDING => Status::INTERNAL,
        status => status,
    };
    // SAFETY: NULL or valid.
    if let Some(err) = unsafe { err.as_mut() } {
        err.status = status;
        err.os_error = error.os_error();
        // SAFETY: the buffer belongs to the host, which says that it is valid.
        unsafe { write_text(&mut err.message, error.message()) };
    }
    status
}

/// Writes as much of a text as fits, cut between two characters.
///
/// # Safety
/// `out.ptr` is NULL or valid for writes of `out.cap` bytes.
pub(crate) unsafe fn write_text(out: &mut OutBuf, text: &str) {
    out.len = 0;
    if out.ptr.is_null() {
        return;
    }
    let text = &text[..text.floor_char_boundary(out.cap)];
    // SAFETY: not NULL, and the cut text is not longer than the capacity.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out.ptr, text.len()) };
    out.len = text.len();
}
