//! A scan of a backend plugin as the core's [`Cursor`].
//!
//! Rows are asked for in batches and handed on as they lie in the plugin's memory. The host's
//! snapshots and backups rest on their order, so it is checked: one comparison a row.

use statekeep_core::{Cursor, Error, KeyRange, Space};
use statekeep_plugin_api::{self as abi, Bytes, Entry, ScanRange};

use crate::backend::{PluginBackend, ROW_BYTES_MAX, ok};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Most rows that are asked for in one call.
const SCAN_ROWS_MAX: usize = 64;

/// An entry that no plugin delivers, so that one which was not written is noticed.
const NO_ENTRY: Entry = Entry {
    key: Bytes {
        ptr: core::ptr::null(),
        len: usize::MAX,
    },
    value: Bytes {
        ptr: core::ptr::null(),
        len: usize::MAX,
    },
};

/// An open cursor of a plugin.
pub(crate) struct PluginCursor<'a> {
    backend: &'a PluginBackend,
    raw: *mut abi::Cursor,
    order: Order,
    entries: [Entry; SCAN_ROWS_MAX],
    is_done: bool,
}

// SAFETY: a cursor is [one-thread-at-a-time], which `&mut self` keeps; its entries are read within
// the call that filled them.
unsafe impl Send for PluginCursor<'_> {}

impl<'a> PluginCursor<'a> {
    /// Opens a cursor over a range.
    pub fn open(
        backend: &'a PluginBackend,
        space: Space,
        range: KeyRange<'_>,
    ) -> Result<PluginCursor<'a>> {
        let mut flags = 0;
        if range.reverse {
            flags |= abi::SCAN_REVERSE;
        }
        if range.hi.is_none() {
            flags |= abi::SCAN_UNBOUNDED;
        }
        let (lo, hi) = (
            Bytes::new(range.lo),
            range.hi.map_or(Bytes::EMPTY, Bytes::new),
        );
        let scan = ScanRange {
            space: space as u32,
            flags,
            lo,
            hi,
        };
        let mut raw_cursor: *mut abi::Cursor = core::ptr::null_mut();
        ok(
            &backend.instance,
            "scan_open",
            range.lo.len(),
            |raw, err| {
                // SAFETY: the table and the instance belong together; the range and its keys live for
                // the call, `raw_cursor` and `err` are ours.
                unsafe { (backend.table.scan_open)(raw, &raw const scan, &raw mut raw_cursor, err) }
            },
        )
        .map_err(|failure| failure.error)?;
        if raw_cursor.is_null() {
            let how = "answered OK and opened no cursor";
            return Err(backend.instance.misbehaved("scan_open", how));
        }
        Ok(PluginCursor {
            backend,
            raw: raw_cursor,
            order: Order {
                lo: range.lo.to_vec(),
                hi: range.hi.map(<[u8]>::to_vec),
                is_reverse: range.reverse,
                before: Vec::new(),
            },
            entries: [NO_ENTRY; SCAN_ROWS_MAX],
            is_done: false,
        })
    }
}

impl Cursor for PluginCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        if self.is_done {
            return Ok(0);
        }
        // Whatever happens below, only a good batch makes the cursor usable again.
        self.is_done = true;
        let cap = rows_max.clamp(1, SCAN_ROWS_MAX);
        self.entries[..cap].fill(NO_ENTRY);
        let mut n = 0usize;
        let (instance, table) = (&self.backend.instance, self.backend.table);
        ok(instance, "scan_next", 0, |raw, err| {
            let entries = self.entries.as_mut_ptr();
            // SAFETY: the cursor is open and used by this thread alone; there is room for `cap`
            // entries, and `n` and `err` are ours.
            unsafe { (table.scan_next)(raw, self.raw, entries, cap, &raw mut n, err) }
        })
        .map_err(|failure| failure.error)?;
        let bad = |how: &str| Err(instance.misbehaved("scan_next", how));
        if n > cap {
            return bad(&format!("delivered {n} rows where {cap} were asked for"));
        }
        let mut last: Option<&[u8]> = None;
        for entry in &self.entries[..n] {
            if let Some(fault) = fault(entry) {
                return bad(fault);
            }
            // SAFETY: the entry was written by this call, is not NULL, and borrows from the cursor,
            // which is not called before the next batch.
            let (key, value) = unsafe { (entry.key.as_slice(), entry.value.as_slice()) };
            if let Some(fault) = self.order.fault(last, key) {
                return bad(fault);
            }
            last = Some(key);
            visit(key, value);
        }
        if let Some(fault) = last.and_then(|key| self.order.end_batch(key)) {
            return bad(fault);
        }
        self.is_done = n == 0;
        Ok(n)
    }
}

impl Drop for PluginCursor<'_> {
    fn drop(&mut self) {
        let raw = self.backend.instance.as_ptr();
        // SAFETY: the cursor came from `scan_open` of this instance and is ended once, before it.
        unsafe { (self.backend.table.scan_close)(raw, self.raw) }
    }
}

fn fault(entry: &Entry) -> Option<&'static str> {
    if entry.key.ptr.is_null() || entry.key.len == 0 {
        Some("delivered a row without a key")
    } else if entry.value.ptr.is_null() && entry.value.len > 0 {
        Some("delivered NULL with a length as a value")
    } else if entry.key.len > ROW_BYTES_MAX || entry.value.len > ROW_BYTES_MAX {
        Some("delivered a row that is larger than any row")
    } else {
        None
    }
}

/// Checks that a scan stays in its range and in order: the host's snapshots and backups rest on it.
struct Order {
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
    is_reverse: bool,
    /// The last key of the batch before; empty, which no key is, before the first.
    before: Vec<u8>,
}

impl Order {
    /// Checks a key against the one before it in its batch.
    fn fault(&self, last: Option<&[u8]>, key: &[u8]) -> Option<&'static str> {
        let last = match last {
            Some(last) => last,
            None if !self.is_inside(key) => return Some("delivered a row outside the range"),
            None if self.before.is_empty() => return None,
            None => &self.before[..],
        };
        let in_order = if self.is_reverse {
            key < last
        } else {
            key > last
        };
        (!in_order).then_some("delivered rows out of order")
    }

    /// Remembers the last key of a batch; between its edges, order keeps the keys in the range.
    fn end_batch(&mut self, key: &[u8]) -> Option<&'static str> {
        self.before.clear();
        self.before.extend_from_slice(key);
        (!self.is_inside(key)).then_some("delivered a row outside the range")
    }

    fn is_inside(&self, key: &[u8]) -> bool {
        key >= &self.lo[..] && self.hi.as_ref().is_none_or(|hi| key < &hi[..])
    }
}
