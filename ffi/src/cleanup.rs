//! Cleanups: what the retention policies forget is deleted, can come back for a grace, and then goes.
//!
//! A handle that is bound to a tenant is refused with PERMISSION_DENIED, since a backup holds every
//! tenant.

use std::ffi::c_char;

use serde_json::json;
use statekeep_plugin_api::Status;

use crate::backup::id;
use crate::buf::Buf;
use crate::engine::{BackupId, CleanupOptions, Host, Progress, RetentionRule, named_rule};
use crate::error::{Error, Failure};
use crate::guard::guard;
use crate::input;
use crate::manager::{Manager, manager};
use crate::op::{self, Op};
use crate::report;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CleanupForm {
    dry_run: Option<bool>,
    policies: Option<Vec<RetentionRule>>,
    mode: Option<String>,
    grace_ms: Option<u64>,
    state: Option<bool>,
    principal: Option<String>,
}

impl CleanupForm {
    fn options(self) -> Result<CleanupOptions, Failure> {
        let rule = named_rule(self.policies, self.mode.as_deref())?;
        Ok(CleanupOptions {
            dry_run: self.dry_run.unwrap_or_default(),
            rule,
            grace_ms: self.grace_ms,
            state: self.state,
            principal: self.principal.unwrap_or_default(),
        })
    }
}

/// Starts a cleanup: what the retention policies forget is deleted, and what was deleted longer ago than
/// its grace is removed. `options` is a JSON object or empty: `dry_run` (boolean: only tell), `policies`
/// (array, as the setting `retention.policies`; the configured ones when missing), `mode` (`"any"`,
/// `"all"`), `grace_ms` (number), `state` (boolean: also remove what has expired in the state and the past that
/// its limits do not keep; else as the setting `retention.state` says), `principal` (text). The result has `evaluated`, `retained`, `deleted`,
/// `would_delete`, `deletion`, `grace_until_unix_ms`, `collected`, `space_freed`, `state` (its `limits`,
/// and `removed`, `would_remove`, `held_by`, `failure`), `decisions` (of each backup `keep`, `reason`, `floor`, `votes`), `failure` (text: why nothing was decided, such as a policy
/// that failed; the operation ends as OK) and `duration_ms`. UNSUPPORTED without any policy,
/// unless `state` is asked for. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_cleanup_start(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.backups_writer("a cleanup of backups")?;
            let form: CleanupForm = input::options(options, options_len)?;
            let options = form.options()?;
            Ok(move |host: &Host, progress: &Progress| host.backups.cleanup(&options, progress))
        })
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteForm {
    backups: Option<Vec<String>>,
    principal: Option<String>,
}

/// Deletes backups by hand, all of them or none; they can be undeleted until their grace is over.
/// `options` is a JSON object: `backups` (array of ids), `principal` (text). The result is the deletion:
/// `id`, `created_unix_ms`, `grace_until_unix_ms`, `principal`, `backups`. NOT_FOUND for one that is not
/// there or is deleted already, CONFLICT for a pinned one. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_delete_json(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let form: DeleteForm = input::options(options, options_len)?;
            let ids = form.backups.unwrap_or_default();
            let ids = ids.iter().map(|id| BackupId::parse(id));
            let ids = ids.collect::<Result<Vec<_>, _>>()?;
            let principal = form.principal.unwrap_or_default();
            let lease = manager.backups_writer("a deletion of backups")?;
            Ok(lease.host().backups.delete(&ids, &principal)?)
        })
    })
}

/// The backups that are deleted and not removed yet as a JSON object: `backups`, each with `id`, `deletion`,
/// `deleted_unix_ms`, `grace_until_unix_ms`, `reason`, `principal` and `purged` (it cannot come back).
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_trash_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let rows = manager.whole("deleted backups")?.host().backups.trash()?;
            Ok(json!({ "backups": rows }))
        })
    })
}

/// Takes the deletion of a backup back. NOT_FOUND when it is not deleted, COMPACTED when its grace is over
/// and it is being removed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_undelete(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let id = unsafe { id(backup_id, backup_id_len) }?;
        manager
            .backups_writer("an undelete")?
            .host()
            .backups
            .undelete(id)?;
        Ok(())
    })
}
