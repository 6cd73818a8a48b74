//! Rates and sizes as people write them: `500K`, `10M`, `1.5GiB`, with units of 1024.

use statekeep::{Error, Result, size};

/// Most bytes, and most bytes a second: 1 TiB.
const BYTES_MAX: u64 = 1 << 40;

/// Reads a number of bytes a second.
pub fn parse(text: &str) -> Result<u64> {
    let number = ["/s", "/S"].iter().find_map(|per| text.strip_suffix(per));
    bytes(number.unwrap_or(text)).ok_or_else(|| {
        let shown = crate::text::shown(text);
        let reason = format!(
            "`{shown}` is no number of bytes a second from 1 to 1T; write 500K, 10M or 1.5G \
             (units of 1024)"
        );
        Error::invalid("rate", reason)
    })
}

/// Reads a number of bytes.
pub fn size(text: &str) -> Result<u64> {
    bytes(text).ok_or_else(|| {
        let shown = crate::text::shown(text);
        let reason = format!(
            "`{shown}` is no number of bytes from 1 to 1T; write 500K, 10M or 1.5G (units of 1024)"
        );
        Error::invalid("size", reason)
    })
}

fn bytes(text: &str) -> Option<u64> {
    size::parse(text).filter(|bytes| (1..=BYTES_MAX).contains(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_other_programs_read_them() {
        for (text, wanted) in [
            ("1", Some(1)),
            ("500", Some(500)),
            ("500K", Some(512_000)),
            ("500kB", Some(512_000)),
            ("10M", Some(10 << 20)),
            ("10MiB/s", Some(10 << 20)),
            ("1.5g", Some(3 << 29)),
            ("1T", Some(1 << 40)),
            ("2T", None),
            ("0", None),
            ("", None),
            ("K", None),
            ("-1M", None),
            ("1e3", None),
            ("inf", None),
            ("1 M", None),
            ("1X", None),
        ] {
            assert_eq!(parse(text).ok(), wanted, "{text}");
        }
    }
}
