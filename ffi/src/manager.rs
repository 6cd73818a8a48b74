//! `statekeep_manager`: one reference to an open state, seen as one tenant.
//!
//! Opening the same state again gives the same manager: both handles share data, caches and locks,
//! and each is closed once. A handle made by `statekeep_manager_tenant` can only name keys of its
//! tenant and refuses what concerns the whole state.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::config::{Config, Settings};
use crate::engine::{BlockingTenant, StateInfo, UpkeepStatus};
use crate::error::{Error, Failure};
use crate::guard::{self, guard, need, put};
use crate::handle::{self, Kind, Pin};
use crate::input::{TEXT_BYTES_MAX, text};
use crate::registry::{self, Lease};
use crate::report;

/// An opaque reference to an open state.
#[repr(C)]
pub struct Manager {
    _opaque: [u8; 0],
}

/// What a `statekeep_manager` stands for.
pub(crate) struct Reference {
    lease: Lease,
    tenant: BlockingTenant,
    bound_to: Option<String>,
}

impl Kind for Reference {
    const NUMBER: u64 = 3;
    const NAME: &'static str = "statekeep_manager";
    type C = Manager;

    fn poison(&self) {
        self.lease.health().poison();
    }
}

impl Reference {
    /// The tenant to read from.
    pub(crate) fn tenant(&self) -> &BlockingTenant {
        &self.tenant
    }

    /// The tenant to write to; POISONED after a panic.
    pub(crate) fn writer(&self) -> Result<&BlockingTenant, Failure> {
        self.lease.health().check_writable()?;
        Ok(&self.tenant)
    }

    /// The lease, for what ends with the state.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The tenant that the handle is bound to; `None` when it may name every tenant.
    pub(crate) fn bound_to(&self) -> Option<&str> {
        self.bound_to.as_deref()
    }

    /// One more reference to the same manager and tenant.
    pub(crate) fn share(&self) -> Reference {
        Reference {
            lease: self.lease.share(),
            tenant: self.tenant.clone(),
            bound_to: self.bound_to.clone(),
        }
    }

    /// As [`whole`](Self::whole), for what changes backups; REENTRANT inside a retention policy.
    pub(crate) fn backups_writer(&self, what: &str) -> Result<&Lease, Failure> {
        crate::policy::refuse_inside()?;
        self.whole(what)
    }

    /// As [`whole`](Self::whole), for what changes the state; POISONED after a panic.
    pub(crate) fn state_writer(&self, what: &str) -> Result<&Lease, Failure> {
        let lease = self.whole(what)?;
        lease.health().check_writable()?;
        Ok(lease)
    }

    /// The lease, for what concerns the whole state; a handle of a tenant has no such right.
    pub(crate) fn whole(&self, what: &str) -> Result<&Lease, Failure> {
        match &self.bound_to {
            None => Ok(&self.lease),
            Some(tenant) => {
                let message = format!(
                    "{what} concerns the whole state, and this handle is bound to the tenant \
                     `{tenant}`; use the handle that statekeep_manager_open gave",
                );
                Err(Failure::new(Status::PERMISSION_DENIED, message).with("tenant", tenant.clone()))
            }
        }
    }
}

/// The manager of a handle, for the length of a call.
pub(crate) fn manager(handle: *const Manager) -> Result<Pin<Reference>, Failure> {
    handle::get::<Reference>(handle)
}

/// Opens the state that the configuration names, or shares the manager that this process has open
/// for it already (known by its canonical path). CONFLICT when that one was opened with another
/// configuration; BUSY, naming the owner, when another process or library copy holds the state.
/// Close each handle with `statekeep_manager_close`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_manager_open(
    config: *const Config,
    out: *mut *mut Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let config = handle::get::<Settings>(config)?.copy();
        guard::arm();
        let lease = registry::lease(config)?;
        let tenant = lease.host().manager.default_tenant().blocking();
        let manager = handle::insert(Reference {
            lease,
            tenant,
            bound_to: None,
        })?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, manager) };
        Ok(())
    })
}

/// A handle of the same manager that can only name keys of one tenant; close it as any other. A
/// handle that is bound to a tenant cannot make one. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_manager_tenant(
    manager: *const Manager,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let reference = self::manager(manager)?;
        let lease = reference.whole("choosing a tenant")?;
        // SAFETY: the header's contract for inputs.
        let name = unsafe { text(name, name_len, TEXT_BYTES_MAX, "name") }?;
        let tenant = lease.host().manager.tenant(name)?.blocking();
        let bound_to = Some(name.to_owned());
        let bound = handle::insert(Reference {
            lease: lease.share(),
            tenant,
            bound_to,
        })?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, bound) };
        Ok(())
    })
}

/// A handle of the same manager and tenant for one user and one piece of work: every commit through
/// it says who made it and what it belongs to, which `statekeep_history_json` and a watch tell. Either
/// text may be empty and takes up to 256 bytes. Close the handle as any other. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_manager_with_origin(
    manager: *const Manager,
    principal: *const c_char,
    principal_len: usize,
    correlation_id: *const c_char,
    correlation_id_len: usize,
    out: *mut *mut Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let reference = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let (principal, correlation_id) = unsafe {
            let (id, len) = (correlation_id, correlation_id_len);
            (
                text(principal, principal_len, TEXT_BYTES_MAX, "principal")?,
                text(id, len, TEXT_BYTES_MAX, "correlation_id")?,
            )
        };
        let tenant = reference.tenant.with_origin(principal, correlation_id)?;
        let named = handle::insert(Reference {
            tenant,
            ..reference.share()
        })?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, named) };
        Ok(())
    })
}

/// Returns when every commit that returned before is on stable storage. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_manager_flush(
    manager: *const Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || Ok(self::manager(manager)?
        .writer()?
        .flush()?))
}

/// The facts of `statekeep_manager_info_json`.
#[derive(serde::Serialize)]
struct ManagerInfo {
    #[serde(flatten)]
    state: StateInfo,
    upkeep: UpkeepStatus,
    references: usize,
    tenant: String,
}

/// Facts about the open state as one JSON object: `path`, `backend`, `format`, `state_id`,
/// `timeline`, `created_unix_ms`, `head` (the newest sequence), `head_unix_ms`, `floor` (the oldest one
/// that can be read), `oldest_snapshot`, `tenants`, `cache`, `ephemeral_bytes`, `poisoned` (why it
/// takes no more writes, else null), `upkeep`, `references` (handles, scans, snapshots and running
/// operations), `tenant` (that of the handle). `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_manager_info_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let state = &manager.lease.host().manager;
            Ok(ManagerInfo {
                state: state.info()?,
                upkeep: state.upkeep(),
                references: manager.lease.count(),
                tenant: manager.bound_to().unwrap_or_default().to_owned(),
            })
        })
    })
}

/// Closes a handle; NULL is allowed. The last handle of a state flushes and closes its manager and
/// says how that went; transactions and watches that are open then end with CLOSED. Calls on the handle
/// that are running on other threads end first, and it waits for them. Whatever the status, the handle
/// is closed, except for REENTRANT: a thread that is in another call of the library (as in a log
/// callback) cannot wait for it. CLOSED when it was closed before, also while that call is still
/// waiting. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_manager_close(
    manager: *mut Manager,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        if manager.is_null() {
            return Ok(());
        }
        crate::policy::refuse_inside()?;
        let Reference { lease, tenant, .. } = *handle::close_alone::<Reference>(manager)?;
        drop(tenant);
        lease.end()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::{statekeep_config_free, statekeep_config_new, statekeep_config_set};
    use crate::kv::{statekeep_exists, statekeep_set};

    /// Opens a state in memory in a folder.
    pub(crate) fn open(folder: &std::path::Path) -> *mut Manager {
        let (mut config, mut out) = (ptr::null_mut(), ptr::null_mut());
        let none = ptr::null_mut();
        let path = folder.join("state").to_str().unwrap().to_owned();
        // SAFETY: every pointer refers to a local that outlives the call.
        unsafe {
            assert!(statekeep_config_new(&raw mut config, none).is_ok());
            for (key, value) in [("path", path.as_str()), ("backend", "memory")] {
                let (key_ptr, value_ptr) = (key.as_ptr().cast(), value.as_ptr().cast());
                let set = statekeep_config_set;
                assert!(set(config, key_ptr, key.len(), value_ptr, value.len(), none).is_ok());
            }
            assert!(statekeep_manager_open(config, &raw mut out, none).is_ok());
            assert!(statekeep_config_free(config).is_ok());
        }
        out
    }

    fn set(manager: *const Manager) -> Status {
        let (scope, key, value) = (c"global".as_ptr(), c"k".as_ptr(), b"1".as_ptr());
        let (sequence, err) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: static texts with their lengths.
        unsafe { statekeep_set(manager, scope, 6, key, 1, 1, value, 1, 0, sequence, err) }
    }

    #[test]
    fn a_panic_in_a_call_poisons_its_manager_until_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (handle, other) = (open(folder.path()), open(folder.path()));
        assert_eq!(set(handle), Status::OK);
        let status = guard!(ptr::null_mut(), zero(), || {
            let _in_use = manager(handle)?;
            panic!("planted")
        });
        assert_eq!(status, Status::PANIC);
        assert_eq!(
            (set(handle), set(other)),
            (Status::POISONED, Status::POISONED)
        );
        // SAFETY: static texts with their lengths; handles may be closed once.
        unsafe {
            let (scope, key, none) = (c"global".as_ptr(), c"k".as_ptr(), ptr::null_mut());
            assert_eq!(statekeep_exists(other, scope, 6, key, 1, none), Status::OK);
            assert_eq!(statekeep_manager_close(handle, none), Status::OK);
            assert_eq!(set(other), Status::POISONED);
            assert_eq!(statekeep_manager_close(other, none), Status::OK);
            let again = open(folder.path());
            assert_eq!(set(again), Status::OK);
            assert_eq!(statekeep_manager_close(again, none), Status::OK);
        }
    }

    /// Close once answered OK while another thread's call had the state open, which closed it later
    /// and told its failure to nobody.
    #[test]
    fn close_returns_when_the_calls_of_other_threads_have_ended_and_the_state_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("state/LOCK");
        let handle = open(folder.path());
        let again = move |token: usize| ptr::without_provenance_mut::<Manager>(token);
        let (token, has_returned) = (handle.addr(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let in_a_call = manager(handle).unwrap();
            let closer = scope.spawn(|| {
                // SAFETY: a handle may be closed once.
                let status = unsafe { statekeep_manager_close(again(token), ptr::null_mut()) };
                has_returned.store(true, Ordering::SeqCst);
                let is_free = std::fs::File::open(&lock).unwrap().try_lock().is_ok();
                (status, is_free)
            });
            while manager(handle).is_ok() {
                std::thread::yield_now();
            }
            // Enough for a close that does not wait to return; one that waits is not disturbed.
            for _ in 0..10_000 {
                std::thread::yield_now();
            }
            assert!(!has_returned.load(Ordering::SeqCst), "a call is running");
            drop(in_a_call);
            assert_eq!(closer.join().unwrap(), (Status::OK, true));
        });
    }

    #[test]
    fn a_thread_that_is_in_a_call_cannot_wait_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (handle, other) = (open(folder.path()), open(folder.path()));
        let in_a_call = manager(handle).unwrap();
        // SAFETY: handles may be closed once, and a refusal leaves them open.
        unsafe {
            let close = |handle| statekeep_manager_close(handle, ptr::null_mut());
            assert_eq!(close(handle), Status::REENTRANT);
            // A call on it may be waiting for the call that this thread is in.
            assert_eq!(close(other), Status::REENTRANT);
            drop(in_a_call);
            assert_eq!(set(handle), Status::OK);
            assert_eq!((close(handle), close(other)), (Status::OK, Status::OK));
        }
    }
}
