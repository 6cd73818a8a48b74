//! A backend through its raw table: what the host pays, and nothing of the host.

use std::ffi::c_void;
use std::path::Path;
use std::ptr;

use statekeep_plugin_api::{
    BACKEND_V1_ID, BackendV1, Bytes, Commit, Cursor, Descriptor, EPOCH, Entry, ErrorOut, Host,
    Instance, OP_PUT, Op, OutBuf, REVISION, SCAN_UNBOUNDED, ScanRange, Sink, Status,
};

/// Rows that one `scan_next` asks for, as the host does.
const SCAN_ROWS: usize = 64;

/// An open instance; every call panics on an error, since figures of a failed call mean nothing.
pub struct Backend {
    descriptor: &'static Descriptor,
    table: &'static BackendV1,
    instance: *mut Instance,
    _host: Box<Host>,
}

unsafe extern "C" fn no_service(_: *mut c_void, _: Bytes) -> *const c_void {
    ptr::null()
}

impl Backend {
    /// Opens the plugin in an existing directory with its default options.
    pub fn open(descriptor: &'static Descriptor, directory: &Path) -> Backend {
        let host = Box::new(Host {
            struct_size: size_of::<Host>(),
            epoch: EPOCH,
            revision: REVISION,
            ctx: ptr::null_mut(),
            get_service: no_service,
        });
        let config = serde_json::json!({ "directory": directory, "options": {} }).to_string();
        let mut instance = ptr::null_mut();
        let text = Bytes::new(config.as_bytes());
        checked("create", |err| {
            // SAFETY: host, text and out are valid; the host outlives the instance.
            unsafe { (descriptor.create)(&*host, text, &mut instance, err) }
        });
        // SAFETY: the id is readable; a backend's table is static.
        let table = unsafe {
            let id = Bytes::new(BACKEND_V1_ID.as_bytes());
            (descriptor.get_interface)(id).cast::<BackendV1>().as_ref()
        };
        Backend {
            descriptor,
            table: table.expect("the plugin is a backend"),
            instance,
            _host: host,
        }
    }

    /// One commit of rows `(space, key, value)`.
    pub fn commit(&self, rows: &[(u32, &[u8], &[u8])], durability: u32) {
        let ops: Vec<Op> = rows
            .iter()
            .map(|(space, key, value)| Op {
                kind: OP_PUT,
                space: *space,
                key: Bytes::new(key),
                value: Bytes::new(value),
            })
            .collect();
        let commit = Commit {
            ops: ops.as_ptr(),
            ops_len: ops.len(),
            preconditions: ptr::null(),
            preconditions_len: 0,
            durability,
            flags: 0,
            token: Bytes::EMPTY,
        };
        checked("commit", |err| {
            // SAFETY: the commit and all it points to live through the call.
            unsafe { (self.table.commit)(self.instance, &commit, ptr::null_mut(), err) }
        });
    }

    /// Copies a row's value to `out`, which must be long enough, and answers its length.
    pub fn get(&self, space: u32, key: &[u8], out: &mut Vec<u8>) -> usize {
        unsafe extern "C" fn put(ctx: *mut c_void, value: Bytes) -> Status {
            // SAFETY: ctx is the vector below, the value is readable for the call.
            unsafe {
                let out = &mut *ctx.cast::<Vec<u8>>();
                out.clear();
                out.extend_from_slice(value.as_slice());
            }
            Status::OK
        }
        unsafe extern "C" fn reserve(ctx: *mut c_void, len: usize) -> *mut u8 {
            // SAFETY: ctx is the vector below.
            let out = unsafe { &mut *ctx.cast::<Vec<u8>>() };
            out.resize(len, 0);
            out.as_mut_ptr()
        }
        let sink = Sink {
            ctx: ptr::from_mut(out).cast(),
            put,
            reserve,
        };
        checked("get", |err| {
            // SAFETY: key and sink live through the call.
            unsafe { (self.table.get)(self.instance, space, Bytes::new(key), &sink, err) }
        });
        out.len()
    }

    /// Reads a whole space and answers rows and bytes.
    pub fn scan(&self, space: u32) -> (u64, u64) {
        let range = ScanRange {
            space,
            flags: SCAN_UNBOUNDED,
            lo: Bytes::EMPTY,
            hi: Bytes::EMPTY,
        };
        let mut cursor: *mut Cursor = ptr::null_mut();
        checked("scan", |err| {
            // SAFETY: range and out live through the call.
            unsafe { (self.table.scan_open)(self.instance, &range, &mut cursor, err) }
        });
        let empty = Entry {
            key: Bytes::EMPTY,
            value: Bytes::EMPTY,
        };
        let mut entries = [empty; SCAN_ROWS];
        let (mut rows, mut bytes) = (0, 0);
        loop {
            let mut n = 0;
            checked("scan", |err| {
                // SAFETY: the cursor is open and used by this thread only.
                unsafe {
                    (self.table.scan_next)(
                        self.instance,
                        cursor,
                        entries.as_mut_ptr(),
                        SCAN_ROWS,
                        &mut n,
                        err,
                    )
                }
            });
            if n == 0 {
                break;
            }
            rows += n as u64;
            bytes += entries[..n]
                .iter()
                .map(|entry| (entry.key.len + entry.value.len) as u64)
                .sum::<u64>();
        }
        // SAFETY: the cursor is open and not used after this.
        unsafe { (self.table.scan_close)(self.instance, cursor) };
        (rows, bytes)
    }

    /// Brings everything to stable storage.
    pub fn flush(&self) {
        // SAFETY: the instance is alive.
        checked("flush", |err| unsafe {
            (self.table.flush)(self.instance, err)
        });
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // SAFETY: no call is running and none follows.
        unsafe { (self.descriptor.destroy)(self.instance) };
    }
}

fn checked(what: &str, call: impl FnOnce(*mut ErrorOut) -> Status) {
    let mut text = [0u8; 512];
    let mut err = ErrorOut {
        status: Status::OK,
        os_error: 0,
        message: OutBuf {
            ptr: text.as_mut_ptr(),
            cap: text.len(),
            len: 0,
        },
    };
    let status = call(&mut err);
    let text = String::from_utf8_lossy(&text[..err.message.len.min(text.len())]);
    assert!(status.is_ok(), "{what}: {} {text}", status.name());
}
