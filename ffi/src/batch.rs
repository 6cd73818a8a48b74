//! `statekeep_batch`: changes that are committed together, all or none.
//!
//! A batch is filled without touching a state and belongs to no manager until it is committed. The
//! last change of a key wins.

use std::ffi::c_char;

use parking_lot::Mutex;
use statekeep_plugin_api::Status;

use crate::engine::{self, Key, Scope, Value};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input;
use crate::kv::{SetOptions, set_options};
use crate::manager::{Manager, manager};

/// An opaque batch.
#[repr(C)]
pub struct Batch {
    _opaque: [u8; 0],
}

/// Most changes that a batch holds before it is committed; the configured limit may be lower.
const CHANGES_MAX: usize = 1 << 20;

/// A key, and how it is set; without a value it is deleted.
type Change = (Scope, Key, Option<(Value, engine::SetOptions)>);

/// What a `statekeep_batch` stands for.
struct Changes(Mutex<Vec<Change>>);

impl Kind for Changes {
    const NUMBER: u64 = 4;
    const NAME: &'static str = "statekeep_batch";
    type C = Batch;
}

fn add(
    batch: *const Batch,
    change: impl FnOnce() -> Result<Change, Failure>,
) -> Result<(), Failure> {
    let batch = handle::get::<Changes>(batch)?;
    let change = change()?;
    let mut changes = batch.0.lock();
    if changes.len() >= CHANGES_MAX {
        return Err(Failure::too_large(
            "changes of a batch",
            "CHANGES_MAX",
            CHANGES_MAX as u64,
        ));
    }
    changes.push(change);
    Ok(())
}

/// Makes an empty batch; free it with `statekeep_batch_free`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_batch_new(out: *mut *mut Batch, err: *mut *mut Error) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let batch = handle::insert(Changes(Mutex::new(Vec::new())))?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, batch) };
        Ok(())
    })
}

/// Adds a set to a batch; arguments are checked and copied now. `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_batch_set(
    batch: *const Batch,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        // SAFETY: the header's contract for inputs.
        add(batch, || unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            let value = input::value(kind, value, value_len)?;
            Ok((scope, key, Some((value, engine::SetOptions::default()))))
        })
    })
}

/// Adds a set with a class and an expiry; see `statekeep_set_with`. Of several durabilities in a
/// batch the safest holds, unless the commit says another. `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_batch_set_with(
    batch: *const Batch,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    options: *const SetOptions,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        // SAFETY: the header's contract for inputs.
        add(batch, || unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            let value = input::value(kind, value, value_len)?;
            Ok((scope, key, Some((value, set_options(options)?))))
        })
    })
}

/// Adds a delete to a batch; a key that is not there is no error. `[one-thread-at-a-time]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_batch_delete(
    batch: *const Batch,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        // SAFETY: the header's contract for inputs.
        add(batch, || unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            Ok((scope, key, None))
        })
    })
}

/// Commits all changes or none, as durably as asked, and empties the batch. When it fails the batch
/// keeps its changes, so that it can be committed again. `out_sequence` may be NULL.
/// `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_batch_commit(
    batch: *const Batch,
    manager: *const Manager,
    durability: u32,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let batch = handle::get::<Changes>(batch)?;
        let manager = self::manager(manager)?;
        let durability = input::durability(durability)?;
        let mut changes = batch.0.lock();
        let mut commit = engine::Batch::new();
        for (scope, key, value) in changes.iter() {
            match value {
                Some((value, options)) => commit.set_with(scope, key, value.clone(), *options),
                None => commit.delete(scope, key),
            };
        }
        if let Some(durability) = durability {
            commit.durability(durability);
        }
        let sequence = manager.writer()?.commit(commit)?;
        changes.clear();
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// Frees a batch with what is in it; NULL is allowed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_batch_free(batch: *mut Batch) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !batch.is_null() {
            handle::close::<Changes>(batch)?;
        }
        Ok(())
    })
}
