//! A small real backend and its plugins, for crash tests of the whole engine on a simulated disk.
//!
//! [`LogBackend`] keeps its promise of durability through the [`Vfs`](crate::vfs::Vfs) alone, so
//! every sync that the host leaves out is a loss that a test can find.

mod log_backend;
mod plugins;

pub use log_backend::LogBackend;
pub use plugins::{StoreCodec, TestPlugins};

/// A row of `journal` of a commit without changes.
pub fn journal_row(time: crate::UnixMs) -> Vec<u8> {
    let (kind, origin) = (crate::CommitKind::Commit, crate::journal::Origin::default());
    let mut row = Vec::new();
    crate::journal::JournalWriter::begin(&mut row, kind, time, &origin, None, 0).finish(&mut row);
    row
}
