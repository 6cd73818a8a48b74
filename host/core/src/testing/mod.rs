//! A small real backend and its plugins, for crash tests of the whole engine on a simulated disk.
//!
//! [`LogBackend`] keeps its promise of durability through the [`Vfs`](crate::vfs::Vfs) alone, so
//! every sync that the host leaves out is a loss that a test can find.

mod log_backend;
mod plugins;

pub use log_backend::LogBackend;
pub use plugins::{StoreCodec, TestPlugins};
