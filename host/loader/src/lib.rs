//! Finds, checks and opens Statekeep plugins and adapts them to the core.
//!
//! A plugin passes every trust check before `dlopen`, since its constructors run there: owner and
//! mode of the file and of each folder above, SHA-256 in `plugins.lock`, ELF rules, manifest. Then
//! the very bytes that were hashed are loaded, once per process, and never unloaded. Native plugins
//! are trusted code all the same: the checks say which code runs, not what it does.

mod backend;
mod codec;
mod counters;
mod descriptor;
mod elf;
mod error;
mod host_services;
mod instance;
mod interface;
mod lock;
mod manifest;
mod mapping;
mod names;
mod open;
mod plugin;
mod policy;
mod registry;
mod retention;
mod scan;
mod trust;

pub use counters::Counters;
pub use error::{LoadError, Result};
pub use host_services::{LOG_BYTES_MAX, METRICS_MAX, Metric};
pub use instance::{ERROR_TEXT_BYTES_MAX, Instance};
pub use lock::{LOCK_BYTES_MAX, Lock, LockEntry, lock_add};
pub use manifest::{Manifest, inspect};
pub use plugin::{Door, Plugin, PluginInfo};
pub use policy::Policy;
pub use registry::Registry;
pub use trust::LIBRARY_BYTES_MAX;
