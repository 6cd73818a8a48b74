//! Rates and sizes as people write them: `500K`, `10M`, `1.5GiB`, with units of 1024.

use statekeep::{Error, Result};

const UNITS: [(&str, u64); 4] = [("k", 10), ("m", 20), ("g", 30), ("t", 40)];

/// Reads a number of bytes a second.
pub fn parse(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let bytes = bytes(lower.strip_suffix("/s").unwrap_or(&lower));
    bytes.ok_or_else(|| {
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
    bytes(&text.to_ascii_lowercase()).ok_or_else(|| {
        let shown = crate::text::shown(text);
        let reason = format!(
            "`{shown}` is no number of bytes from 1 to 1T; write 500K, 10M or 1.5G (units of 1024)"
        );
        Error::invalid("size", reason)
    })
}

fn bytes(lower: &str) -> Option<u64> {
    let stem = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b'));
    let stem = stem.unwrap_or(lower);
    let unit = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((stem.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((stem, 0));
    let plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bytes = number.parse::<f64>().ok().filter(|_| plain);
    let bytes = bytes.map(|number| number * (1_u64 << shift) as f64);
    let fits = |bytes: &f64| (1.0..=(1_u64 << 40) as f64).contains(bytes);
    bytes.filter(fits).map(|bytes| bytes as u64)
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
