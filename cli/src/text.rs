//! Text for people and terminals: sizes, times, names with control characters, base64.

use serde_json::Value as Json;
use statekeep::{Error, Result, UnixMs, Value, ValueKind};

/// A name on one line that cannot drive a terminal: control characters and the backslash that
/// escapes them are escaped, so that two names never look alike.
pub fn shown(name: &str) -> String {
    shown_text(&name.replace('\\', r"\\"))
}

/// A message on one line that cannot drive a terminal: control characters are escaped.
pub fn shown_text(message: &str) -> String {
    escaped(message, |c| c.escape_default().to_string())
}

/// JSON on one line that cannot drive a terminal and is the same JSON still: of the control
/// characters only those above U+007E can stand in a string, and they get its own escape.
pub fn shown_json(json: &str) -> String {
    escaped(json, |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut text, c| {
            if c.is_control() {
                text.push_str(&escape(c));
            } else {
                text.push(c);
            }
            text
        })
}

/// A number of bytes with a binary unit.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1 record`, `2 records`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A time as RFC 3339 in UTC, to the second. Days to date as in Hinnant's `civil_from_days`.
pub fn time(at: UnixMs) -> String {
    let seconds = at.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Standard base64 with padding (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > chunk.len() {
                '='
            } else {
                DIGITS[index as usize] as char
            });
        }
    }
    text
}

/// A JSON object on one line: these facts, and the value as `value` or, of raw bytes, as `base64`.
/// The value's own text is kept, so that no number is rounded.
pub fn with_value(facts: &Json, value: &Value) -> Result<String> {
    let member = match value.kind() {
        ValueKind::Json => format!("\"value\":{}", line_of_json(value)?),
        ValueKind::Bytes => format!("\"base64\":\"{}\"", base64(value.as_bytes())),
    };
    let facts = facts.to_string();
    let open = facts.strip_suffix('}').unwrap_or(&facts);
    Ok(format!("{open},{member}}}"))
}

/// The text of a JSON value on one line: line feeds and tabs can stand only between its tokens.
pub fn line_of_json(value: &Value) -> Result<String> {
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Error::corrupt("JSON value", "it is not UTF-8"))?;
    Ok(text.trim().replace(['\n', '\r', '\t'], " "))
}

/// The word for a value's kind.
pub fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Json => "json",
        ValueKind::Bytes => "bytes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_names_and_base64_read_well() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(1_572_864), "1.5 MiB");
        assert_eq!(size(u64::MAX), "16383.9 PiB");
        assert_eq!(time(UnixMs(0)), "1970-01-01T00:00:00Z");
        assert_eq!(time(UnixMs(951_827_696_789)), "2000-02-29T12:34:56Z");
        assert_eq!(time(UnixMs(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(shown("a\tb\u{1b}[31m\u{e9}\n"), "a\\tb\\u{1b}[31m\u{e9}\\n");
        assert_ne!(shown("a\nb"), shown(r"a\nb"));
        assert_eq!(shown(r"a\nb"), r"a\\nb");
        assert_eq!(shown_text("a\\b\u{7}"), "a\\b\\u{7}");
        assert_eq!(shown_json("\"\\n\u{7f}\""), r#""\n\u007f""#);
        for (raw, packed) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(raw.as_bytes()), packed);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }
}
