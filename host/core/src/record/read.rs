//! Reading records: the envelope, the value in it, and the few fields that hot paths look at.
//!
//! Whoever reads bytes from outside this process checks them once; functions that say "checked
//! before" trust them.

use std::borrow::Cow;
use std::ops::Range;

use super::{
    CLASS, CODEC, Class, EXPIRES, FIXED_BYTES, KEY_ID, KNOWN, RECORD_FORMAT, RecordCodec,
    RecordHeader, RecordKind, SCHEMA, checksum,
};
use crate::backend::needed;
use crate::bytes::Reader;
use crate::{Error, ErrorKind, Plugins, Result, Sequence, UnixMs, Value, ValueKind};

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
            .codec(&codec.name)
            .map_err(needed)?
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

/// Reads and checks a record and unpacks its value, which no codec may make longer than
/// `value_bytes_max`. A tombstone has no value and is `Corrupt` here.
pub fn unpack_record(
    bytes: &[u8],
    plugins: &dyn Plugins,
    value_bytes_max: u64,
) -> Result<(RecordHeader, Value)> {
    let view = RecordView::read(bytes)?;
    if let Some(codec) = &view.header.codec
        && codec.raw_len > value_bytes_max
    {
        return Err(Error::TooLarge {
            what: "value of a packed record",
            actual: codec.raw_len,
            limit_name: "value_bytes_max",
            limit: value_bytes_max,
        });
    }
    let value = view.value(plugins)?;
    Ok((view.header, value))
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
