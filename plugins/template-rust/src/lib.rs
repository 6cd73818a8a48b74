//! The smallest Statekeep plugin of each kind, in Rust: the first thing an author copies.
//!
//! This file says what the plugin is and how an instance of it is made. Each kind is in a file of
//! its own and stands alone: keep the ones you need, delete the others, and take their names out of
//! `export_plugin!` at the end.
#![deny(unsafe_code)] // The SDK does what is unsafe; `export_plugin!` needs the permission back.

mod backend;
mod codec;
mod hook;
mod retention;

use statekeep_plugin_sdk::{Config, Host, Level, Plugin, Result, export_plugin};

/// One instance. Several may live at once, and each is called by all threads at the same time, so
/// what changes needs a lock of its own.
pub struct Template {
    /// Of the backend: the rows of all spaces.
    spaces: backend::Spaces,
    /// Of the retention policy: how many backups stay.
    keep: usize,
    /// Of the hook: keys that start with this cannot be changed.
    protected: String,
}

impl Plugin for Template {
    const ID: &'static str = "org.example.template";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "The smallest plugin of each kind, to copy";

    fn create(host: Host, config: &Config) -> Result<Template> {
        // A misspelt option is an error, not a silent default.
        config.known_options(&["keep", "protected"])?;
        host.log(Level::Debug, "the template starts");
        Ok(Template {
            spaces: backend::Spaces::default(),
            keep: config.option("keep")?.unwrap_or(7),
            protected: config
                .option("protected")?
                .unwrap_or_else(|| "protected/".to_owned()),
        })
    }
}

export_plugin!(Template: compression, backend, retention, hook);
