//! What an import reads: a file or a stream, unpacked when its first bytes are those of gzip or
//! zstd, in pieces of a bounded size.
//!
//! Frames of other programs have no bounds that a codec plugin could be given, which packs whole
//! blocks; so unpacking is done by the libraries, as a stream. What a frame claims to unpack to is
//! never believed: every record is cut off at its limit.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use statekeep_core::vfs::{ReadFile, Vfs, failed};
use statekeep_core::{Error, ErrorKind, Progress, Result};

use super::ImportFrom;

/// Base 2 logarithm of the largest zstd window: 32 MiB.
const WINDOW_LOG_MAX: u32 = 25;
const BUFFER_BYTES: usize = 128 << 10;

/// The text of an import and what errors call it.
pub(super) struct Input<'a> {
    pub(super) text: Box<dyn BufRead + 'a>,
    pub(super) name: String,
}

/// A file of the file layer, from its start.
struct FileReader {
    file: Box<dyn ReadFile>,
    at: u64,
    len: u64,
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let most = rest.min(buf.len());
        let (part, _) = buf.split_at_mut(most);
        self.file.read_exact_at(part, self.at)?;
        self.at += most as u64;
        Ok(most)
    }
}

/// Counts what is read, and stops once the import was cancelled.
struct Counted<'a, R> {
    inner: R,
    progress: &'a Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.progress.check().map_err(io::Error::other)?;
        let read = self.inner.read(buf)?;
        self.progress.add(0, read as u64, 0);
        let paced = self.progress.pace(read as u64, || false);
        paced.map(|()| read).map_err(io::Error::other)
    }
}

impl<'a> Input<'a> {
    /// Opens a file or takes a stream. `passes` is how often a file will be read.
    pub(super) fn open(
        vfs: &dyn Vfs,
        from: &'a mut ImportFrom<'_>,
        progress: &'a Progress,
        passes: u64,
    ) -> Result<Input<'a>> {
        match from {
            ImportFrom::File(path) => {
                let file = vfs.open(path).map_err(failed("open", path))?;
                let len = file.len().map_err(failed("look up", path))?;
                progress.expect(0, len.saturating_mul(passes));
                let reader = FileReader { file, at: 0, len };
                Input::unpack(reader, path.display().to_string(), progress)
            }
            ImportFrom::Stream(stream) => {
                Input::unpack(&mut **stream, "the stream".to_owned(), progress)
            }
        }
    }

    fn unpack(inner: impl Read + 'a, name: String, progress: &'a Progress) -> Result<Input<'a>> {
        let mut bytes = Counted { inner, progress };
        let mut magic = Vec::new();
        (&mut bytes)
            .take(4)
            .read_to_end(&mut magic)
            .map_err(|error| unreadable(&name, error))?;
        let kind = Packing::of(&magic);
        let bytes = io::Cursor::new(magic).chain(bytes);
        let text: Box<dyn BufRead + 'a> = match kind {
            Packing::None => buffered(bytes),
            Packing::Gzip => {
                let packed = BufReader::with_capacity(BUFFER_BYTES, bytes);
                buffered(flate2::bufread::MultiGzDecoder::new(packed))
            }
            Packing::Zstd => {
                let unpack = || {
                    let packed = BufReader::with_capacity(BUFFER_BYTES, bytes);
                    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                    decoder.window_log_max(WINDOW_LOG_MAX)?;
                    Ok(buffered(decoder))
                };
                unpack().map_err(|error| unreadable(&name, error))?
            }
        };
        Ok(Input { text, name })
    }
}

fn buffered<'a>(inner: impl Read + 'a) -> Box<dyn BufRead + 'a> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, inner))
}

enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(magic: &[u8]) -> Packing {
        match magic {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or one that is skipped (RFC 8878).
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Packing::Zstd,
            _ => Packing::None,
        }
    }
}

/// The error behind a failed read: a cancellation, damage of packed text, or the system's own.
pub(super) fn unreadable(name: &str, error: io::Error) -> Error {
    let known = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    if let Some(known) = known {
        return Error::other(known.kind(), known.to_string());
    }
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::PermissionDenied => {
            failed("read", Path::new(name))(error)
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Other => {
            let reason = format!("its packed text cannot be read: {error}");
            Error::corrupt(name, reason)
        }
        _ => failed("read", Path::new(name))(error),
    }
}

/// Reads a line of at most `bytes_max` bytes, without its line feed; `false` where none ended it, as at
/// the end of the text. `None` is a line that is longer.
pub(super) fn read_line(
    text: &mut dyn BufRead,
    bytes_max: u64,
    line: &mut Vec<u8>,
) -> io::Result<Option<bool>> {
    line.clear();
    line.shrink_to(1 << 20);
    text.take(bytes_max.saturating_add(1))
        .read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    match line.len() as u64 > bytes_max {
        true => Ok(None),
        false => Ok(Some(false)),
    }
}

/// A stream of which no piece may be longer than a limit: [`Pieces::next`] begins a piece.
pub(super) struct Pieces<'a> {
    text: &'a mut dyn BufRead,
    left: &'a std::cell::Cell<u64>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(text: &'a mut dyn BufRead, left: &'a std::cell::Cell<u64>) -> Pieces<'a> {
        Pieces { text, left }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let message = "a record is longer than its limit";
            return Err(io::Error::other(Error::other(ErrorKind::TooLarge, message)));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let (part, _) = buf.split_at_mut(most);
        let read = self.text.read(part)?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}
