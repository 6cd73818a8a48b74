//! Text for people and terminals: sizes, names with control characters, values on one line.

use serde::Serialize;
use serde_json::value::RawValue;
use statekeep::engine::base64;
use statekeep::{Error, Result, Value, ValueKind};

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

/// A value on one line: JSON, or `base64:...` for raw bytes.
pub fn value_line(value: &Value) -> Result<String> {
    Ok(match value.kind() {
        ValueKind::Json => shown_json(&value.to_line()?),
        ValueKind::Bytes => format!("base64:{}", base64(value.as_bytes())),
    })
}

/// The beginning of a text, of at most so many characters.
pub fn beginning(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text,
        Some((end, _)) => {
            let kept = text.get(..end).unwrap_or_default();
            let last = kept.char_indices().last().map_or(0, |(at, _)| at);
            format!("{}\u{2026}", kept.get(..last).unwrap_or_default())
        }
    }
}

/// A JSON path, also when it was given without its leading `$.`.
pub fn json_path(path: &str) -> String {
    match path.starts_with('$') {
        true => path.to_owned(),
        false => format!("$.{path}"),
    }
}

/// Who made a change and what it belongs to, as far as it was told.
pub fn who(principal: &str, correlation_id: &str) -> String {
    match (principal, correlation_id) {
        (who, "") => shown(who),
        (who, what) => format!("{} ({})", shown(who), shown(what))
            .trim_start()
            .to_owned(),
    }
}

/// The value's member of a JSON object: `value`, as its own text so that no number is rounded, or
/// `base64`.
#[derive(Serialize)]
pub struct ValueMember {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl ValueMember {
    /// The member for a value.
    pub fn new(value: &Value) -> Result<ValueMember> {
        if value.kind() == ValueKind::Bytes {
            return Ok(ValueMember {
                value: None,
                base64: Some(base64(value.as_bytes())),
            });
        }
        let raw = RawValue::from_string(value.to_line()?.into_owned())
            .map_err(|error| Error::corrupt("JSON value", error.to_string()))?;
        Ok(ValueMember {
            value: Some(raw),
            base64: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_names_read_well() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(1_572_864), "1.5 MiB");
        assert_eq!(size(u64::MAX), "16383.9 PiB");
        assert_eq!(shown("a\tb\u{1b}[31m\u{e9}\n"), "a\\tb\\u{1b}[31m\u{e9}\\n");
        assert_ne!(shown("a\nb"), shown(r"a\nb"));
        assert_eq!(shown(r"a\nb"), r"a\\nb");
        assert_eq!(shown_text("a\\b\u{7}"), "a\\b\\u{7}");
        assert_eq!(shown_json("\"\\n\u{7f}\""), r#""\n\u007f""#);
        assert_eq!(beginning("\u{e9}t\u{e9}".into(), 3), "\u{e9}t\u{e9}");
        assert_eq!(beginning("\u{e9}t\u{e9}s".into(), 3), "\u{e9}t\u{2026}");
    }
}
