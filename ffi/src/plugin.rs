//! Plugins: inspect a file, load it, list what is loaded.

use std::ffi::c_char;
use std::path::Path;

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine;
use crate::error::{Error, Failure};
use crate::guard::{guard, need};
use crate::input::{self, TEXT_BYTES_MAX};
use crate::manager::{Manager, manager};
use crate::report;

/// # Safety
/// As `input::bytes`.
unsafe fn path<'a>(ptr: *const c_char, len: usize) -> Result<&'a Path, Failure> {
    // SAFETY: the caller's promise.
    let path = unsafe { input::text(ptr, len, TEXT_BYTES_MAX, "path") }?;
    if path.is_empty() {
        return Err(Failure::invalid("path", "it is empty"));
    }
    Ok(Path::new(path))
}

/// Loads a plugin library after the checks of the configuration (owner, rights, `plugins.lock`);
/// it stays for the life of the process. `out`, which may be NULL, is what the plugin is, as JSON.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_plugin_load(
    manager: *const Manager,
    library: *const c_char,
    library_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        let manager = self::manager(manager)?;
        let lease = manager.whole("loading a plugin")?;
        // SAFETY: the header's contract for inputs.
        let path = unsafe { path(library, library_len) }?;
        let plugins = &lease.host().plugins;
        let info = plugins.load(path).map_err(engine::Error::from)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, engine::to_text(&info)?) };
        Ok(())
    })
}

/// Built-in and loaded plugins as a JSON array. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_plugin_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            Ok(manager.whole("a list of plugins")?.host().plugins.list())
        })
    })
}

/// What a plugin library says of itself in its ELF section, as JSON; none of its code runs.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_plugin_inspect_json(
    library: *const c_char,
    library_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        // SAFETY: the header's contract for inputs.
        let path = unsafe { path(library, library_len) }?;
        let manifest = engine::inspect(path).map_err(engine::Error::from)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, engine::to_text(&manifest)?) };
        Ok(())
    })
}
