//! `statekeep_buf`: bytes that the library gives to the caller.

use statekeep_plugin_api::Status;

use crate::guard::{Output, guard, put};

/// Bytes that the library allocated; give them back with `statekeep_buf_free`.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// First byte; NULL when there are none.
    pub ptr: *mut u8,
    /// Number of bytes.
    pub len: usize,
    /// For the library; leave it alone.
    pub cap: usize,
}

impl Output for Buf {
    const ZERO: Buf = Buf {
        ptr: std::ptr::null_mut(),
        len: 0,
        cap: 0,
    };
}

impl From<Vec<u8>> for Buf {
    fn from(bytes: Vec<u8>) -> Buf {
        if bytes.capacity() == 0 {
            return Buf::ZERO;
        }
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        Buf {
            ptr: bytes.as_mut_ptr(),
            len: bytes.len(),
            cap: bytes.capacity(),
        }
    }
}

/// Gives text or bytes to the caller, unless that left the output out.
///
/// # Safety
/// `out` is NULL or valid for one write.
pub(crate) unsafe fn give(out: *mut Buf, bytes: impl Into<Vec<u8>>) {
    // Nothing is made of them for nobody: what C never sees it cannot free.
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe { put(out, Buf::from(bytes.into())) };
    }
}

/// Frees the bytes of a buffer and zeroes it, so freeing it again does nothing; NULL is allowed.
/// INVALID_ARGUMENT when `len` exceeds `cap`, which no buffer of the library does. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_buf_free(buf: *mut Buf) -> Status {
    guard!(pure Status::INTERNAL, || {
        if buf.is_null() {
            return Status::OK;
        }
        // SAFETY: not NULL; by the header's contract it points to a buffer.
        let Buf { ptr, len, cap } = unsafe { buf.replace(Buf::ZERO) };
        if ptr.is_null() {
            return Status::OK;
        }
        if len > cap || cap > isize::MAX as usize {
            return Status::INVALID_ARGUMENT;
        }
        // SAFETY: by the header's contract the three words are those that `From<Vec<u8>>` wrote,
        // and the buffer was not freed before, since freeing zeroes it.
        drop(unsafe { Vec::from_raw_parts(ptr, len, cap) });
        Status::OK
    })
}
