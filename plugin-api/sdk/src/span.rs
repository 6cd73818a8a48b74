//! Lengths of time as people write them in a configuration: `90m`, `12h`, `7d`, or whole seconds. The
//! host reads its own settings by it, so that an option of a plugin is written as they are.

use serde_json::Value;

/// Units, the longest first.
const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The milliseconds of a text or of a number of seconds; `None` for what is neither.
pub fn ms(value: &Value) -> Option<u64> {
    match value {
        Value::Number(seconds) => seconds.as_u64()?.checked_mul(1_000),
        Value::String(text) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = text.split_at_checked(digits)?;
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
            number.parse::<u64>().ok()?.checked_mul(*factor)
        }
        _ => None,
    }
}

/// Milliseconds in the longest unit that divides them, weeks left out.
pub fn text(ms: u64) -> String {
    let units = UNITS.iter().skip(1);
    let fits = |(_, factor): &&(&str, u64)| ms > 0 && ms.is_multiple_of(*factor);
    match units.clone().find(fits) {
        Some((unit, factor)) => format!("{}{unit}", ms / factor),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spans_are_read_with_one_unit_and_numbers_are_seconds() {
        for (value, wanted) in [
            (json!("90m"), Some(5_400_000)),
            (json!("1500ms"), Some(1_500)),
            (json!("7d"), Some(604_800_000)),
            (json!("2w"), Some(1_209_600_000)),
            (json!("0s"), Some(0)),
            (json!(2_592_000), Some(2_592_000_000)),
            (json!("1h30m"), None),
            (json!("h"), None),
            (json!("1 h"), None),
            (json!("-1h"), None),
            (json!("1.5h"), None),
            (json!(""), None),
            (json!(-1), None),
            (json!(u64::MAX), None),
            (json!("99999999999999999999w"), None),
            (json!("18446744073709551615w"), None),
        ] {
            assert_eq!(ms(&value), wanted, "{value}");
        }
        for ms in [
            0,
            1,
            1_000,
            1_500,
            60_000,
            5_400_000,
            86_400_000,
            604_800_000,
        ] {
            assert_eq!(super::ms(&json!(text(ms))), Some(ms), "{ms}");
        }
    }
}
