//! The settings of the plugin: names, ranges and defaults.
//!
//! An option that is unknown or out of range is refused by name. There is no cache to size: LMDB
//! reads through the operating system's.

use statekeep_plugin_sdk::{Config, Error, Result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// A multiple of the page size of every machine that LMDB runs on.
const MAP_STEP: u64 = 64 << 10;

/// Every name that `options` may hold.
const KNOWN: &[&str] = &["map_bytes_max", "readers_max", "free_bytes_min"];

/// What an instance is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Address space that is reserved for the file, which grows within it and never beyond (default
    /// 256 GiB). It takes neither memory nor disk, and growing needs no pause of readers. May be
    /// another at each opening.
    pub(crate) map_bytes_max: usize,
    /// Reads and scans at one time (default 1024).
    pub(crate) readers_max: u32,
    /// Commits are refused with NO_SPACE while the disk has less room than this (default 128 MiB,
    /// 0 switches the check off).
    pub(crate) free_bytes_min: u64,
}

impl Options {
    /// Reads and checks the user's settings.
    pub(crate) fn read(config: &Config) -> Result<Options> {
        config.known_options(KNOWN)?;
        let map_bytes_max = config.bytes_within("map_bytes_max", 256 * GIB, 64 * MIB..=64 * TIB)?;
        let readers_max = config.number("readers_max", 1024, 16..=65_536)?;
        let too_many = |_| Error::invalid("the options are too large for this machine");
        Ok(Options {
            map_bytes_max: usize::try_from(map_bytes_max.next_multiple_of(MAP_STEP))
                .map_err(too_many)?,
            readers_max: u32::try_from(readers_max).map_err(too_many)?,
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
    fn a_map_is_a_number_of_whole_pages() {
        assert_eq!(read("{}").unwrap().map_bytes_max as u64, 256 * GIB);
        let odd = read("{\"map_bytes_max\": 100000001}").unwrap();
        assert_eq!(odd.map_bytes_max, 100_007_936);
    }

    #[test]
    fn a_wrong_option_is_named_with_what_is_allowed() {
        for (options, name, allowed) in [
            (
                "{\"cache_bytes\": 1}",
                "`cache_bytes`",
                "map_bytes_max, readers_max",
            ),
            ("{\"map_bytes_max\": 1}", "`map_bytes_max`", "67108864"),
            ("{\"readers_max\": 1}", "`readers_max`", "16"),
        ] {
            let text = read(options).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(allowed), "{text}");
        }
    }
}
