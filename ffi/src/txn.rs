//! `statekeep_txn`: reads and changes that happen at one moment, or not at all.
//!
//! A transaction reads its own changes first and then the state as it was when it began. It holds no
//! lock and delays nobody; when what it read was changed meanwhile, its commit is CONFLICT and the
//! whole of it is done again, which `statekeep_transact` does by itself. It does not keep the state
//! open: with the last handle of the manager it ends.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::Arc;

use parking_lot::Mutex;
use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::{self, Savepoint, Transaction, TransactionOptions};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input;
use crate::kv::{SetOptions, give_facts, give_value, set_options};
use crate::manager::{Manager, Reference, manager};
use crate::registry::{Dependent, Health};
use crate::scan::{self, Scan, ScanOptions, Source};

/// An opaque transaction.
#[repr(C)]
pub struct Txn {
    _opaque: [u8; 0],
}

/// A transaction that may be shared by a handle and scans.
pub(crate) struct Work {
    health: Arc<Health>,
    /// It is ended by `statekeep_transact`.
    in_transact: bool,
    open: Mutex<Option<Open>>,
}

struct Open {
    transaction: Transaction,
    savepoints: BTreeMap<u64, Savepoint>,
    last_savepoint: u64,
}

/// What a `statekeep_txn` stands for.
pub(crate) struct Handle(pub(crate) Arc<Work>);

impl Kind for Handle {
    const NUMBER: u64 = 8;
    const NAME: &'static str = "statekeep_txn";
    type C = Txn;

    fn poison(&self) {
        self.0.health.poison();
    }
}

impl Dependent for Work {
    fn end(&self) {
        drop(self.open.lock().take());
    }
}

impl Work {
    /// A transaction of a state, which ends with it.
    pub(crate) fn new(
        manager: &Reference,
        transaction: Transaction,
        in_transact: bool,
    ) -> Arc<Work> {
        let work = Arc::new(Work {
            health: manager.lease().health().clone(),
            in_transact,
            open: Mutex::new(Some(Open {
                transaction,
                savepoints: BTreeMap::new(),
                last_savepoint: 0,
            })),
        });
        manager.lease().attach(&work);
        work
    }

    fn enter<T>(
        &self,
        call: impl FnOnce(&mut Option<Open>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(mut open) = self.open.try_lock() else {
            let message = "another thread is using this transaction; give each thread its own";
            return Err(Failure::new(Status::BUSY, message));
        };
        call(&mut open)
    }

    fn with_open<T>(
        &self,
        call: impl FnOnce(&mut Open) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.enter(|open| call(open.as_mut().ok_or_else(ended)?))
    }

    /// Makes a call on the transaction while it is open.
    pub(crate) fn with<T>(
        &self,
        call: impl FnOnce(&mut Transaction) -> Result<T, engine::Error>,
    ) -> Result<T, Failure> {
        self.with_open(|open| Ok(call(&mut open.transaction)?))
    }

    /// The transaction itself, which this ends.
    pub(crate) fn take(&self) -> Result<Transaction, Failure> {
        let open = self.enter(|open| open.take().ok_or_else(ended))?;
        Ok(open.transaction)
    }

    /// Fails for a transaction that another call ends.
    fn check_own(&self) -> Result<(), Failure> {
        if !self.in_transact {
            return Ok(());
        }
        let reason = "statekeep_transact ends it; return a status from the callback instead";
        Err(Failure::invalid("statekeep_txn", reason))
    }
}

fn ended() -> Failure {
    let message = "this transaction has ended: it was committed, or its state was closed";
    Failure::new(Status::CLOSED, message)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginForm {
    durability: Option<String>,
}

/// Begins a transaction on the state as it is; end it with `statekeep_txn_commit` or
/// `statekeep_txn_close`. `options` is a JSON object or empty: `durability` (`"sync"` or `"relaxed"`).
/// It is limited by `limits.transaction_age_ms_max`, after which its calls are TIMEOUT, and by
/// `limits.transaction_keys_max` and `_bytes_max`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_begin(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Txn,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let form: BeginForm = unsafe { input::options(options, options_len) }?;
        let options = TransactionOptions {
            durability: input::durability_word(form.durability.as_deref())?,
        };
        let transaction = manager.tenant().begin(&options)?;
        let txn = handle::insert(Handle(Work::new(&manager, transaction, false)))?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, txn) };
        Ok(())
    })
}

/// The value of a key as the transaction sees it; as `statekeep_get`. That it was read, or was not
/// there, must still hold at the commit. `[one-thread-at-a-time]`: BUSY when another thread is in it.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_get(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    out_kind: *mut u32,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_kind, out), || {
        need(out, "out")?;
        let work = handle::get::<Handle>(txn)?;
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            let value = work.0.with(|transaction| transaction.get(&scope, &key))?;
            give_value(value, out_kind, out)
        }
    })
}

/// OK when the key is there as the transaction sees it, else NOT_FOUND. `[one-thread-at-a-time]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_exists(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let work = handle::get::<Handle>(txn)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { input::name(scope, scope_len, key, key_len) }?;
        match work
            .0
            .with(|transaction| transaction.exists(&scope, &key))?
        {
            true => Ok(()),
            false => Err(Failure::absent()),
        }
    })
}

/// What is known of a record beside its value; as `statekeep_record_json`. What the transaction has
/// set itself has the sequence 0. `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_record_json(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let work = handle::get::<Handle>(txn)?;
        // SAFETY: the header's contract for inputs and outputs.
        unsafe {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            let record = work
                .0
                .with(|transaction| transaction.get_record(&scope, &key))?;
            give_facts(record, out)
        }
    })
}

/// One page of keys as the transaction sees them; as `statekeep_list_json`. That there are these
/// keys and no others must still hold at the commit. `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_list_json(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    options: *const ScanOptions,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let work = handle::get::<Handle>(txn)?;
        let list =
            |scope: &_, options: &_| work.0.with(|transaction| transaction.list(scope, options));
        // SAFETY: the header's contract for inputs and outputs.
        unsafe { scan::give_page((scope, scope_len), options, out, list) }
    })
}

/// Opens a scan over a scope as the transaction sees it; as `statekeep_scan_open`. Its steps count as
/// calls on the transaction, and are CLOSED once that has ended. `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_scan_open(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    options: *const ScanOptions,
    out: *mut *mut Scan,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let work = handle::get::<Handle>(txn)?;
        work.0.with(|_| Ok(()))?;
        let source = Source::Own(Arc::clone(&work.0));
        // SAFETY: the header's contract for inputs and outputs.
        unsafe { scan::open(source, input::scope(scope, scope_len)?, options, out) }
    })
}

/// Sets a key when the transaction commits; its own reads see it at once.
/// `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_set(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let work = handle::get::<Handle>(txn)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), value) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                input::value(kind, value, value_len)?,
            )
        };
        let options = engine::SetOptions::default();
        work.0
            .with(|transaction| transaction.set(&scope, &key, value, options))
    })
}

/// As `statekeep_txn_set`, with a class and an expiry; see `statekeep_set_with`.
/// `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_set_with(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    kind: u32,
    value: *const u8,
    value_len: usize,
    options: *const SetOptions,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let work = handle::get::<Handle>(txn)?;
        // SAFETY: the header's contract for inputs.
        let ((scope, key), value, options) = unsafe {
            (
                input::name(scope, scope_len, key, key_len)?,
                input::value(kind, value, value_len)?,
                set_options(options)?,
            )
        };
        work.0
            .with(|transaction| transaction.set(&scope, &key, value, options))
    })
}

/// Deletes a key when the transaction commits; one that is not there is no error.
/// `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_delete(
    txn: *const Txn,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let work = handle::get::<Handle>(txn)?;
        // SAFETY: the header's contract for inputs.
        let (scope, key) = unsafe { input::name(scope, scope_len, key, key_len) }?;
        work.0.with(|transaction| transaction.delete(&scope, &key))
    })
}

/// A point that `statekeep_txn_rollback_to` comes back to; its number is not 0.
/// `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_savepoint(
    txn: *const Txn,
    out_id: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_id), || {
        need(out_id, "out_id")?;
        let work = handle::get::<Handle>(txn)?;
        let id = work.0.with_open(|open| {
            let savepoint = open.transaction.savepoint()?;
            open.last_savepoint += 1;
            open.savepoints.insert(open.last_savepoint, savepoint);
            Ok(open.last_savepoint)
        })?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_id, id) };
        Ok(())
    })
}

/// Takes back every change since a savepoint, which can be used again; later ones cannot, and are
/// INVALID_ARGUMENT. What was read since stays read. `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_rollback_to(
    txn: *const Txn,
    id: u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let work = handle::get::<Handle>(txn)?;
        work.0.with_open(|open| {
            let Some(savepoint) = open.savepoints.get(&id) else {
                let reason = format!("this transaction has no savepoint {id} to go back to");
                return Err(Failure::invalid("savepoint", &reason));
            };
            open.transaction.rollback_to(*savepoint)?;
            drop(open.savepoints.split_off(&(id + 1)));
            Ok(())
        })
    })
}

/// Makes all changes as one commit and ends the transaction, whatever the status; close the handle
/// then. `out_sequence` may be NULL; without changes it is the last commit that was read. CONFLICT,
/// with `current_sequence` in the detail where one key was in the way, when what was read has been
/// changed meanwhile: nothing is changed, and a new transaction can try again.
/// `[one-thread-at-a-time]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_commit(
    txn: *const Txn,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let work = handle::get::<Handle>(txn)?;
        work.0.check_own()?;
        work.0.health.check_writable()?;
        let sequence = work.0.take()?.commit()?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// Closes a handle; a transaction that was not committed has changed nothing. NULL is allowed.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_txn_close(txn: *mut Txn) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !txn.is_null() {
            let work = handle::get::<Handle>(txn)?;
            work.0.check_own()?;
            handle::close::<Handle>(txn)?;
            // Also for scans that are open in it.
            work.0.end();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::manager::statekeep_manager_close;
    use crate::manager::tests::open;

    #[test]
    fn a_transaction_serves_one_thread_at_a_time_and_a_panic_in_it_poisons_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, none) = (open(folder.path()), ptr::null_mut());
        let (mut txn, scope, key) = (ptr::null_mut(), c"global".as_ptr(), c"k".as_ptr());
        let panic_in = |txn: *mut Txn| {
            guard!(ptr::null_mut(), zero(), || {
                let _in_use = handle::get::<Handle>(txn)?;
                panic!("planted")
            })
        };
        // SAFETY: every pointer is static or that of a local that outlives the call.
        unsafe {
            let begin = statekeep_txn_begin;
            assert!(begin(manager, ptr::null(), 0, &raw mut txn, none).is_ok());
            let delete = || statekeep_txn_delete(txn, scope, 6, key, 1, none);
            let in_a_call = handle::get::<Handle>(txn).unwrap();
            let lock = in_a_call.0.open.lock();
            assert_eq!(delete(), Status::BUSY);
            drop(lock);
            assert_eq!(delete(), Status::OK);
            drop(in_a_call);
            assert_eq!(panic_in(txn), Status::PANIC);
            let commit = || statekeep_txn_commit(txn, ptr::null_mut(), none);
            assert_eq!(commit(), Status::POISONED);
            assert_eq!(statekeep_manager_close(manager, none), Status::OK);
            assert_eq!(delete(), Status::CLOSED);
            assert_eq!(statekeep_txn_close(txn), Status::OK);
        }
    }
}
