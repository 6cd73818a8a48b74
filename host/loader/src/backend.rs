//! A backend plugin as the core's [`Backend`].
//!
//! Nothing that a plugin answers is believed unseen: counts, lengths, NULL pointers, the order of a
//! scan, the use of the sink. What it may have written after a failed commit is unknown, and said so.

use statekeep_core::{
    Backend, Capabilities, CommitError, Cursor, Durability, Error, KeyRange, RowOp, Space,
};
use statekeep_plugin_api::{
    self as abi, BackendCapabilities, BackendV1, Bytes, Commit, CommitOutcome, Op, Sink, Status,
};

use crate::instance::{Failure, expect_ok};
use crate::scan::PluginCursor;
use crate::{Instance, LoadError, Plugin};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A value of 16 MiB with its envelope fits.
const VALUE_BYTES_NEEDED: u64 = 17 * 1024 * 1024;
/// Largest value that is taken from a plugin.
pub(crate) const ROW_BYTES_MAX: usize = 1 << 30;

/// A backend instance.
pub(crate) struct PluginBackend {
    pub(crate) instance: Instance,
    pub(crate) table: &'static BackendV1,
    capabilities: Capabilities,
}

impl PluginBackend {
    /// Opens an instance and asks what it can do.
    pub fn open(plugin: &Plugin, config: &serde_json::Value) -> Result<PluginBackend> {
        let table = plugin.interface::<BackendV1>()?;
        let instance = plugin.create(config)?;
        let mut found = BackendCapabilities {
            flags: 0,
            key_bytes_max: 0,
            value_bytes_max: 0,
            commit_ops_max: 0,
            commit_bytes_max: 0,
        };
        ok(&instance, "capabilities", 0, |raw, err| {
            // SAFETY: the table and the instance belong together; `found` and `err` are ours.
            unsafe { (table.capabilities)(raw, &raw mut found, err) }
        })
        .map_err(|failure| failure.error)?;
        let has = |flag| found.flags & flag != 0;
        let capabilities = Capabilities {
            persistent: has(abi::CAPABILITY_PERSISTENT),
            blocking_reads: has(abi::CAPABILITY_BLOCKING_READS),
            snapshot_scans: has(abi::CAPABILITY_SNAPSHOT_SCANS),
            key_bytes_max: found.key_bytes_max,
            value_bytes_max: found.value_bytes_max,
            commit_ops_max: found.commit_ops_max,
            commit_bytes_max: found.commit_bytes_max,
        };
        for (what, found, needed) in [
            ("keys", found.key_bytes_max, abi::KEY_BYTES_NEEDED),
            ("values", found.value_bytes_max, VALUE_BYTES_NEEDED),
        ] {
            if found < needed {
                let id = plugin.id().to_owned();
                return Err(LoadError::Capability {
                    id,
                    what,
                    found,
                    needed,
                }
                .into());
            }
        }
        Ok(PluginBackend {
            instance,
            table,
            capabilities,
        })
    }

    /// The operations as the ABI has them, checked against the limits of the backend.
    fn ops(&self, ops: &[RowOp<'_>]) -> Result<(Vec<Op>, usize)> {
        let limits = &self.capabilities;
        check_limit(
            "operations of a commit",
            ops.len(),
            "commit_ops_max",
            limits.commit_ops_max,
        )?;
        let mut bytes = 0usize;
        let mut out = Vec::with_capacity(ops.len());
        for op in ops {
            let (kind, space, key, value) = match *op {
                RowOp::Put { space, key, value } => (abi::OP_PUT, space, key, value),
                RowOp::Delete { space, key } => (abi::OP_DELETE, space, key, &[][..]),
            };
            if key.is_empty() {
                return Err(Error::invalid(
                    "row key",
                    "it is empty; 1 byte or more is needed",
                ));
            }
            check_limit(
                "key bytes",
                key.len(),
                "key_bytes_max",
                limits.key_bytes_max,
            )?;
            check_limit(
                "value bytes",
                value.len(),
                "value_bytes_max",
                limits.value_bytes_max,
            )?;
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            let (key, value) = (Bytes::new(key), Bytes::new(value));
            out.push(Op {
                kind,
                space: space as u32,
                key,
                value,
            });
        }
        check_limit(
            "bytes of a commit",
            bytes,
            "commit_bytes_max",
            limits.commit_bytes_max,
        )?;
        Ok((out, bytes))
    }
}

impl Backend for PluginBackend {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        let mut delivery = Delivery {
            out,
            start,
            calls: 0,
            fault: None,
        };
        let sink = Sink {
            ctx: (&raw mut delivery).cast(),
            put,
            reserve,
        };
        let result = self.instance.call("get", key.len(), |raw, err| {
            // SAFETY: the table and the instance belong together; key, sink and what the sink
            // points to live for the call.
            unsafe { (self.table.get)(raw, space as u32, Bytes::new(key), &raw const sink, err) }
        });
        let (calls, fault) = (delivery.calls, delivery.fault);
        let answer = match (result, fault, calls) {
            (Ok(_), Some(fault), _) => Err(self.instance.misbehaved("get", fault)),
            (Ok(Status::OK), None, 1) => return Ok(true),
            (Ok(Status::NOT_FOUND), None, 0) => Ok(false),
            (Ok(Status::OK), None, _) => Err(self
                .instance
                .misbehaved("get", "answered OK and delivered no value")),
            (Ok(Status::NOT_FOUND), None, _) => Err(self
                .instance
                .misbehaved("get", "delivered a value and answered NOT_FOUND")),
            (Ok(status), None, _) => match expect_ok(self.instance.plugin(), "get", status) {
                Ok(()) => Ok(false),
                Err(failure) => Err(failure.error),
            },
            (Err(error), _, _) => Err(error),
        };
        out.truncate(start);
        answer
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        let (ops, bytes) = self.ops(ops).map_err(CommitError::Refused)?;
        let commit = Commit {
            ops: ops.as_ptr(),
            ops_len: ops.len(),
            preconditions: core::ptr::null(),
            preconditions_len: 0,
            durability: match durability {
                Durability::Sync => abi::DURABILITY_SYNC,
                Durability::Relaxed => abi::DURABILITY_RELAXED,
            },
            flags: 0,
            token: Bytes::EMPTY,
        };
        let mut outcome = CommitOutcome {
            sequence: 0,
            conflict_index: 0,
        };
        ok(&self.instance, "commit", bytes, |raw, err| {
            // SAFETY: the table and the instance belong together; the commit and all that it
            // points to live for the call, `outcome` and `err` are ours.
            unsafe { (self.table.commit)(raw, &raw const commit, &raw mut outcome, err) }
        })
        .map_err(|failure| match failure.status {
            // For these the ABI says that nothing was applied; nothing else says so.
            Status::CONFLICT
            | Status::TOO_LARGE
            | Status::NO_SPACE
            | Status::UNAVAILABLE
            | Status::UNSUPPORTED
            | Status::INVALID_ARGUMENT => CommitError::Refused(failure.error),
            _ => CommitError::Unknown(failure.error),
        })
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        Ok(Box::new(PluginCursor::open(self, space, range)?))
    }

    fn flush(&self) -> Result<()> {
        ok(&self.instance, "flush", 0, |raw, err| {
            // SAFETY: the table and the instance belong together; `err` is ours.
            unsafe { (self.table.flush)(raw, err) }
        })
        .map_err(|failure| failure.error)
    }
}

/// Calls a function whose only good answer is OK.
pub(crate) fn ok(
    instance: &Instance,
    what: &'static str,
    bytes: usize,
    function: impl FnOnce(*const abi::Instance, *mut abi::ErrorOut) -> Status,
) -> Result<(), Failure> {
    let status = instance.call_raw(what, bytes, function)?;
    expect_ok(instance.plugin(), what, status)
}

fn check_limit(
    what: &'static str,
    actual: usize,
    limit_name: &'static str,
    limit: u64,
) -> Result<()> {
    let actual = actual as u64;
    if actual > limit {
        return Err(Error::TooLarge {
            what,
            actual,
            limit_name,
            limit,
        });
    }
    Ok(())
}

/// Where `get` delivers a value.
struct Delivery<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    calls: u32,
    fault: Option<&'static str>,
}

impl Delivery<'_> {
    /// Allocates for the one value; false when it is refused.
    fn accept(&mut self, len: usize) -> bool {
        self.calls = self.calls.saturating_add(1);
        if self.calls > 1 {
            self.fault = Some("delivered two values for one key");
        } else if len > ROW_BYTES_MAX || self.out.try_reserve(len).is_err() {
            self.fault = Some("delivered a value that is larger than any row");
        } else {
            return true;
        }
        false
    }
}

unsafe extern "C" fn put(ctx: *mut core::ffi::c_void, value: Bytes) -> Status {
    // SAFETY: `ctx` is the delivery of the `get` that is running, which nothing else touches.
    let delivery = unsafe { &mut *ctx.cast::<Delivery<'_>>() };
    if value.ptr.is_null() && value.len > 0 {
        delivery.fault = Some("delivered NULL with a length");
        return Status::INVALID_ARGUMENT;
    }
    if !delivery.accept(value.len) {
        return Status::TOO_LARGE;
    }
    // SAFETY: inputs are valid for the call; the value is not NULL.
    delivery.out.extend_from_slice(unsafe { value.as_slice() });
    Status::OK
}

unsafe extern "C" fn reserve(ctx: *mut core::ffi::c_void, len: usize) -> *mut u8 {
    // SAFETY: as in `put`.
    let delivery = unsafe { &mut *ctx.cast::<Delivery<'_>>() };
    if !delivery.accept(len) {
        return core::ptr::null_mut();
    }
    // Zeroed, so that a plugin which writes less than it asked for shows no old memory. The vector
    // does not grow again before `get` returns: a second delivery is refused.
    delivery.out.resize(delivery.start + len, 0);
    delivery
        .out
        .get_mut(delivery.start..)
        .map_or(core::ptr::null_mut(), <[u8]>::as_mut_ptr)
}
