//! A compression plugin as the core's [`Codec`].

use statekeep_core::{Codec, Error, ErrorKind};
use statekeep_plugin_api::{Bytes, COMPRESSION_LEVEL_DEFAULT, CompressionV1, OutBuf, Status};

use crate::instance::expect_ok;
use crate::{Instance, Plugin, names};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A codec whose bound is more than this many times its input, and more than
/// [`BOUND_BYTES_SPARE`], asks for memory that no codec needs.
const BOUND_FACTOR_MAX: usize = 8;
const BOUND_BYTES_SPARE: usize = 1 << 20;

/// A codec instance.
pub(crate) struct PluginCodec {
    instance: Instance,
    table: &'static CompressionV1,
    name: String,
}

impl PluginCodec {
    /// Opens an instance.
    pub fn open(plugin: &Plugin, config: &serde_json::Value) -> Result<PluginCodec> {
        let table = plugin.interface::<CompressionV1>()?;
        let instance = plugin.create(config)?;
        Ok(PluginCodec {
            instance,
            table,
            name: names::short(plugin.id()).to_owned(),
        })
    }

    /// Whether it panicked and answers nothing any more.
    pub fn is_poisoned(&self) -> bool {
        self.instance.is_poisoned()
    }

    /// Room for the compressed form of `len` bytes; `None` when the codec does not take as many.
    fn bound(&self, len: usize) -> Result<Option<usize>> {
        self.instance
            .check("bound")
            .map_err(|failure| failure.error)?;
        // SAFETY: the table and the instance belong together.
        let bound = unsafe { (self.table.bound)(self.instance.as_ptr(), len) };
        if bound == usize::MAX {
            return Ok(None);
        }
        let most = len
            .saturating_mul(BOUND_FACTOR_MAX)
            .saturating_add(BOUND_BYTES_SPARE);
        if bound > most {
            let how = format!("answered {bound} for {len} bytes");
            return Err(self.instance.misbehaved("bound", &how));
        }
        Ok(Some(bound))
    }

    /// Runs `function` on `out` with room for `cap` bytes, and keeps what it wrote.
    ///
    /// A codec sees initialised memory only. What `out` holds from the call before is of no meaning,
    /// so a buffer that is used again is zeroed no further than it grows.
    fn fill(
        &self,
        what: &'static str,
        src: &[u8],
        cap: usize,
        out: &mut Vec<u8>,
        function: impl FnOnce(Bytes, *mut OutBuf, &Instance) -> Result<Status>,
    ) -> Result<()> {
        if out.try_reserve(cap.saturating_sub(out.len())).is_err() {
            let message = format!("codec {}: no memory for {cap} bytes", self.name);
            return Err(Error::other(ErrorKind::OutOfMemory, message));
        }
        out.resize(cap, 0);
        let mut dst = OutBuf {
            ptr: out.as_mut_ptr(),
            cap,
            len: 0,
        };
        let status = function(Bytes::new(src), &raw mut dst, &self.instance)?;
        expect_ok(self.instance.plugin(), what, status).map_err(|failure| failure.error)?;
        if dst.len > cap {
            let how = format!("wrote {} bytes into a buffer of {cap}", dst.len);
            return Err(self.instance.misbehaved(what, &how));
        }
        out.truncate(dst.len);
        Ok(())
    }
}

impl Codec for PluginCodec {
    fn name(&self) -> &str {
        &self.name
    }

    fn compress(&self, level: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let level = level.unwrap_or(COMPRESSION_LEVEL_DEFAULT);
        let bound = self.bound(src.len())?;
        let compress = |src: Bytes, dst: *mut OutBuf, instance: &Instance| {
            instance.call("compress", src.len, |raw, err| {
                // SAFETY: the table and the instance belong together; src and the buffer behind
                // dst live for the call.
                unsafe { (self.table.compress)(raw, level, src, dst, err) }
            })
        };
        match bound {
            Some(cap) => self.fill("compress", src, cap, out, compress),
            // A codec that panicked cannot say so in `bound`, but here, without room, it does.
            None => self.fill("compress", src, 0, out, |src, dst, instance| {
                compress(src, dst, instance)?;
                let message = format!("codec {}: {} bytes are too many", self.name, src.len);
                Err(Error::other(ErrorKind::TooLarge, message))
            }),
        }
        .inspect_err(|_| out.clear())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        let corrupt = |found: &str| {
            let reason = format!("it holds {found} bytes where {raw_len} were recorded");
            Error::corrupt(format!("{} frame", self.name), reason)
        };
        self.fill("decompress", src, raw_len, out, |src, dst, instance| {
            let status = instance.call("decompress", src.len, |raw, err| {
                // SAFETY: as in `compress`.
                unsafe { (self.table.decompress)(raw, src, dst, err) }
            })?;
            match status {
                Status::BUFFER_TOO_SMALL => Err(corrupt("more")),
                status => Ok(status),
            }
        })
        .and_then(|()| match out.len() {
            len if len == raw_len => Ok(()),
            len => Err(corrupt(&len.to_string())),
        })
        .inspect_err(|_| out.clear())
    }
}
