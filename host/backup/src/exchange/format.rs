//! The text of header, records and footer: written byte for byte, read strictly.
//!
//! A value's JSON is copied and never parsed into numbers, so it comes back as it was.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use statekeep_core::{
    Class, Error, ErrorKind, Key, RecordHeader, RecordKind, Result, Scope, Selection, Sequence,
    UnixMs, Value, ValueKind, base64, from_base64,
};

use crate::hex::Hash256;
use crate::name::BackupId;

/// The format that this build writes and reads.
pub const EXPORT_FORMAT: u64 = 1;

/// Whose records follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) statekeep_export: u64,
    pub(super) state: String,
    pub(super) timeline: String,
    pub(super) sequence: u64,
    pub(super) time_unix_ms: i64,
    pub(super) as_of_unix_ms: i64,
    pub(super) exported_unix_ms: i64,
    pub(super) tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backup: Option<BackupId>,
    pub(super) selection: SelectionText,
}

/// A selection by its texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SelectionText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl SelectionText {
    pub(super) fn of(selection: &Selection) -> SelectionText {
        SelectionText {
            tenant: selection.tenant().map(str::to_owned),
            scope: selection.scope().map(str::to_owned),
            key: selection.key().map(str::to_owned),
        }
    }

    pub(super) fn read(&self) -> Result<Selection> {
        let [tenant, scope, key] = [&self.tenant, &self.scope, &self.key].map(Option::as_deref);
        Selection::new(tenant, scope, key)
    }
}

/// What the records must add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Footer {
    pub(super) statekeep_export_end: u64,
    pub(super) records: u64,
    pub(super) sha256: Hash256,
}

/// How the line of a footer begins.
pub(super) const FOOTER_START: &[u8] = br#"{"statekeep_export_end":"#;

/// One object as one line, without its end.
pub(super) fn line(object: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(object)
        .map_err(|error| Error::other(ErrorKind::Internal, format!("cannot write JSON: {error}")))
}

/// Reads a header; another version is refused by its number.
pub(super) fn read_header(text: &[u8]) -> Result<Header> {
    #[derive(Deserialize)]
    struct Probe {
        statekeep_export: u64,
    }
    let malformed = |error| Error::invalid("header", plain_words(&error));
    let probe: Probe = serde_json::from_slice(text).map_err(malformed)?;
    check_version(probe.statekeep_export)?;
    serde_json::from_slice(text).map_err(malformed)
}

pub(super) fn read_footer(text: &[u8]) -> Result<Footer> {
    let footer: Footer = serde_json::from_slice(text)
        .map_err(|error| Error::invalid("footer", plain_words(&error)))?;
    check_version(footer.statekeep_export_end)?;
    Ok(footer)
}

fn check_version(version: u64) -> Result<()> {
    if version == EXPORT_FORMAT {
        return Ok(());
    }
    let reason =
        format!("its format is {version}, this build reads {EXPORT_FORMAT}; use a newer statekeep");
    Err(Error::Incompatible {
        what: "export".to_owned(),
        reason,
    })
}

/// The words of a JSON error without its place: places are given by line of the file.
pub(super) fn plain_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.line() == 1 => {
            format!("{} (column {})", &text[..end], error.column())
        }
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    serde_json::to_writer(out, text)
        .map_err(|error| Error::other(ErrorKind::Internal, format!("cannot write JSON: {error}")))
}

fn push_number(out: &mut Vec<u8>, name: &str, number: impl std::fmt::Display) {
    out.extend_from_slice(format!(",\"{name}\":{number}").as_bytes());
}

/// Appends a record as one line, without its end.
pub(super) fn push_record(
    out: &mut Vec<u8>,
    tenant: &str,
    (scope, key): (&Scope, &Key),
    header: &RecordHeader,
    value: &Value,
) -> Result<()> {
    out.push(b'{');
    if !tenant.is_empty() {
        out.extend_from_slice(b"\"tenant\":");
        push_text(out, tenant)?;
        out.push(b',');
    }
    out.extend_from_slice(b"\"scope\":");
    push_text(out, &scope.to_string())?;
    out.extend_from_slice(b",\"key\":");
    push_text(out, key.as_str())?;
    push_number(out, "sequence", header.sequence);
    push_number(out, "created_unix_ms", header.created.0);
    push_number(out, "changed_unix_ms", header.changed.0);
    if header.class != Class::Standard {
        out.extend_from_slice(format!(",\"class\":\"{}\"", header.class.name()).as_bytes());
    }
    if let Some(expires) = header.expires {
        push_number(out, "expires_unix_ms", expires.0);
    }
    if let Some([major, minor, patch]) = header.schema_version {
        out.extend_from_slice(
            format!(",\"schema_version\":\"{major}.{minor}.{patch}\"").as_bytes(),
        );
    }
    match value.kind() {
        ValueKind::Bytes => {
            out.extend_from_slice(b",\"base64\":\"");
            out.extend_from_slice(base64(value.as_bytes()).as_bytes());
            out.push(b'"');
        }
        ValueKind::Json => {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| Error::corrupt("JSON value", "it is not UTF-8"))?;
            if stands_on_a_line(text.as_bytes()) {
                out.extend_from_slice(b",\"value\":");
                out.extend_from_slice(text.as_bytes());
            } else {
                out.extend_from_slice(b",\"text\":");
                push_text(out, text)?;
            }
        }
    }
    out.push(b'}');
    Ok(())
}

/// Whether JSON text keeps every byte as a member of an object on one line.
fn stands_on_a_line(text: &[u8]) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    !edge(text.first()) && !edge(text.last()) && !text.iter().any(|b| matches!(b, b'\n' | b'\r'))
}

/// A record as its text says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordText<'a> {
    #[serde(borrow, default)]
    tenant: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    sequence: Option<u64>,
    created_unix_ms: Option<i64>,
    changed_unix_ms: Option<i64>,
    class: Option<Class>,
    expires_unix_ms: Option<i64>,
    schema_version: Option<String>,
    // A JSON null is a value.
    #[serde(borrow, default, deserialize_with = "some_value")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    base64: Option<Cow<'a, str>>,
}

fn some_value<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// A record as it was read from text: every name and value checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TextRecord {
    /// Empty for the default tenant.
    pub tenant: String,
    /// Its scope.
    pub scope: Scope,
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// The commit that wrote it, when the text says it.
    pub sequence: Option<Sequence>,
    /// When the key came to be, when the text says it.
    pub created: Option<UnixMs>,
    /// When the value was written, when the text says it.
    pub changed: Option<UnixMs>,
    /// How it is kept, when the text says it.
    pub class: Option<Class>,
    /// When it ceases to be, if the text says so.
    pub expires: Option<UnixMs>,
    /// The schema version, if the text says one.
    pub schema_version: Option<[u32; 3]>,
}

impl TextRecord {
    /// Reads the text of one record.
    pub(super) fn read(text: &[u8], value_bytes_max: u64) -> Result<TextRecord> {
        let raw: RecordText<'_> = serde_json::from_slice(text)
            .map_err(|error| Error::invalid("record", plain_words(&error)))?;
        let value = match (raw.value, raw.text, raw.base64) {
            (Some(value), None, None) => Value::json(value.get())?,
            (None, Some(text), None) => Value::json(text.into_owned())?,
            (None, None, Some(digits)) => {
                Value::bytes(from_base64(&digits).ok_or_else(|| {
                    Error::invalid("base64", "it is not padded base64 (RFC 4648)")
                })?)
            }
            _ => {
                let reason = "it has exactly one of `value`, `text` and `base64`";
                return Err(Error::invalid("record", reason));
            }
        };
        let actual = value.as_bytes().len() as u64;
        if actual > value_bytes_max {
            return Err(Error::TooLarge {
                what: "value",
                actual,
                limit_name: "limits.value_bytes_max",
                limit: value_bytes_max,
            });
        }
        if !raw.tenant.is_empty() {
            statekeep_core::check_tenant(&raw.tenant)?;
        }
        if raw.class == Some(Class::Ephemeral) {
            let reason = "a value of class `ephemeral` is in memory only and in no export";
            return Err(Error::invalid("class", reason));
        }
        Ok(TextRecord {
            tenant: raw.tenant.into_owned(),
            scope: raw.scope.parse()?,
            key: Key::new(&raw.key)?,
            value,
            sequence: raw.sequence.map(Sequence),
            created: raw.created_unix_ms.map(UnixMs),
            changed: raw.changed_unix_ms.map(UnixMs),
            class: raw.class,
            expires: raw.expires_unix_ms.map(UnixMs),
            schema_version: raw
                .schema_version
                .as_deref()
                .map(read_version)
                .transpose()?,
        })
    }

    /// The envelope that the text of an export says, which must say everything.
    pub(super) fn header(&self) -> Result<RecordHeader> {
        let (Some(sequence), Some(created), Some(changed)) =
            (self.sequence, self.created, self.changed)
        else {
            let reason = "a record of an export has `sequence`, `created_unix_ms` and \
                          `changed_unix_ms`";
            return Err(Error::invalid("record", reason));
        };
        Ok(RecordHeader {
            sequence,
            created,
            changed,
            expires: self.expires,
            class: self.class.unwrap_or_default(),
            schema_version: self.schema_version,
            ..RecordHeader::new(RecordKind::Json)
        })
    }
}

fn read_version(text: &str) -> Result<[u32; 3]> {
    let bad = || Error::invalid("schema_version", "it is not MAJOR.MINOR.PATCH");
    let mut parts = text.split('.').map(str::parse::<u32>);
    let mut part = || {
        parts
            .next()
            .and_then(std::result::Result::ok)
            .ok_or_else(bad)
    };
    let version = [part()?, part()?, part()?];
    match parts.next() {
        None => Ok(version),
        Some(_) => Err(bad()),
    }
}
