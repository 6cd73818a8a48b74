//! A host as small as can be: a log that is kept, and an instance with its tables.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Mutex;

use statekeep_plugin_sdk::api::{self, *};

pub static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

unsafe extern "C" fn log(_: *mut c_void, level: u32, message: Bytes) {
    // SAFETY: the plugin's text lives through the call.
    let text = String::from_utf8_lossy(unsafe { message.as_slice() }).into_owned();
    LOG.lock().unwrap().push(format!("{level} {text}"));
}

static LOG_V1: LogV1 = LogV1 {
    struct_size: size_of::<LogV1>(),
    abi_hash: LogV1::ABI_HASH,
    log,
};

unsafe extern "C" fn get_service(_: *mut c_void, id: Bytes) -> *const c_void {
    // SAFETY: the plugin's id lives through the call.
    match unsafe { id.as_slice() } {
        id if id == LOG_V1_ID.as_bytes() => (&raw const LOG_V1).cast(),
        _ => null(),
    }
}

pub fn host() -> api::Host {
    api::Host {
        struct_size: size_of::<api::Host>(),
        epoch: EPOCH,
        revision: REVISION,
        ctx: null_mut(),
        get_service,
    }
}

/// Memory for an error's text.
pub struct Fault {
    memory: Vec<u8>,
    pub raw: ErrorOut,
}

impl Fault {
    pub fn new(cap: usize) -> Fault {
        let mut memory = vec![b'#'; cap];
        let raw = ErrorOut {
            status: Status(99),
            os_error: 99,
            message: OutBuf {
                ptr: memory.as_mut_ptr(),
                cap,
                len: 0,
            },
        };
        Fault { memory, raw }
    }
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.memory[..self.raw.message.len]).unwrap()
    }
}

pub fn create(config: &str) -> Result<Live, (Status, String)> {
    let descriptor = crate::plugin::descriptor();
    let mut fault = Fault::new(200);
    let mut instance = null_mut();
    let host = Box::new(host());
    // SAFETY: host, text and outputs outlive the call; the host outlives the instance.
    let status = unsafe {
        (descriptor.create)(
            &raw const *host,
            Bytes::new(config.as_bytes()),
            &mut instance,
            &mut fault.raw,
        )
    };
    if status != Status::OK {
        assert!(instance.is_null(), "out was written by a failed create");
        assert_eq!(fault.raw.status, status);
        return Err((status, fault.text().to_owned()));
    }
    Ok(Live {
        instance,
        _host: host,
    })
}

pub struct Live {
    pub instance: *mut Instance,
    _host: Box<api::Host>,
}

impl Live {
    pub fn new(panic_in: &str) -> Live {
        create(&format!(r#"{{"options": {{"panic_in": "{panic_in}"}}}}"#))
            .unwrap_or_else(|_| panic!())
    }
    pub fn table<T: Interface>(&self) -> &'static T {
        // SAFETY: the plugin offers every kind; the table is static and of this type.
        unsafe {
            let table = (crate::plugin::descriptor().get_interface)(Bytes::new(T::ID.as_bytes()));
            table.cast::<T>().as_ref().unwrap()
        }
    }
    pub fn backend(&self) -> &'static BackendV1 {
        self.table()
    }
    pub fn codec(&self) -> &'static CompressionV1 {
        self.table()
    }
    pub fn put(&self, key: &[u8], value: &[u8]) -> Status {
        let op = Op {
            kind: OP_PUT,
            space: 0,
            key: Bytes::new(key),
            value: Bytes::new(value),
        };
        self.commit(&[op], |_| {}).0
    }
    pub fn commit(&self, ops: &[Op], change: impl FnOnce(&mut Commit)) -> (Status, CommitOutcome) {
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
        let mut out = CommitOutcome {
            sequence: 99,
            conflict_index: 99,
        };
        // SAFETY: everything outlives the call.
        let status =
            unsafe { (self.backend().commit)(self.instance, &commit, &mut out, null_mut()) };
        (status, out)
    }
    pub fn get(&self, key: &[u8]) -> (Status, Option<Vec<u8>>, String) {
        let mut got = Got::default();
        let sink = Sink {
            ctx: (&raw mut got).cast(),
            put: sink_put,
            reserve: sink_reserve,
        };
        let mut fault = Fault::new(200);
        // SAFETY: everything outlives the call.
        let status = unsafe {
            (self.backend().get)(self.instance, 0, Bytes::new(key), &sink, &mut fault.raw)
        };
        (status, got.0, fault.text().to_owned())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // SAFETY: made by create, ended once.
        unsafe { (crate::plugin::descriptor().destroy)(self.instance) }
    }
}

#[derive(Default)]
struct Got(Option<Vec<u8>>);

unsafe extern "C" fn sink_put(ctx: *mut c_void, value: Bytes) -> Status {
    // SAFETY: ctx is the Got of the running call.
    let (got, value) = unsafe { (&mut *ctx.cast::<Got>(), value.as_slice()) };
    got.0 = Some(value.to_vec());
    Status::OK
}

unsafe extern "C" fn sink_reserve(ctx: *mut c_void, len: usize) -> *mut u8 {
    if len > 1000 {
        return null_mut();
    }
    // SAFETY: ctx is the Got of the running call.
    let got = unsafe { &mut *ctx.cast::<Got>() };
    got.0.insert(vec![0; len]).as_mut_ptr()
}
