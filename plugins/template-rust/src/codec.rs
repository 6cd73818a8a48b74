//! A codec: run-length coding. A frame is a mark, then pairs of a count (1-255) and a byte, then a
//! count of 0.
//!
//! Real codecs write a standard frame, so that a known tool can read it without Statekeep.

use statekeep_plugin_sdk::{Compression, Error, Output, Result};

use crate::Template;

/// First bytes of a frame, so that something else is not taken for one.
const MARK: &[u8] = b"RL1\n";

impl Compression for Template {
    /// At worst every byte is a run of its own: two bytes for one.
    fn bound(&self, len: usize) -> usize {
        len.saturating_mul(2).saturating_add(MARK.len() + 1)
    }

    /// `put` fails by itself when the host's memory is full, hence the question marks.
    fn compress(&self, _level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        dst.put(MARK)?;
        for run in src.chunk_by(|a, b| a == b) {
            for part in run.chunks(255) {
                dst.put(&[part.len() as u8, part[0]])?;
            }
        }
        dst.put(&[0])
    }

    /// The frame comes from a disk and may hold anything: trust no count, allocate nothing for it.
    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let mut rest = src
            .strip_prefix(MARK)
            .ok_or_else(|| Error::corrupt("this is no run-length frame"))?;
        loop {
            rest = match rest {
                [0] => return Ok(()),
                [0, ..] => return Err(Error::corrupt("bytes follow the run-length frame")),
                [count, byte, rest @ ..] => {
                    let run = [*byte; 255];
                    dst.put(&run[..usize::from(*count)])?;
                    rest
                }
                _ => return Err(Error::corrupt("the run-length frame is truncated")),
            }
        }
    }
}
