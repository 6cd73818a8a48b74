//! Reading a segment: header, footer and block index, then any block.

use sha2::{Digest as _, Sha256};
use statekeep_core::{Error, Plugins, Result};

use super::{
    Cursor, ENTRY_KEY_BYTES_MAX, FOOTER_BYTES, FOOTER_HASHED, FOOTER_MAGIC, HEADER_BYTES,
    HEADER_MAGIC, INDEX_BYTES_MAX, INDEX_FIXED, SEGMENT_FORMAT,
};
use crate::hex::Hash256;
use crate::name::BackupId;
use crate::read_run::Codecs;
use crate::store::Object;

/// Where a block is and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Offset in the segment.
    pub offset: u64,
    /// Length with its header.
    pub len: u32,
    /// Bytes of its entries before the codec.
    pub raw_len: u32,
    /// Number of its entries.
    pub entries: u32,
    /// BLAKE3 of its header and stored bytes.
    pub hash: [u8; 32],
    /// Its first key.
    pub first_key: Vec<u8>,
}

/// The checked header, footer and block index of a segment. Parsing allocates no more than the
/// object has bytes, and never panics.
#[derive(Debug)]
pub struct SegmentReader {
    /// The backup that wrote it.
    pub backup: BackupId,
    /// Its number within its run.
    pub number: u32,
    /// Its blocks, in the order of their keys, without gaps.
    pub blocks: Vec<BlockRef>,
    /// Entries of all blocks.
    pub entries: u64,
    /// Tombstones among them, as the footer says.
    pub tombstones: u64,
    /// Raw bytes of all blocks.
    pub raw_bytes: u64,
    /// Hash of header, block index and footer.
    pub index_sha256: Hash256,
    /// Header, and index with footer, as they are in the file: what blocks do not cover.
    pub(crate) header: [u8; HEADER_BYTES],
    pub(crate) tail: Vec<u8>,
}

fn corrupt(reason: &str) -> Error {
    Error::corrupt("segment", reason)
}

impl SegmentReader {
    /// Reads and checks all but the blocks. `expected` is the index hash that a run gives.
    pub fn open(object: &dyn Object, expected: Option<Hash256>) -> Result<SegmentReader> {
        let len = object.len()?;
        if len < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            return Err(corrupt("it is shorter than header and footer"));
        }
        let mut header = [0; HEADER_BYTES];
        object.read_exact_at(&mut header, 0)?;
        let (backup, number) = parse_header(&header)?;
        let mut footer = [0; FOOTER_BYTES];
        object.read_exact_at(&mut footer, len - FOOTER_BYTES as u64)?;
        let footer = Footer::parse(&footer, len)?;
        if expected.is_some_and(|expected| expected != footer.hash) {
            return Err(corrupt("its index hash is not the one that the run gives"));
        }
        let tail_len = footer.index_len + FOOTER_BYTES;
        let mut tail = Vec::new();
        tail.try_reserve_exact(tail_len)
            .map_err(|_| crate::out_of_memory(tail_len))?;
        tail.resize(tail_len, 0);
        object.read_exact_at(&mut tail, footer.index_offset)?;
        let mut hash = Sha256::new();
        hash.update(header);
        hash.update(
            tail.get(..footer.index_len + FOOTER_HASHED)
                .unwrap_or_default(),
        );
        if Hash256(hash.finalize().into()) != footer.hash {
            return Err(corrupt(
                "header, block index or footer were changed (SHA-256)",
            ));
        }
        let blocks = parse_index(tail.get(..footer.index_len).unwrap_or_default(), &footer)?;
        Ok(SegmentReader {
            backup,
            number,
            blocks,
            entries: footer.entries,
            tombstones: footer.tombstones,
            raw_bytes: footer.raw_bytes,
            index_sha256: footer.hash,
            header,
            tail,
        })
    }

    /// Reads one of its blocks, checks its hash and unpacks it into `raw`, for [`super::Entries`].
    /// Memory is bounded by the object's length and [`super::ENTRY_BYTES_MAX`].
    pub fn entries(
        object: &dyn Object,
        block: &BlockRef,
        plugins: &dyn Plugins,
        raw: &mut Vec<u8>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        SegmentReader::read_block(object, block, &mut bytes)?;
        let codecs = Codecs::new(plugins);
        super::decode_block(&bytes, block, &|name| codecs.get(name), raw)
    }

    /// Reads the bytes of a block into `bytes`; they are not checked yet.
    pub(crate) fn read_block(
        object: &dyn Object,
        block: &BlockRef,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let len = usize::try_from(block.len).map_err(|_| corrupt("a block is too long"))?;
        bytes.clear();
        bytes
            .try_reserve_exact(len)
            .map_err(|_| crate::out_of_memory(len))?;
        bytes.resize(len, 0);
        object.read_exact_at(bytes, block.offset)
    }
}

fn parse_header(header: &[u8; HEADER_BYTES]) -> Result<(BackupId, u32)> {
    let mut rest = Cursor(header);
    if rest.take(6) != Some(HEADER_MAGIC) {
        return Err(corrupt("it does not start with the magic of a segment"));
    }
    let version = rest.u16().unwrap_or_default();
    check_version(version)?;
    let flags = rest.u32().unwrap_or_default();
    if flags != 0 {
        let reason =
            format!("it has flags {flags:#x}, this build knows none; use a newer statekeep");
        return Err(Error::Incompatible {
            what: "segment".to_owned(),
            reason,
        });
    }
    let number = rest.u32().unwrap_or_default();
    let id = rest.array::<16>().unwrap_or_default();
    Ok((BackupId::from_bytes(id), number))
}

fn check_version(version: u16) -> Result<()> {
    if version == SEGMENT_FORMAT {
        return Ok(());
    }
    let reason = format!(
        "its format is {version}, this build reads {SEGMENT_FORMAT}; use a newer statekeep"
    );
    Err(Error::Incompatible {
        what: "segment".to_owned(),
        reason,
    })
}

struct Footer {
    index_offset: u64,
    index_len: usize,
    blocks: u32,
    entries: u64,
    tombstones: u64,
    raw_bytes: u64,
    hash: Hash256,
}

impl Footer {
    fn parse(bytes: &[u8; FOOTER_BYTES], len: u64) -> Result<Footer> {
        let mut rest = Cursor(bytes);
        let short = || corrupt("its footer is short");
        let index_offset = rest.u64().ok_or_else(short)?;
        let index_bytes = rest.u64().ok_or_else(short)?;
        let blocks = rest.u32().ok_or_else(short)?;
        let zero = rest.u32().ok_or_else(short)?;
        let entries = rest.u64().ok_or_else(short)?;
        let tombstones = rest.u64().ok_or_else(short)?;
        let raw_bytes = rest.u64().ok_or_else(short)?;
        let hash = Hash256(rest.array().ok_or_else(short)?);
        let version = rest.u16().ok_or_else(short)?;
        if rest.0 != FOOTER_MAGIC {
            return Err(corrupt(
                "it does not end with the magic of a segment; it was cut",
            ));
        }
        check_version(version)?;
        let end = index_offset
            .checked_add(index_bytes)
            .and_then(|end| end.checked_add(FOOTER_BYTES as u64));
        if end != Some(len) || index_offset < HEADER_BYTES as u64 || zero != 0 {
            return Err(corrupt("its footer does not fit its length"));
        }
        let index_len = usize::try_from(index_bytes)
            .ok()
            .filter(|len| *len <= INDEX_BYTES_MAX)
            .ok_or_else(|| corrupt("its block index is larger than INDEX_BYTES_MAX"))?;
        Ok(Footer {
            index_offset,
            index_len,
            blocks,
            entries,
            tombstones,
            raw_bytes,
            hash,
        })
    }
}

fn parse_index(bytes: &[u8], footer: &Footer) -> Result<Vec<BlockRef>> {
    let count = usize::try_from(footer.blocks).unwrap_or(usize::MAX);
    if count > bytes.len() / INDEX_FIXED {
        return Err(corrupt(
            "its footer claims more blocks than its index can hold",
        ));
    }
    let mut blocks = Vec::new();
    blocks
        .try_reserve_exact(count)
        .map_err(|_| crate::out_of_memory(count))?;
    let mut rest = Cursor(bytes);
    let mut offset = HEADER_BYTES as u64;
    let (mut entries, mut raw_bytes) = (0_u64, 0_u64);
    for _ in 0..count {
        let block =
            parse_block_ref(&mut rest).ok_or_else(|| corrupt("its block index is malformed"))?;
        let rises = blocks
            .last()
            .is_none_or(|last: &BlockRef| last.first_key < block.first_key);
        if block.offset != offset || !rises {
            return Err(corrupt(
                "its block index has a gap, or keys that do not rise",
            ));
        }
        // No overflow: offsets are checked against the length of the file below, counts are u32.
        offset = offset.saturating_add(u64::from(block.len));
        entries = entries.saturating_add(u64::from(block.entries));
        raw_bytes = raw_bytes.saturating_add(u64::from(block.raw_len));
        blocks.push(block);
    }
    let whole = rest.0.is_empty() && offset == footer.index_offset;
    if !whole || entries != footer.entries || raw_bytes != footer.raw_bytes {
        return Err(corrupt("its block index and its footer do not agree"));
    }
    Ok(blocks)
}

fn parse_block_ref(rest: &mut Cursor<'_>) -> Option<BlockRef> {
    let offset = rest.u64()?;
    let len = rest.u32()?;
    let raw_len = rest.u32()?;
    let entries = rest.u32().filter(|entries| *entries > 0)?;
    let hash = rest.array()?;
    let key_len = usize::from(rest.u16()?);
    if key_len == 0 || key_len > ENTRY_KEY_BYTES_MAX {
        return None;
    }
    let first_key = rest.take(key_len)?.to_vec();
    Some(BlockRef {
        offset,
        len,
        raw_len,
        entries,
        hash,
        first_key,
    })
}
