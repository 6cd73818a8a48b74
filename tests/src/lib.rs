//! Tests across crates: plugins, crash, formats, C, interop, command line.

pub mod backups;
pub mod commits;
pub mod fixtures;
pub mod isolation;
pub mod states;
