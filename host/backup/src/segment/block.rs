//! One block: from raw entries to stored bytes and back.

use std::sync::Arc;

use statekeep_core::{Codec, Error, ErrorKind, Result};

use super::build::RawBlock;
use super::index::BlockRef;
use super::{
    BLOCK_BYTES_MAX, BLOCK_FIXED, BLOCK_MAGIC, CODEC_NAME_BYTES_MAX, Cursor, ENTRY_BYTES_MAX,
};

/// What blocks are packed with.
#[derive(Clone)]
pub(crate) struct BlockCodec {
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) level: Option<i32>,
}

/// A block as it goes into a segment.
#[derive(Debug)]
pub(crate) struct EncodedBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hash: [u8; 32],
    pub(crate) raw_len: u32,
    pub(crate) entries: u32,
    pub(crate) tombstones: u32,
    pub(crate) first_key: Vec<u8>,
    pub(crate) last_key: Vec<u8>,
}

fn check_codec_name(name: &str) -> Result<()> {
    let ordinary = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > CODEC_NAME_BYTES_MAX || !name.bytes().all(ordinary) {
        let shown: String = name.chars().take(64).collect();
        let reason =
            format!("`{shown}` is not 1 to {CODEC_NAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ -");
        return Err(Error::invalid("codec name", reason));
    }
    Ok(())
}

/// Working memory of an encoder, used again for every block.
#[derive(Default)]
pub(crate) struct Scratch {
    stored: Vec<u8>,
    check: Vec<u8>,
}

impl Scratch {
    /// Gives back what one large record needed.
    pub(crate) fn trim(&mut self) {
        for buffer in [&mut self.stored, &mut self.check] {
            buffer.clear();
            buffer.shrink_to(2 * BLOCK_BYTES_MAX);
        }
    }
}

/// Packs a block, and unpacks it again to see that nothing was lost. Raw bytes that do not shrink
/// are stored as they are.
pub(crate) fn encode_block(
    raw: RawBlock,
    codec: Option<&BlockCodec>,
    scratch: &mut Scratch,
) -> Result<EncodedBlock> {
    let mut name = "";
    let Scratch { stored, check } = scratch;
    stored.clear();
    if let Some(BlockCodec { codec, level }) = codec {
        check_codec_name(codec.name())?;
        codec.compress(*level, &raw.bytes, stored)?;
        if stored.len() < raw.bytes.len() {
            codec.decompress(stored, raw.bytes.len(), check)?;
            if *check != raw.bytes {
                let message = format!(
                    "codec {} does not give back what it packed; the backup was not made",
                    codec.name()
                );
                return Err(Error::other(ErrorKind::Plugin, message));
            }
            name = codec.name();
        }
    }
    let payload: &[u8] = if name.is_empty() { &raw.bytes } else { stored };
    let too_large = |_| Error::other(ErrorKind::Internal, "a block outgrew its length field");
    let raw_len = u32::try_from(raw.bytes.len()).map_err(too_large)?;
    let stored_len = u32::try_from(payload.len()).map_err(too_large)?;
    let mut bytes = Vec::new();
    let room = BLOCK_FIXED + name.len() + 32 + payload.len();
    bytes
        .try_reserve_exact(room)
        .map_err(|_| crate::out_of_memory(room))?;
    bytes.extend_from_slice(BLOCK_MAGIC);
    bytes.push(u8::try_from(name.len()).map_err(too_large)?);
    bytes.extend_from_slice(&[0; 3]);
    bytes.extend_from_slice(&raw_len.to_le_bytes());
    bytes.extend_from_slice(&stored_len.to_le_bytes());
    bytes.extend_from_slice(&raw.entries.to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    let hash = *blake3::Hasher::new()
        .update(&bytes)
        .update(payload)
        .finalize()
        .as_bytes();
    bytes.extend_from_slice(&hash);
    bytes.extend_from_slice(payload);
    let RawBlock {
        entries,
        tombstones,
        first_key,
        last_key,
        ..
    } = raw;
    Ok(EncodedBlock {
        bytes,
        hash,
        raw_len,
        entries,
        tombstones,
        first_key,
        last_key,
    })
}

/// The parts of a block whose hash was checked.
struct Parts<'a> {
    codec: &'a str,
    raw_len: usize,
    entries: u32,
    stored: &'a [u8],
}

fn parse<'a>(bytes: &'a [u8], hash: &[u8; 32]) -> Option<Parts<'a>> {
    let mut rest = Cursor(bytes);
    rest.array::<4>().filter(|magic| magic == BLOCK_MAGIC)?;
    let name_len = usize::from(rest.u8()?);
    rest.array::<3>().filter(|zero| *zero == [0; 3])?;
    let raw_len = usize::try_from(rest.u32()?).ok()?;
    let stored_len = usize::try_from(rest.u32()?).ok()?;
    let entries = rest.u32()?;
    let name = rest.take(name_len)?;
    let said = rest.array::<32>()?;
    let stored = rest.0;
    if stored.len() != stored_len || said != *hash || name_len > CODEC_NAME_BYTES_MAX {
        return None;
    }
    let head = bytes.get(..BLOCK_FIXED + name_len)?;
    let is = blake3::Hasher::new().update(head).update(stored).finalize();
    if is != said {
        return None;
    }
    let codec = std::str::from_utf8(name).ok()?;
    Some(Parts {
        codec,
        raw_len,
        entries,
        stored,
    })
}

/// Unpacks a block into `raw`, after its hash was compared with the one that the index gives.
/// `codecs` finds a codec by the name that the block gives.
pub(crate) fn decode_block(
    bytes: &[u8],
    expected: &BlockRef,
    codecs: &dyn Fn(&str) -> Result<Arc<dyn Codec>>,
    raw: &mut Vec<u8>,
) -> Result<()> {
    let parts = parse(bytes, &expected.hash).ok_or_else(|| {
        Error::corrupt(
            "block",
            "its bytes are not those that were written (BLAKE3)",
        )
    })?;
    if parts.raw_len > ENTRY_BYTES_MAX || parts.entries > 1 && parts.raw_len > BLOCK_BYTES_MAX {
        let reason = format!(
            "it claims {} raw bytes in {} entries, more than a block has",
            parts.raw_len, parts.entries
        );
        return Err(Error::corrupt("block", reason));
    }
    if parts.entries != expected.entries || Ok(parts.raw_len) != usize::try_from(expected.raw_len) {
        return Err(Error::corrupt(
            "block",
            "it is not the block that the index describes",
        ));
    }
    raw.clear();
    if parts.codec.is_empty() {
        raw.try_reserve_exact(parts.stored.len())
            .map_err(|_| crate::out_of_memory(parts.stored.len()))?;
        raw.extend_from_slice(parts.stored);
    } else {
        check_codec_name(parts.codec)?;
        let codec = codecs(parts.codec)?;
        codec
            .decompress(parts.stored, parts.raw_len, raw)
            .map_err(|error| match error.kind() {
                ErrorKind::Corrupt | ErrorKind::InvalidArgument => {
                    Error::corrupt("block", format!("codec {}: {error}", parts.codec))
                }
                _ => error,
            })?;
    }
    if raw.len() != parts.raw_len {
        return Err(Error::corrupt(
            "block",
            "it does not have the raw length that it says",
        ));
    }
    Ok(())
}
