//! Conformance suites that run against a plugin's descriptor, through the raw tables of the ABI.
//!
//! A Rust plugin, a C plugin and a loaded library pass the same suite, since nothing here knows
//! more of a plugin than a host does. `run` of each module runs every check of its kind
//! and panics with the names of those that failed; each check is also a function of its own.
#![deny(missing_docs)]

pub mod backend;
pub mod codec;
pub mod hook;
mod host;
mod random;
mod raw;
mod report;
pub mod retention;

pub use host::TestHost;
pub use random::Random;
pub use raw::{Failure, Live};
pub use report::{Check, Outcome, Report};
