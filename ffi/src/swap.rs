//! Live swap of the backend, and the namespaces that a restore or swap replaced.
//!
//! A namespace is a whole state in a folder of its own; one is in use, the others are there to go back
//! to until they are released. A handle that is bound to a tenant is refused with PERMISSION_DENIED,
//! since all of it concerns every tenant.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::{Host, NamespaceId, Progress};
use crate::error::{Error, Failure};
use crate::guard::{guard, put};
use crate::input::{self, TEXT_BYTES_MAX};
use crate::manager::{Manager, manager};
use crate::op::{self, Op};
use crate::report;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoForm {
    commits_lost_max: Option<u64>,
}

/// The identity of a namespace.
///
/// # Safety
/// As `input::bytes`.
unsafe fn id(ptr: *const c_char, len: usize) -> Result<NamespaceId, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { input::text(ptr, len, TEXT_BYTES_MAX, "namespace") }?;
    text.parse()
        .map_err(|_| Failure::invalid("namespace", "it is no name that the list of them gives"))
}

/// Starts to move the whole state to another backend, or anew to the one it has, while clients go on
/// reading and writing; handles, snapshots and watches stay good. `options` is a JSON object or empty:
/// settings of the backend itself, which hold until the state is closed. The result is `from`, `to`,
/// `namespace`, `replaced` (the namespace to go back to), `records`, `bytes`, `digest`, `sequence`,
/// `pause_us` (for so long commits waited), `catch_up_commits`. The operation is BUSY while another swap
/// is under way, and leaves the state as it was when it fails or is cancelled. Open the state with the
/// new backend in the configuration from then on. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_swap_start(
    manager: *const Manager,
    backend: *const c_char,
    backend_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.state_writer("a swap of the backend")?;
            let backend = input::text(backend, backend_len, TEXT_BYTES_MAX, "backend")?.to_owned();
            let options: serde_json::Map<_, _> = input::options(options, options_len)?;
            let options = serde_json::Value::Object(options);
            Ok(move |host: &Host, progress: &Progress| {
                host.manager.swap_backend(&backend, &options, progress)
            })
        })
    })
}

/// Every namespace of the state, oldest first, as a JSON array of objects: `namespace`, `backend`,
/// `created_unix_ms`, `is_current`, `is_read` (a snapshot still reads it), `bytes`. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_namespace_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.whole("a list of namespaces")?;
            Ok(lease.host().manager.namespaces()?)
        })
    })
}

/// Goes back to a namespace that a restore or swap replaced, between two commits; the one in use stays
/// to be gone back to. `options` is a JSON object or empty: `commits_lost_max` (0 when absent). CONFLICT,
/// with their number in the message, when more commits than that would be lost; NOT_FOUND, with an
/// error object. `out_sequence`, the commit's number, may be NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_namespace_undo(
    manager: *const Manager,
    namespace_id: *const c_char,
    namespace_id_len: usize,
    options: *const c_char,
    options_len: usize,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let manager = self::manager(manager)?;
        let lease = manager.state_writer("an undo")?;
        // SAFETY: the header's contract for inputs.
        let (id, form) = unsafe {
            (
                id(namespace_id, namespace_id_len)?,
                input::options::<UndoForm>(options, options_len)?,
            )
        };
        let most = form.commits_lost_max.unwrap_or_default();
        let sequence = lease.host().manager.undo(id, most)?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// Removes a namespace that is not in use, for good. CONFLICT for the one in use; BUSY while a snapshot
/// or backup reads it; NOT_FOUND, with an error object. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_namespace_release(
    manager: *const Manager,
    namespace_id: *const c_char,
    namespace_id_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        let lease = manager.state_writer("releasing a namespace")?;
        // SAFETY: the header's contract for inputs.
        let id = unsafe { id(namespace_id, namespace_id_len) }?;
        Ok(lease.host().manager.release_namespace(id)?)
    })
}
