//! The settings of the plugin: names, ranges and defaults.
//!
//! An option that is unknown or out of range is refused by name.

use statekeep_plugin_sdk::{Config, Error, Result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Every name that `options` may hold.
const KNOWN: &[&str] = &["cache_bytes", "mode", "free_bytes_min"];

/// What an instance is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Capacity of the page cache (default 64 MiB; sled's own default is 1 GiB).
    pub(crate) cache_bytes: u64,
    /// `space` rewrites more to keep the file small (default), `throughput` less.
    pub(crate) throughput: bool,
    /// Commits are refused with NO_SPACE while the disk has less room than this (default 128 MiB,
    /// 0 switches the check off).
    pub(crate) free_bytes_min: u64,
}

impl Options {
    /// Reads and checks the user's settings.
    pub(crate) fn read(config: &Config) -> Result<Options> {
        config.known_options(KNOWN)?;
        let mode = config.option::<String>("mode")?;
        let throughput = match mode.as_deref() {
            None | Some("space") => false,
            Some("throughput") => true,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "option `mode` cannot be `{other}`: allowed are `space` and `throughput`"
                )));
            }
        };
        Ok(Options {
            cache_bytes: config.bytes_within("cache_bytes", 64 * MIB, MIB..=256 * GIB)?,
            throughput,
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
        assert_eq!(read("{}").unwrap().cache_bytes, 64 * MIB);
        assert_eq!(read("{}").unwrap().free_bytes_min, 128 * MIB);
        assert!(!read("{}").unwrap().throughput);
        assert!(read("{\"mode\": \"throughput\"}").unwrap().throughput);
    }

    #[test]
    fn a_wrong_option_is_named_with_what_is_allowed() {
        for (options, name, allowed) in [
            ("{\"cache\": 1}", "`cache`", "cache_bytes, mode"),
            ("{\"cache_bytes\": 1}", "`cache_bytes`", "1048576"),
            ("{\"free_bytes_min\": -1}", "`free_bytes_min`", "`512M`"),
            ("{\"mode\": \"fast\"}", "`mode`", "`throughput`"),
        ] {
            let text = read(options).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(allowed), "{text}");
        }
    }
}
