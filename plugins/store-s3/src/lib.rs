//! Backup repositories in S3-compatible object stores.
//!
//! [`S3Store`] is a `statekeep_backup::Store`: blocking outside, with a small runtime of its own
//! inside. Objects are put with `If-None-Match: *`; whether the server honours that is probed before
//! the first put, and a store that does not is told by `warnings` and stays safe by sessions, see
//! [`session`]. Secrets appear in no error, log or `Debug` output.
#![forbid(unsafe_code)]

mod config;
mod error;
mod session;
mod store;
mod write;

pub use config::{S3Config, parse_url};
pub use session::{RENEW_MS, SESSION_MS};
pub use store::S3Store;
pub use write::PART_BYTES;
