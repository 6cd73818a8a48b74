//! The plugins that are compiled in: backends and codecs by the features of this crate, and the policies.
//!
//! They go through the same descriptors and tables as a library file would.

use statekeep_core::Result;
use statekeep_loader::Registry;

/// Registers every built-in plugin.
pub(crate) fn register(registry: &Registry) -> Result<()> {
    #[cfg(feature = "memory")]
    registry.register_static(statekeep_backend_memory::descriptor())?;
    #[cfg(feature = "fjall")]
    registry.register_static(statekeep_backend_fjall::descriptor())?;
    #[cfg(feature = "sled")]
    registry.register_static(statekeep_backend_sled::descriptor())?;
    #[cfg(feature = "sqlite")]
    registry.register_static(statekeep_backend_sqlite::descriptor())?;
    #[cfg(feature = "redb")]
    registry.register_static(statekeep_backend_redb::descriptor())?;
    #[cfg(feature = "lmdb")]
    registry.register_static(statekeep_backend_lmdb::descriptor())?;
    #[cfg(feature = "zstd")]
    registry.register_static(statekeep_compression_zstd::descriptor())?;
    #[cfg(feature = "brotli")]
    registry.register_static(statekeep_compression_brotli::descriptor())?;
    #[cfg(feature = "gzip")]
    registry.register_static(statekeep_compression_gzip::descriptor())?;
    #[cfg(feature = "lz4")]
    registry.register_static(statekeep_compression_lz4::descriptor())?;
    registry.register_static(statekeep_retention_age::descriptor())?;
    registry.register_static(statekeep_retention_calendar::descriptor())?;
    registry.register_static(statekeep_retention_count::descriptor())?;
    registry.register_static(statekeep_retention_importance::descriptor())?;
    registry.register_static(statekeep_retention_size::descriptor())?;
    Ok(())
}
