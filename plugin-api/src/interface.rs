//! What all interface tables have in common.
//!
//! A table starts with `struct_size` and `abi_hash`; after these two come function pointers only,
//! none of them NULL. It is static, lives as long as the library, and is frozen.

use abi_stable::StableAbi;

/// A frozen table of functions, known by its id.
///
/// # Safety
/// The type is `#[repr(C)]`, starts with `struct_size: usize, abi_hash: u64`, and every other field
/// is a non-NULL function pointer.
pub unsafe trait Interface: StableAbi + Sized + Sync + 'static {
    /// The id a host asks for, such as `statekeep.backend/1`.
    const ID: &'static str;
    /// Fingerprint of the frozen layout, see [`crate::layout::fingerprint`].
    const ABI_HASH: u64;
    /// Number of function pointers after the two leading words.
    const FUNCTIONS: usize = (size_of::<Self>() - 16) / size_of::<usize>();
}

/// The names of kinds as the manifest, the command line and messages show them.
pub const KINDS: &[(&str, &str)] = &[
    ("compression", COMPRESSION_V1_ID),
    ("backend", BACKEND_V1_ID),
    ("retention", RETENTION_V1_ID),
    ("hook", HOOK_V1_ID),
];

/// Id of [`crate::CompressionV1`].
pub const COMPRESSION_V1_ID: &str = "statekeep.compression/1";
/// Id of [`crate::BackendV1`].
pub const BACKEND_V1_ID: &str = "statekeep.backend/1";
/// Id of [`crate::RetentionV1`].
pub const RETENTION_V1_ID: &str = "statekeep.retention/1";
/// Id of [`crate::HookV1`].
pub const HOOK_V1_ID: &str = "statekeep.hook/1";
/// Id of [`crate::LogV1`], a host service.
pub const LOG_V1_ID: &str = "statekeep.host.log/1";
/// Id of [`crate::MetricsV1`], a host service.
pub const METRICS_V1_ID: &str = "statekeep.host.metrics/1";
/// Id of [`crate::ClockV1`], a host service.
pub const CLOCK_V1_ID: &str = "statekeep.host.clock/1";
