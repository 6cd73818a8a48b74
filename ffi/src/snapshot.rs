//! `statekeep_snapshot`: a tenant as it was at one commit, while writers go on.
//!
//! A snapshot is a place in the past and no copy. It keeps the state open by itself, and what it
//! reads from being trimmed.

use std::ffi::c_char;

use serde_json::json;
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, Query, Sequence, TenantSnapshot, UnixMs};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input;
use crate::kv::{give_facts, give_value};
use crate::manager::{Manager, Reference, manager};
use crate::scan::{self, Scan, ScanOptions, Source};

/// An opaque snapshot.
#[repr(C)]
pub struct Snapshot {
    _opaque: [u8; 0],
}

/// What a `statekeep_snapshot` stands for.
#[derive(Clone)]
pub(crate) struct View {
    tenant: TenantSnapshot,
    /// Dropped last, so that the state is not closed while it is read.
    _manager: std::sync::Arc<Reference>,
}

impl Kind for View {
    const NUMBER: u64 = 7;
    const NAME: &'static str = "statekeep_snapshot";
    type C = Snapshot;
}

impl View {
    /// The tenant as it was.
    pub(crate) fn tenant(&self) -> &TenantSnapshot {
        &self.tenant
    }
}

/// Opens a snapshot as `take` says.
///
/// # Safety
/// `out` is valid for one write.
unsafe fn open(
    manager: *const Manager,
    out: *mut *mut Snapshot,
    take: impl FnOnce(&Reference) -> Result<TenantSnapshot, engine::Error>,
) -> Result<(), Failure> {
    need(out, "out")?;
    let manager = self::manager(manager)?;
    let tenant = take(&manager)?;
    let snapshot = handle::insert(View {
        tenant,
        _manager: std::sync::Arc::new(manager.share()),
    })?;
    // SAFETY: the caller's promise.
    unsafe { put(out, snapshot) };
    Ok(())
}

/// A snapshot of the tenant as it is now; close it with `statekeep_snapshot_close`. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_open(
    manager: *const Manager,
    out: *mut *mut Snapshot,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        open(manager, out, |reference| reference.tenant().snapshot())
    })
}

/// The tenant as it was right after a commit. COMPACTED when that past has been trimmed;
/// INVALID_ARGUMENT for a commit that has not been made, or was undone. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_open_at(
    manager: *const Manager,
    sequence: u64,
    out: *mut *mut Snapshot,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        open(manager, out, |reference| {
            reference.tenant().at(Sequence(sequence))
        })
    })
}

/// The tenant as it was at a time, in milliseconds since 1970 UTC. COMPACTED when that past has been
/// trimmed; INVALID_ARGUMENT for a time to come. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_open_at_time(
    manager: *const Manager,
    unix_ms: i64,
    out: *mut *mut Snapshot,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        open(manager, out, |reference| {
            reference.tenant().at_time(UnixMs(unix_ms))
        })
    })
}

/// The last commit at or before a time; 0 for a time before the first one. COMPACTED when that past
/// has been trimmed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_sequence_at(
    manager: *const Manager,
    unix_ms: i64,
    out: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let sequence = manager.tenant().manager().sequence_at(UnixMs(unix_ms))?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, sequence.0) };
        Ok(())
    })
}

/// The last commit that a snapshot holds. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_sequence(
    snapshot: *const Snapshot,
    out: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let sequence = handle::get::<View>(snapshot)?.tenant.sequence();
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, sequence.0) };
        Ok(())
    })
}

/// The time of that commit, in milliseconds since 1970 UTC. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_time(
    snapshot: *const Snapshot,
    out: *mut i64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let time = handle::get::<View>(snapshot)?.tenant.time();
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, time.0) };
        Ok(())
    })
}

/// The value that a key had; as `statekeep_get`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_get(
    snapshot: *const Snapshot,
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
        let view = handle::get::<View>(snapshot)?;
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            give_value(view.tenant.get(&scope, &key)?, out_kind, out)
        }
    })
}

/// OK when the key was there, NOT_FOUND when it was not. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_exists(
    snapshot: *const Snapshot,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let view = handle::get::<View>(snapshot)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { input::name(scope, scope_len, key, key_len) }?;
        match view.tenant.exists(&scope, &key)? {
            true => Ok(()),
            false => Err(Failure::absent()),
        }
    })
}

/// What was known of a record beside its value; as `statekeep_record_json`. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_record_json(
    snapshot: *const Snapshot,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let view = handle::get::<View>(snapshot)?;
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            give_facts(view.tenant.get_record(&scope, &key)?, out)
        }
    })
}

/// One page of the keys that a scope had; as `statekeep_list_json`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_list_json(
    snapshot: *const Snapshot,
    scope: *const c_char,
    scope_len: usize,
    options: *const ScanOptions,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let view = handle::get::<View>(snapshot)?;
        let list = |scope: &_, options: &_| Ok(view.tenant.list(scope, options)?);
        // SAFETY: the header's contract for inputs and outputs.
        unsafe { scan::give_page((scope, scope_len), options, out, list) }
    })
}

/// The scopes that had keys, as a JSON array of their text forms. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_scope_list_json(
    snapshot: *const Snapshot,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let view = handle::get::<View>(snapshot)?;
        let names = crate::scope::all(|options| view.tenant.list_scopes(options))?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, json!(names).to_string()) };
        Ok(())
    })
}

/// Opens a scan over a scope as it was; as `statekeep_scan_open`. The scan keeps the snapshot by
/// itself. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_scan_open(
    snapshot: *const Snapshot,
    scope: *const c_char,
    scope_len: usize,
    options: *const ScanOptions,
    out: *mut *mut Scan,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let view = handle::get::<View>(snapshot)?;
        let source = Source::Past(View::clone(&view));
        // SAFETY: the header's contract for inputs and outputs.
        unsafe { scan::open(source, input::scope(scope, scope_len)?, options, out) }
    })
}

/// A page of the records that matched a query at this commit; as `statekeep_query_json`.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_query_json(
    snapshot: *const Snapshot,
    query: *const c_char,
    query_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let view = handle::get::<View>(snapshot)?;
        // SAFETY: the header's contract for inputs.
        let text = unsafe { input::text(query, query_len, input::TEXT_BYTES_MAX, "query") }?;
        let page = view.tenant.query(&Query::from_json(text)?)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, page.to_json()?) };
        Ok(())
    })
}

/// Closes a snapshot and lets go of its past; NULL is allowed. Scans over it go on. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_snapshot_close(snapshot: *mut Snapshot) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !snapshot.is_null() {
            handle::close::<View>(snapshot)?;
        }
        Ok(())
    })
}
