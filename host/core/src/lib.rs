//! The Statekeep state engine: names, records, the commit path, namespaces and snapshots.
//!
//! One [`StateManager`] per state directory, shared as `Arc`, all locks inside it. Every change
//! takes one path: limits, encode, committer, backend, acknowledge. The core knows backends and
//! codecs as traits ([`Backend`], [`Codec`]) and no plugin ABI; the loader adapts plugins to them.
#![forbid(unsafe_code)]

mod backend;
mod codec;
mod error;
mod names;
#[cfg(any(test, feature = "sim"))]
pub mod oracle;
#[cfg(any(test, feature = "sim"))]
pub mod testing;
mod value;
pub mod vfs;

pub use backend::*;
pub use codec::*;
pub use error::{Error, ErrorKind, Result};
pub use names::*;
pub use value::*;
