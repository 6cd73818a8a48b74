//! The backup repository as a whole: check, removal of strays, repair, keys.
//!
//! What takes long is a `statekeep_op`. A handle that is bound to a tenant is refused with PERMISSION_DENIED,
//! since a repository holds the backups of every tenant.

use std::ffi::c_char;

use serde_json::json;
use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::{Host, KeyId, KeySource, Passphrase, Progress};
use crate::error::{Error, Failure};
use crate::exchange::absolute;
use crate::guard::guard;
use crate::input::{self, TEXT_BYTES_MAX};
use crate::manager::{Manager, manager};
use crate::op::{self, Op};
use crate::report;

const WHAT: &str = "the upkeep of the backup repository";
const KEYS: &str = "the keys of the backup repository";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneForm {
    dry_run: Option<bool>,
}

/// Starts a check of the backup repository, which changes nothing. The result is a JSON object:
/// `is_valid`, `encrypted`, `looked_at` (names, sizes and documents), `unread_objects` and `unread_bytes` (segments,
/// which a verification reads), `problems` (what is missing, short, damaged or foreign), `strays` (what no manifest
/// leads to: `objects`, `bytes`, `listed`), `creations` (backups in the making, and those whose
/// writer is gone), `leftovers`, `undecided`, `warnings`. NOT_FOUND where no repository is. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_check_start(
    manager: *const Manager,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.whole(WHAT)?;
            Ok(|host: &Host, progress: &Progress| host.backups.check_repository(progress))
        })
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
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.backups_writer(WHAT)?;
            let form: PruneForm = input::options(options, options_len)?;
            let dry_run = form.dry_run.unwrap_or(true);
            let job = move |host: &Host, progress: &Progress| {
                host.backups.prune_strays(dry_run, progress)
            };
            Ok(job)
        })
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
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.backups_writer(WHAT)?;
            Ok(|host: &Host, progress: &Progress| host.backups.repair_repository(progress))
        })
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyForm {
    // Not as a text: of a number the error would show it.
    passphrase: Option<serde_json::Value>,
    passphrase_file: Option<String>,
    key_file: Option<String>,
    label: Option<String>,
    change: Option<bool>,
}

impl KeyForm {
    fn source(&mut self) -> Result<KeySource, Failure> {
        let secrets = (
            self.passphrase.take(),
            &self.passphrase_file,
            &self.key_file,
        );
        match secrets {
            (Some(serde_json::Value::String(text)), None, None) => {
                Ok(KeySource::passphrase(Passphrase::new(text)?))
            }
            (None, Some(path), None) => Ok(KeySource::passphrase_file(absolute(path)?)),
            (None, None, Some(path)) => Ok(KeySource::key_file(absolute(path)?)),
            _ => {
                let reason = "give one text of `passphrase`, `passphrase_file` and `key_file`";
                Err(Failure::invalid("options", reason))
            }
        }
    }
}

/// The keys of the encrypted backup repository as a JSON object: `keys`, oldest first, each with `id`,
/// `kind` (`passphrase`, `key_file`), `label`, `created_unix_ms` and `in_use` (it opened the repository
/// here). UNSUPPORTED for a repository that is not encrypted, NOT_FOUND before the first backup,
/// PERMISSION_DENIED for a wrong secret in the configuration. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_key_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let keys = manager.whole(KEYS)?.host().backups.keys()?;
            Ok(json!({ "keys": keys }))
        })
    })
}

/// Adds a key to the encrypted backup repository and answers it as `statekeep_repository_key_list_json` does;
/// no backup is written again. `options` is a JSON object: one of `passphrase`, `passphrase_file` and
/// `key_file`; `label` (text); `change` (boolean: it takes the place and the label of the key that opened
/// the repository here). Errors as there. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_key_add_json(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let mut form: KeyForm = input::options(options, options_len)?;
            let source = form.source()?;
            let lease = manager.backups_writer(KEYS)?;
            let backups = &lease.host().backups;
            match (form.change, &form.label) {
                (Some(true), Some(_)) => {
                    let reason = "with `change` the label stays; give no `label`";
                    Err(Failure::invalid("options", reason))
                }
                (Some(true), None) => Ok(backups.change_key(&source)?),
                (_, label) => Ok(backups.add_key(&source, label.as_deref())?),
            }
        })
    })
}

/// Removes a key from the encrypted backup repository: what it was made of opens the repository no
/// longer. NOT_FOUND when there is none of that id, CONFLICT for the one that opened the repository
/// here; else errors as of `statekeep_repository_key_list_json`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_repository_key_remove(
    manager: *const Manager,
    key_id: *const c_char,
    key_id_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let id = unsafe { input::text(key_id, key_id_len, TEXT_BYTES_MAX, "key id") }?;
        let id = KeyId::parse(id)?;
        manager
            .backups_writer(KEYS)?
            .host()
            .backups
            .remove_key(id)?;
        Ok(())
    })
}
