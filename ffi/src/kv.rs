//! Single keys: get, set, delete, exists.
//!
//! Scopes come in their text form (`global`, `user:42`, `step:WORKFLOW/STEP`), keys as UTF-8, values
//! with their kind. A missing key is NOT_FOUND, without an error object.

use std::ffi::c_char;

use serde_json::json;
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{SetOptions, ValueKind};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::input::{self, VALUE_BYTES, VALUE_JSON};
use crate::manager::{Manager, manager};

/// Durability: as configured.
pub const DURABILITY_DEFAULT: u32 = 0;

/// The number that C knows a kind of value by.
pub(crate) fn kind_number(kind: ValueKind) -> u32 {
    match kind {
        ValueKind::Json => VALUE_JSON,
        ValueKind::Bytes => VALUE_BYTES,
    }
}

/// Reads a value into a buffer of the library's; free it with `statekeep_buf_free`. `out_kind` is
/// `STATEKEEP_VALUE_JSON` or `STATEKEEP_VALUE_BYTES` and may be NULL. NOT_FOUND when there is no
/// such key. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_get(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    out_kind: *mut u32,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_kind, out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { (input::scope(scope, scope_len)?, input::key(key, key_len)?) };
        let value = manager
            .tenant()
            .get(&scope, &key)?
            .ok_or_else(Failure::absent)?;
        // SAFETY: the header's contract for outputs.
        unsafe {
            put(out_kind, kind_number(value.kind()));
            give(out, value.into_bytes());
        }
        Ok(())
    })
}

/// Reads a value into the caller's memory of `cap` bytes; `out_len` is its size. When it does not
/// fit, the memory is left alone, the answer is BUFFER_TOO_SMALL without an error object, and
/// `out_len` is the size that is needed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_get_into(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    buffer: *mut u8,
    cap: usize,
    out_kind: *mut u32,
    out_len: *mut usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_kind, out_len), || {
        need(out_len, "out_len")?;
        if buffer.is_null() && cap > 0 {
            return Err(Failure::null("buffer"));
        }
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { (input::scope(scope, scope_len)?, input::key(key, key_len)?) };
        let value = manager
            .tenant()
            .get(&scope, &key)?
            .ok_or_else(Failure::absent)?;
        let bytes = value.as_bytes();
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_len, bytes.len()) };
        if bytes.len() > cap {
            return Err(Failure::new(Status::BUFFER_TOO_SMALL, String::new()));
        }
        // SAFETY: the value fits into the caller's memory, which is not the library's; a NULL
        // buffer has no capacity, so nothing is copied then.
        unsafe {
            if !bytes.is_empty() {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len());
            }
            put(out_kind, kind_number(value.kind()));
        }
        Ok(())
    })
}

/// Sets a value and returns when it is as durable as asked: `STATEKEEP_DURABILITY_DEFAULT`, `_SYNC`
/// or `_RELAXED`. JSON is checked and kept as it was given. `out_sequence`, the commit's number, may
/// be NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_set(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    durability: u32,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let manager = self::manager(manager)?;
        let durability = input::durability(durability)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key, value) = unsafe {
            (
                input::scope(scope, scope_len)?,
                input::key(key, key_len)?,
                input::value(kind, value, value_len)?,
            )
        };
        let sequence = manager.writer()?.set(
            &scope,
            &key,
            value,
            SetOptions {
                durability,
                ..SetOptions::default()
            },
        )?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// Deletes a key; NOT_FOUND when it was not there. Durability and `out_sequence` as in
/// `statekeep_set`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_delete(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    durability: u32,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let manager = self::manager(manager)?;
        let durability = input::durability(durability)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { (input::scope(scope, scope_len)?, input::key(key, key_len)?) };
        let options = SetOptions {
            durability,
            ..SetOptions::default()
        };
        let sequence = manager
            .writer()?
            .delete(&scope, &key, options)?
            .ok_or_else(Failure::absent)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// OK when the key is there, NOT_FOUND when it is not. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_exists(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { (input::scope(scope, scope_len)?, input::key(key, key_len)?) };
        if manager.tenant().exists(&scope, &key)? {
            Ok(())
        } else {
            Err(Failure::absent())
        }
    })
}

/// What is known of a record beside its value, as one JSON object: `kind`, `bytes`, `sequence`,
/// `created_unix_ms`, `changed_unix_ms`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_record_json(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { (input::scope(scope, scope_len)?, input::key(key, key_len)?) };
        let record = manager
            .tenant()
            .get_record(&scope, &key)?
            .ok_or_else(Failure::absent)?;
        let text = json!({
            "kind": kind_number(record.value.kind()),
            "bytes": record.value.as_bytes().len(),
            "sequence": record.sequence.0,
            "created_unix_ms": record.created.0,
            "changed_unix_ms": record.changed.0,
        });
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, text.to_string()) };
        Ok(())
    })
}
