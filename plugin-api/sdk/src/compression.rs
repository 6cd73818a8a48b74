//! Codecs: whole blocks in, standard frames out, into the host's memory.

use std::io;

use statekeep_plugin_api as api;
use statekeep_plugin_api::{Bytes, ErrorOut, Instance, OutBuf, Status};

use crate::{Error, Plugin, Result, guard, memory};

/// A codec. Its output is a standard frame, which its usual command line tool reads.
pub trait Compression: Plugin {
    /// Upper bound of the compressed size of `len` bytes; `usize::MAX` when that is more than the
    /// codec takes.
    fn bound(&self, len: usize) -> usize;

    /// Compresses `src` into `dst` as one frame. `None` is the codec's own default level; levels
    /// out of its range are clamped to it.
    ///
    /// # Errors
    /// [`Output::full`] when `dst` is too small.
    fn compress(&self, level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()>;

    /// Decompresses one whole frame, using memory in proportion to the capacity of `dst`, whatever
    /// the frame claims.
    ///
    /// # Errors
    /// [`Output::full`] when there is more than fits; `CORRUPT` for truncated, corrupted or
    /// trailing bytes.
    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()>;
}

/// The host's memory that a codec fills from the front.
#[derive(Debug)]
pub struct Output<'a> {
    buffer: &'a mut [u8],
    len: usize,
    needed: Option<usize>,
}

impl<'a> Output<'a> {
    /// An output over memory of the caller, for unit tests of a codec.
    pub fn new(buffer: &'a mut [u8]) -> Output<'a> {
        Output {
            buffer,
            len: 0,
            needed: None,
        }
    }

    /// Bytes the memory holds in all.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was written so far.
    pub fn written(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// The memory that is left. Write to its front, then [`advance`](Self::advance); what it holds
    /// before is of no meaning.
    pub fn remaining(&mut self) -> &mut [u8] {
        &mut self.buffer[self.len..]
    }

    /// Counts `n` bytes as written.
    ///
    /// # Errors
    /// `INTERNAL` when that is more than what is left.
    pub fn advance(&mut self, n: usize) -> Result<()> {
        if n > self.buffer.len() - self.len {
            let text = format!("{n} bytes were counted as written where fewer were left");
            return Err(Error::new(Status::INTERNAL, text));
        }
        self.len += n;
        Ok(())
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`full`](Self::full) when they do not fit.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        match self.remaining().get_mut(..bytes.len()) {
            Some(room) => room.copy_from_slice(bytes),
            None => return Err(self.full(None)),
        }
        self.advance(bytes.len())
    }

    /// The error for "does not fit", with the size that would suffice where it is known.
    pub fn full(&mut self, needed: Option<usize>) -> Error {
        self.needed = needed.or(self.needed);
        Error::new(
            Status::BUFFER_TOO_SMALL,
            match self.needed {
                Some(needed) => format!(
                    "{needed} bytes are needed, the buffer holds {}",
                    self.buffer.len()
                ),
                None => format!(
                    "the output is longer than the buffer's {} bytes",
                    self.buffer.len()
                ),
            },
        )
    }
}

/// For codecs that write to a stream; "does not fit" is an error of kind `StorageFull`.
impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(io::Error::new(io::ErrorKind::StorageFull, error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `body` over the host's buffer and writes the length on success, or the needed size.
///
/// # Safety
/// `dst` is NULL or valid, and its memory too; nobody else uses it during the call.
unsafe fn fill(
    dst: *mut OutBuf,
    needed: impl FnOnce() -> usize,
    body: impl FnOnce(&mut Output<'_>) -> Result<()>,
) -> Result<Status> {
    // SAFETY: NULL or valid by the caller's promise.
    let dst = unsafe { dst.as_mut() }.ok_or_else(|| memory::null("dst"))?;
    let buffer: &mut [u8] = match dst.cap {
        0 => &mut [],
        cap if dst.ptr.is_null() || cap > isize::MAX as usize => {
            let text = format!("dst has the capacity {cap} and no such memory");
            return Err(Error::invalid(text));
        }
        // SAFETY: not NULL, of a possible size, and the host's to write into during the call; its
        // bytes count as initialised, since they come from beyond an opaque call.
        cap => unsafe { std::slice::from_raw_parts_mut(dst.ptr, cap) },
    };
    let mut output = Output::new(buffer);
    match body(&mut output) {
        Ok(()) => {
            dst.len = output.len;
            Ok(Status::OK)
        }
        Err(error) => {
            if error.status() == Status::BUFFER_TOO_SMALL {
                dst.len = output.needed.unwrap_or_else(needed);
            }
            Err(error)
        }
    }
}

unsafe extern "C" fn bound<T: Compression>(instance: *const Instance, len: usize) -> usize {
    // SAFETY: the host passes an instance of this plugin, as the ABI says.
    unsafe { guard::value(instance, usize::MAX, |plugin: &T| plugin.bound(len)) }
}

unsafe extern "C" fn compress<T: Compression>(
    instance: *const Instance,
    level: i32,
    src: Bytes,
    dst: *mut OutBuf,
    err: *mut ErrorOut,
) -> Status {
    let level = (level != api::COMPRESSION_LEVEL_DEFAULT).then_some(level);
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let src = memory::bytes(src, "src")?;
            let codec = &slot.plugin;
            let bound = || codec.bound(src.len());
            fill(dst, bound, |output| codec.compress(level, src, output))
        })
    }
}

unsafe extern "C" fn decompress<T: Compression>(
    instance: *const Instance,
    src: Bytes,
    dst: *mut OutBuf,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let src = memory::bytes(src, "src")?;
            // Without a size in the frame the need is unknown: 0.
            fill(dst, || 0, |output| slot.plugin.decompress(src, output))
        })
    }
}

/// The table of a codec.
#[doc(hidden)]
pub const fn table<T: Compression>() -> api::CompressionV1 {
    api::CompressionV1 {
        struct_size: size_of::<api::CompressionV1>(),
        abi_hash: <api::CompressionV1 as api::Interface>::ABI_HASH,
        bound: bound::<T>,
        compress: compress::<T>,
        decompress: decompress::<T>,
    }
}
