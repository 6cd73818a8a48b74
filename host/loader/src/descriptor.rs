//! Checks a descriptor by raw reads before any reference to it is made.
//!
//! What the entry point returns may be anything: NULL, other data, a struct of another epoch. Magic,
//! size and epoch stand at the same place in every epoch; only after they fit is the rest read.

use std::mem::{offset_of, size_of};

use statekeep_plugin_api::{Bytes, Descriptor, EPOCH, MAGIC};

use crate::{LoadError, Result, names};

/// Longest version, licence or description.
const TEXT_BYTES_MAX: usize = 1024;
/// The words that every epoch has: magic, size, epoch.
const HEAD_BYTES: usize = 24;

/// The texts of a checked descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub id: String,
    pub version: String,
    pub license: String,
    pub description: String,
}

/// Checks the descriptor and reads its texts.
///
/// # Safety
/// `address` is what an entry point returned: NULL, or the address of static data of at least
/// `HEAD_BYTES` bytes, and of as many bytes as it says if magic and epoch fit.
pub(crate) unsafe fn check(
    plugin: &str,
    address: *const Descriptor,
) -> Result<(&'static Descriptor, Identity)> {
    let plugin = || plugin.to_owned();
    if address.is_null() || !address.is_aligned() {
        return Err(LoadError::NoDescriptor {
            plugin: plugin(),
            address: address.addr(),
        });
    }
    let base = address.cast::<u8>();
    // SAFETY: the caller promises HEAD_BYTES readable bytes; the three fields lie within them, and
    // plain numbers have no invalid bit patterns.
    let (magic, struct_size, epoch) = unsafe {
        (
            base.add(offset_of!(Descriptor, magic)).cast::<u64>().read(),
            base.add(offset_of!(Descriptor, struct_size))
                .cast::<usize>()
                .read(),
            base.add(offset_of!(Descriptor, epoch)).cast::<u32>().read(),
        )
    };
    if magic != MAGIC {
        return Err(LoadError::WrongMagic {
            plugin: plugin(),
            found: magic,
            expected: MAGIC,
        });
    }
    let expected = size_of::<Descriptor>();
    let wrong_size = LoadError::DescriptorSize {
        plugin: plugin(),
        found: struct_size,
        expected,
    };
    if struct_size < HEAD_BYTES {
        return Err(wrong_size);
    }
    if epoch != EPOCH {
        return Err(LoadError::WrongEpoch {
            plugin: plugin(),
            found: epoch,
            ours: EPOCH,
        });
    }
    if struct_size != expected {
        return Err(wrong_size);
    }
    for (name, offset) in [
        ("create", offset_of!(Descriptor, create)),
        ("destroy", offset_of!(Descriptor, destroy)),
        ("get_interface", offset_of!(Descriptor, get_interface)),
    ] {
        // SAFETY: the descriptor says that it has its full size; the field is read as a number.
        if unsafe { base.add(offset).cast::<usize>().read() } == 0 {
            let reason = format!("the function `{name}` is NULL");
            return Err(LoadError::BadDescriptor {
                plugin: plugin(),
                reason,
            });
        }
    }
    // SAFETY: size and epoch are ours, the function pointers are not NULL, and the entry point's
    // contract makes it static data.
    let descriptor: &'static Descriptor = unsafe { &*address };
    let identity = identity(descriptor).map_err(|reason| LoadError::BadDescriptor {
        plugin: plugin(),
        reason,
    })?;
    Ok((descriptor, identity))
}

fn identity(descriptor: &Descriptor) -> Result<Identity, String> {
    let id = text("id", descriptor.id)?;
    let version = text("version", descriptor.version)?;
    if !names::is_id(&id) {
        return Err(format!(
            "`{id}` is no plugin id; use reverse-DNS in a-z 0-9 . - _"
        ));
    }
    if !names::is_version(&version) {
        return Err(format!("`{version}` is no semantic version such as 1.0.0"));
    }
    Ok(Identity {
        id,
        version,
        license: text("license", descriptor.license)?,
        description: text("description", descriptor.description)?,
    })
}

fn text(name: &str, bytes: Bytes) -> Result<String, String> {
    if bytes.len > TEXT_BYTES_MAX {
        return Err(format!(
            "{name} has {} bytes, at most {TEXT_BYTES_MAX} are read",
            bytes.len
        ));
    }
    if bytes.ptr.is_null() && bytes.len > 0 {
        return Err(format!("{name} is NULL with a length of {}", bytes.len));
    }
    // SAFETY: not NULL, and short; that it is static data is the descriptor's contract.
    let text = std::str::from_utf8(unsafe { bytes.as_slice() });
    text.map(str::to_owned)
        .map_err(|_| format!("{name} is not UTF-8"))
}
