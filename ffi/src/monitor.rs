//! What operators want to know of a state and its backups.
//!
//! A handle that is bound to a tenant is refused with PERMISSION_DENIED, since all of it concerns every
//! tenant.

use serde_json::json;
use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::Progress;
use crate::error::Error;
use crate::guard::guard;
use crate::manager::Manager;
use crate::report;

/// What the backup repository takes, and for whom, as a JSON object: `bytes`, `objects`, `folders`,
/// `storage_bytes_max`, `trash` (what goes with deleted backups), `unknown` (what no backup needs),
/// `backups` (of each `own_bytes`, which it wrote, `only_bytes`, which removing it alone would free, and
/// `shared_bytes`), `chains` (of each `full`, `newest`, `backups`, `bytes`, `length`, `length_max`),
/// `series`, `scopes` (of the newest backup: `tenant`, `scope`, `records`, `raw_bytes`, `share`), `ages`,
/// `forecast` (docs/monitoring.md) and `problems`. It reads the names of all objects and every document, and no record. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_storage_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.whole("the storage of backups")?;
            Ok(lease.host().backups.storage(&Progress::new())?)
        })
    })
}

/// The alerts that hold now, worst first, as a JSON object: `alerts`, each with `id` (the rule, such as
/// `no_verified_backup`), `severity` (`warning`, `critical`), `subject`, `message`, `since_unix_ms` and
/// `next_step`. It looks now, which lists the repository. Limits are the settings `alerts.*`; events tell
/// when an alert comes and goes. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_alerts_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let alerts = manager.whole("alerts")?.host().monitor.check();
            Ok(json!({ "alerts": alerts }))
        })
    })
}

/// What is wrong with the state and its backups and what to do, as a JSON object: `severity` (the worst),
/// `path`, `at_unix_ms`, `is_open` and `findings`, worst first, each with `severity` (`fine`, `note`,
/// `warning`, `error`), `area`, `what`, `cause` and `next_step` (both may be null). It reads every document
/// of the repository and no record, and changes nothing. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_doctor_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.whole("the doctor")?;
            let mut diagnosis = lease.host().doctor(&Progress::new())?;
            if let Err(poisoned) = lease.health().check_writable() {
                diagnosis.set_poisoned(poisoned.message());
            }
            Ok(diagnosis)
        })
    })
}
