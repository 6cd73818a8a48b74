//! The backup repository as a whole: check, removal of strays, repair.
//!
//! All are a `statekeep_op`. A handle that is bound to a tenant is refused with PERMISSION_DENIED,
//! since a repository holds the backups of every tenant.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::engine::{Host, Progress, to_json};
use crate::error::Error;
use crate::guard::{guard, need};
use crate::input;
use crate::manager::{Manager, manager};
use crate::op::{self, Op};

const WHAT: &str = "the upkeep of the backup repository";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneForm {
    dry_run: Option<bool>,
}

/// Starts a check of the backup repository, which changes nothing. The result is a JSON object:
/// `is_valid`, `looked_at` (names, sizes and documents), `unread_objects` and `unread_bytes` (segments,
/// which a verification reads), `problems` (what is missing, short, damaged or foreign), `strays` (what no manifest
/// leads to: `objects`, `bytes`, `listed`), `creations` (backups in the making, and those whose
/// writer is gone), `leftovers`, `undecided`, `warnings`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_check_start(
    manager: *const Manager,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole(WHAT)?;
        let job = move |host: &Host, progress: &Progress| {
            to_json(host.backups.check_repository(progress)?)
        };
        // SAFETY: the header's contract for outputs.
        unsafe { op::start(lease.share(), job, out) }
    })
}

/// Starts the removal of the objects that no manifest leads to and whose writer does not live.
/// `options` is a JSON object or empty: `dry_run` (boolean, true unless given: tell, and remove
/// nothing). The result is a JSON object: `dry_run`, `would_remove`, `removed` (each `objects`,
/// `bytes`, `listed`) and `undecided`, why others were kept. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_prune_strays_start(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole(WHAT)?;
        // SAFETY: the header's contract for inputs.
        let form: PruneForm = unsafe { input::options(options, options_len) }?;
        let dry_run = form.dry_run.unwrap_or(true);
        let job = move |host: &Host, progress: &Progress| {
            to_json(host.backups.prune_strays(dry_run, progress)?)
        };
        // SAFETY: the header's contract for outputs.
        unsafe { op::start(lease.share(), job, out) }
    })
}

/// Starts a repair: it finishes what crashes left unfinished in the repository and removes neither
/// backups nor what is damaged. The result is a JSON object: `leases`, `leftovers`, `indexed`,
/// `indexes_removed`, `problems` (left as they are). `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_repair_start(
    manager: *const Manager,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole(WHAT)?;
        let job = move |host: &Host, progress: &Progress| {
            to_json(host.backups.repair_repository(progress)?)
        };
        // SAFETY: the header's contract for outputs.
        unsafe { op::start(lease.share(), job, out) }
    })
}
