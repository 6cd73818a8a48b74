//! What the host offers to plugins: services, asked for by id as interfaces are.

use core::ffi::c_void;

use abi_stable::StableAbi;

use crate::{Bytes, Interface};

/// The host as an instance sees it; valid until its `destroy` has returned.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Host {
    /// `sizeof` of this struct as the host was built.
    pub struct_size: usize,
    /// ABI epoch of the host.
    pub epoch: u32,
    /// ABI revision of the host.
    pub revision: u32,
    /// Passed back to every function of the host and of its services.
    pub ctx: *mut c_void,
    /// `[any-thread]` The table of a service, such as `statekeep.host.log/1`; NULL when absent.
    pub get_service: unsafe extern "C" fn(ctx: *mut c_void, id: Bytes) -> *const c_void,
}

/// `statekeep.host.log/1`: log lines go to the host's log under the plugin's id.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct LogV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` `level`: 1 error, 2 warn, 3 info, 4 debug, 5 trace; text is UTF-8.
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, message: Bytes),
}

/// `statekeep.host.metrics/1`: named figures, shown with the host's own under the plugin's id.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct MetricsV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` Adds to a counter. Names: `a-z 0-9 _`, 1-64 bytes; others are ignored.
    pub counter_add: unsafe extern "C" fn(ctx: *mut c_void, name: Bytes, delta: u64),
    /// `[any-thread]` Sets a gauge.
    pub gauge_set: unsafe extern "C" fn(ctx: *mut c_void, name: Bytes, value: f64),
}

/// `statekeep.host.clock/1`: the host's clock, which tests can steer.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct ClockV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` Milliseconds since 1970-01-01 UTC.
    pub now_unix_ms: unsafe extern "C" fn(ctx: *mut c_void) -> i64,
    /// `[any-thread]` Nanoseconds of a clock that never goes back.
    pub monotonic_ns: unsafe extern "C" fn(ctx: *mut c_void) -> u64,
}

// SAFETY: repr(C), two leading words, then non-NULL function pointers only.
unsafe impl Interface for LogV1 {
    const ID: &'static str = crate::LOG_V1_ID;
    const ABI_HASH: u64 = 0x132a_0a54_81ee_863e;
}
// SAFETY: as above.
unsafe impl Interface for MetricsV1 {
    const ID: &'static str = crate::METRICS_V1_ID;
    const ABI_HASH: u64 = 0x7b17_0a48_f82a_757a;
}
// SAFETY: as above.
unsafe impl Interface for ClockV1 {
    const ID: &'static str = crate::CLOCK_V1_ID;
    const ABI_HASH: u64 = 0x6aec_0301_8790_c896;
}
