//! A host as small as can be: it keeps log lines and counters, and its clock stands still.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null;
use std::sync::{Mutex, MutexGuard, PoisonError};

use statekeep_plugin_api::{
    Bytes, CLOCK_V1_ID, ClockV1, EPOCH, Host, Interface, LOG_V1_ID, LogV1, METRICS_V1_ID,
    MetricsV1, REVISION,
};

/// The time that the host's clock shows, milliseconds since 1970-01-01 UTC.
pub const NOW_UNIX_MS: i64 = 1_700_000_000_000;

/// What a plugin told its host.
#[derive(Debug, Default)]
pub struct TestHost {
    log: Mutex<Vec<(u32, String)>>,
    counters: Mutex<BTreeMap<String, u64>>,
}

impl TestHost {
    /// Level and text of each log line so far.
    pub fn log(&self) -> Vec<(u32, String)> {
        lock(&self.log).clone()
    }

    /// The counters so far.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        lock(&self.counters).clone()
    }

    /// The table to hand to a plugin; `self` must outlive the instance and not move.
    pub(crate) fn table(&self) -> Host {
        Host {
            struct_size: size_of::<Host>(),
            epoch: EPOCH,
            revision: REVISION,
            ctx: (&raw const *self).cast_mut().cast(),
            get_service,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `bytes` is readable.
unsafe fn text(bytes: Bytes) -> String {
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { bytes.as_slice() }).into_owned()
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: Bytes) {
    // SAFETY: ctx is the TestHost that outlives the instance; the plugin's text lives through the
    // call.
    unsafe { lock(&(*ctx.cast::<TestHost>()).log).push((level, text(message))) }
}

unsafe extern "C" fn counter_add(ctx: *mut c_void, name: Bytes, delta: u64) {
    // SAFETY: as in `log`.
    unsafe {
        let mut counters = lock(&(*ctx.cast::<TestHost>()).counters);
        *counters.entry(text(name)).or_default() += delta;
    }
}

unsafe extern "C" fn gauge_set(_: *mut c_void, _: Bytes, _: f64) {}

unsafe extern "C" fn now_unix_ms(_: *mut c_void) -> i64 {
    NOW_UNIX_MS
}

unsafe extern "C" fn monotonic_ns(_: *mut c_void) -> u64 {
    0
}

static LOG: LogV1 = LogV1 {
    struct_size: size_of::<LogV1>(),
    abi_hash: LogV1::ABI_HASH,
    log,
};
static METRICS: MetricsV1 = MetricsV1 {
    struct_size: size_of::<MetricsV1>(),
    abi_hash: MetricsV1::ABI_HASH,
    counter_add,
    gauge_set,
};
static CLOCK: ClockV1 = ClockV1 {
    struct_size: size_of::<ClockV1>(),
    abi_hash: ClockV1::ABI_HASH,
    now_unix_ms,
    monotonic_ns,
};

unsafe extern "C" fn get_service(_: *mut c_void, id: Bytes) -> *const c_void {
    // SAFETY: the plugin's id lives through the call.
    match std::str::from_utf8(unsafe { id.as_slice() }) {
        Ok(LOG_V1_ID) => (&raw const LOG).cast(),
        Ok(METRICS_V1_ID) => (&raw const METRICS).cast(),
        Ok(CLOCK_V1_ID) => (&raw const CLOCK).cast(),
        _ => null(),
    }
}
