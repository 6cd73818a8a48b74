//! Statekeep codec plugin: brotli.
