//! The settings of the plugin: names, ranges and defaults in one table.
//!
//! Every option is a whole number or a boolean; one that is unknown or out of range is refused by
//! name, so that a misspelt limit never passes for the default.

use statekeep_plugin_sdk::{Config, Result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Every name that `options` may hold.
const KNOWN: &[&str] = &[
    "cache_bytes",
    "write_buffer_bytes",
    "journal_bytes_max",
    "worker_threads",
    "free_bytes_min",
    "repair_journal",
];

/// What an instance is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Capacity of the block cache (default 64 MiB).
    pub(crate) cache_bytes: u64,
    /// Rows held in memory before they are written out as a table (default 32 MiB). Up to four such
    /// buffers exist while the disk lags. Fixed when the store is created.
    pub(crate) write_buffer_bytes: u64,
    /// All journals together; beyond it buffers are written out early (default 256 MiB).
    pub(crate) journal_bytes_max: u64,
    /// Threads that write tables and merge them (default 2).
    pub(crate) worker_threads: u64,
    /// Commits are refused with NO_SPACE while the disk has less room than this (default 128 MiB,
    /// 0 switches the check off).
    pub(crate) free_bytes_min: u64,
    /// Cut a damaged journal at the first commit that cannot be read, even if others follow
    /// (default false).
    pub(crate) repair_journal: bool,
}

impl Options {
    /// Reads and checks the user's settings.
    pub(crate) fn read(config: &Config) -> Result<Options> {
        config.known_options(KNOWN)?;
        Ok(Options {
            cache_bytes: config.bytes_within("cache_bytes", 64 * MIB, MIB..=256 * GIB)?,
            write_buffer_bytes: config.bytes_within("write_buffer_bytes", 32 * MIB, MIB..=GIB)?,
            journal_bytes_max: config.bytes_within(
                "journal_bytes_max",
                256 * MIB,
                64 * MIB..=64 * GIB,
            )?,
            worker_threads: config.number("worker_threads", 2, 1..=64)?,
            free_bytes_min: config.bytes_within("free_bytes_min", 128 * MIB, 0..=1 << 50)?,
            repair_journal: config.option("repair_journal")?.unwrap_or(false),
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
        assert!(!options.repair_journal);
    }

    #[test]
    fn a_wrong_option_is_named_with_what_is_allowed() {
        let unknown = read("{\"cache_byte\": 1}").unwrap_err().to_string();
        assert!(unknown.contains("`cache_byte`"), "{unknown}");
        assert!(
            unknown.contains("cache_bytes, write_buffer_bytes"),
            "{unknown}"
        );

        let small = read("{\"journal_bytes_max\": 5}").unwrap_err().to_string();
        assert!(small.contains("`journal_bytes_max` cannot be 5"), "{small}");
        assert!(small.contains("67108864"), "{small}");

        let kind = read("{\"cache_bytes\": \"big\"}").unwrap_err().to_string();
        assert!(kind.contains("`cache_bytes`"), "{kind}");
    }
}
