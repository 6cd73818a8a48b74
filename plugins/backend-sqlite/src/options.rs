//! The settings of the plugin: names, ranges and defaults in one table.
//!
//! Every option is a whole number; one that is unknown or out of range is refused by name, so that a
//! misspelt limit never passes for the default.

use statekeep_plugin_sdk::{Config, Error, Result};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Every name that `options` may hold.
const KNOWN: &[&str] = &[
    "cache_bytes",
    "reader_cache_bytes",
    "mmap_bytes",
    "page_bytes",
    "checkpoint_bytes",
    "scans_max",
    "free_bytes_min",
];

/// What an instance is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Page cache of the connection that writes (default 32 MiB).
    pub(crate) cache_bytes: u64,
    /// Page cache of each connection that reads (default 2 MiB). It is empty after every commit.
    pub(crate) reader_cache_bytes: u64,
    /// Up to this much of the main file is read by a memory map instead of calls (default 0). A read
    /// error of the disk then ends the process.
    pub(crate) mmap_bytes: u64,
    /// Size of a page, a power of two (default 8 KiB). Fixed when the store is created.
    pub(crate) page_bytes: u64,
    /// The log is written back to the main file when it holds this much (default 16 MiB).
    pub(crate) checkpoint_bytes: u64,
    /// Scans that may be open at the same time (default 256); one more is UNAVAILABLE.
    pub(crate) scans_max: u64,
    /// Commits are refused with NO_SPACE while the disk has less room than this (default 128 MiB,
    /// 0 switches the check off).
    pub(crate) free_bytes_min: u64,
}

impl Options {
    /// Reads and checks the user's settings.
    pub(crate) fn read(config: &Config) -> Result<Options> {
        config.known_options(KNOWN)?;
        let page_bytes = config.bytes_within("page_bytes", 8 * KIB, KIB..=64 * KIB)?;
        if !page_bytes.is_power_of_two() {
            return Err(Error::invalid(format!(
                "option `page_bytes` cannot be {page_bytes}: it must be a power of two"
            )));
        }
        Ok(Options {
            cache_bytes: config.bytes_within("cache_bytes", 32 * MIB, MIB..=256 * GIB)?,
            reader_cache_bytes: config.bytes_within(
                "reader_cache_bytes",
                2 * MIB,
                64 * KIB..=64 * GIB,
            )?,
            mmap_bytes: config.bytes_within("mmap_bytes", 0, 0..=2 * GIB)?,
            page_bytes,
            checkpoint_bytes: config.bytes_within("checkpoint_bytes", 16 * MIB, MIB..=64 * GIB)?,
            scans_max: config.number("scans_max", 256, 1..=10_000)?,
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
        assert_eq!(options.cache_bytes, 32 * MIB);
        assert_eq!(options.mmap_bytes, 0);
        assert_eq!(options.free_bytes_min, 128 * MIB);
    }

    #[test]
    fn a_wrong_option_is_named_with_what_is_allowed() {
        for (options, name, allowed) in [
            ("{\"cache\": 1}", "`cache`", "cache_bytes, reader_"),
            ("{\"page_bytes\": 5000}", "`page_bytes`", "power of two"),
            ("{\"page_bytes\": 131072}", "`page_bytes`", "65536"),
            ("{\"scans_max\": 0}", "`scans_max`", "1 to 10000"),
            ("{\"mmap_bytes\": \"all\"}", "`mmap_bytes`", "`512M`"),
        ] {
            let text = read(options).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(allowed), "{text}");
        }
    }
}
