//! The entry point of a plugin library and the descriptor that it returns.

use abi_stable::StableAbi;

use crate::{Bytes, ErrorOut, Host, Instance, Status};

/// The symbol that every plugin library exports; its type is [`EntryFn`].
pub const ENTRY_SYMBOL: &str = "statekeep_plugin_entry_1";
/// First word of a descriptor: `SKPLUGIN` in ASCII, read as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"SKPLUGIN");
/// ABI epoch: the shape of descriptor, host table and shared types. Other epochs are refused.
pub const EPOCH: u32 = 1;
/// ABI revision: which interfaces existed when the plugin was built; informative.
pub const REVISION: u32 = 0;

/// Returns the library's descriptor, static for the life of the process. `[any-thread]`
pub type EntryFn = unsafe extern "C" fn() -> *const Descriptor;

/// What a plugin is and how to make instances of it.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: u64,
    /// `sizeof` of this struct as the plugin was built.
    pub struct_size: usize,
    /// [`EPOCH`].
    pub epoch: u32,
    /// [`REVISION`].
    pub revision: u32,
    /// `statekeep.NAME` or reverse-DNS; 1-128 bytes of `a-z 0-9 . - _`.
    pub id: Bytes,
    /// Semantic version of the plugin.
    pub version: Bytes,
    /// SPDX licence expression.
    pub license: Bytes,
    /// One line for people.
    pub description: Bytes,
    /// `[any-thread]` Makes an instance from one JSON document (`docs/abi.md` lists the keys the
    /// host sets). On failure nothing is left behind and `out` is not written. `host` lives until
    /// `destroy` has returned.
    pub create: unsafe extern "C" fn(
        host: *const Host,
        config_json: Bytes,
        out: *mut *mut Instance,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[any-thread]` Ends an instance, once; no call is running and none follows. Threads and
    /// runtimes of the instance have stopped when it returns.
    pub destroy: unsafe extern "C" fn(instance: *mut Instance),
    /// `[any-thread]` The table of an interface, static; NULL when the plugin does not offer it.
    pub get_interface: unsafe extern "C" fn(id: Bytes) -> *const core::ffi::c_void,
}

// SAFETY: a descriptor is immutable static data; its pointers refer to static data too.
unsafe impl Sync for Descriptor {}
// SAFETY: as above; it owns nothing.
unsafe impl Send for Descriptor {}
