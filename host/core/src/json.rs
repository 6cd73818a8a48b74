//! The JSON form of what the engine answers, the same in C, in Python and on the command line.
//!
//! A record is its facts and its value: a document under `value`, as its own text so that no number
//! is rounded, raw bytes under `base64`. Times are milliseconds under names that end in `unix_ms`.
//! A document stands on one line.

use std::borrow::Cow;
use std::path::Path;

use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;

use crate::{
    Change, ChangeOp, CommitKind, DiffChange, DiffEntry, Key, NamespaceId, QueryRow, Record, Scope,
    StateDigest, Value, ValueKind, Version,
};

/// What is known of a record beside its value: `kind`, `bytes`, `class`, `sequence`,
/// `created_unix_ms`, `changed_unix_ms`, `expires_unix_ms` (null for never).
#[derive(Copy, Clone, Debug)]
pub struct RecordFacts<'a>(&'a Record);

const RECORD_FACTS: usize = 7;

impl Record {
    /// What is known of it beside its value.
    pub fn facts(&self) -> RecordFacts<'_> {
        RecordFacts(self)
    }
}

impl Value {
    /// The text of a JSON value on one line: line feeds and tabs can stand only between its tokens.
    ///
    /// # Errors
    /// `InvalidArgument` for raw bytes.
    pub fn to_line(&self) -> crate::Result<Cow<'_, str>> {
        if self.kind() != ValueKind::Json {
            return Err(crate::Error::invalid("value", "it is raw bytes, not JSON"));
        }
        let text = std::str::from_utf8(self.as_bytes())
            .map_err(|_| crate::Error::corrupt("JSON value", "it is not UTF-8"))?;
        let text = text.trim();
        match text.contains(['\n', '\r', '\t']) {
            true => Ok(Cow::Owned(text.replace(['\n', '\r', '\t'], " "))),
            false => Ok(Cow::Borrowed(text)),
        }
    }
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
            text.push(match digit > chunk.len() {
                true => '=',
                false => DIGITS[index as usize] as char,
            });
        }
    }
    text
}

/// The bytes of standard base64 with padding (RFC 4648, no line breaks); `None` for any other text.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let missing = 4 - group.len();
        bits <<= 6 * missing;
        let [_, three @ ..] = bits.to_be_bytes();
        let (whole, rest) = three.split_at(3 - missing.min(2));
        // Bits that belong to no byte are zero, so that every value has one text.
        if missing > 2 || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(whole);
    }
    Some(bytes)
}

/// Writes `value` or `base64`.
fn value_field<S: SerializeStruct>(fields: &mut S, value: &Value) -> Result<(), S::Error> {
    match value.kind() {
        ValueKind::Json => {
            let line = value.to_line().map_err(S::Error::custom)?;
            let raw: &RawValue = serde_json::from_str(&line).map_err(S::Error::custom)?;
            fields.serialize_field("value", raw)
        }
        ValueKind::Bytes => fields.serialize_field("base64", &base64(value.as_bytes())),
    }
}

fn record_fields<S: SerializeStruct>(fields: &mut S, record: &Record) -> Result<(), S::Error> {
    fields.serialize_field("kind", record.value.kind().name())?;
    fields.serialize_field("bytes", &record.value.as_bytes().len())?;
    fields.serialize_field("class", &record.class)?;
    fields.serialize_field("sequence", &record.sequence)?;
    fields.serialize_field("created_unix_ms", &record.created)?;
    fields.serialize_field("changed_unix_ms", &record.changed)?;
    fields.serialize_field("expires_unix_ms", &record.expires)
}

impl Serialize for RecordFacts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RecordFacts", RECORD_FACTS)?;
        record_fields(&mut fields, self.0)?;
        fields.end()
    }
}

impl Serialize for Record {
    /// Its facts and `value` or `base64`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Record", RECORD_FACTS + 1)?;
        record_fields(&mut fields, self)?;
        value_field(&mut fields, &self.value)?;
        fields.end()
    }
}

impl Serialize for QueryRow {
    /// `scope`, `key`, `value` and `sequence`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("QueryRow", 4)?;
        fields.serialize_field("scope", &self.scope)?;
        fields.serialize_field("key", &self.key)?;
        value_field(&mut fields, &self.value)?;
        fields.serialize_field("sequence", &self.sequence)?;
        fields.end()
    }
}

impl Serialize for Version {
    /// `sequence`, `time_unix_ms`, `until`, `op`, `commit_kind`, `principal`, `correlation_id`,
    /// `record`; null for what is not known or not there.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Version", 8)?;
        fields.serialize_field("sequence", &self.sequence)?;
        fields.serialize_field("time_unix_ms", &self.time)?;
        fields.serialize_field("until", &self.until)?;
        fields.serialize_field("op", &self.op)?;
        fields.serialize_field("commit_kind", &self.kind)?;
        fields.serialize_field("principal", &self.principal)?;
        fields.serialize_field("correlation_id", &self.correlation_id)?;
        fields.serialize_field("record", &self.record)?;
        fields.end()
    }
}

impl Serialize for DiffEntry {
    /// `scope`, `key`, `change`, and the records `before` and `after`, null where there is none.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("DiffEntry", 5)?;
        fields.serialize_field("scope", &self.scope)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("change", &self.change)?;
        fields.serialize_field("before", &self.before)?;
        fields.serialize_field("after", &self.after)?;
        fields.end()
    }
}

/// What is known of a change beside its value: `sequence`, `time_unix_ms`, `commit_kind`, `principal`,
/// `correlation_id`, `tenant`, `scope`, `key`, `op`, `kind` (of the value; null without one),
/// `value_gone`, `last_of_commit`.
#[derive(Copy, Clone, Debug)]
pub struct ChangeFacts<'a>(&'a Change);

const CHANGE_FACTS: usize = 12;

impl Change {
    /// What is known of it beside its value.
    pub fn facts(&self) -> ChangeFacts<'_> {
        ChangeFacts(self)
    }
}

fn change_fields<S: SerializeStruct>(fields: &mut S, change: &Change) -> Result<(), S::Error> {
    fields.serialize_field("sequence", &change.sequence)?;
    fields.serialize_field("time_unix_ms", &change.time)?;
    fields.serialize_field("commit_kind", &change.kind)?;
    fields.serialize_field("principal", &change.principal)?;
    fields.serialize_field("correlation_id", &change.correlation_id)?;
    fields.serialize_field("tenant", &change.tenant)?;
    fields.serialize_field("scope", &change.scope)?;
    fields.serialize_field("key", &change.key)?;
    fields.serialize_field("op", &change.op)?;
    let kind = change.value.as_ref().map(|value| value.kind().name());
    fields.serialize_field("kind", &kind)?;
    fields.serialize_field("value_gone", &change.value_gone)?;
    fields.serialize_field("last_of_commit", &change.last_of_commit)
}

impl Serialize for ChangeFacts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ChangeFacts", CHANGE_FACTS)?;
        change_fields(&mut fields, self.0)?;
        fields.end()
    }
}

impl Serialize for Change {
    /// Its facts and, where there is a value, `value` or `base64`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = usize::from(self.value.is_some());
        let mut fields = serializer.serialize_struct("Change", CHANGE_FACTS + values)?;
        change_fields(&mut fields, self)?;
        if let Some(value) = &self.value {
            value_field(&mut fields, value)?;
        }
        fields.end()
    }
}

/// A place between two keys: `{"scope", "key"}`.
pub(crate) fn place<S: Serializer>(
    place: &Option<(Scope, Key)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(serde::Serialize)]
    struct Place<'a> {
        scope: &'a Scope,
        key: &'a Key,
    }
    let place = place.as_ref().map(|(scope, key)| Place { scope, key });
    place.serialize(serializer)
}

/// A path as text; bytes that are not UTF-8 are shown as U+FFFD.
pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// What has a word for itself is that word.
macro_rules! words {
    ($($kind:ty: |$it:ident| $word:expr;)*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $it = self;
                serializer.serialize_str($word)
            }
        }
    )*};
}

words! {
    NamespaceId: |namespace| &namespace.to_string();
    StateDigest: |digest| &digest.to_string();
    Scope: |scope| &scope.to_string();
    Key: |key| key.as_str();
    ChangeOp: |op| op.name();
    CommitKind: |kind| kind.name();
    DiffChange: |change| change.name();
}

impl ValueKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ValueKind::Json => "json",
            ValueKind::Bytes => "bytes",
        }
    }
}

impl DiffChange {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            DiffChange::Added => "added",
            DiffChange::Changed => "changed",
            DiffChange::Removed => "removed",
        }
    }
}

impl ChangeOp {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ChangeOp::Put => "put",
            ChangeOp::Delete => "delete",
            ChangeOp::PutEphemeral => "put_ephemeral",
            ChangeOp::DeleteEphemeral => "delete_ephemeral",
        }
    }
}

impl CommitKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            CommitKind::Commit => "commit",
            CommitKind::Restore => "restore",
            CommitKind::Clear => "clear",
            CommitKind::Copy => "copy",
            CommitKind::Move => "move",
            CommitKind::Expire => "expire",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Sequence, UnixMs};

    fn record(value: Value) -> Record {
        Record {
            value,
            sequence: Sequence(7),
            created: UnixMs(1),
            changed: UnixMs(2),
            expires: None,
            class: Class::Critical,
        }
    }

    #[test]
    fn a_record_keeps_the_text_of_its_value_on_one_line() {
        let text = "{\n\t\"n\": 18446744073709551617.000000000001\r\n}\n";
        let json = serde_json::to_string(&record(Value::json(text).unwrap())).unwrap();
        assert_eq!(
            json,
            r#"{"kind":"json","bytes":45,"class":"critical","sequence":7,"created_unix_ms":1,"#
                .to_owned()
                + r#""changed_unix_ms":2,"expires_unix_ms":null,"#
                + r#""value":{  "n": 18446744073709551617.000000000001  }}"#
        );
    }

    #[test]
    fn raw_bytes_are_base64_and_facts_have_no_value() {
        let record = record(Value::bytes(&[0xff_u8, 0xfe, 0xfd, 0][..]));
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(
            (&json["kind"], &json["base64"]),
            (&"bytes".into(), &"//79AA==".into())
        );
        let facts = serde_json::to_value(record.facts()).unwrap();
        assert_eq!(facts["bytes"], 4);
        assert!(facts.get("base64").is_none() && facts.get("value").is_none());
    }

    #[test]
    fn a_change_has_a_value_where_there_is_one() {
        let mut change = Change {
            sequence: Sequence(7),
            time: UnixMs(1),
            kind: CommitKind::Commit,
            principal: "ada".to_owned(),
            correlation_id: String::new(),
            tenant: String::new(),
            scope: Some("agent:1".parse().unwrap()),
            key: Some(Key::new("k").unwrap()),
            op: Some(ChangeOp::Put),
            value: Some(Value::json("1.50").unwrap()),
            value_gone: false,
            last_of_commit: true,
        };
        let facts = r#"{"sequence":7,"time_unix_ms":1,"commit_kind":"commit","principal":"ada","#
            .to_owned()
            + r#""correlation_id":"","tenant":"","scope":"agent:1","key":"k","op":"put","#;
        let rest = r#""value_gone":false,"last_of_commit":true"#;
        assert_eq!(
            serde_json::to_string(&change).unwrap(),
            format!(r#"{facts}"kind":"json",{rest},"value":1.50}}"#)
        );
        change.value = None;
        assert_eq!(
            serde_json::to_string(&change).unwrap(),
            format!(r#"{facts}"kind":null,{rest}}}"#)
        );
    }

    #[test]
    fn base64_is_padded() {
        for (raw, packed) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(raw.as_bytes()), packed);
            assert_eq!(from_base64(packed).as_deref(), Some(raw.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_base64(&base64(&all)), Some(all));
        for bad in [
            "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "=", "====",
        ] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }
}
