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

use std::borrow::Cow;
use std::ops::Range;

use crate::bytes::Reader;
use crate::{Error, ErrorKind, Plugins, Result, Sequence, UnixMs, Value, ValueKind};

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

/// A record whose envelope has been checked.
pub(crate) struct RecordView<'a> {
    pub(crate) header: RecordHeader,
    bytes: &'a [u8],
    payload: Range<usize>,
}

impl<'a> RecordView<'a> {
    /// Checks format, checksum and fields. A format, kind, flag or class that this version does not
    /// know is `Incompatible`, anything else that does not fit is `Corrupt`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<RecordView<'a>> {
        let flags = check(bytes)?;
        let mut reader = Reader::new(&bytes[8..], "record");
        let mut header = RecordHeader::new(kind_of(bytes)?);
        header.sequence = Sequence(reader.u64()?);
        header.created = UnixMs(reader.i64()?);
        header.changed = UnixMs(reader.i64()?);
        if flags & EXPIRES != 0 {
            header.expires = Some(UnixMs(reader.i64()?));
        }
        if flags & CLASS != 0 {
            header.class = class_of(reader.u8()?)?;
        }
        if flags & SCHEMA != 0 {
            header.schema_version = Some([reader.u32()?, reader.u32()?, reader.u32()?]);
        }
        if flags & CODEC != 0 {
            let len = usize::from(reader.u8()?);
            let name = std::str::from_utf8(reader.take(len)?)
                .map_err(|_| reader.corrupt("the codec's name is not UTF-8"))?
                .to_owned();
            header.codec = Some(RecordCodec {
                name,
                raw_len: reader.u64()?,
            });
        }
        if flags & KEY_ID != 0 {
            let len = usize::from(reader.u8()?);
            header.key_id = Some(reader.take(len)?.to_vec());
        }
        header.payload_len = reader.rest().len();
        if header.kind == RecordKind::Tombstone && header.payload_len > 0 {
            return Err(reader.corrupt("a tombstone has a payload"));
        }
        let payload = bytes.len() - header.payload_len..bytes.len();
        Ok(RecordView {
            header,
            bytes,
            payload,
        })
    }

    /// The text of a JSON value, borrowed unless it must be unpacked; nothing for other kinds.
    pub(crate) fn json(&self, plugins: &dyn Plugins) -> Result<Option<Cow<'a, [u8]>>> {
        if self.header.kind != RecordKind::Json {
            return Ok(None);
        }
        if self.header.codec.is_none() && self.header.key_id.is_none() {
            return Ok(Some(Cow::Borrowed(&self.bytes[self.payload.clone()])));
        }
        Ok(Some(Cow::Owned(self.value(plugins)?.into_bytes())))
    }

    /// The value: copied, or unpacked by its codec.
    pub(crate) fn value(&self, plugins: &dyn Plugins) -> Result<Value> {
        let kind = match self.header.kind {
            RecordKind::Json => ValueKind::Json,
            RecordKind::Bytes => ValueKind::Bytes,
            RecordKind::Tombstone => {
                return Err(Error::corrupt(
                    "record",
                    "a tombstone stands where a value belongs",
                ));
            }
        };
        let payload = &self.bytes[self.payload.clone()];
        if self.header.key_id.is_some() {
            let message = "the record is encrypted, which this version cannot read";
            return Err(Error::other(ErrorKind::Unsupported, message));
        }
        let Some(codec) = &self.header.codec else {
            return Ok(Value::stored(kind, payload.to_vec()));
        };
        let raw_len = usize::try_from(codec.raw_len)
            .map_err(|_| Error::corrupt("record", "its raw length exceeds the address space"))?;
        let mut raw = Vec::new();
        plugins
            .codec(&codec.name)?
            .decompress(payload, raw_len, &mut raw)?;
        if raw.len() != raw_len {
            let reason = format!("codec {} gave {} of {raw_len} bytes", codec.name, raw.len());
            return Err(Error::corrupt("record", reason));
        }
        Ok(Value::stored(kind, raw))
    }
}

/// Reads a plain value without building a header.
pub(crate) fn read_value(bytes: &[u8], plugins: &dyn Plugins) -> Result<Value> {
    check(bytes)?;
    with_value(bytes, plugins, |kind, value| {
        Value::stored(kind, value.to_vec())
    })
}

/// Lends the value of a record whose bytes were checked before; the hot path of `get`.
pub(crate) fn with_value<T>(
    bytes: &[u8],
    plugins: &dyn Plugins,
    lend: impl FnOnce(ValueKind, &[u8]) -> T,
) -> Result<T> {
    if let [_, kind, 0, 0, ..] = bytes
        && let Some(payload) = bytes.get(FIXED_BYTES..)
    {
        match kind {
            1 => return Ok(lend(ValueKind::Json, payload)),
            2 => return Ok(lend(ValueKind::Bytes, payload)),
            _ => {}
        }
    }
    let value = RecordView::read(bytes)?.value(plugins)?;
    Ok(lend(value.kind(), value.as_bytes()))
}

/// Checks a record's bytes: format, checksum and flags.
pub(crate) fn check_record(bytes: &[u8]) -> Result<()> {
    check(bytes).map(drop)
}

/// Checks a record's bytes and answers its sequence and when its key came to be.
pub(crate) fn read_stamps(bytes: &[u8]) -> Result<(Sequence, UnixMs)> {
    check(bytes)?;
    let mut reader = Reader::new(&bytes[8..], "record");
    Ok((Sequence(reader.u64()?), UnixMs(reader.i64()?)))
}

/// How long a record lives, and what the committer needs to know of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) sequence: Sequence,
    pub(crate) created: UnixMs,
    pub(crate) expires: Option<UnixMs>,
    pub(crate) class: Class,
}

impl Life {
    /// Whether the record counts as absent at a time.
    pub(crate) fn is_over(&self, now: UnixMs) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Checks a record's bytes and reads how long it lives.
pub(crate) fn read_life(bytes: &[u8]) -> Result<Life> {
    let flags = check(bytes)?;
    let mut reader = Reader::new(&bytes[8..], "record");
    let mut life = Life {
        sequence: Sequence(reader.u64()?),
        created: UnixMs(reader.i64()?),
        expires: None,
        class: Class::Standard,
    };
    reader.i64()?;
    if flags & EXPIRES != 0 {
        life.expires = Some(UnixMs(reader.i64()?));
    }
    if flags & CLASS != 0 {
        life.class = class_of(reader.u8()?)?;
    }
    Ok(life)
}

/// Class and expiry of a record that was made in this process and is not stamped yet.
pub(crate) fn own_life(bytes: &[u8]) -> (Class, Option<UnixMs>) {
    let flags = bytes
        .get(2..4)
        .map_or(0, |flags| u16::from_le_bytes([flags[0], flags[1]]));
    let mut at = FIXED_BYTES;
    let mut expires = None;
    if flags & EXPIRES != 0 {
        expires = bytes
            .get(at..at + 8)
            .and_then(|field| Some(UnixMs(i64::from_le_bytes(field.try_into().ok()?))));
        at += 8;
    }
    let class = match bytes.get(at) {
        Some(number) if flags & CLASS != 0 => Class::from_number(*number).unwrap_or_default(),
        _ => Class::Standard,
    };
    (class, expires)
}

fn class_of(number: u8) -> Result<Class> {
    Class::from_number(number).ok_or_else(|| incompatible(&format!("class {number} is not known")))
}

/// Whether a record whose bytes were checked before counts as absent at a time, without checking
/// them again.
pub(crate) fn is_over(bytes: &[u8], now: impl FnOnce() -> UnixMs) -> bool {
    own_life(bytes).1.is_some_and(|expires| expires <= now())
}

/// Reads and checks the envelope of a record.
pub fn inspect_record(bytes: &[u8]) -> Result<RecordHeader> {
    Ok(RecordView::read(bytes)?.header)
}

fn check_format(bytes: &[u8]) -> Result<()> {
    match bytes.first() {
        Some(&RECORD_FORMAT) if bytes.len() >= FIXED_BYTES => Ok(()),
        Some(&RECORD_FORMAT) | None => Err(Error::corrupt(
            "record",
            format!("{} bytes are too few", bytes.len()),
        )),
        Some(other) => Err(incompatible(&format!("format {other} is not known"))),
    }
}

/// Checks format, checksum and flags, and answers the flags.
fn check(bytes: &[u8]) -> Result<u16> {
    check_format(bytes)?;
    let stored = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    if checksum(bytes) != stored {
        return Err(Error::corrupt(
            "record",
            "its checksum does not fit its bytes",
        ));
    }
    let flags = u16::from_le_bytes([bytes[2], bytes[3]]);
    match flags & !KNOWN {
        0 => Ok(flags),
        unknown => Err(incompatible(&format!("flags {unknown:#06x} are not known"))),
    }
}

fn kind_of(bytes: &[u8]) -> Result<RecordKind> {
    match bytes[1] {
        1 => Ok(RecordKind::Json),
        2 => Ok(RecordKind::Bytes),
        3 => Ok(RecordKind::Tombstone),
        other => Err(incompatible(&format!("kind {other} is not known"))),
    }
}

fn incompatible(found: &str) -> Error {
    let reason = format!("{found} to this version; use a newer one");
    Error::Incompatible {
        what: "record".to_owned(),
        reason,
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
