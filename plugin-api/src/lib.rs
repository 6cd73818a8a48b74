//! The Statekeep plugin ABI: what a host and a plugin agree on, and nothing else.
//!
//! Every type is `#[repr(C)]` and derives `StableAbi`; `include/statekeep_plugin.h` is generated
//! from this source. A library exports one symbol, [`ENTRY_SYMBOL`], which returns a
//! [`Descriptor`]; everything else is asked for by id. The interface tables are frozen, names
//! included: growth is a new id, never a field at the end. `docs/abi.md` states thread, ownership
//! and validity of every function. abi_stable proves layouts at load time ([`door`], [`layout`]) and
//! is never part of a call's signature.
#![deny(missing_docs)]

mod backend;
mod compression;
mod descriptor;
pub mod door;
mod hook;
mod host;
mod interface;
pub mod layout;
pub mod manifest;
mod retention;
pub mod status;
mod types;

pub use backend::*;
pub use compression::*;
pub use descriptor::*;
pub use hook::*;
pub use host::*;
pub use interface::*;
pub use retention::*;
pub use status::Status;
pub use types::*;
