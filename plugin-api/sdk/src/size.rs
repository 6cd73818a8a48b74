//! Numbers of bytes as people write them: `500K`, `20G`, `1.5GiB`. Units are of 1024. The host and the
//! command line read theirs by it, so that an option of a plugin is written as they are.

use serde_json::Value;

/// Units with the power of two that each stands for.
const UNITS: [(char, u32); 4] = [('k', 10), ('m', 20), ('g', 30), ('t', 40)];

/// Most digits behind a point; more are not below one byte.
const FRACTION_DIGITS_MAX: usize = 15;

/// The bytes of a text or of a whole number; `None` for what is neither.
pub fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => parse(text),
        _ => None,
    }
}

/// The bytes of a text: digits, with a fraction where it has a unit, then `K`, `M`, `G` or `T` in either
/// case, with `iB` or `B` behind it if so wished. What is below one byte is cut off.
pub fn parse(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (stem, is_binary) = match lower.strip_suffix("ib") {
        Some(stem) => (stem, true),
        None => (lower.strip_suffix('b').unwrap_or(&lower), false),
    };
    let unit = UNITS.iter().find(|(unit, _)| stem.ends_with(*unit));
    let (number, shift) = match unit {
        Some((unit, shift)) => (stem.strip_suffix(*unit)?, *shift),
        // Neither `10iB` nor a part of a byte.
        None if is_binary || stem.contains('.') => return None,
        None => (stem, 0),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    let tens = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let number = format!("{whole}{fraction}").parse::<u128>().ok()?;
    let bytes = number.checked_mul(1 << shift)? / tens;
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_read_as_other_programs_read_them() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("500", Some(500)),
            ("500B", Some(500)),
            ("500K", Some(512_000)),
            ("500kB", Some(512_000)),
            ("10M", Some(10 << 20)),
            ("10MiB", Some(10 << 20)),
            ("20G", Some(20 << 30)),
            ("20gib", Some(20 << 30)),
            ("1.5g", Some(3 << 29)),
            ("0.0001K", Some(0)),
            ("1.99999999999999999999K", Some(2047)),
            ("1T", Some(1 << 40)),
            ("16777215T", Some(16_777_215 << 40)),
            ("16777216T", None),
            ("340282366920938463463374607431768211456K", None),
            ("", None),
            ("K", None),
            ("B", None),
            ("iB", None),
            ("10iB", None),
            ("10Gi", None),
            ("10KBB", None),
            ("-1M", None),
            ("1e3", None),
            ("1.5", None),
            ("1.K", None),
            (".5K", None),
            ("1.2.3K", None),
            ("inf", None),
            ("1 M", None),
            ("1X", None),
            ("1P", None),
            ("\u{661}K", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
        assert_eq!(bytes(&json!(7)), Some(7));
        assert_eq!(bytes(&json!("7K")), Some(7168));
        for none in [json!(-1), json!(1.5), json!(null), json!(["1K"])] {
            assert_eq!(bytes(&none), None, "{none}");
        }
    }
}
