//! What the host needs of a codec: whole blocks in, standard frames out.

use crate::Result;

/// A compression plugin as the core sees it. Shared by all threads.
pub trait Codec: Send + Sync {
    /// The short name that is stored beside what it packed, such as `zstd`.
    fn name(&self) -> &str;

    /// Replaces `out` by `src` as one standard frame; `None` is the codec's own default level.
    fn compress(&self, level: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Replaces `out` by the content of the frame, which must be exactly `raw_len` bytes. Memory is
    /// bounded by `raw_len`, whatever the frame claims.
    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()>;
}
