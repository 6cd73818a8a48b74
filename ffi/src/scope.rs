//! Whole scopes: list, clear, copy, move.
//!
//! Each of these is one commit, so others see all of it or nothing.

use std::ffi::c_char;

use serde_json::json;
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, ScopeListOptions, ScopePage};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::input;
use crate::manager::{Manager, manager};

/// Every scope that `page` knows, by its text.
pub(crate) fn all(
    page: impl Fn(&ScopeListOptions) -> Result<ScopePage, engine::Error>,
) -> Result<Vec<String>, Failure> {
    let mut options = ScopeListOptions::default();
    let mut names = Vec::new();
    loop {
        let found = page(&options)?;
        names.extend(found.scopes.iter().map(ToString::to_string));
        match found.next {
            Some(next) => options.after = Some(next),
            None => return Ok(names),
        }
    }
}

/// The scopes of the tenant that have keys, as a JSON array of their text forms. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scope_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let names = all(|options| manager.tenant().list_scopes(options))?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, json!(names).to_string()) };
        Ok(())
    })
}

/// Deletes every key of a scope; `out_removed`, which may be NULL, says how many. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scope_clear(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    out_removed: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_removed), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let scope = unsafe { input::scope(scope, scope_len) }?;
        let removed = manager.writer()?.clear_scope(&scope)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_removed, removed) };
        Ok(())
    })
}

/// Copies every key of one scope into another, replacing keys of the same name; `out_copied` may be
/// NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scope_copy(
    manager: *const Manager,
    from: *const c_char,
    from_len: usize,
    to: *const c_char,
    to_len: usize,
    out_copied: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_copied), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (from, to) = unsafe { (input::scope(from, from_len)?, input::scope(to, to_len)?) };
        let copied = manager.writer()?.copy_scope(&from, &to)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_copied, copied) };
        Ok(())
    })
}

/// Moves every key of one scope into another, replacing keys of the same name; `out_moved` may be
/// NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scope_move(
    manager: *const Manager,
    from: *const c_char,
    from_len: usize,
    to: *const c_char,
    to_len: usize,
    out_moved: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_moved), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (from, to) = unsafe { (input::scope(from, from_len)?, input::scope(to, to_len)?) };
        let moved = manager.writer()?.move_scope(&from, &to)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_moved, moved) };
        Ok(())
    })
}
