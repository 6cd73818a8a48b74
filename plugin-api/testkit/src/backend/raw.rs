//! A backend as a host drives it. Every `get` also checks that the sink was used exactly once.

use std::ffi::c_void;
use std::path::Path;
use std::ptr::{null, null_mut};

use statekeep_plugin_api::{
    BackendCapabilities, BackendV1, Bytes, Commit, CommitOutcome, Cursor, DURABILITY_SYNC, Entry,
    OP_DELETE, OP_PUT, Op, SCAN_REVERSE, SCAN_UNBOUNDED, ScanRange, Sink, Status,
};

use super::Subject;
use crate::{Failure, Live, raw::ErrorText};

/// Key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// A backend's instance.
pub struct RawBackend {
    live: Live,
    table: &'static BackendV1,
    /// What it says it can do.
    pub capabilities: BackendCapabilities,
}

impl RawBackend {
    pub(super) fn open(subject: &Subject, directory: &Path) -> Result<RawBackend, Failure> {
        let directory = serde_json::Value::from(directory.to_string_lossy());
        let options = &subject.options_json;
        let config = format!("{{\"directory\": {directory}, \"options\": {options}}}");
        let live = Live::open(subject.descriptor, &config)?;
        let table: &BackendV1 = live.table()?;
        let mut capabilities = BackendCapabilities {
            flags: 0,
            key_bytes_max: 0,
            value_bytes_max: 0,
            commit_ops_max: 0,
            commit_bytes_max: 0,
        };
        let mut error = ErrorText::new();
        // SAFETY: the instance is alive, the outputs outlive the call.
        let status =
            unsafe { (table.capabilities)(live.instance(), &mut capabilities, &mut error.raw) };
        error.result(status)?;
        Ok(RawBackend {
            live,
            table,
            capabilities,
        })
    }

    /// Whether it has a `CAPABILITY_*`.
    pub fn can(&self, capability: u64) -> bool {
        self.capabilities.flags & capability != 0
    }

    /// The instance and its host.
    pub fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn table(&self) -> &'static BackendV1 {
        self.table
    }

    /// The row's value.
    ///
    /// # Errors
    /// What the backend answered, or how it misused the sink.
    pub fn get(&self, space: u32, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.get_at_most(space, key, usize::MAX)
    }

    /// As [`get`](Self::get), from a host that refuses values of more than `bytes_max`.
    pub(super) fn get_at_most(
        &self,
        space: u32,
        key: &[u8],
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let mut delivery = Delivery {
            value: None,
            uses: 0,
            bytes_max,
        };
        let sink = Sink {
            ctx: (&raw mut delivery).cast(),
            put,
            reserve,
        };
        let mut error = ErrorText::new();
        // SAFETY: the instance is alive; key, sink and error outlive the call.
        let status = unsafe {
            let (instance, key) = (self.live.instance(), Bytes::new(key));
            (self.table.get)(instance, space, key, &sink, &mut error.raw)
        };
        match (status, delivery.uses) {
            (Status::OK, 1) => Ok(delivery.value),
            (Status::NOT_FOUND, 0) => Ok(None),
            (Status::OK | Status::NOT_FOUND, uses) => Err(Failure {
                status: Status::PLUGIN,
                text: format!(
                    "get answered {} and used the sink {uses} times",
                    status.name()
                ),
            }),
            _ => Err(error.failure(status)),
        }
    }

    /// Commits operations at a durability.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn commit(&self, ops: &[Op], durability: u32) -> Result<CommitOutcome, Failure> {
        self.commit_with(ops, |commit| commit.durability = durability)
    }

    /// Commits operations in a commit that `change` has changed, with `sync` durability.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn commit_with(
        &self,
        ops: &[Op],
        change: impl FnOnce(&mut Commit),
    ) -> Result<CommitOutcome, Failure> {
        let (failure, outcome) = self.commit_outcome(ops, change);
        failure.map_or(Ok(outcome), Err)
    }

    pub(super) fn commit_outcome(
        &self,
        ops: &[Op],
        change: impl FnOnce(&mut Commit),
    ) -> (Option<Failure>, CommitOutcome) {
        let mut commit = Commit {
            ops: ops.as_ptr(),
            ops_len: ops.len(),
            preconditions: null(),
            preconditions_len: 0,
            durability: DURABILITY_SYNC,
            flags: 0,
            token: Bytes::EMPTY,
        };
        change(&mut commit);
        let mut outcome = CommitOutcome {
            sequence: u64::MAX,
            conflict_index: u64::MAX,
        };
        let mut error = ErrorText::new();
        // SAFETY: the instance is alive, everything else outlives the call.
        let status = unsafe {
            (self.table.commit)(self.live.instance(), &commit, &mut outcome, &mut error.raw)
        };
        (error.result(status).err(), outcome)
    }

    /// Writes one row, synced.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn put(&self, space: u32, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let outcome = self.commit(&[put_op(space, key, value)], DURABILITY_SYNC);
        outcome.map(drop)
    }

    /// Opens a scan.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn scan(&self, range: &Range<'_>) -> Result<RawScan<'_>, Failure> {
        let mut flags = range.extra_flags;
        if range.reverse {
            flags |= SCAN_REVERSE;
        }
        if range.hi.is_none() {
            flags |= SCAN_UNBOUNDED;
        }
        // Copies that are scribbled over after the call: a cursor must not keep them.
        let (mut lo, mut hi) = (range.lo.to_vec(), range.hi.unwrap_or(b"ignored").to_vec());
        let mut error = ErrorText::new();
        let mut cursor = null_mut();
        // SAFETY: the instance is alive, everything else outlives the call.
        let status = unsafe {
            let range = ScanRange {
                space: range.space,
                flags,
                lo: Bytes::new(&lo),
                hi: Bytes::new(&hi),
            };
            (self.table.scan_open)(self.live.instance(), &range, &mut cursor, &mut error.raw)
        };
        lo.fill(b'#');
        hi.fill(b'#');
        error.result(status)?;
        Ok(RawScan {
            backend: self,
            cursor,
        })
    }

    /// The rows of a range, read in batches of `cap`.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn rows(&self, range: &Range<'_>, cap: usize) -> Result<Vec<Row>, Failure> {
        let mut scan = self.scan(range)?;
        let mut rows = Vec::new();
        loop {
            let batch = scan.next(cap)?;
            if batch.is_empty() {
                return Ok(rows);
            }
            rows.extend(batch);
        }
    }

    /// All rows of a space.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn all(&self, space: u32) -> Result<Vec<Row>, Failure> {
        self.rows(&Range::all(space), 64)
    }

    /// Waits until everything is on stable storage.
    ///
    /// # Errors
    /// What the backend answered.
    pub fn flush(&self) -> Result<(), Failure> {
        let mut error = ErrorText::new();
        // SAFETY: the instance is alive, the error outlives the call.
        let status = unsafe { (self.table.flush)(self.live.instance(), &mut error.raw) };
        error.result(status)
    }
}

/// The operation that writes a row; the slices must outlive its use.
pub(super) fn put_op(space: u32, key: &[u8], value: &[u8]) -> Op {
    Op {
        kind: OP_PUT,
        space,
        key: Bytes::new(key),
        value: Bytes::new(value),
    }
}

/// The operation that removes a row; the slice must outlive its use.
pub(super) fn delete_op(space: u32, key: &[u8]) -> Op {
    Op {
        kind: OP_DELETE,
        space,
        key: Bytes::new(key),
        value: Bytes::EMPTY,
    }
}

/// A range of keys.
#[derive(Copy, Clone, Debug)]
pub struct Range<'a> {
    /// Its space.
    pub space: u32,
    /// First key that belongs.
    pub lo: &'a [u8],
    /// First key that does not belong; `None` is unbounded.
    pub hi: Option<&'a [u8]>,
    /// From the last to the first.
    pub reverse: bool,
    /// Flags beyond those of this ABI.
    pub extra_flags: u32,
}

impl<'a> Range<'a> {
    /// A whole space.
    pub fn all(space: u32) -> Range<'a> {
        Range {
            space,
            lo: b"",
            hi: None,
            reverse: false,
            extra_flags: 0,
        }
    }

    /// `lo <= key < hi` in space 0.
    pub fn between(lo: &'a [u8], hi: &'a [u8]) -> Range<'a> {
        Range {
            lo,
            hi: Some(hi),
            ..Range::all(0)
        }
    }
}

/// An open cursor; dropping it closes it.
pub struct RawScan<'a> {
    backend: &'a RawBackend,
    cursor: *mut Cursor,
}

// SAFETY: the ABI lets any one thread at a time use a cursor.
unsafe impl Send for RawScan<'_> {}

impl RawScan<'_> {
    /// The next rows, at most `cap`; none at the end.
    ///
    /// # Errors
    /// What the backend answered, or that it wrote more than `cap` entries.
    pub fn next(&mut self, cap: usize) -> Result<Vec<Row>, Failure> {
        let entries = self.entries(cap)?;
        // SAFETY: the entries borrow from the cursor, which was not used since.
        Ok(unsafe { entries.iter().map(|entry| copy(entry)).collect() })
    }

    /// The next entries as the cursor lends them.
    pub(super) fn entries(&mut self, cap: usize) -> Result<Vec<Entry>, Failure> {
        let unused = Bytes {
            ptr: null::<u8>().wrapping_add(7),
            len: 7,
        };
        let empty = Entry {
            key: unused,
            value: unused,
        };
        let mut entries = vec![empty; cap + 1];
        let mut n = usize::MAX;
        let mut error = ErrorText::new();
        // SAFETY: instance and cursor are alive, the outputs outlive the call.
        let status = unsafe {
            let (instance, entries) = (self.backend.live.instance(), entries.as_mut_ptr());
            let next = self.backend.table.scan_next;
            next(instance, self.cursor, entries, cap, &mut n, &mut error.raw)
        };
        error.result(status)?;
        if n > cap || entries[cap].key.len != 7 {
            return Err(Failure {
                status: Status::PLUGIN,
                text: format!("scan_next with room for {cap} entries answered {n}"),
            });
        }
        entries.truncate(n);
        Ok(entries)
    }
}

/// # Safety
/// The entry's cursor was not used since it gave it.
pub(super) unsafe fn copy(entry: &Entry) -> Row {
    // SAFETY: the caller's promise.
    unsafe {
        (
            entry.key.as_slice().to_vec(),
            entry.value.as_slice().to_vec(),
        )
    }
}

impl Drop for RawScan<'_> {
    fn drop(&mut self) {
        // SAFETY: opened by this instance, closed once, before the instance goes.
        unsafe { (self.backend.table.scan_close)(self.backend.live.instance(), self.cursor) }
    }
}

/// What a sink received.
struct Delivery {
    value: Option<Vec<u8>>,
    uses: u32,
    bytes_max: usize,
}

unsafe extern "C" fn put(ctx: *mut c_void, value: Bytes) -> Status {
    // SAFETY: ctx is the Delivery of the running call, the value is readable during it.
    let (delivery, value) = unsafe { (&mut *ctx.cast::<Delivery>(), value.as_slice()) };
    delivery.uses += 1;
    if value.len() > delivery.bytes_max {
        return Status::TOO_LARGE;
    }
    delivery.value = Some(value.to_vec());
    Status::OK
}

unsafe extern "C" fn reserve(ctx: *mut c_void, len: usize) -> *mut u8 {
    // SAFETY: ctx is the Delivery of the running call.
    let delivery = unsafe { &mut *ctx.cast::<Delivery>() };
    delivery.uses += 1;
    if len > delivery.bytes_max {
        return null_mut();
    }
    delivery.value.insert(vec![b'?'; len]).as_mut_ptr()
}
