//! The functions of the backend table over a [`Backend`], each through the guard.

use statekeep_plugin_api as api;
use statekeep_plugin_api::{
    BackendCapabilities, Bytes, CommitOutcome, Entry, ErrorOut, Instance, Status,
};

use super::{Backend, Capabilities, Commit, Cursor, Outcome, ScanRange, Sink, view};
use crate::guard::{self, Slot};
use crate::{Error, Level, Result, memory};

/// A batch ends early at this many bytes, so that large values do not add up to `cap` of them.
const BATCH_BYTES_MAX: usize = 1 << 20;

fn capabilities_of<T: Backend>(slot: &Slot<T>) -> &Capabilities {
    slot.capabilities.get_or_init(|| slot.plugin.capabilities())
}

unsafe extern "C" fn capabilities<T: Backend>(
    instance: *const Instance,
    out: *mut BackendCapabilities,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let out = out.as_mut().ok_or_else(|| memory::null("out"))?;
            *out = capabilities_of(slot).to_raw();
            Ok(Status::OK)
        })
    }
}

unsafe extern "C" fn get<T: Backend>(
    instance: *const Instance,
    space: u32,
    key: Bytes,
    sink: *const api::Sink,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            view::check_space(space)?;
            let key = memory::bytes(key, "key")?;
            if key.is_empty() {
                return Err(Error::invalid("a key has 1 byte or more"));
            }
            let mut sink = Sink::new(memory::reference(sink, "sink")?);
            let found = slot.plugin.get(space, key, &mut sink);
            if let Some(refused) = sink.refused {
                return Err(refused);
            }
            match found {
                Ok(true) if sink.uses == 1 => Ok(Status::OK),
                Ok(false) if sink.uses == 0 => Ok(Status::NOT_FOUND),
                Ok(found) => Err(Error::new(
                    Status::INTERNAL,
                    format!(
                        "the backend said found = {found} and delivered {} values",
                        sink.uses
                    ),
                )),
                Err(error) if error.status() == Status::NOT_FOUND && sink.uses == 0 => {
                    Ok(Status::NOT_FOUND)
                }
                Err(error) => Err(failure(error)),
            }
        })
    }
}

unsafe extern "C" fn commit<T: Backend>(
    instance: *const Instance,
    commit: *const api::Commit,
    out: *mut CommitOutcome,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let raw = memory::reference(commit, "commit")?;
            let view = Commit::from_raw(raw, capabilities_of(slot))?;
            let outcome = slot.plugin.commit(&view).map_err(failure)?;
            let (status, raw) = match outcome {
                Outcome::Committed { sequence } => (
                    Status::OK,
                    CommitOutcome {
                        sequence,
                        conflict_index: 0,
                    },
                ),
                Outcome::Conflict { index } => (
                    Status::CONFLICT,
                    CommitOutcome {
                        sequence: 0,
                        conflict_index: index as u64,
                    },
                ),
            };
            if let Some(out) = out.as_mut() {
                *out = raw;
            }
            if let Outcome::Conflict { index } = outcome {
                let text = format!("precondition {index} does not hold");
                return Err(Error::new(Status::CONFLICT, text));
            }
            Ok(status)
        })
    }
}

unsafe extern "C" fn flush<T: Backend>(instance: *const Instance, err: *mut ErrorOut) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            slot.plugin.flush().map_err(failure)?;
            Ok(Status::OK)
        })
    }
}

/// An error must not look like one of the expected outcomes.
fn failure(error: Error) -> Error {
    if error.status().is_error() {
        return error;
    }
    let text = format!("status {}: {}", error.status().name(), error.message());
    Error::new(Status::INTERNAL, text)
}

/// What an ABI cursor points to. The rows of the last batch live in `rows` until the next call.
struct Batches<C: Cursor> {
    cursor: Option<C>,
    rows: Vec<(C::Bytes, C::Bytes)>,
    failed: Option<Error>,
}

impl<C: Cursor> Batches<C> {
    /// Takes up to `cap` rows from the cursor; an error waits until the rows before it are out.
    fn fill(&mut self, cap: usize) -> Result<()> {
        self.rows.clear();
        let mut bytes = 0;
        while self.rows.len() < cap && bytes < BATCH_BYTES_MAX {
            let Some(cursor) = &mut self.cursor else {
                break;
            };
            match cursor.next() {
                Some(Ok(row)) => {
                    bytes += row.0.as_ref().len() + row.1.as_ref().len();
                    self.rows.push(row);
                }
                Some(Err(error)) => {
                    self.cursor = None;
                    self.failed = Some(failure(error));
                }
                None => self.cursor = None,
            }
        }
        match &self.failed {
            Some(error) if self.rows.is_empty() => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

unsafe extern "C" fn scan_open<T: Backend>(
    instance: *const Instance,
    range: *const api::ScanRange,
    out: *mut *mut api::Cursor,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let range = ScanRange::from_raw(memory::reference(range, "range")?)?;
            let out = out.as_mut().ok_or_else(|| memory::null("out"))?;
            let cursor = match range.is_empty() {
                true => None,
                false => Some(slot.plugin.scan(&range).map_err(failure)?),
            };
            let batches = Batches::<T::Cursor> {
                cursor,
                rows: Vec::new(),
                failed: None,
            };
            *out = Box::into_raw(Box::new(batches)).cast();
            Ok(Status::OK)
        })
    }
}

unsafe extern "C" fn scan_next<T: Backend>(
    instance: *const Instance,
    cursor: *mut api::Cursor,
    entries: *mut Entry,
    cap: usize,
    n: *mut usize,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin, a cursor of it that no other thread uses,
    // and room for `cap` entries.
    unsafe {
        guard::call::<T>(instance, err, |_| {
            let batches = cursor
                .cast::<Batches<T::Cursor>>()
                .as_mut()
                .ok_or_else(|| memory::null("cursor"))?;
            let n = n.as_mut().ok_or_else(|| memory::null("n"))?;
            if entries.is_null() || cap == 0 {
                return Err(Error::invalid("entries is NULL or cap is 0"));
            }
            batches.fill(cap)?;
            // Only now: pushing may have moved rows, and bytes may live inside them.
            for (i, (key, value)) in batches.rows.iter().enumerate() {
                entries.add(i).write(Entry {
                    key: Bytes::new(key.as_ref()),
                    value: Bytes::new(value.as_ref()),
                });
            }
            *n = batches.rows.len();
            Ok(Status::OK)
        })
    }
}

unsafe extern "C" fn scan_close<T: Backend>(instance: *const Instance, cursor: *mut api::Cursor) {
    if cursor.is_null() {
        return;
    }
    // SAFETY: made by `scan_open` from a box of this type, and given back once.
    let batches = unsafe { Box::from_raw(cursor.cast::<Batches<T::Cursor>>()) };
    if let Err(text) = guard::stop_panic(|| drop(batches)) {
        // SAFETY: NULL or an instance of this plugin.
        if let Some(slot) = unsafe { instance.cast::<Slot<T>>().as_ref() } {
            let text = format!("panic while closing a scan: {text}");
            slot.host.log(Level::Error, &text);
        }
    }
}

/// The table of a backend.
#[doc(hidden)]
pub const fn table<T: Backend>() -> api::BackendV1 {
    api::BackendV1 {
        struct_size: size_of::<api::BackendV1>(),
        abi_hash: <api::BackendV1 as api::Interface>::ABI_HASH,
        capabilities: capabilities::<T>,
        get: get::<T>,
        commit: commit::<T>,
        scan_open: scan_open::<T>,
        scan_next: scan_next::<T>,
        scan_close: scan_close::<T>,
        flush: flush::<T>,
    }
}
