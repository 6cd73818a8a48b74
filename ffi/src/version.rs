//! The library's version, for comparison with the header's.

use std::ffi::c_char;

use crate::guard::guard;

/// Version of the C ABI: major in the upper, minor in the lower 16 bits. A program runs with a
/// library of the same major and at least its minor number.
pub const ABI_VERSION: u32 = 1;

const VERSION: &std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes(),
) {
    Ok(version) => version,
    Err(_) => c"unknown",
};

/// The library's version, such as `0.1.0`; static and NUL-ended. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_version() -> *const c_char {
    guard!(pure VERSION.as_ptr(), || VERSION.as_ptr())
}

/// The library's `STATEKEEP_ABI_VERSION`; compare it with the header's at start. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_abi_version() -> u32 {
    guard!(pure ABI_VERSION, || ABI_VERSION)
}
