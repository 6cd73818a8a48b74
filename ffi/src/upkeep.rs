//! The upkeep of a state: removing what has expired, forgetting the past that nobody needs.
//!
//! It runs in the background every `upkeep_interval_ms` and on request. A handle that is bound to a
//! tenant is refused with PERMISSION_DENIED, since it concerns every tenant.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::TrimOptions;
use crate::error::Error;
use crate::guard::guard;
use crate::input;
use crate::manager::{Manager, manager};
use crate::report;

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
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            Ok(manager.state_writer(WHAT)?.host().manager.sweep()?)
        })
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
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.state_writer(WHAT)?;
            let form: TrimForm = input::options(options, options_len)?;
            let options = TrimOptions {
                dry_run: form.dry_run.unwrap_or_default(),
            };
            Ok(lease.host().manager.trim(&options)?)
        })
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
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            Ok(manager.whole(WHAT)?.host().manager.upkeep())
        })
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
