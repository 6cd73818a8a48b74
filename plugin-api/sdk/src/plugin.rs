//! What every plugin has: an identity, and a way to make an instance.

use crate::{Config, Host, Result};

/// A plugin; one value of the type is one instance, used from all threads at once.
///
/// Dropping the value ends the instance: threads and runtimes that it started must have stopped
/// when `drop` returns.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// `statekeep.NAME` or reverse-DNS (`com.example.name`); 1-128 bytes of `a-z 0-9 . - _`.
    const ID: &'static str;
    /// Semantic version; `env!("CARGO_PKG_VERSION")` will do.
    const VERSION: &'static str;
    /// SPDX licence expression.
    const LICENSE: &'static str;
    /// One line for people.
    const DESCRIPTION: &'static str;

    /// Makes an instance. Several may live at once, each with its own host and configuration.
    ///
    /// # Errors
    /// The text should name the option at fault and what is allowed.
    fn create(host: Host, config: &Config) -> Result<Self>;
}
