//! Codec plugin `statekeep.zstd`: Zstandard frames (RFC 8878), as the `zstd` tool reads them.
//!
//! Frames carry the content size and a checksum. Contexts are kept per thread: making one costs
//! more than compressing a small record.
#![deny(unsafe_code)]

use std::cell::RefCell;

use statekeep_plugin_sdk::{Compression, Config, Error, Host, Output, Plugin, Result, Status};
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, ResetDirective};

/// The codec.
pub struct Zstd;

impl Plugin for Zstd {
    const ID: &'static str = "statekeep.zstd";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "Zstandard frames: the default, fast at a good ratio";

    fn create(_host: Host, config: &Config) -> Result<Zstd> {
        config.known_options(&[])?;
        Ok(Zstd)
    }
}

/// Level when none is asked for.
const LEVEL_DEFAULT: i32 = 3;
/// First bytes of a frame with data; skippable frames are not read.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Largest input that `bound` can answer for.
const BYTES_MAX: usize = usize::MAX / 4;
/// A kept context that has grown beyond this (high levels) is given back.
const CONTEXT_BYTES_MAX: usize = 16 << 20;
/// `ZSTD_error_dstSize_tooSmall`; the numbers of zstd's errors are fixed.
const DST_TOO_SMALL: usize = 70;

thread_local! {
    static ENCODER: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECODER: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

impl Compression for Zstd {
    fn bound(&self, len: usize) -> usize {
        match len {
            0..BYTES_MAX => zstd_safe::compress_bound(len),
            _ => usize::MAX,
        }
    }

    fn compress(&self, level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let level = level
            .unwrap_or(LEVEL_DEFAULT)
            .clamp(zstd_safe::min_c_level(), zstd_safe::max_c_level());
        ENCODER.with_borrow_mut(|encoder| {
            let written = encoder
                .reset(ResetDirective::SessionAndParameters)
                .and_then(|_| encoder.set_parameter(CParameter::CompressionLevel(level)))
                .and_then(|_| encoder.set_parameter(CParameter::ChecksumFlag(true)))
                .and_then(|_| encoder.compress2(dst.remaining(), src));
            if encoder.sizeof() > CONTEXT_BYTES_MAX {
                *encoder = CCtx::create();
            }
            match written {
                Ok(n) => dst.advance(n),
                Err(code) if is_too_small(code) => Err(dst.full(Some(self.bound(src.len())))),
                Err(code) => Err(Error::new(Status::INTERNAL, name(code))),
            }
        })
    }

    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        if !src.starts_with(&MAGIC) {
            return Err(Error::corrupt("this is no zstd frame"));
        }
        // Refuses a second frame as well as other bytes: zstd itself would go on with it.
        let frame_bytes = zstd_safe::find_frame_compressed_size(src).map_err(corrupt)?;
        if frame_bytes != src.len() {
            let rest = src.len() - frame_bytes;
            return Err(Error::corrupt(format!(
                "{rest} bytes follow the zstd frame"
            )));
        }
        let claimed = zstd_safe::get_frame_content_size(src)
            .map_err(|_| Error::corrupt("the zstd frame's header is damaged"))?;
        if let Some(claimed) = claimed
            && claimed > dst.capacity() as u64
        {
            return Err(dst.full(usize::try_from(claimed).ok()));
        }
        // Into one buffer: the window is the output itself, so the frame cannot ask for memory.
        match DECODER.with_borrow_mut(|decoder| decoder.decompress(dst.remaining(), src)) {
            Ok(n) => dst.advance(n),
            Err(code) if is_too_small(code) => Err(dst.full(None)),
            Err(code) => Err(corrupt(code)),
        }
    }
}

fn is_too_small(code: usize) -> bool {
    code == DST_TOO_SMALL.wrapping_neg()
}

fn name(code: usize) -> String {
    format!("zstd: {}", zstd_safe::get_error_name(code))
}

fn corrupt(code: usize) -> Error {
    Error::corrupt(name(code))
}

statekeep_plugin_sdk::export_plugin!(Zstd: compression);
