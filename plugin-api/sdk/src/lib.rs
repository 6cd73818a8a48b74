//! Everything a plugin author needs: safe traits over the plugin ABI, and [`export_plugin!`].
//!
//! Implement [`Plugin`] and one or more of [`Compression`], [`Backend`], [`Retention`] and
//! [`Hook`], then write `export_plugin!(MyType: compression);`. The SDK checks what the host
//! passes (NULL, lengths, unknown kinds), turns errors into a status with a text, and stops panics:
//! the call answers PANIC, and every later call on that instance answers POISONED.
//!
//! ```
//! # #![allow(unexpected_cfgs)]
//! use statekeep_plugin_sdk::*;
//!
//! struct Upside { by: u8 }
//!
//! impl Plugin for Upside {
//!     const ID: &'static str = "org.example.upside";
//!     const VERSION: &'static str = "0.1.0";
//!     const LICENSE: &'static str = "MIT";
//!     const DESCRIPTION: &'static str = "Turns bits over; packs nothing";
//!     fn create(_host: Host, config: &Config) -> Result<Upside> {
//!         config.known_options(&["by"])?;
//!         Ok(Upside { by: config.option("by")?.unwrap_or(0xff) })
//!     }
//! }
//!
//! impl Compression for Upside {
//!     fn bound(&self, len: usize) -> usize {
//!         len
//!     }
//!     fn compress(&self, _level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
//!         src.iter().try_for_each(|byte| dst.put(&[byte ^ self.by]))
//!     }
//!     fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
//!         self.compress(None, src, dst)
//!     }
//! }
//!
//! export_plugin!(Upside: compression);
//! # fn main() {
//! // A host that links the crate registers this; a library exports it with the feature `export`.
//! let descriptor = descriptor();
//! # assert_eq!(descriptor.magic, api::MAGIC);
//! # }
//! ```
#![deny(missing_docs)]

#[cfg(panic = "abort")]
compile_error!(
    "a Statekeep plugin must be built with panic = \"unwind\": a panic is stopped at the boundary, and \
     with panic = \"abort\" it would end the host's process"
);

mod backend;
#[cfg(feature = "calendar")]
pub mod calendar;
mod compression;
mod config;
mod error;
#[doc(hidden)]
pub mod export;
mod guard;
mod hook;
mod host;
mod memory;
pub mod one_keyspace;
mod plugin;
mod retention;
pub mod room;
pub mod size;
pub mod span;
pub mod store_lock;

pub use backend::{
    Backend, Capabilities, Commit, Cursor, Durability, Op, Outcome, Precondition, ScanRange, Sink,
};
pub use compression::{Compression, Output};
pub use config::Config;
pub use error::{Error, Result};
pub use hook::{Event, Hook, Phase, Reply, Value};
pub use host::{Host, Level};
pub use plugin::Plugin;
pub use retention::{Backup, BackupKind, Context, Decision, Retention, Verdict};

pub use serde_json;
pub use statekeep_plugin_api as api;
pub use statekeep_plugin_api::Status;
