//! Changes of one key that depend on what it is: counters, swaps on a condition, patches.
//!
//! Each is one commit on the condition that the key is as it was read, so no other change is lost.
//! A condition that does not hold is CONFLICT, with `current_sequence` in the error's detail: the
//! commit that wrote the key as it is, or null when it is not there.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, BlockingTenant, Expected, Key, Number, Scope, Sequence, Value};
use crate::error::{Error, Failure};
use crate::guard::{guard, put};
use crate::input;
use crate::kv::{SetOptions, set_options};
use crate::manager::{Manager, manager};

/// Kind of a value: there is none. It deletes in `statekeep_compare_and_swap`, and expects no value
/// in `statekeep_compare_and_swap_value`.
pub const VALUE_NONE: u32 = 0;

/// A value, or none by its kind.
///
/// # Safety
/// As `input::bytes`.
unsafe fn value(kind: u32, ptr: *const u8, len: usize) -> Result<Option<Value>, Failure> {
    if kind == VALUE_NONE {
        return match ptr.is_null() && len == 0 {
            true => Ok(None),
            false => Err(Failure::invalid(
                "value",
                "its kind says that there is none",
            )),
        };
    }
    // SAFETY: the caller's promise.
    unsafe { input::value(kind, ptr, len) }.map(Some)
}

/// Adds to the number that a key holds; one that is not there counts as 0. `out`, which may be NULL,
/// is the sum; of a key that holds a double it is cut to a whole number, see
/// `statekeep_increment_f64`. A key that was there keeps its class and expiry unless `options`, which
/// may be NULL, say otherwise. INVALID_ARGUMENT when the key holds no number, or the sum is beyond 64
/// bits. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_increment(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    by: i64,
    options: *const SetOptions,
    out: *mut i64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), options) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                set_options(options)?,
            )
        };
        let sum = match manager.writer()?.increment(&scope, &key, by, options)? {
            Number::Integer(sum) => sum,
            Number::Float(sum) => sum as i64,
        };
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, sum) };
        Ok(())
    })
}

/// As `statekeep_increment`, with doubles; the key holds a double from then on. INVALID_ARGUMENT for
/// what is not finite. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_increment_f64(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    by: f64,
    options: *const SetOptions,
    out: *mut f64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), options) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                set_options(options)?,
            )
        };
        let sum = match manager.writer()?.increment(&scope, &key, by, options)? {
            Number::Integer(sum) => sum as f64,
            Number::Float(sum) => sum,
        };
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, sum) };
        Ok(())
    })
}

/// Sets a key, or deletes it for the kind `STATEKEEP_VALUE_NONE`, when the commit `expected_version`
/// wrote it as it is; 0 expects that it is not there. CONFLICT when that does not hold. `options` and
/// `out_sequence` may be NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_compare_and_swap(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    expected_version: u64,
    kind: u32,
    value: *const u8,
    value_len: usize,
    options: *const SetOptions,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), value, options) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                self::value(kind, value, value_len)?,
                set_options(options)?,
            )
        };
        let expected = match expected_version {
            0 => Expected::Absent,
            version => Expected::Version(Sequence(version)),
        };
        let tenant = manager.writer()?;
        let sequence = tenant.compare_and_swap(&scope, &key, expected, value, options)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// As `statekeep_compare_and_swap`, when the key has the expected value: the same bytes, or documents
/// that say the same. The kind `STATEKEEP_VALUE_NONE` expects that it is not there. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_compare_and_swap_value(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    expected_kind: u32,
    expected: *const u8,
    expected_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    options: *const SetOptions,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), wanted, value, options) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                self::value(expected_kind, expected, expected_len)?,
                self::value(kind, value, value_len)?,
                set_options(options)?,
            )
        };
        let expected = wanted.as_ref().map_or(Expected::Absent, Expected::Value);
        let tenant = manager.writer()?;
        let sequence = tenant.compare_and_swap(&scope, &key, expected, value, options)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// Sets a key that is not there. `out_is_set` is 1 when it did; 0 when the key was there, which is OK
/// too, and `out_sequence` is 0 then. Both outputs and `options` may be NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_set_if_absent(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    options: *const SetOptions,
    out_is_set: *mut u32,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_is_set, out_sequence), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), value, options) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                input::value(kind, value, value_len)?,
                set_options(options)?,
            )
        };
        let sequence = manager
            .writer()?
            .set_if_absent(&scope, &key, value, options)?;
        // SAFETY: the header's contract for outputs.
        unsafe {
            put(out_is_set, u32::from(sequence.is_some()));
            put(out_sequence, sequence.unwrap_or_default().0);
        }
        Ok(())
    })
}

/// Changes the document of a key by a patch, and gives what it is then.
///
/// # Safety
/// As `input::bytes`, for each input; `out` is NULL or valid for one write.
unsafe fn patched(
    manager: *const Manager,
    name: (*const c_char, usize, *const c_char, usize),
    patch: (*const u8, usize),
    options: *const SetOptions,
    out: *mut Buf,
    change: impl FnOnce(
        &BlockingTenant,
        (&Scope, &Key),
        &serde_json::Value,
        engine::SetOptions,
    ) -> Result<Value, engine::Error>,
) -> Result<(), Failure> {
    let manager = self::manager(manager)?;
    // SAFETY: the caller's promise.
    let ((scope, key), patch, options) = unsafe {
        (
            input::name(name.0, name.1, name.2, name.3)?,
            input::text(patch.0.cast(), patch.1, input::VALUE_BYTES_CAP, "patch")?,
            set_options(options)?,
        )
    };
    // Also checks how deep it is nested.
    let patch = Value::json(patch)?.to_json()?;
    let value = change(manager.writer()?, (&scope, &key), &patch, options)?;
    // SAFETY: the caller's promise; a buffer that nobody takes is not made.
    unsafe {
        if !out.is_null() {
            give(out, value.into_bytes());
        }
    }
    Ok(())
}

/// Applies a merge patch (RFC 7396) to the document of a key; one that is not there is patched as an
/// empty object. `out`, which may be NULL, is the document as it is then. Class and expiry as in
/// `statekeep_increment`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_merge_patch(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    patch: *const u8,
    patch_len: usize,
    options: *const SetOptions,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        let (name, patch) = ((scope, scope_len, key, key_len), (patch, patch_len));
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            patched(
                manager,
                name,
                patch,
                options,
                out,
                |tenant, name, patch, options| tenant.merge_patch(name.0, name.1, patch, options),
            )
        }
    })
}

/// Applies a JSON Patch (RFC 6902), an array of operations of which all or none are done, to the
/// document of a key; a failed `test` is CONFLICT. `out` and the rest as in `statekeep_merge_patch`;
/// NOT_FOUND, with an error object, when the key is not there. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_json_patch(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    patch: *const u8,
    patch_len: usize,
    options: *const SetOptions,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        let (name, patch) = ((scope, scope_len, key, key_len), (patch, patch_len));
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            patched(
                manager,
                name,
                patch,
                options,
                out,
                |tenant, name, patch, options| tenant.json_patch(name.0, name.1, patch, options),
            )
        }
    })
}
