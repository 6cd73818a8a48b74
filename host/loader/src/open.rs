//! Opens a checked library: a sealed copy of the very bytes that were hashed, once per process.
//!
//! A library is never closed: its thread-locals, vtables and threads point into it. Opened
//! libraries are kept by their SHA-256, so that the same bytes are one library however often and
//! from whatever path they are loaded. The descriptor of the sealed copy stays open too: the linker
//! knows a library by its name `/proc/self/fd/N`, and a second library under a number that was used
//! before would silently be the first one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags};

use crate::{LoadError, Result, trust};

/// glibc's flag: symbols of the library itself come before those of the program.
const RTLD_DEEPBIND: i32 = 8;

static OPENED: LazyLock<Mutex<HashMap<[u8; 32], &'static Opened>>> = LazyLock::new(Mutex::default);

/// A library in this process.
pub(crate) struct Opened {
    library: Library,
    _sealed: OwnedFd,
}

/// Opens the bytes as a library, or answers the one that was opened from the same bytes before.
///
/// The caller has checked the bytes: the library's constructors run here.
pub(crate) fn open(
    path: &Path,
    name: &str,
    bytes: &[u8],
    hash: [u8; 32],
    deepbind: bool,
) -> Result<&'static Opened> {
    // Held across dlopen: two threads must not open the same bytes twice.
    let mut opened = OPENED.lock();
    if let Some(library) = opened.get(&hash) {
        return Ok(library);
    }
    let sealed = seal(name, bytes)
        .map_err(|source| trust::file_error("make a sealed copy in memory of", path, source))?;
    let target = format!("/proc/self/fd/{}", sealed.as_raw_fd());
    let flags = RTLD_NOW | RTLD_LOCAL | if deepbind { RTLD_DEEPBIND } else { 0 };
    // SAFETY: the bytes passed the trust checks, so running their constructors is what the operator
    // allowed; the library is leaked, so its destructors do not run before the process ends.
    let library = unsafe { Library::open(Some(&target), flags) }.map_err(|error| {
        // The words are in the source; the outer error only says which function failed.
        let words = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        let reason = words.replace(&target, &path.display().to_string());
        LoadError::Open {
            path: path.to_owned(),
            reason,
        }
    })?;
    let library: &'static Opened = Box::leak(Box::new(Opened {
        library,
        _sealed: sealed,
    }));
    opened.insert(hash, library);
    Ok(library)
}

impl Opened {
    /// The address of a symbol; `None` when the library does not export it.
    pub fn symbol(&self, name: &str) -> Option<*const core::ffi::c_void> {
        // SAFETY: the address is only taken; what it is used as is decided by who asks.
        let symbol = unsafe { self.library.get::<*const core::ffi::c_void>(name) }.ok()?;
        let address = symbol.into_raw();
        (!address.is_null()).then_some(address.cast_const())
    }
}

/// A file in memory with this content, which nobody can change any more.
fn seal(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // EXEC is needed where vm.memfd_noexec is 1 and unknown before Linux 6.3.
    let memory =
        rustix::fs::memfd_create(name, base | MemfdFlags::EXEC).or_else(|errno| match errno {
            rustix::io::Errno::INVAL => rustix::fs::memfd_create(name, base),
            errno => Err(errno),
        })?;
    let mut file = File::from(memory);
    file.write_all(bytes)?;
    let memory = OwnedFd::from(file);
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&memory, seals)?;
    Ok(memory)
}
