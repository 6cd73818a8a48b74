//! What C passes in, checked before it is read: NULL, length, UTF-8, enums, option documents, growing
//! structs.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::engine::{Durability, Key, Scope, Value};
use crate::error::Failure;

/// The name and the number of bytes of a limit of the boundary.
#[derive(Copy, Clone)]
pub(crate) struct Limit(&'static str, usize);

/// Longest path, option document or configuration text.
pub(crate) const TEXT_BYTES_MAX: Limit = Limit("TEXT_BYTES_MAX", 1 << 20);
/// Longest scope in its text form: `step:` with two ids, every byte escaped.
const SCOPE_BYTES_MAX: Limit = Limit("SCOPE_BYTES_MAX", 1100);
/// Longest value that the boundary reads; the configured limit is the core's to check.
pub(crate) const VALUE_BYTES_CAP: Limit = Limit("VALUE_BYTES_CAP", 1 << 30);
/// Longest struct of a newer caller.
const STRUCT_BYTES_MAX: usize = 4096;

/// Kind of a value: a JSON document, UTF-8.
pub(crate) const VALUE_JSON: u32 = statekeep_plugin_api::VALUE_JSON;
/// Kind of a value: raw bytes.
pub(crate) const VALUE_BYTES: u32 = statekeep_plugin_api::VALUE_BYTES;

/// Borrows bytes of C; `NULL, 0` is the empty slice. The length is checked before anything is read.
///
/// # Safety
/// `ptr` is NULL or valid for reads of `len` bytes while `'a` lasts.
pub(crate) unsafe fn bytes<'a>(
    ptr: *const u8,
    len: usize,
    limit: Limit,
    what: &'static str,
) -> Result<&'a [u8], Failure> {
    if len > isize::MAX as usize {
        return Err(Failure::invalid(
            what,
            &format!("{len} bytes are more than memory can hold"),
        ));
    }
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() {
        return Err(Failure::null(what));
    }
    let Limit(name, most) = limit;
    if len > most {
        let message = format!("{what} of {len} bytes exceeds the limit {name} = {most}");
        return Err(Failure::new(Status::TOO_LARGE, message)
            .with("actual", len)
            .with("limit_name", name)
            .with("limit", most));
    }
    // SAFETY: not NULL, at most isize::MAX, and readable by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// Borrows UTF-8 text of C.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(
    ptr: *const c_char,
    len: usize,
    limit: Limit,
    what: &'static str,
) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(ptr.cast(), len, limit, what) }?;
    std::str::from_utf8(bytes).map_err(|error| {
        let reason = format!("it is not UTF-8 at byte {}", error.valid_up_to());
        Failure::invalid(what, &reason)
    })
}

/// A scope from its text form.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn scope(ptr: *const c_char, len: usize) -> Result<Scope, Failure> {
    // SAFETY: the caller's promise.
    Ok(unsafe { scope_text(ptr, len) }?.parse::<Scope>()?)
}

/// # Safety
/// As [`bytes`].
unsafe fn scope_text<'a>(ptr: *const c_char, len: usize) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    unsafe { text(ptr, len, SCOPE_BYTES_MAX, "scope") }
}

/// A key.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn key(ptr: *const c_char, len: usize) -> Result<Key, Failure> {
    // SAFETY: the caller's promise.
    Ok(Key::new(unsafe { key_text(ptr, len) }?)?)
}

/// # Safety
/// As [`bytes`].
unsafe fn key_text<'a>(ptr: *const c_char, len: usize) -> Result<&'a str, Failure> {
    // One byte more than a key may have, so that the core's own message names the limit.
    // SAFETY: the caller's promise.
    unsafe { text(ptr, len, TEXT_BYTES_MAX, "key") }
}

/// The texts of a scope and a key, which the core checks.
///
/// # Safety
/// As [`bytes`], for both.
pub(crate) unsafe fn name_texts<'a>(
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
) -> Result<(&'a str, &'a str), Failure> {
    // SAFETY: the caller's promise.
    unsafe { Ok((scope_text(scope, scope_len)?, key_text(key, key_len)?)) }
}

/// A value of a kind that is known.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn value(kind: u32, ptr: *const u8, len: usize) -> Result<Value, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(ptr, len, VALUE_BYTES_CAP, "value") }?;
    match kind {
        VALUE_JSON => Ok(Value::json(bytes)?),
        VALUE_BYTES => Ok(Value::bytes(bytes)),
        other => {
            let reason =
                format!("{other} is neither JSON ({VALUE_JSON}) nor BYTES ({VALUE_BYTES})");
            Err(Failure::invalid("value kind", &reason))
        }
    }
}

/// A durability; 0 is the configured one.
pub(crate) fn durability(number: u32) -> Result<Option<Durability>, Failure> {
    match number {
        0 => Ok(None),
        statekeep_plugin_api::DURABILITY_SYNC => Ok(Some(Durability::Sync)),
        statekeep_plugin_api::DURABILITY_RELAXED => Ok(Some(Durability::Relaxed)),
        other => {
            let reason = format!("{other} is not DEFAULT (0), SYNC (1) or RELAXED (2)");
            Err(Failure::invalid("durability", &reason))
        }
    }
}

/// A scope and a key.
///
/// # Safety
/// As [`bytes`], for both.
pub(crate) unsafe fn name(
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
) -> Result<(Scope, Key), Failure> {
    // SAFETY: the caller's promise.
    unsafe { Ok((self::scope(scope, scope_len)?, self::key(key, key_len)?)) }
}

/// A durability by its word.
pub(crate) fn durability_word(word: Option<&str>) -> Result<Option<Durability>, Failure> {
    match word {
        None => Ok(None),
        Some("sync") => Ok(Some(Durability::Sync)),
        Some("relaxed") => Ok(Some(Durability::Relaxed)),
        Some(other) => {
            let reason = format!("`{other}` is neither `sync` nor `relaxed`");
            Err(Failure::invalid("durability", &reason))
        }
    }
}

/// Options as a JSON object; empty text stands for none. `T` refuses members that it does not know
/// and takes null for a member that is not there.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn options<T: serde::de::DeserializeOwned>(
    ptr: *const c_char,
    len: usize,
) -> Result<T, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { text(ptr, len, TEXT_BYTES_MAX, "options") }?;
    let text = match text.trim() {
        "" => "{}",
        text => text,
    };
    // An array would be taken for the members in their order.
    if !text.starts_with('{') {
        return Err(Failure::invalid("options", "it is no JSON object"));
    }
    serde_json::from_str(text).map_err(|error| Failure::invalid("options", &error.to_string()))
}

/// Clears a struct of the caller that starts with its size, and answers how much of it the caller knows.
///
/// # Safety
/// `out` points to a `usize` that says how many bytes are writable, and `T` starts with that `usize`.
pub(crate) unsafe fn cleared<T>(out: *mut T, what: &'static str) -> Result<usize, Failure> {
    // SAFETY: the caller's promise: the size stands first.
    let size = unsafe { out.cast::<usize>().read() };
    if size < size_of::<usize>() || size > isize::MAX as usize {
        let reason = format!("struct_size is {size}; start from its _INIT macro");
        return Err(Failure::invalid(what, &reason));
    }
    let rest = size.min(size_of::<T>()) - size_of::<usize>();
    // SAFETY: the caller says that so many bytes are writable.
    unsafe { std::ptr::write_bytes(out.cast::<usize>().add(1).cast::<u8>(), 0, rest) };
    Ok(size)
}

/// Writes as much of a struct as the caller knows.
///
/// # Safety
/// `out` is valid for writes of `size` bytes, and `value` starts with that size.
pub(crate) unsafe fn write_growing<T: Copy>(out: *mut T, value: &T, size: usize) {
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise, and `value` holds `known` bytes; the two do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(value).cast::<u8>(), out.cast(), known);
    }
}

/// Copies a struct that starts with its size: the part of a newer caller that this build does not
/// know must be zero, the part that an older caller does not have is taken from `full`.
///
/// # Safety
/// `ptr` is NULL or points to a `usize` that says how many bytes are readable; every bit pattern is
/// a valid `T`, and `T` starts with that `usize`.
pub(crate) unsafe fn growing<T: Copy>(
    ptr: *const T,
    full: T,
    what: &'static str,
) -> Result<T, Failure> {
    if ptr.is_null() {
        return Ok(full);
    }
    // SAFETY: the caller's promise: the size stands first.
    let size = unsafe { ptr.cast::<usize>().read() };
    if !(size_of::<usize>()..=STRUCT_BYTES_MAX).contains(&size) {
        let reason = format!("struct_size is {size}; start from its _INIT macro");
        return Err(Failure::invalid(what, &reason));
    }
    let own = size_of::<T>();
    // SAFETY: the caller says that `size` bytes are readable.
    let tail = unsafe {
        std::slice::from_raw_parts(
            ptr.cast::<u8>().add(own.min(size)),
            size.saturating_sub(own),
        )
    };
    if tail.iter().any(|byte| *byte != 0) {
        let message =
            format!("{what} has a field that this library does not know; use a newer one");
        return Err(Failure::new(Status::UNSUPPORTED, message));
    }
    let mut copy = full;
    // SAFETY: both sides hold at least that many bytes, and they do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            ptr.cast::<u8>(),
            (&raw mut copy).cast::<u8>(),
            own.min(size),
        );
    }
    Ok(copy)
}
