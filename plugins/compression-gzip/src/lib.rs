//! Codec plugin `statekeep.gzip`: one gzip member (RFC 1952), as `gzip` and all else reads it.
//!
//! The member carries a CRC-32 and its length. A second member is refused as trailing bytes.
#![deny(unsafe_code)]

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status as Progress};
use statekeep_plugin_sdk::{Compression, Config, Error, Host, Output, Plugin, Result, Status};

/// The codec.
pub struct Gzip;

impl Plugin for Gzip {
    const ID: &'static str = "statekeep.gzip";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "gzip members: slower, read by every tool there is";

    fn create(_host: Host, config: &Config) -> Result<Gzip> {
        config.known_options(&[])?;
        Ok(Gzip)
    }
}

/// Level when none is asked for.
const LEVEL_DEFAULT: i32 = 6;
/// Base 2 logarithm of the window: the largest, as all gzip files have it.
const WINDOW_BITS: u8 = 15;
/// Largest input: zlib counts what is left in 32 bits, and so does the member's trailer.
const BYTES_MAX: usize = 1 << 31;
/// Header, trailer and the end of the last block.
const OVERHEAD: usize = 64;

impl Compression for Gzip {
    /// The fastest level never stores: a byte takes 9 bits at worst.
    fn bound(&self, len: usize) -> usize {
        match len {
            0..=BYTES_MAX => len + len / 8 + OVERHEAD,
            _ => usize::MAX,
        }
    }

    fn compress(&self, level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        if src.len() > BYTES_MAX {
            return Err(Error::too_large(format!(
                "{} bytes: one gzip member takes at most {BYTES_MAX}",
                src.len()
            )));
        }
        let level = level.unwrap_or(LEVEL_DEFAULT).clamp(0, 9) as u32;
        let mut encoder = Compress::new_gzip(flate2::Compression::new(level), WINDOW_BITS);
        let progress = encoder
            .compress(src, dst.remaining(), FlushCompress::Finish)
            .map_err(|error| Error::new(Status::INTERNAL, format!("gzip: {error}")))?;
        match progress {
            Progress::StreamEnd => dst.advance(encoder.total_out() as usize),
            Progress::Ok | Progress::BufError => Err(dst.full(Some(self.bound(src.len())))),
        }
    }

    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let mut decoder = Decompress::new_gzip(WINDOW_BITS);
        let mut spare = [0];
        let progress = decoder
            .decompress(src, dst.remaining(), FlushDecompress::Finish)
            .map_err(|error| Error::corrupt(format!("gzip: {error}")))?;
        let (read, written) = (decoder.total_in() as usize, decoder.total_out() as usize);
        let ended = match progress {
            Progress::StreamEnd => true,
            // The buffer may be exactly full with only the trailer to come.
            Progress::Ok | Progress::BufError if written == dst.capacity() => matches!(
                decoder.decompress(&src[read..], &mut spare, FlushDecompress::Finish),
                Ok(Progress::StreamEnd)
            ),
            Progress::Ok | Progress::BufError => false,
        };
        let (read, total) = (decoder.total_in() as usize, decoder.total_out() as usize);
        if total > written {
            return Err(dst.full(None));
        }
        if !ended {
            return Err(Error::corrupt("the gzip member is truncated or damaged"));
        }
        if read != src.len() {
            let rest = src.len() - read;
            return Err(Error::corrupt(format!(
                "{rest} bytes follow the gzip member"
            )));
        }
        dst.advance(written)
    }
}

statekeep_plugin_sdk::export_plugin!(Gzip: compression);
