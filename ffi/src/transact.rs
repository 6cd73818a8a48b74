//! `statekeep_transact`: a function in a transaction, run again after a conflict.
//!
//! The function is the caller's. No lock is held while it runs; the transaction that it gets lives for
//! one run.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use statekeep_plugin_api::Status;

use crate::engine::{self, ErrorKind, Sequence, TransactOptions, Transaction};
use crate::error::{Error, Failure};
use crate::guard::{guard, put};
use crate::handle;
use crate::input;
use crate::manager::{Manager, Reference, manager};
use crate::txn::{Handle, Txn, Work};

/// Called by `statekeep_transact` with a transaction that it has begun and will end. It answers OK
/// for the commit, or another status for none.
pub type TransactFn = Option<unsafe extern "C" fn(user_data: *mut c_void, txn: *mut Txn) -> Status>;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactForm {
    durability: Option<String>,
    attempts_max: Option<u32>,
}

/// Runs a function in a transaction and commits it; after a CONFLICT it is run again, in a
/// transaction that sees what came in between, after a short random wait. The function may run
/// several times, so it should do nothing but read and change through its transaction, whose handle
/// is good until it returns and which it must neither commit nor close. No lock is held: it may make
/// any call that does not close a handle of a manager. It must not unwind or long-jump.
///
/// What it returns other than OK rolls back and is the status of this function, with an error that
/// says so; after CONFLICT it is run again. `options` is a JSON object or empty: `durability` (`"sync"` or
/// `"relaxed"`), `attempts_max` (100 when absent), after which it is CONFLICT. `out_sequence` may be
/// NULL. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_transact(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    callback: TransactFn,
    user_data: *mut c_void,
    out_sequence: *mut u64,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_sequence), || {
        let manager = self::manager(manager)?;
        let callback = callback.ok_or_else(|| Failure::null("callback"))?;
        // SAFETY: the header's contract for inputs.
        let form: TransactForm = unsafe { input::options(options, options_len) }?;
        let options = TransactOptions {
            durability: input::durability_word(form.durability.as_deref())?,
            attempts_max: form.attempts_max.unwrap_or_default(),
        };
        let mut refused = None;
        let outcome = manager.writer()?.retry(&options, |transaction| {
            // SAFETY: the header's contract for callbacks: the caller's function with its data.
            let call = |txn| unsafe { callback(user_data, txn) };
            attempt(&manager, transaction, call).map_err(|failure| {
                let kind = match failure.status() {
                    Status::CONFLICT => ErrorKind::Conflict,
                    _ => ErrorKind::Cancelled,
                };
                let error = engine::Error::other(kind, failure.message());
                refused = Some(failure);
                error
            })
        });
        let sequence = outcome.map_err(|error| match (error.kind(), refused) {
            (ErrorKind::Cancelled, Some(failure)) => failure,
            (_, _) => Failure::from(error),
        })?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out_sequence, sequence.0) };
        Ok(())
    })
}

/// One attempt of `statekeep_transact`.
fn attempt(
    manager: &Reference,
    transaction: Transaction,
    callback: impl FnOnce(*mut Txn) -> Status,
) -> Result<Sequence, Failure> {
    let work = Work::new(manager, transaction, true);
    let txn = handle::insert(Handle(Arc::clone(&work)))?;
    let status = callback(txn);
    handle::close::<Handle>(txn)?;
    let transaction = work.take()?;
    if status.is_ok() {
        manager.lease().health().check_writable()?;
        return Ok(transaction.commit()?);
    }
    let message = format!(
        "the transaction was rolled back, since its function returned {}",
        status.name()
    );
    Err(Failure::new(status, message))
}
