//! Values: JSON documents and raw bytes.

use crate::{Error, Result};

/// Default limit of a value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of a JSON value.
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
        // serde_json refuses a depth of more than 128 by itself.
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
            .map_err(|error| Error::invalid("JSON value", error.to_string()))?;
        Ok(Value { kind: ValueKind::Json, bytes })
    }

    /// A raw value.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Value {
        Value { kind: ValueKind::Bytes, bytes: bytes.into() }
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

    /// The parsed document, for a JSON value.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        match self.kind {
            ValueKind::Json => serde_json::from_slice(&self.bytes)
                .map_err(|error| Error::corrupt("JSON value", error.to_string())),
            ValueKind::Bytes => Err(Error::invalid("value", "it is raw bytes, not JSON")),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(document: &serde_json::Value) -> Value {
        Value { kind: ValueKind::Json, bytes: document.to_string().into_bytes() }
    }
}
