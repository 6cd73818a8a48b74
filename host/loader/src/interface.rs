//! Checks the table of an interface before a reference to it is made.
//!
//! The Rust door comes first, since it can say which field differs; size and fingerprint hold for
//! both doors. Every word after the two leading ones is a function and must not be NULL.

use std::mem::{align_of, size_of};

use statekeep_plugin_api::door::InterfaceLayout;
use statekeep_plugin_api::{Bytes, Descriptor, Interface, layout};

use crate::{LoadError, Result};

/// The two words that every table starts with.
const HEAD_BYTES: usize = 16;

/// Asks for a table and checks it; `None` when the plugin does not offer the interface.
///
/// # Safety
/// The descriptor was checked; `rows` are those of its Rust door, if it has one.
pub(crate) unsafe fn table<T: Interface>(
    plugin: &str,
    descriptor: &Descriptor,
    rows: Option<&'static [InterfaceLayout]>,
) -> Result<Option<&'static T>> {
    // SAFETY: get_interface is not NULL, and the id outlives the call.
    let address = unsafe { (descriptor.get_interface)(Bytes::new(T::ID.as_bytes())) };
    if address.is_null() {
        return Ok(None);
    }
    let (plugin, interface) = (plugin.to_owned(), T::ID.to_owned());
    if let Some(rows) = rows {
        let Some(row) = rows.iter().find(|row| row.id.as_str() == T::ID) else {
            return Err(LoadError::NoLayout { plugin, interface });
        };
        if let Err(mismatch) = layout::compare::<T>(row.layout) {
            let difference = mismatch.difference;
            return Err(LoadError::Layout {
                plugin,
                interface,
                difference,
            });
        }
    }
    let bad = |reason: String| {
        Err(LoadError::BadTable {
            plugin: plugin.clone(),
            interface: interface.clone(),
            reason,
        })
    };
    if address.addr() % align_of::<T>() != 0 {
        return bad(format!("its address {:#x} is misaligned", address.addr()));
    }
    // SAFETY: every table starts with these two words, and the address is aligned and not NULL.
    let (struct_size, abi_hash) = unsafe {
        (
            address.cast::<usize>().read(),
            address.byte_add(8).cast::<u64>().read(),
        )
    };
    if struct_size != size_of::<T>() {
        return bad(format!(
            "it says {struct_size} bytes, expected {}",
            size_of::<T>()
        ));
    }
    if abi_hash != T::ABI_HASH {
        let (found, expected) = (abi_hash, T::ABI_HASH);
        return Err(LoadError::Fingerprint {
            plugin,
            interface,
            found,
            expected,
        });
    }
    for index in 0..T::FUNCTIONS {
        // SAFETY: size and fingerprint are ours, so the table has this many words after its head.
        let word = unsafe {
            address
                .byte_add(HEAD_BYTES)
                .cast::<usize>()
                .add(index)
                .read()
        };
        if word == 0 {
            return bad(format!(
                "function {} of {} is NULL",
                index + 1,
                T::FUNCTIONS
            ));
        }
    }
    // SAFETY: size and fingerprint are ours, no function is NULL, tables are static data.
    Ok(Some(unsafe { &*address.cast::<T>() }))
}

/// Checks the table of any interface that this host knows; true when the plugin offers it.
///
/// # Safety
/// As [`table`].
pub(crate) unsafe fn check(
    id: &str,
    plugin: &str,
    descriptor: &Descriptor,
    rows: Option<&'static [InterfaceLayout]>,
) -> Result<bool> {
    use statekeep_plugin_api::{BackendV1, CompressionV1, HookV1, RetentionV1};
    // SAFETY: passed on from the caller.
    unsafe {
        Ok(match id {
            BackendV1::ID => table::<BackendV1>(plugin, descriptor, rows)?.is_some(),
            CompressionV1::ID => table::<CompressionV1>(plugin, descriptor, rows)?.is_some(),
            RetentionV1::ID => table::<RetentionV1>(plugin, descriptor, rows)?.is_some(),
            HookV1::ID => table::<HookV1>(plugin, descriptor, rows)?.is_some(),
            other => !(descriptor.get_interface)(Bytes::new(other.as_bytes())).is_null(),
        })
    }
}
