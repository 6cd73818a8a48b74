//! Backups of the whole state: create, list, show, verify, restore.
//!
//! What takes long is a `statekeep_op`. A handle that is bound to a tenant is refused with
//! PERMISSION_DENIED, since a backup holds every tenant.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::{
    BackupDetails, BackupId, CreateOptions, Host, Progress, RestoreAt, RestoreOptions, RestoreTo,
    Selection, VerifyLevel,
};
use crate::error::{Error, Failure};
use crate::exchange::absolute;
use crate::guard::guard;
use crate::input::{self, TEXT_BYTES_MAX};
use crate::manager::{Manager, manager};
use crate::op::{self, Op};
use crate::report;

/// Depth of a verification: manifest, sizes and checksums of files.
pub const VERIFY_QUICK: u32 = 1;
/// Depth of a verification: every record is decoded and the digest of the state is compared.
pub const VERIFY_FULL: u32 = 2;
/// Depth of a verification: as full, and the backup is restored where nobody sees it and compared.
pub const VERIFY_RESTORE_TEST: u32 = 3;

/// The identifier of a backup.
///
/// # Safety
/// As `input::bytes`.
pub(crate) unsafe fn id(ptr: *const c_char, len: usize) -> Result<BackupId, Failure> {
    // SAFETY: the caller's promise.
    Ok(BackupId::parse(unsafe {
        input::text(ptr, len, TEXT_BYTES_MAX, "id")
    }?)?)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateForm {
    label: Option<String>,
    tags: Option<Vec<String>>,
    codec: Option<String>,
    level: Option<i32>,
    pin: Option<bool>,
    incremental: Option<bool>,
    history: Option<bool>,
    synthetic: Option<bool>,
    from: Option<String>,
}

impl CreateForm {
    /// Which backup is merged, the newest one when it is not named; `None` when none is.
    fn merged(&self) -> Result<Option<Option<BackupId>>, Failure> {
        let from = self.from.as_deref().map(BackupId::parse).transpose()?;
        match self.synthetic {
            Some(true) => Ok(Some(from)),
            _ if from.is_some() => {
                let reason = "`from` names what a backup with `synthetic` is merged from";
                Err(Failure::invalid("options", reason))
            }
            _ => Ok(None),
        }
    }
}

impl From<CreateForm> for CreateOptions {
    fn from(form: CreateForm) -> CreateOptions {
        CreateOptions {
            label: form.label,
            tags: form.tags.unwrap_or_default(),
            codec: form.codec,
            level: form.level,
            pin: form.pin.unwrap_or_default(),
            incremental: form.incremental,
            history: form.history,
        }
    }
}

/// The options of a restore.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreForm {
    to_sequence: Option<u64>,
    to_time_unix_ms: Option<i64>,
    timeline: Option<String>,
    tenant: Option<String>,
    scope: Option<String>,
    key: Option<String>,
    mode: Option<String>,
    dry_run: Option<bool>,
    safety_backup: Option<bool>,
    to_dir: Option<String>,
    backend: Option<String>,
    backend_options: Option<serde_json::Map<String, serde_json::Value>>,
    principal: Option<String>,
    correlation_id: Option<String>,
}

impl RestoreForm {
    fn options(self) -> Result<RestoreOptions, Failure> {
        let settings = serde_json::Value::Object(self.backend_options.unwrap_or_default());
        let to = match (self.to_dir, self.backend) {
            (Some(dir), backend) => RestoreTo::Dir {
                path: absolute(&dir)?,
                backend,
                options: settings,
            },
            (None, Some(name)) => RestoreTo::Backend {
                name,
                options: settings,
            },
            (None, None) => RestoreTo::State,
        };
        let mode = self.mode.as_deref().map(str::parse).transpose()?;
        let [tenant, scope, key] = [&self.tenant, &self.scope, &self.key].map(Option::as_deref);
        Ok(RestoreOptions {
            timeline: self.timeline,
            selection: Some(Selection::new(tenant, scope, key)?),
            mode,
            dry_run: self.dry_run.unwrap_or_default(),
            safety_backup: self.safety_backup.unwrap_or(true),
            to,
            principal: self.principal.unwrap_or_default(),
            correlation_id: self.correlation_id.unwrap_or_default(),
        })
    }

    /// What is restored: a backup, or else the one moment that is named.
    fn at(&self, backup: Option<BackupId>) -> Result<RestoreAt, Failure> {
        match (backup, self.to_sequence, self.to_time_unix_ms) {
            (Some(id), None, None) => Ok(RestoreAt::Backup(id)),
            (None, Some(sequence), None) => Ok(RestoreAt::Sequence(sequence)),
            (None, None, Some(ms)) => Ok(RestoreAt::Time(crate::engine::UnixMs(ms))),
            _ => {
                let reason = "give one of a backup's id, `to_sequence` and `to_time_unix_ms`";
                Err(Failure::invalid("options", reason))
            }
        }
    }
}

/// Starts a backup of the state as it is now; writers go on. `options` is a JSON object or empty:
/// `label` (text), `tags` (array of texts), `codec` (such as `"zstd"`), `level` (number), `pin`
/// (boolean), `incremental` (boolean: only what changed since the last backup; where that cannot be,
/// the backup is a full one and its `full_reason` says why), `history` (boolean: with the past that
/// the state keeps), `synthetic` (boolean: a full backup merged from the newest one and all that it
/// stands on, without reading the state), `from` (text: the id of another backup to merge). The result is
/// the manifest, with `pin`; where an incremental had its chain merged first, `merged_from` is the last
/// of that chain, and `parent` the synthetic full. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_create_start(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.backups_writer("a backup")?;
            let form: CreateForm = input::options(options, options_len)?;
            let merged = form.merged()?;
            let options = CreateOptions::from(form);
            Ok(move |host: &Host, progress: &Progress| {
                let manifest = match merged {
                    Some(from) => host.backups.create_synthetic(from, &options, progress)?,
                    None => host.backups.create(&options, progress)?,
                };
                Ok(BackupDetails::made(manifest, options.pin))
            })
        })
    })
}

/// All backups as a JSON object: `backups`, oldest first, each with `last_verified_unix_ms` and
/// `last_restore_test_unix_ms` (null: never), and `problems`, what is wrong in the repository. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            Ok(manager.whole("a list of backups")?.host().backups.list()?)
        })
    })
}

/// The manifest of one backup as JSON, with `pin` (boolean); NOT_FOUND, with an error object, when there is none of that
/// id. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_show_json(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let id = id(backup_id, backup_id_len)?;
            Ok(manager.whole("a backup")?.host().backups.show(id)?)
        })
    })
}

/// Pins a backup, so that no retention policy forgets it; OK also when it was pinned already,
/// NOT_FOUND when there is none of that id. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_pin(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let id = unsafe { id(backup_id, backup_id_len) }?;
        manager.backups_writer("a pin")?.host().backups.pin(id)?;
        Ok(())
    })
}

/// Takes a backup's pin away; OK also when it had none, NOT_FOUND when there is no backup of that
/// id. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_unpin(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let id = unsafe { id(backup_id, backup_id_len) }?;
        manager.backups_writer("a pin")?.host().backups.unpin(id)?;
        Ok(())
    })
}

/// The scheduled backups as a JSON object: `enabled`, `every_ms`, `daily_at`, `time_zone`,
/// `full_every_ms`, `jitter_ms`, `running` (a progress, or null), `next_run_unix_ms`,
/// `newest_unix_ms`, `last_run` (`started_unix_ms`, `finished_unix_ms`, `done`: the backup's id, `error`),
/// `last_error`, `runs`, `failures`, `failures_in_row`, `warning` (what will not be as it was meant, or
/// null), `waits_for_other`; and `cleanups`, an object of the same members for the scheduled cleanups, whose
/// `done` has `deleted`, `purged` and `space_freed`. They are made while the state is open, as `backup.every`
/// or `backup.daily_at`, `retention.every` or `retention.daily_at` say. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_schedule_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.whole("the schedule of backups")?;
            Ok(lease.host().schedules())
        })
    })
}

/// Which moments can be restored, and the gaps between, as a JSON object: `timelines`, each with
/// `ranges` and `gaps`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_ranges_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.whole("the ranges of backups")?;
            Ok(lease.host().backups.ranges(&Progress::new())?)
        })
    })
}

/// Starts a verification at `STATEKEEP_VERIFY_QUICK`, `_FULL` or `_RESTORE_TEST`. It ends as OK when the check was
/// made; whether the backup is good is `is_valid` of the result, beside `errors` and `warnings`.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_verify_start(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    level: u32,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.backups_writer("a verification")?;
            let id = id(backup_id, backup_id_len)?;
            let level = match level {
                VERIFY_QUICK => VerifyLevel::Quick,
                VERIFY_FULL => VerifyLevel::Full,
                VERIFY_RESTORE_TEST => VerifyLevel::RestoreTest,
                other => {
                    let reason = format!(
                        "{other} is none of QUICK ({VERIFY_QUICK}), FULL ({VERIFY_FULL}) and \
                         RESTORE_TEST ({VERIFY_RESTORE_TEST})"
                    );
                    return Err(Failure::invalid("level", &reason));
                }
            };
            Ok(move |host: &Host, progress: &Progress| host.backups.verify(id, level, progress))
        })
    })
}

/// Starts a restore. Handles stay open and see the old state until it ends, then the restored one.
/// `options` is a JSON object or empty. With an empty id it names a moment: `to_sequence` or
/// `to_time_unix_ms` (numbers), and `timeline` (text) where it is not the state's own. `tenant`, `scope`
/// and `key` (patterns) restore a part, by one commit, in the `mode` `"replace"` or `"merge"`, which must
/// be given then. `dry_run` (boolean) only tells what would change. `safety_backup` (boolean, true unless
/// given): first back up the state. `backend` and `backend_options` (object) move the state to that
/// backend; with `to_dir` a new state is made in that directory instead, and this one stays as it is.
/// `principal` and `correlation_id` are those of the commit of a part. The result says what was
/// restored, and with `replaced` and `safety_backup` how to go back. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_restore_start(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            let lease = manager.backups_writer("a restore")?;
            let form: RestoreForm = input::options(options, options_len)?;
            let id = match backup_id_len {
                0 => None,
                len => Some(id(backup_id, len)?),
            };
            let at = form.at(id)?;
            let options = form.options()?;
            if !options.dry_run && !matches!(options.to, RestoreTo::Dir { .. }) {
                lease.health().check_writable()?;
            }
            let job = move |host: &Host, progress: &Progress| {
                host.backups.restore(at, &options, progress)
            };
            Ok(job)
        })
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffForm {
    to: Option<String>,
    tenant: Option<String>,
    scope: Option<String>,
    key: Option<String>,
}

/// Starts a comparison of a backup with a later one, or with the state as it is. `options` is a JSON
/// object or empty: `to` (a backup's id; the state when missing), `tenant`, `scope`, `key` (patterns;
/// only these). The result has `added`, `changed`, `removed`, `unchanged` and `samples`, up to ten
/// names of each kind. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_diff_start(
    manager: *const Manager,
    backup_id: *const c_char,
    backup_id_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.whole("a comparison of backups")?;
            let id = id(backup_id, backup_id_len)?;
            let form: DiffForm = input::options(options, options_len)?;
            let to = form.to.as_deref().map(BackupId::parse).transpose()?;
            let to = to.map(RestoreAt::Backup);
            let [tenant, scope, key] = [&form.tenant, &form.scope, &form.key].map(Option::as_deref);
            let part = Selection::new(tenant, scope, key)?;
            Ok(move |host: &Host, progress: &Progress| host.backups.diff(id, to, &part, progress))
        })
    })
}
