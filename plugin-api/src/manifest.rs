//! The manifest: an ELF section that tells what a plugin is without running any of its code.
//!
//! Section `.statekeep` holds UTF-8 lines `name=value`, each ended by a NUL byte, in this order:
//! `statekeep_plugin=1`, `epoch=`, `revision=`, `id=`, `version=`, `license=`, then one
//! `interface=` for each interface. Unknown names are ignored.

/// Name of the ELF section.
pub const SECTION: &str = ".statekeep";
/// First entry of a manifest of this form.
pub const HEAD: &str = "statekeep_plugin=1";
/// Longest manifest a host reads.
pub const BYTES_MAX: usize = 16 * 1024;
