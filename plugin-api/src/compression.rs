//! `statekeep.compression/1`: a codec over whole blocks.
//!
//! The output is the codec's standard frame, so that its usual command line tool reads it. The host
//! adds its own framing (codec, raw length, checksum) around it and stores raw what does not shrink.

use abi_stable::StableAbi;

use crate::{Bytes, ErrorOut, Instance, Interface, OutBuf, Status};

/// Level that means "the codec's own default".
pub const COMPRESSION_LEVEL_DEFAULT: i32 = i32::MIN;

/// The functions of a codec.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct CompressionV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` Upper bound of the compressed size of `len` bytes; `SIZE_MAX` when `len` is
    /// more than the codec takes.
    pub bound: unsafe extern "C" fn(instance: *const Instance, len: usize) -> usize,
    /// `[any-thread]` Compresses `src` into `dst` as one standard frame. A capacity of `bound(len)`
    /// always suffices; with less it may answer BUFFER_TOO_SMALL (`dst.len` = a size that suffices).
    /// Levels out of the codec's range are clamped to it.
    pub compress: unsafe extern "C" fn(
        instance: *const Instance,
        level: i32,
        src: Bytes,
        dst: *mut OutBuf,
        err: *mut ErrorOut,
    ) -> Status,
    /// `[any-thread]` Decompresses one whole frame into `dst`; never writes more than `dst.cap`
    /// bytes, whatever the frame claims, and uses memory in proportion to `dst.cap`. More output
    /// than fits is BUFFER_TOO_SMALL; truncated, corrupted or trailing bytes are CORRUPT.
    pub decompress: unsafe extern "C" fn(
        instance: *const Instance,
        src: Bytes,
        dst: *mut OutBuf,
        err: *mut ErrorOut,
    ) -> Status,
}

// SAFETY: repr(C), two leading words, then non-NULL function pointers only.
unsafe impl Interface for CompressionV1 {
    const ID: &'static str = crate::COMPRESSION_V1_ID;
    const ABI_HASH: u64 = 0x6280_4231_0d48_67b7;
}
