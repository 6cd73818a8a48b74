//! `statekeep_status`: names of the numbers and whether to try again.

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use statekeep_plugin_api::Status;
use statekeep_plugin_api::status::TABLE;

use crate::guard::{guard, put};

/// The name of a status, such as `NOT_FOUND`; `UNKNOWN` for a number that this build does not know.
/// Static; it ends with a NUL byte, and its length goes to `out_len` unless that is NULL.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_status_name(
    status: Status,
    out_len: *mut usize,
) -> *const c_char {
    guard!(pure c"UNKNOWN".as_ptr(), || {
        let name = name_of(status);
        // SAFETY: by the header's contract NULL or valid for one write.
        unsafe { put(out_len, name.count_bytes()) };
        name.as_ptr()
    })
}

/// 1 when the same call can succeed when it is made again, such as after CONFLICT or BUSY; else 0.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_status_is_retryable(status: Status) -> i32 {
    guard!(pure 0, || i32::from(status.is_retryable()))
}

/// The table's names with a NUL byte each, made once.
fn name_of(status: Status) -> &'static CStr {
    static NAMES: OnceLock<Vec<(i32, std::ffi::CString)>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let rows = TABLE.iter();
        rows.filter_map(|row| Some((row.value, std::ffi::CString::new(row.name).ok()?)))
            .collect()
    });
    let found = names.iter().find(|(value, _)| *value == status.0);
    found.map_or(c"UNKNOWN", |(_, name)| name.as_c_str())
}
