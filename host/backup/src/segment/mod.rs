//! Segments: immutable files of sorted records. They need nothing else to be read.
//!
//! All numbers are little-endian. `uvarint` is LEB128: seven bits a byte, low bits first, at most
//! ten bytes, no superfluous zero bytes at the end.
//!
//! ```text
//! header, 32 bytes
//!    0   6  magic "SKSEG\0"
//!    6   2  format version, 1
//!    8   4  flags, 0; a set bit that a reader does not know is refused
//!   12   4  number of the segment within its run
//!   16  16  id of the backup that wrote it, the 16 bytes of the ULID
//!
//! block, one after the other
//!    0   4  magic "SKBK"
//!    4   1  length c of the codec's name, 0-64; 0: the entries are stored as they are
//!    5   3  zero
//!    8   4  raw length: bytes of the entries before the codec
//!   12   4  stored length n
//!   16   4  number of entries, at least 1
//!   20   c  the codec's name; the stored bytes are one standard frame of it
//! 20+c  32  BLAKE3 of the bytes 0 to 20+c and the stored bytes
//! 52+c   n  stored bytes
//!
//! entries of a block, sorted by key, each key once
//!         1  flags: bit 0 tombstone, others 0
//!   uvarint  length of the key, 1-4096
//!            the key, as the backend's `data` space has it
//!   uvarint  length of the record
//!            the record: envelope and payload as the backend has them; of a tombstone, an envelope
//!
//! block index, an entry a block
//!    0   8  offset of the block
//!    8   4  length of the block with its header
//!   12   4  raw length
//!   16   4  number of entries
//!   20  32  the block's BLAKE3
//!   52   2  length k of its first key
//!   54   k  its first key
//!
//! footer, 88 bytes
//!    0   8  offset of the block index, where the last block ends
//!    8   8  length of the block index
//!   16   4  number of blocks
//!   20   4  zero
//!   24   8  number of entries
//!   32   8  number of tombstones among them
//!   40   8  sum of the raw lengths
//!   48  32  SHA-256 of the header, the block index and the footer's bytes 0 to 48
//!   80   2  format version, 1
//!   82   6  magic "SKEND\0"
//! ```
//! **Block boundaries.** A block ends before an entry when it has at least 256 KiB and
//! `H(key) mod 384 KiB < length of the entry`, or when the entry would bring it over 1 MiB; an entry
//! of more than 1 MiB is a block of its own. `H` is FNV-1a with 64 bits over the key, then `h ^= h >> 32;
//! h *= 0x9e3779b97f4a7c15; h ^= h >> 32`. So a change moves the boundaries only near it, and a merge
//! can copy the other blocks as they are.
//!
//! **Hash chain.** Manifest -> run object (SHA-256) -> segment (SHA-256 of all bytes, and the
//! footer's hash, called the index hash) -> block (BLAKE3). Bytes are used only after the hash that
//! leads to them was checked.

mod block;
mod build;
mod entry;
mod index;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use block::{BlockCodec, EncodedBlock, Scratch, decode_block, encode_block};
pub(crate) use build::{BlockBuilder, RawBlock};
pub use entry::{Entries, Entry};
pub use index::{BlockRef, SegmentReader};
pub(crate) use write::SegmentWriter;

/// Version in the header and footer of a segment.
pub const SEGMENT_FORMAT: u16 = 1;
/// A segment that has reached this size takes no more blocks; a block is never split.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// A block takes a boundary only from this many raw bytes on.
pub const BLOCK_BYTES_MIN: usize = 256 << 10;
/// A block of several entries has at most this many raw bytes.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Average distance of boundaries after [`BLOCK_BYTES_MIN`], in raw bytes.
pub const BLOCK_BYTES_STEP: u64 = 384 << 10;
/// Largest raw length of a block, which then has one entry: the limit of a record in a backup.
pub const ENTRY_BYTES_MAX: usize = 256 << 20;
/// Longest key of an entry.
pub const ENTRY_KEY_BYTES_MAX: usize = 4096;
/// Largest block index; a segment whose index has reached it takes no more blocks.
pub const INDEX_BYTES_MAX: usize = 4 << 20;
/// Longest name of a codec.
pub const CODEC_NAME_BYTES_MAX: usize = 64;

const HEADER_MAGIC: &[u8; 6] = b"SKSEG\0";
const FOOTER_MAGIC: &[u8; 6] = b"SKEND\0";
const BLOCK_MAGIC: &[u8; 4] = b"SKBK";
const HEADER_BYTES: usize = 32;
const FOOTER_BYTES: usize = 88;
const FOOTER_HASHED: usize = 48;
const BLOCK_FIXED: usize = 20;
const INDEX_FIXED: usize = 54;

/// Takes bytes off the front of a slice, with checks.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for place in 0..10 {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                // A last byte of zero says nothing; one number has one form.
                return (byte != 0 || place == 0).then_some(value);
            }
        }
        None
    }
}

fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
