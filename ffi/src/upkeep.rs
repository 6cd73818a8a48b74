//! The upkeep of a state: removing what has expired, forgetting the past that nobody needs.
//!
//! It runs in the background every `upkeep_interval_ms` and on request. A handle that is bound to a
//! tenant is refused with PERMISSION_DENIED, since it concerns every tenant.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, TrimOptions};
use crate::error::Error;
use crate::guard::{guard, need};
use crate::input;
use crate::manager::{Manager, manager};

const WHAT: &str = "the upkeep";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TrimForm {
    dry_run: Option<bool>,
}

/// Removes the keys whose time has come, now; answers a JSON object: `removed`.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_upkeep_sweep_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole(WHAT)?;
        lease.health().check_writable()?;
        let report = engine::to_text(&lease.host().manager.sweep()?)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, report) };
        Ok(())
    })
}

/// Forgets the past that `keep` and the rules do not ask for and that no snapshot, backup or cursor
/// needs; answers a JSON object: `dry_run`, `journal_rows`, `history_rows`, `bytes`, `floor_before`, `floor`
/// (the oldest sequence that can be read), `held_by` (what keeps more than was asked for). `options` is a
/// JSON object or empty: `dry_run` (tell, and remove nothing). `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_upkeep_trim_json(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole(WHAT)?;
        lease.health().check_writable()?;
        // SAFETY: the header's contract for inputs.
        let form: TrimForm = unsafe { input::options(options, options_len) }?;
        let options = TrimOptions {
            dry_run: form.dry_run.unwrap_or_default(),
        };
        let report = engine::to_text(&lease.host().manager.trim(&options)?)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, report) };
        Ok(())
    })
}

/// What the upkeep does and did, as a JSON object: `running` (`"sweep"`, `"trim"` or null), `paused`,
/// `interval_ms`, `last_run_unix_ms`, `last_sweep`, `last_trim`, `last_error`, `index_error` (why rows of
/// dropped indexes are still there; each trim has it tried again). `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_upkeep_status_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let status = manager.whole(WHAT)?.host().manager.upkeep();
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, engine::to_text(&status)?) };
        Ok(())
    })
}

/// Stops the upkeep until `statekeep_upkeep_resume`: a run in progress ends after its batch as
/// CANCELLED, and so does each that is asked for meanwhile. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_upkeep_pause(
    manager: *const Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        manager.whole(WHAT)?.host().manager.pause_upkeep();
        Ok(())
    })
}

/// Lets the upkeep run again. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_upkeep_resume(
    manager: *const Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        manager.whole(WHAT)?.host().manager.resume_upkeep();
        Ok(())
    })
}
