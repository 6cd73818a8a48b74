//! Cutting a sorted stream of entries into blocks.

use statekeep_core::{Error, Result};

use super::entry::Entry;
use super::{
    BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, BLOCK_BYTES_STEP, ENTRY_BYTES_MAX, ENTRY_KEY_BYTES_MAX,
};

/// A block's entries before the codec.
#[derive(Debug, Default)]
pub(crate) struct RawBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: u32,
    pub(crate) tombstones: u32,
    pub(crate) first_key: Vec<u8>,
    pub(crate) last_key: Vec<u8>,
}

/// Collects entries; the caller asks before each whether the block so far must go out first.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    block: RawBlock,
}

impl BlockBuilder {
    /// The size that the entry will have, or why no backup can hold it.
    pub(crate) fn size(entry: Entry<'_>) -> Result<usize> {
        let len = entry.encoded_len();
        if entry.key.is_empty() || entry.key.len() > ENTRY_KEY_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "stored key",
                actual: entry.key.len() as u64,
                limit_name: "ENTRY_KEY_BYTES_MAX",
                limit: ENTRY_KEY_BYTES_MAX as u64,
            });
        }
        if len > ENTRY_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "record",
                actual: len as u64,
                limit_name: "ENTRY_BYTES_MAX",
                limit: ENTRY_BYTES_MAX as u64,
            });
        }
        Ok(len)
    }

    /// Whether a boundary lies before this entry of `len` bytes.
    pub(crate) fn boundary(&self, key: &[u8], len: usize) -> bool {
        let filled = self.block.bytes.len();
        if filled == 0 {
            return false;
        }
        filled + len > BLOCK_BYTES_MAX
            || filled >= BLOCK_BYTES_MIN && key_hash(key) % BLOCK_BYTES_STEP < len as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.block.bytes.is_empty()
    }

    /// Adds an entry whose key must be above all others.
    pub(crate) fn push(&mut self, entry: Entry<'_>, len: usize) -> Result<()> {
        let block = &mut self.block;
        if block.entries > 0 && block.last_key.as_slice() >= entry.key {
            return Err(Error::corrupt(
                "scan",
                "the backend handed out keys that do not rise",
            ));
        }
        if block.bytes.is_empty() {
            let room = len.max(BLOCK_BYTES_MIN);
            block
                .bytes
                .try_reserve_exact(room)
                .map_err(|_| crate::out_of_memory(room))?;
            block.first_key.clear();
            block.first_key.extend_from_slice(entry.key);
        }
        entry.encode(&mut block.bytes);
        block.entries += 1;
        block.tombstones += u32::from(entry.tombstone);
        block.last_key.clear();
        block.last_key.extend_from_slice(entry.key);
        Ok(())
    }

    /// The block so far; the builder is empty again.
    pub(crate) fn take(&mut self) -> RawBlock {
        std::mem::take(&mut self.block)
    }
}

/// `H` of the format: FNV-1a, 64 bits, with its bits mixed.
fn key_hash(key: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 32
}
