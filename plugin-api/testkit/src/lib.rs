//! Conformance suites that run against a plugin's descriptor, through the raw tables of the ABI.
//!
//! A Rust plugin, a C plugin and a loaded library pass the same suite, since nothing here knows
//! more of a plugin than a host does. [`codec::run`] and [`backend::run`] run every check of their
//! kind and panic with the names of those that failed; each check is also a function of its own.
#![deny(missing_docs)]

pub mod backend;
pub mod codec;
mod host;
mod random;
mod raw;
mod report;

pub use host::TestHost;
pub use random::Random;
pub use raw::{Failure, Live};
pub use report::{Check, Outcome, Report};
