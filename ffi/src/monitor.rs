//! What operators want to know of a state and its backups.
//!
//! A handle that is bound to a tenant is refused with PERMISSION_DENIED, since all of it concerns every
//! tenant.

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{Progress, to_json};
use crate::error::Error;
use crate::guard::{guard, need};
use crate::manager::{Manager, manager};

/// What the backup repository takes, and for whom, as a JSON object: `bytes`, `objects`, `folders`,
/// `storage_bytes_max`, `trash` (what goes with deleted backups), `unknown` (what no backup needs),
/// `backups` (of each `own_bytes`, which it wrote, `only_bytes`, which removing it alone would free, and
/// `shared_bytes`), `chains` (of each `full`, `newest`, `backups`, `bytes`, `length`, `length_max`),
/// `series`, `scopes` (of the newest backup: `tenant`, `scope`, `records`, `raw_bytes`, `share`), `ages`
/// and `problems`. It reads the names of all objects and every document, and no record. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_backup_storage_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole("the storage of backups")?;
        let report = to_json(lease.host().backups.storage(&Progress::new())?)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, report.to_string()) };
        Ok(())
    })
}
