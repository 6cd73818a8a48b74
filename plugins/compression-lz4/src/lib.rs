//! Statekeep codec plugin: lz4.
