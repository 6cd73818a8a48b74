//! The settings of the plugin: names, ranges and defaults in one table.
//!
//! Every option is a whole number; one that is unknown or out of range is refused by name, so that a
//! misspelt limit never passes for the default.

use statekeep_plugin_sdk::{Config, Result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Every name that `options` may hold.
const KNOWN: &[&str] = &[
    "cache_bytes",
    "write_buffer_bytes",
    "worker_threads",
    "files_open_max",
    "free_bytes_min",
];

/// What an instance is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Capacity of the block cache, which also holds indexes and filters (default 64 MiB).
    pub(crate) cache_bytes: u64,
    /// Rows held in memory before they are written out as a table (default 32 MiB). Up to
    /// `WRITE_BUFFERS_MAX` such buffers exist while the disk lags.
    pub(crate) write_buffer_bytes: u64,
    /// Threads that write tables and merge them (default 2); the largest of all instances counts.
    pub(crate) worker_threads: u64,
    /// Tables kept open (default 256).
    pub(crate) files_open_max: u64,
    /// Commits are refused with NO_SPACE while the disk has less room than this (default 128 MiB,
    /// 0 switches the check off).
    pub(crate) free_bytes_min: u64,
}

impl Options {
    /// Reads and checks the user's settings.
    pub(crate) fn read(config: &Config) -> Result<Options> {
        config.known_options(KNOWN)?;
        Ok(Options {
            cache_bytes: config.bytes_within("cache_bytes", 64 * MIB, MIB..=256 * GIB)?,
            write_buffer_bytes: config.bytes_within("write_buffer_bytes", 32 * MIB, MIB..=GIB)?,
            worker_threads: config.number("worker_threads", 2, 1..=64)?,
            files_open_max: config.number("files_open_max", 256, 16..=1 << 20)?,
            free_bytes_min: config.bytes_within("free_bytes_min", 128 * MIB, 0..=1 << 50)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> Result<Options> {
        let json = format!("{{\"options\": {options}}}");
        Options::read(&Config::from_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn no_options_are_a_modest_store() {
        let options = read("{}").unwrap();
        assert_eq!(options.cache_bytes, 64 * MIB);
        assert_eq!(options.write_buffer_bytes, 32 * MIB);
    }

    #[test]
    fn a_wrong_option_is_named_with_what_is_allowed() {
        for (options, name, allowed) in [
            ("{\"cache\": 1}", "`cache`", "cache_bytes, write_"),
            ("{\"worker_threads\": 0}", "`worker_threads`", "1 to 64"),
            ("{\"cache_bytes\": \"big\"}", "`cache_bytes`", "`512M`"),
        ] {
            let text = read(options).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(allowed), "{text}");
        }
    }
}
