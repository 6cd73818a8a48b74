//! `statekeep_watch`: the changes of a state in the order of its commits; durable named cursors.
//!
//! A watch is a place in the journal and no queue: one that nobody reads costs the writers nothing and
//! takes no memory, it only keeps the past after its place from being trimmed. It does not keep the
//! state open: with the last handle of the manager it ends.

use std::ffi::c_char;
use std::time::Duration;

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, Change, Sequence, Start, WatchOptions};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input::{self, TEXT_BYTES_MAX};
use crate::kv::kind_number;
use crate::manager::{Manager, manager};

/// An opaque watch.
#[repr(C)]
pub struct Watch {
    _opaque: [u8; 0],
}

/// What a `statekeep_watch` stands for.
struct Place(engine::Watch);

impl Kind for Place {
    const NUMBER: u64 = 9;
    const NAME: &'static str = "statekeep_watch";
    type C = Watch;
}

/// Where a watch begins, as JSON says it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Begin {
    Word(String),
    After(u64),
    Cursor(Cursor),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    cursor: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchForm {
    from: Option<Begin>,
    scope: Option<String>,
    key: Option<String>,
    values: Option<bool>,
    all_tenants: Option<bool>,
}

impl TryFrom<WatchForm> for WatchOptions {
    type Error = Failure;

    fn try_from(form: WatchForm) -> Result<WatchOptions, Failure> {
        let from = match form.from {
            None => Start::Now,
            Some(Begin::Word(word)) if word == "now" => Start::Now,
            Some(Begin::Word(word)) => {
                let reason = format!("`{word}` is neither \"now\" nor a sequence nor a cursor");
                return Err(Failure::invalid("from", &reason));
            }
            Some(Begin::After(sequence)) => Start::Sequence(Sequence(sequence)),
            Some(Begin::Cursor(Cursor { cursor })) => Start::Cursor(cursor),
        };
        Ok(WatchOptions {
            from,
            scope: form.scope,
            key: form.key,
            values: form.values.unwrap_or(true),
        })
    }
}

/// Opens a watch; close it with `statekeep_watch_close`. `options` is a JSON object or empty: `from`
/// (`"now"` when absent; a sequence, for the changes after that commit; `{"cursor": NAME}`, for those
/// after what was last acknowledged under the name, which is created at the head when it is not
/// there), `scope` and `key` (patterns), `values` (true when absent), `all_tenants` (not for a handle
/// that is bound to a tenant). COMPACTED, with `oldest_sequence` in the detail, when the past to begin
/// with has been trimmed; BUSY while another watch reads the cursor. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_watch_open(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Watch,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let form: WatchForm = unsafe { input::options(options, options_len) }?;
        let all_tenants = form.all_tenants.unwrap_or_default();
        let options = WatchOptions::try_from(form)?;
        let watch = match all_tenants {
            true => {
                let lease = manager.whole("watching all tenants")?;
                lease.host().manager.watch(&options)?
            }
            false => manager.tenant().watch(&options)?,
        };
        let watch = handle::insert(Place(watch))?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, watch) };
        Ok(())
    })
}

/// Waits for the next change. TIMEOUT, without an error object, when none came within `timeout_ms`; a
/// negative one waits as long as it takes, 0 only looks. CLOSED once the watch or the state is closed,
/// also for those who are waiting.
///
/// `out_change` is a JSON object: `sequence`, `time_unix_ms`, `commit_kind` (as in
/// `statekeep_history_json`), `principal`, `correlation_id`, `tenant`, `scope`, `key`, `op` (`"put"`,
/// `"delete"`, `"put_ephemeral"`, `"delete_ephemeral"`), `kind` (of the value, null without one),
/// `value_gone` (it was asked for and is not kept any more), `last_of_commit`. With the commit kind
/// `"restore"` the whole state was replaced, and `scope`, `key` and `op` are null. The value goes to
/// `out_kind`, 0 without one, and `out_value`, which both may be NULL. The caller frees both buffers.
/// With a NULL `out_change` the change stays to be handed out: OK says that the next call has one, and
/// `timeout_ms` must not be negative.
/// `[any-thread]`: a change goes to one of the callers. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_watch_next(
    watch: *const Watch,
    timeout_ms: i64,
    out_change: *mut Buf,
    out_kind: *mut u32,
    out_value: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out_change, out_kind, out_value), || {
        let place = handle::get::<Place>(watch)?;
        let timeout = u64::try_from(timeout_ms).map(Duration::from_millis);
        let late = || Failure::new(Status::TIMEOUT, String::new());
        if out_change.is_null() {
            let timeout = timeout.map_err(|_| Failure::invalid("timeout_ms", "it is negative"))?;
            return place
                .0
                .ready_timeout(timeout)?
                .then_some(())
                .ok_or_else(late);
        }
        let change: Change = match timeout {
            Err(_) => place.0.next_blocking()?,
            Ok(timeout) => place.0.next_timeout(timeout)?.ok_or_else(late)?,
        };
        let facts = engine::to_text(&change.facts())?;
        // SAFETY: the header's contract for outputs; a buffer that nobody takes is not made.
        unsafe {
            give(out_change, facts);
            if let Some(value) = change.value {
                put(out_kind, kind_number(value.kind()));
                if !out_value.is_null() {
                    give(out_value, value.into_bytes());
                }
            }
        }
        Ok(())
    })
}

/// Stores, as the position of the watch's cursor, that everything handed out so far has been dealt
/// with. What was not acknowledged is handed out again after the state was closed, and after a power
/// cut also what was acknowledged within the last `flush_interval_ms`. INVALID_ARGUMENT for a watch
/// without a cursor. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_watch_acknowledge(
    watch: *const Watch,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || Ok(handle::get::<Place>(watch)?
        .0
        .acknowledge()?))
}

/// Closes a watch and lets go of the past that it needs; NULL is allowed. Calls that wait in
/// `statekeep_watch_next` on other threads end with CLOSED. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_watch_close(watch: *mut Watch) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !watch.is_null() {
            let place = handle::get::<Place>(watch)?;
            place.0.close();
            handle::close::<Place>(watch)?;
        }
        Ok(())
    })
}

/// All cursors of the state, by name, as a JSON array of objects: `name`, `sequence` (all changes up to
/// this commit are acknowledged), `changes` (so many of the next one are too), `created_unix_ms`,
/// `updated_unix_ms`, `watched`, `system` (the library's own: no reader, it holds the past for the next
/// incremental backup). `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_cursor_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let cursors = manager
            .whole("a list of cursors")?
            .host()
            .manager
            .cursors()?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, engine::to_text(&cursors)?) };
        Ok(())
    })
}

/// Forgets a cursor, so that it keeps no past any more; NOT_FOUND, without an error object, when there
/// is none of that name; BUSY while a watch reads it. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_cursor_delete(
    manager: *const Manager,
    name: *const c_char,
    name_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        let lease = manager.whole("deleting a cursor")?;
        lease.health().check_writable()?;
        // SAFETY: the header's contract for inputs.
        let name = unsafe { input::text(name, name_len, TEXT_BYTES_MAX, "name") }?;
        match lease.host().manager.delete_cursor(name)? {
            true => Ok(()),
            false => Err(Failure::absent()),
        }
    })
}
