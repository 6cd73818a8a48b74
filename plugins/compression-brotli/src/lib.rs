//! Codec plugin `statekeep.brotli`: brotli streams (RFC 7932), as `brotli -d` reads them.
//!
//! The format has no checksum and no magic: damage is found only where it breaks the code, and the
//! host's own checksum must find the rest. "Large window" streams, which can ask for a gigabyte
//! of memory, are refused.
#![deny(unsafe_code)]

use brotli::enc::{BrotliEncoderParams, StandardAlloc};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use statekeep_plugin_sdk::{Compression, Config, Error, Host, Output, Plugin, Result};

/// The codec.
pub struct Brotli;

impl Plugin for Brotli {
    const ID: &'static str = "statekeep.brotli";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "brotli streams: slow to write, the best ratio on text";

    fn create(_host: Host, config: &Config) -> Result<Brotli> {
        config.known_options(&[])?;
        Ok(Brotli)
    }
}

/// Level when none is asked for; the encoder's own, 11, takes some hundred times as long.
const LEVEL_DEFAULT: i32 = 5;
const LEVEL_MAX: i32 = 11;
/// Base 2 logarithm of the largest window of RFC 7932 but two, which the format's tools use too.
const WINDOW_BITS: i32 = 22;

impl Compression for Brotli {
    /// The encoder's own bound for uncompressed metablocks of 16 KiB, with room to spare.
    fn bound(&self, len: usize) -> usize {
        len.saturating_add((len >> 14) * 4)
            .saturating_add(len >> 10)
            .saturating_add(64)
    }

    fn compress(&self, level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let params = BrotliEncoderParams {
            quality: level.unwrap_or(LEVEL_DEFAULT).clamp(0, LEVEL_MAX),
            lgwin: WINDOW_BITS,
            size_hint: src.len(),
            ..BrotliEncoderParams::default()
        };
        let mut source = src;
        // Reading and writing memory can only fail for want of room.
        match brotli::BrotliCompress(&mut source, dst, &params) {
            Ok(_) => Ok(()),
            Err(_) => Err(dst.full(Some(self.bound(src.len())))),
        }
    }

    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let alloc = StandardAlloc::default;
        let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
        let (mut input_left, mut input_at) = (src.len(), 0);
        let (mut output_left, mut output_at) = (dst.capacity(), 0);
        let mut total = 0;
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut input_at,
            src,
            &mut output_left,
            &mut output_at,
            dst.remaining(),
            &mut total,
            &mut state,
        );
        match result {
            BrotliResult::ResultSuccess if input_left == 0 => dst.advance(output_at),
            BrotliResult::ResultSuccess => Err(Error::corrupt(format!(
                "{input_left} bytes follow the brotli stream"
            ))),
            BrotliResult::NeedsMoreOutput => Err(dst.full(None)),
            BrotliResult::NeedsMoreInput => Err(Error::corrupt("the brotli stream is truncated")),
            BrotliResult::ResultFailure => Err(Error::corrupt("the brotli stream is damaged")),
        }
    }
}

statekeep_plugin_sdk::export_plugin!(Brotli: compression);
