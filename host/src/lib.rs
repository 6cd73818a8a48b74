//! Statekeep: one StateManager for state, backup and migration, over plugins.
#![forbid(unsafe_code)]

mod config;

pub use config::{Config, Key as ConfigKey, Kind as ConfigKind, Source};
pub use statekeep_core::{Error, ErrorKind, Result};
