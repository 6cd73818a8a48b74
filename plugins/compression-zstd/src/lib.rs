//! Statekeep codec plugin: zstd.
