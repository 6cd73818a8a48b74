//! A codec as a host drives it, with guard bytes behind every destination.

use statekeep_plugin_api::{Bytes, COMPRESSION_LEVEL_DEFAULT, CompressionV1, OutBuf, Status};

use super::Subject;
use crate::{Failure, Live, raw::ErrorText};

/// Bytes behind each destination that a codec must not touch.
const GUARD_BYTES: usize = 256;
const GUARD: u8 = 0xa5;

/// A codec's instance.
pub struct RawCodec {
    live: Live,
    table: &'static CompressionV1,
}

impl RawCodec {
    pub(super) fn open(subject: &Subject) -> Result<RawCodec, Failure> {
        let live = Live::open(
            subject.descriptor,
            &format!("{{\"options\": {}}}", subject.options_json),
        )?;
        let table = live.table()?;
        Ok(RawCodec { live, table })
    }

    /// Upper bound of the compressed size of `len` bytes.
    pub fn bound(&self, len: usize) -> usize {
        // SAFETY: the instance is alive.
        unsafe { (self.table.bound)(self.live.instance(), len) }
    }

    /// Compresses into `cap` bytes; the second of the pair is `dst.len` after the call.
    ///
    /// # Errors
    /// What the codec answered, with `dst.len`.
    pub fn compress_into(
        &self,
        level: Option<i32>,
        src: &[u8],
        cap: usize,
    ) -> Result<Vec<u8>, (Failure, usize)> {
        let level = level.unwrap_or(COMPRESSION_LEVEL_DEFAULT);
        self.fill(cap, |dst, error| {
            // SAFETY: the instance is alive, and source, destination and error outlive the call.
            unsafe {
                let (instance, src) = (self.live.instance(), Bytes::new(src));
                (self.table.compress)(instance, level, src, dst, &mut error.raw)
            }
        })
    }

    /// Compresses into as many bytes as `bound` says.
    ///
    /// # Errors
    /// What the codec answered.
    pub fn compress(&self, level: Option<i32>, src: &[u8]) -> Result<Vec<u8>, String> {
        let bound = self.bound(src.len());
        self.compress_into(level, src, bound)
            .map_err(|(failure, _)| {
                let len = src.len();
                format!("compress of {len} bytes at {level:?} into its bound {bound}: {failure}")
            })
    }

    /// Decompresses into `cap` bytes.
    ///
    /// # Errors
    /// What the codec answered, with `dst.len`.
    pub fn decompress_into(&self, src: &[u8], cap: usize) -> Result<Vec<u8>, (Failure, usize)> {
        // In memory of its exact size, so that a memory checker sees a read behind the end.
        self.decompress_borrowed(&src.to_vec().into_boxed_slice(), cap)
    }

    /// As [`decompress_into`](Self::decompress_into), without a copy of the frame.
    pub(super) fn decompress_borrowed(
        &self,
        src: &[u8],
        cap: usize,
    ) -> Result<Vec<u8>, (Failure, usize)> {
        self.fill(cap, |dst, error| {
            // SAFETY: the instance is alive, and source, destination and error outlive the call.
            unsafe {
                let instance = self.live.instance();
                (self.table.decompress)(instance, Bytes::new(src), dst, &mut error.raw)
            }
        })
    }

    fn fill(
        &self,
        cap: usize,
        call: impl FnOnce(&mut OutBuf, &mut ErrorText) -> Status,
    ) -> Result<Vec<u8>, (Failure, usize)> {
        let mut memory = vec![GUARD; cap + GUARD_BYTES];
        let mut dst = OutBuf {
            ptr: memory.as_mut_ptr(),
            cap,
            len: 0,
        };
        let mut error = ErrorText::new();
        let status = call(&mut dst, &mut error);
        let broken = |text: &str| Failure {
            status: Status::PLUGIN,
            text: text.to_owned(),
        };
        if memory[cap..].iter().any(|byte| *byte != GUARD) {
            return Err((broken("the codec wrote behind the destination"), dst.len));
        }
        if status == Status::OK && dst.len > cap {
            return Err((broken("the codec claims more bytes than fit"), dst.len));
        }
        error.result(status).map_err(|failure| (failure, dst.len))?;
        memory.truncate(dst.len);
        Ok(memory)
    }
}

/// Whether a failure is a broken rule that this kit found, not the codec's own answer.
pub(super) fn is_fatal(failure: &Failure) -> bool {
    matches!(
        failure.status,
        Status::PLUGIN | Status::PANIC | Status::POISONED
    )
}
