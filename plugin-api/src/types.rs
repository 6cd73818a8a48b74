//! The few types that every function shares: bytes in, buffers out, errors, sinks.
//!
//! Nobody frees the other's memory: inputs are valid for the call, outputs go into memory that the
//! caller owns or through a sink that copies.

use core::ffi::c_void;

use abi_stable::StableAbi;

use crate::Status;

/// Borrowed bytes, valid for the call. `ptr` may be NULL when `len` is 0.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Bytes {
    /// First byte.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Bytes = Bytes {
        ptr: core::ptr::null(),
        len: 0,
    };

    /// Borrows a slice; the caller keeps it alive for as long as the receiver may read it.
    pub const fn new(bytes: &[u8]) -> Bytes {
        Bytes {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// The bytes as a slice; NULL with length 0 is the empty slice.
    ///
    /// # Safety
    /// `ptr` must be valid for reads of `len` bytes for the lifetime chosen by the caller.
    pub unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.len == 0 || self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the caller promises that ptr is readable for len bytes, and it is not NULL.
        unsafe { core::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// Memory of the caller that the callee fills: at most `cap` bytes, and `len` says how many.
///
/// When the bytes do not fit, the callee sets `len` to the size that is needed, or to 0 when it does
/// not know it, and answers `BUFFER_TOO_SMALL`; what the memory holds is then of no meaning, and
/// nothing beyond `cap` was touched. Error texts and reasons are cut at `cap` instead.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct OutBuf {
    /// First byte; may be NULL when `cap` is 0.
    pub ptr: *mut u8,
    /// Bytes that may be written.
    pub cap: usize,
    /// Bytes that were written, or that are needed.
    pub len: usize,
}

/// Where a callee says what went wrong; owned by the caller, passed by pointer, NULL allowed.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct ErrorOut {
    /// The same status that the function returns.
    pub status: Status,
    /// The errno or engine code behind it, 0 when there is none.
    pub os_error: i32,
    /// UTF-8 text: what happened, to what, and what to do next; cut at the capacity.
    pub message: OutBuf,
}

/// Where a backend delivers one value: exactly one of the two functions, once, before `get` returns.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Sink {
    /// Passed back to both functions.
    pub ctx: *mut c_void,
    /// Copies the bytes; a status other than OK must be returned from `get` unchanged.
    pub put: unsafe extern "C" fn(ctx: *mut c_void, value: Bytes) -> Status,
    /// Memory of exactly `len` bytes for the backend to write the value into before it returns
    /// from `get`; NULL when the host refuses the size: answer TOO_LARGE then. An empty value goes
    /// through `put`.
    pub reserve: unsafe extern "C" fn(ctx: *mut c_void, len: usize) -> *mut u8,
}

/// An opaque instance, made by `create` and ended by `destroy`.
#[repr(C)]
#[derive(StableAbi)]
pub struct Instance {
    _opaque: [u8; 0],
}

/// An opaque cursor over a scan.
#[repr(C)]
#[derive(StableAbi)]
pub struct Cursor {
    _opaque: [u8; 0],
}
