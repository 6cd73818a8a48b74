//! Records: the envelope around every stored value. Numbers are little-endian.
//!
//! ```text
//!  0  format u8 = 1
//!  1  kind u8: 1 JSON, 2 bytes, 3 tombstone (no payload; only in backups)
//!  2  flags u16: 1 expires, 2 class, 4 schema version, 8 codec, 16 key id; others are refused
//!  4  CRC-32C u32 of bytes 0-3 followed by all bytes from 8 on
//!  8  sequence u64 of the commit that wrote it
//! 16  created i64, unix ms: when the key came to be    24  changed i64, unix ms: time of the commit
//! 32  then, each only with its flag: expires i64 unix ms | class u8 | schema version 3 × u32 |
//!     codec: u8 length, name, u64 raw length | key id: u8 length, bytes
//!  .  payload to the end: JSON text or raw bytes, or what the codec made of them
//! ```

mod read;

pub(crate) use self::read::{
    RecordView, check_record, is_over, own_life, read_life, read_stamps, read_value, with_value,
};
pub use self::read::{inspect_record, unpack_record};
use crate::{Error, Result, Sequence, UnixMs, Value, ValueKind};

/// The format that this version writes.
pub const RECORD_FORMAT: u8 = 1;
/// Bytes before the optional fields.
pub(crate) const FIXED_BYTES: usize = 32;

const EXPIRES: u16 = 1;
const CLASS: u16 = 2;
const SCHEMA: u16 = 4;
const CODEC: u16 = 8;
const KEY_ID: u16 = 16;
const KNOWN: u16 = EXPIRES | CLASS | SCHEMA | CODEC | KEY_ID;

/// What a record holds; the numbers are those of the format.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A JSON value.
    Json = 1,
    /// A raw value.
    Bytes = 2,
    /// "Deleted at this sequence"; never in a state, only in incremental backups.
    Tombstone = 3,
}

/// How a record is kept; the numbers are those of the format.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Class {
    /// The default.
    #[default]
    Standard = 0,
    /// Synced at each commit, kept in the cache.
    Critical = 1,
    /// Written relaxed.
    Bulk = 2,
    /// Compressed, not cached.
    Archive = 3,
    /// Memory only.
    Ephemeral = 4,
}

impl Class {
    /// Every class, in the order of their numbers.
    pub const ALL: [Class; 5] = [
        Class::Standard,
        Class::Critical,
        Class::Bulk,
        Class::Archive,
        Class::Ephemeral,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Standard => "standard",
            Class::Critical => "critical",
            Class::Bulk => "bulk",
            Class::Archive => "archive",
            Class::Ephemeral => "ephemeral",
        }
    }

    fn from_number(number: u8) -> Option<Class> {
        Class::ALL.into_iter().find(|c| *c as u8 == number)
    }
}

impl std::str::FromStr for Class {
    type Err = Error;

    fn from_str(text: &str) -> Result<Class> {
        let found = Class::ALL.into_iter().find(|class| class.name() == text);
        found.ok_or_else(|| {
            let names = Class::ALL.map(Class::name).join(", ");
            Error::invalid("class", format!("`{text}` is none of {names}"))
        })
    }
}

/// Which codec packed a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordCodec {
    /// The codec's short name.
    pub name: String,
    /// Length of the payload before it was packed.
    pub raw_len: u64,
}

/// Everything in an envelope but the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the payload is.
    pub kind: RecordKind,
    /// The commit that wrote the record.
    pub sequence: Sequence,
    /// When the key came to be.
    pub created: UnixMs,
    /// When the record was written.
    pub changed: UnixMs,
    /// When it ceases to be, if ever.
    pub expires: Option<UnixMs>,
    /// How it is kept; `Standard` is not written.
    pub class: Class,
    /// The schema version of the value, major, minor, patch.
    pub schema_version: Option<[u32; 3]>,
    /// The codec, when the payload is packed.
    pub codec: Option<RecordCodec>,
    /// The key that the payload is encrypted with.
    pub key_id: Option<Vec<u8>>,
    /// Length of the stored payload in bytes.
    pub payload_len: usize,
}

impl RecordHeader {
    /// A plain header of a kind, all else empty.
    pub fn new(kind: RecordKind) -> RecordHeader {
        RecordHeader {
            kind,
            sequence: Sequence(0),
            created: UnixMs(0),
            changed: UnixMs(0),
            expires: None,
            class: Class::Standard,
            schema_version: None,
            codec: None,
            key_id: None,
            payload_len: 0,
        }
    }

    fn flags(&self) -> u16 {
        let when = |set: bool, flag: u16| if set { flag } else { 0 };
        when(self.expires.is_some(), EXPIRES)
            | when(self.class != Class::Standard, CLASS)
            | when(self.schema_version.is_some(), SCHEMA)
            | when(self.codec.is_some(), CODEC)
            | when(self.key_id.is_some(), KEY_ID)
    }
}

/// Builds a record. `payload_len` of the header is ignored; a codec's name and a key id of more than
/// 255 bytes, or a payload in a tombstone, are `Invalid`.
pub fn encode_record(header: &RecordHeader, payload: &[u8]) -> Result<Vec<u8>> {
    if header.kind == RecordKind::Tombstone && !payload.is_empty() {
        return Err(Error::invalid("record", "a tombstone has no payload"));
    }
    let mut out = Vec::with_capacity(FIXED_BYTES + 32 + payload.len());
    out.extend_from_slice(&[RECORD_FORMAT, header.kind as u8]);
    out.extend_from_slice(&header.flags().to_le_bytes());
    out.extend_from_slice(&[0; 28]);
    if let Some(expires) = header.expires {
        out.extend_from_slice(&expires.0.to_le_bytes());
    }
    if header.class != Class::Standard {
        out.push(header.class as u8);
    }
    for part in header.schema_version.iter().flatten() {
        out.extend_from_slice(&part.to_le_bytes());
    }
    if let Some(codec) = &header.codec {
        push_short(&mut out, "codec name", codec.name.as_bytes())?;
        out.extend_from_slice(&codec.raw_len.to_le_bytes());
    }
    if let Some(key_id) = &header.key_id {
        push_short(&mut out, "key id", key_id)?;
    }
    out.extend_from_slice(payload);
    stamp(&mut out, header.sequence, header.created, header.changed);
    Ok(out)
}

fn push_short(out: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result<()> {
    let len = u8::try_from(bytes.len())
        .map_err(|_| Error::invalid(what, format!("{} bytes; at most 255", bytes.len())))?;
    out.push(len);
    out.extend_from_slice(bytes);
    Ok(())
}

/// A record of a plain value, before the committer stamps it.
pub(crate) fn encode_value(value: &Value) -> Vec<u8> {
    let kind = match value.kind() {
        ValueKind::Json => RecordKind::Json,
        ValueKind::Bytes => RecordKind::Bytes,
    };
    let mut out = Vec::with_capacity(FIXED_BYTES + value.as_bytes().len());
    out.extend_from_slice(&[RECORD_FORMAT, kind as u8]);
    out.extend_from_slice(&[0; FIXED_BYTES - 2]);
    out.extend_from_slice(value.as_bytes());
    out
}

/// Bytes that packing a payload adds to the envelope, beside the codec's name.
pub(crate) const PACKED_HEAD_BYTES: usize = 9;

/// As [`encode_value`], with class, expiry and the packed payload, if it was packed.
pub(crate) fn encode_value_with(
    value: &Value,
    class: Class,
    expires: Option<UnixMs>,
    packed: Option<(RecordCodec, &[u8])>,
) -> Result<Vec<u8>> {
    let mut header = RecordHeader::new(match value.kind() {
        ValueKind::Json => RecordKind::Json,
        ValueKind::Bytes => RecordKind::Bytes,
    });
    header.class = class;
    header.expires = expires;
    let payload = match packed {
        Some((codec, payload)) => {
            header.codec = Some(codec);
            payload
        }
        None => value.as_bytes(),
    };
    encode_record(&header, payload)
}

/// Writes sequence, times and checksum into a record that is otherwise complete.
pub(crate) fn stamp(record: &mut [u8], sequence: Sequence, created: UnixMs, changed: UnixMs) {
    debug_assert!(record.len() >= FIXED_BYTES);
    record[8..16].copy_from_slice(&sequence.0.to_le_bytes());
    record[16..24].copy_from_slice(&created.0.to_le_bytes());
    record[24..32].copy_from_slice(&changed.0.to_le_bytes());
    let crc = checksum(record);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..4]), &record[8..])
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
