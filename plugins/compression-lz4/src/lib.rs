//! Codec plugin `statekeep.lz4`: LZ4 frames (LZ4 Frame Format 1.6), as the `lz4` tool reads them.
//!
//! Blocks and content carry checksums, and the frame its content size, so that damage is found.
//! Levels are accepted and have no effect: the encoder has one.
#![deny(unsafe_code)]

use std::io::{Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use statekeep_plugin_sdk::{Compression, Config, Error, Host, Output, Plugin, Result, Status};

/// The codec.
pub struct Lz4;

impl Plugin for Lz4 {
    const ID: &'static str = "statekeep.lz4";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "LZ4 frames: the least CPU, a moderate ratio";

    fn create(_host: Host, config: &Config) -> Result<Lz4> {
        config.known_options(&[])?;
        Ok(Lz4)
    }
}

/// `0x184D2204`, the only kind of frame that is read; legacy and skippable frames are not.
const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Shortest frame: header of 7 bytes and end mark.
const FRAME_BYTES_MIN: usize = 11;
/// Longest header, end mark and content checksum.
const FRAME_OVERHEAD: usize = 19 + 4 + 4;
/// Length and checksum of a block; a block that does not shrink is stored as it is.
const BLOCK_OVERHEAD: usize = 4 + 4;
const BLOCK_BYTES_MIN: usize = 64 * 1024;

impl Compression for Lz4 {
    fn bound(&self, len: usize) -> usize {
        len.saturating_add(len.div_ceil(BLOCK_BYTES_MIN) * BLOCK_OVERHEAD)
            .saturating_add(FRAME_OVERHEAD)
    }

    fn compress(&self, _level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let info = FrameInfo::new()
            .content_size(Some(src.len() as u64))
            .content_checksum(true)
            .block_checksums(true)
            .block_mode(BlockMode::Independent)
            .block_size(match src.len() {
                0..=0x1_0000 => BlockSize::Max64KB,
                0x1_0001..=0x4_0000 => BlockSize::Max256KB,
                _ => BlockSize::Max1MB,
            });
        let mut encoder = FrameEncoder::with_frame_info(info, &mut *dst);
        let written = encoder.write_all(src).is_ok() && encoder.try_finish().is_ok();
        // An encoder that failed must not try again in its drop.
        let _ = encoder.into_inner();
        // Writing into memory can only fail for want of room.
        match written {
            true => Ok(()),
            false => Err(dst.full(Some(self.bound(src.len())))),
        }
    }

    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        if src.len() < FRAME_BYTES_MIN || !src.starts_with(&MAGIC) {
            return Err(Error::corrupt("this is no LZ4 frame"));
        }
        let mut decoder = FrameDecoder::new(Frame {
            rest: src,
            ran_out: false,
        });
        let mut spare = [0];
        loop {
            let full = dst.remaining().is_empty();
            let into = match full {
                true => &mut spare[..],
                false => dst.remaining(),
            };
            match read(&mut decoder, into)? {
                0 => break,
                _ if full => return Err(dst.full(None)),
                n => dst.advance(n)?,
            }
        }
        let rest = decoder.get_ref().rest.len();
        if rest > 0 {
            return Err(Error::corrupt(format!("{rest} bytes follow the LZ4 frame")));
        }
        // Behind an end mark the decoder asks for a next frame, without one for a next block.
        read(&mut decoder, &mut spare)?;
        match decoder.get_ref().ran_out {
            true => Err(Error::corrupt("the LZ4 frame is truncated")),
            false => Ok(()),
        }
    }
}

fn read(decoder: &mut FrameDecoder<Frame<'_>>, into: &mut [u8]) -> Result<usize> {
    decoder
        .read(into)
        .map_err(|error| Error::new(Status::CORRUPT, format!("LZ4 frame: {error}")))
}

/// The bytes of a frame. The decoder takes a missing end mark for the end; asking for bytes that
/// are not there gives it away.
struct Frame<'a> {
    rest: &'a [u8],
    ran_out: bool,
}

impl Read for Frame<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.rest.read(into)
    }

    fn read_exact(&mut self, into: &mut [u8]) -> std::io::Result<()> {
        let read = self.rest.read_exact(into);
        self.ran_out |= read.is_err();
        read
    }
}

statekeep_plugin_sdk::export_plugin!(Lz4: compression);
