//! Single keys: get, set, delete, exists; how a value is kept and for how long.
//!
//! Scopes come in their text form (`global`, `user:42`, `step:WORKFLOW/STEP`), keys as UTF-8, values
//! with their kind. A missing key is NOT_FOUND, without an error object.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, Class, Expiry, Record, UnixMs, Value, ValueKind};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::input::{self, VALUE_BYTES, VALUE_JSON};
use crate::manager::{Manager, manager};

/// Durability: as configured.
pub const DURABILITY_DEFAULT: u32 = 0;

/// Class of a record: as the configuration's rules say, else standard.
pub const CLASS_AS_CONFIGURED: u32 = 0;
/// Class of a record: nothing special.
pub const CLASS_STANDARD: u32 = 1;
/// Class of a record: each commit is synced, and it stays in the cache.
pub const CLASS_CRITICAL: u32 = 2;
/// Class of a record: written relaxed.
pub const CLASS_BULK: u32 = 3;
/// Class of a record: compressed and not cached.
pub const CLASS_ARCHIVE: u32 = 4;
/// Class of a record: in memory only, gone when the state is closed, and not part of the past.
pub const CLASS_EPHEMERAL: u32 = 5;

/// `ttl_ms`: as the configuration's rules say, else for ever.
pub const TTL_AS_CONFIGURED: i64 = 0;
/// `ttl_ms`: for ever, whatever the rules say.
pub const TTL_NEVER: i64 = -1;

/// How a change is made; start from `STATEKEEP_SET_OPTIONS_INIT`, which means as configured. The
/// struct grows at its end; `struct_size` tells the library what the caller knows.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct SetOptions {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// `STATEKEEP_DURABILITY_DEFAULT`, `_SYNC` or `_RELAXED`.
    pub durability: u32,
    /// `STATEKEEP_CLASS_*`.
    pub record_class: u32,
    /// Milliseconds after which the value ceases to be, `STATEKEEP_TTL_AS_CONFIGURED` or
    /// `STATEKEEP_TTL_NEVER`.
    pub ttl_ms: i64,
    /// When the value ceases to be, in milliseconds since 1970 UTC; 0 for what `ttl_ms` says. Both
    /// together are INVALID_ARGUMENT.
    pub expires_unix_ms: i64,
}

impl SetOptions {
    const AS_CONFIGURED: SetOptions = SetOptions {
        struct_size: size_of::<SetOptions>(),
        durability: DURABILITY_DEFAULT,
        record_class: CLASS_AS_CONFIGURED,
        ttl_ms: TTL_AS_CONFIGURED,
        expires_unix_ms: 0,
    };
}

/// The options of a change, checked; NULL is as configured.
///
/// # Safety
/// As `input::growing`.
pub(crate) unsafe fn set_options(
    options: *const SetOptions,
) -> Result<engine::SetOptions, Failure> {
    // SAFETY: the caller's promise; any bits are a valid SetOptions.
    let options = unsafe { input::growing(options, SetOptions::AS_CONFIGURED, "options") }?;
    let class = match options.record_class {
        CLASS_AS_CONFIGURED => None,
        CLASS_STANDARD => Some(Class::Standard),
        CLASS_CRITICAL => Some(Class::Critical),
        CLASS_BULK => Some(Class::Bulk),
        CLASS_ARCHIVE => Some(Class::Archive),
        CLASS_EPHEMERAL => Some(Class::Ephemeral),
        other => {
            let reason = format!("{other} is no STATEKEEP_CLASS_* number");
            return Err(Failure::invalid("options.record_class", &reason));
        }
    };
    let expires = match (options.ttl_ms, options.expires_unix_ms) {
        (TTL_AS_CONFIGURED, 0) => None,
        (TTL_AS_CONFIGURED, at) => Some(Expiry::At(UnixMs(at))),
        (TTL_NEVER, 0) => Some(Expiry::Never),
        (ttl_ms, 0) => match u64::try_from(ttl_ms) {
            Ok(ttl_ms) => Some(Expiry::After(ttl_ms)),
            Err(_) => {
                let reason = format!("{ttl_ms} is neither a time nor TTL_NEVER ({TTL_NEVER})");
                return Err(Failure::invalid("options.ttl_ms", &reason));
            }
        },
        _ => {
            let reason = "it takes `ttl_ms` or `expires_unix_ms`, not both";
            return Err(Failure::invalid("options", reason));
        }
    };
    Ok(engine::SetOptions {
        durability: input::durability(options.durability)?,
        expires,
        class,
    })
}

/// The number that C knows a kind of value by.
pub(crate) fn kind_number(kind: ValueKind) -> u32 {
    match kind {
        ValueKind::Json => VALUE_JSON,
        ValueKind::Bytes => VALUE_BYTES,
    }
}

/// Gives a value that was read to C; NOT_FOUND when there is none.
///
/// # Safety
/// The outputs are NULL or valid for one write.
pub(crate) unsafe fn give_value(
    value: Option<Value>,
    out_kind: *mut u32,
    out: *mut Buf,
) -> Result<(), Failure> {
    let value = value.ok_or_else(Failure::absent)?;
    // SAFETY: the caller's promise.
    unsafe {
        put(out_kind, kind_number(value.kind()));
        give(out, value.into_bytes());
    }
    Ok(())
}

/// Gives the facts of a record that was read to C; NOT_FOUND when there is none.
///
/// # Safety
/// The output is NULL or valid for one write.
pub(crate) unsafe fn give_facts(record: Option<Record>, out: *mut Buf) -> Result<(), Failure> {
    let record = record.ok_or_else(Failure::absent)?;
    // SAFETY: the caller's promise.
    unsafe { give(out, engine::to_text(&record.facts())?) };
    Ok(())
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
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            let (scope, key) = input::name_texts(scope, scope_len, key, key_len)?;
            let own = |kind, value: &[u8]| (kind, value.to_vec());
            let found = manager.tenant().get_with(scope, key, own)?;
            let (kind, value) = found.ok_or_else(Failure::absent)?;
            put(out_kind, kind_number(kind));
            give(out, value);
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
        let (scope, key) = unsafe { input::name_texts(scope, scope_len, key, key_len) }?;
        let copy = |kind, value: &[u8]| {
            if value.len() <= cap && !value.is_empty() {
                // SAFETY: the value fits into the caller's memory, which is not the library's; a
                // NULL buffer has no capacity, so nothing is copied then.
                unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), buffer, value.len()) };
            }
            (kind, value.len())
        };
        let found = manager.tenant().get_with(scope, key, copy)?;
        let (kind, len) = found.ok_or_else(Failure::absent)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_len, len) };
        if len > cap {
            return Err(Failure::new(Status::BUFFER_TOO_SMALL, String::new()));
        }
        // SAFETY: as above.
        unsafe { put(out_kind, kind_number(kind)) };
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
        let options = engine::SetOptions {
            durability: input::durability(durability)?,
            ..engine::SetOptions::default()
        };
        // SAFETY: the header's contract for inputs.
        let ((scope, key), value) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                input::value(kind, value, value_len)?,
            )
        };
        let sequence = manager.writer()?.set(&scope, &key, value, options)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// As `statekeep_set`, with a class and an expiry. From its time on the key is not there any more,
/// everywhere at once. `options` may be NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_set_with(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
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
                input::value(kind, value, value_len)?,
                set_options(options)?,
            )
        };
        let sequence = manager.writer()?.set(&scope, &key, value, options)?;
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
        let (scope, key) = unsafe { input::name(scope, scope_len, key, key_len) }?;
        let options = engine::SetOptions {
            durability,
            ..engine::SetOptions::default()
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
        let (scope, key) = unsafe { input::name(scope, scope_len, key, key_len) }?;
        if manager.tenant().exists(&scope, &key)? {
            Ok(())
        } else {
            Err(Failure::absent())
        }
    })
}

/// What is known of a record beside its value, as one JSON object: `kind` (`"json"` or `"bytes"`),
/// `bytes`, `class`, `sequence`, `created_unix_ms`, `changed_unix_ms`, `expires_unix_ms` (null for
/// never). `[any-thread]` Since: 0.1
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
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            give_facts(manager.tenant().get_record(&scope, &key)?, out)
        }
    })
}
