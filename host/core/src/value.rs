//! Values: JSON documents and raw bytes.

use serde::Deserialize;

use crate::{Error, Result};

/// Default limit of a value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Most arrays and objects within one another in a JSON value.
pub const JSON_DEPTH_MAX: usize = 128;

/// What a value's bytes are; the numbers are those of stored records.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueKind {
    /// A JSON document, UTF-8, kept as it was given.
    Json = 1,
    /// Any bytes.
    Bytes = 2,
}

/// A value as it is set and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    kind: ValueKind,
    bytes: Vec<u8>,
}

impl Value {
    /// A JSON value from its text, which is checked and kept as given.
    pub fn json(text: impl Into<Vec<u8>>) -> Result<Value> {
        let bytes = text.into();
        // Skipping over strings, serde_json would not look at their bytes.
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| Error::invalid("JSON value", format!("it is not UTF-8: {error}")))?;
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| Error::invalid("JSON value", error.to_string()))?;
        let value = Value {
            kind: ValueKind::Json,
            bytes,
        };
        value.check_depth()?;
        Ok(value)
    }

    /// Fails for JSON that is nested too deeply for readers that recurse.
    pub(crate) fn check_depth(&self) -> Result<()> {
        match self.kind {
            ValueKind::Json => check_depth(&self.bytes),
            ValueKind::Bytes => Ok(()),
        }
    }

    /// A raw value.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Value {
        Value {
            kind: ValueKind::Bytes,
            bytes: bytes.into(),
        }
    }

    /// A value from a stored record, which was checked when it was written.
    pub(crate) fn stored(kind: ValueKind, bytes: Vec<u8>) -> Value {
        Value { kind, bytes }
    }

    /// What the bytes are.
    pub fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The JSON text or the raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The JSON text or the raw bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether both are the same bytes, or documents that differ in spaces, the order of members and
    /// the writing of numbers only. Integers of more than 64 bits are the same as written alike only.
    pub(crate) fn says_the_same(&self, other: &Value) -> bool {
        if self == other {
            return true;
        }
        match (self.to_json(), other.to_json()) {
            (Ok(own), Ok(other)) => own == other && !holds_rounded(&own),
            _ => false,
        }
    }

    /// The parsed document, for a JSON value. `InvalidArgument` for raw bytes, `Corrupt` for a
    /// document beyond the range of numbers, such as `1e999`, or stored wrongly.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        match self.kind {
            ValueKind::Json => parse(&self.bytes),
            ValueKind::Bytes => Err(Error::invalid("value", "it is raw bytes, not JSON")),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(document: &serde_json::Value) -> Value {
        Value {
            kind: ValueKind::Json,
            bytes: document.to_string().into_bytes(),
        }
    }
}

/// Whether a document has a number so large that reading it may have rounded an integer.
fn holds_rounded(document: &serde_json::Value) -> bool {
    match document {
        serde_json::Value::Number(number) => {
            number.is_f64() && number.as_f64().is_some_and(|n| n.abs() >= 2f64.powi(63))
        }
        serde_json::Value::Array(items) => items.iter().any(holds_rounded),
        serde_json::Value::Object(members) => members.values().any(holds_rounded),
        _ => false,
    }
}

/// The document that a stored JSON text is. Its depth is bounded by our own limit, which is one more
/// than that of the parser.
pub(crate) fn parse(json: &[u8]) -> Result<serde_json::Value> {
    check_depth(json)?;
    let mut parser = serde_json::Deserializer::from_slice(json);
    parser.disable_recursion_limit();
    let document = serde_json::Value::deserialize(&mut parser);
    document
        .and_then(|document| parser.end().map(|()| document))
        .map_err(|error| Error::corrupt("JSON value", error.to_string()))
}

fn check_depth(json: &[u8]) -> Result<()> {
    if !nests_deeper_than(json, JSON_DEPTH_MAX) {
        return Ok(());
    }
    let reason = format!("it is nested more than {JSON_DEPTH_MAX} deep");
    Err(Error::invalid("JSON value", reason))
}

/// Whether well-formed JSON has more than `depth_max` arrays and objects within one another. It
/// keeps no stack, so that no input can exhaust one.
fn nests_deeper_than(json: &[u8], depth_max: usize) -> bool {
    // Each level takes an opening and a closing bracket.
    if json.len() <= 2 * depth_max {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn json_is_kept_as_given_and_refused_when_malformed() {
        assert_eq!(
            Value::json("{ \"a\" : 1 }").unwrap().as_bytes(),
            b"{ \"a\" : 1 }"
        );
        for text in ["", "{", "{}x", "nan", "\u{FEFF}{}", "[1,]"] {
            assert!(Value::json(text).is_err(), "{text:?}");
        }
        let bad = Value::json(&b"[\"\xFF\"]"[..]).unwrap_err();
        assert_eq!(bad.kind(), crate::ErrorKind::InvalidArgument, "{bad}");
    }

    #[test]
    fn documents_are_compared_by_what_they_say() {
        let same = |a: &str, b: &str| {
            Value::json(a)
                .unwrap()
                .says_the_same(&Value::json(b).unwrap())
        };
        assert!(same(
            r#"{"a":1,"b":[true]}"#,
            r#"{ "b" : [ true ], "a" : 1 }"#
        ));
        assert!(same("1e2", "100.0") && same(r#""\u0061""#, r#""a""#));
        assert!(!same("1", "1.0") && !same("[1,2]", "[2,1]") && !same("null", "0"));
        // Both are read as 2^64.
        assert!(!same("[18446744073709551617]", "[ 18446744073709551618]"));
        assert!(!Value::json("1").unwrap().says_the_same(&Value::bytes("1")));
        assert!(Value::bytes("1").says_the_same(&Value::bytes("1")));
    }

    #[test]
    fn depth_is_limited_and_brackets_in_strings_do_not_count() {
        for depth in [127, 128] {
            let value = Value::json(nested(depth)).unwrap();
            let document = value.to_json().unwrap();
            assert_eq!(Value::from(&document), value, "{depth} deep");
            let spaced = Value::json(format!(" {} ", nested(depth))).unwrap();
            assert!(spaced.says_the_same(&value), "{depth} deep");
        }
        assert!(
            Value::json(nested(129))
                .unwrap_err()
                .to_string()
                .contains("128 deep")
        );
        assert!(Value::json(nested(1_000_000)).is_err());
        let text = format!(
            r#"["{}\"{}", {}]"#,
            "[".repeat(300),
            "{".repeat(300),
            nested(127)
        );
        assert!(Value::json(text).is_ok());
    }
}
