//! Statekeep codec plugin: gzip.
