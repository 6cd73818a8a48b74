//! Reads what the host passed: pointers and lengths are checked before a slice is made of them.

use statekeep_plugin_api::Bytes;

use crate::{Error, Result};

/// The items behind `(ptr, len)`; no items may be NULL.
///
/// # Safety
/// A `ptr` that is not NULL is valid for reads of `len` items during the lifetime that is chosen.
pub(crate) unsafe fn items<'a, T>(ptr: *const T, len: usize, what: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() {
        return Err(Error::invalid(format!("{what} is NULL with length {len}")));
    }
    if len > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::invalid(format!("{what} has the length {len}")));
    }
    // SAFETY: not NULL, the length fits an object, and the caller promises that it is readable.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// The bytes that the host passed.
///
/// # Safety
/// As for [`items`].
#[inline]
pub(crate) unsafe fn bytes<'a>(bytes: Bytes, what: &str) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise is that of `items`.
    unsafe { items(bytes.ptr, bytes.len, what) }
}

/// The UTF-8 text that the host passed.
///
/// # Safety
/// As for [`items`].
pub(crate) unsafe fn text<'a>(raw: Bytes, what: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise is that of `items`.
    let bytes = unsafe { bytes(raw, what) }?;
    std::str::from_utf8(bytes)
        .map_err(|error| Error::invalid(format!("{what} is not UTF-8: {error}")))
}

/// What the host passed by pointer.
///
/// # Safety
/// A `ptr` that is not NULL points to a valid `T` during the lifetime that is chosen.
#[inline]
pub(crate) unsafe fn reference<'a, T>(ptr: *const T, what: &str) -> Result<&'a T> {
    // SAFETY: the caller promises that it is valid when it is not NULL.
    unsafe { ptr.as_ref() }.ok_or_else(|| null(what))
}

/// The error for an argument that must not be NULL.
#[cold]
pub(crate) fn null(what: &str) -> Error {
    Error::invalid(format!("{what} is NULL"))
}
