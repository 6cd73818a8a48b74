//! Where the text of an export goes: packed by a codec into frames of a bounded size, to a file that
//! takes its name only when it is whole, or to a stream.

use std::io::Write;
use std::path::{Path, PathBuf};

use statekeep_core::vfs::{Vfs, WriteFile, failed};
use statekeep_core::{Error, ErrorKind, Progress, Result};
use ulid::Ulid;

use super::{ExportFormat, ExportOptions, ExportTo};
use crate::segment::BlockCodec;

/// Text of one frame.
const FRAME_BYTES: usize = 1 << 20;
/// Codecs whose frames may follow one another, and that an import reads; by the endings of names.
const CODECS: [(&str, &str); 2] = [(".zst", "zstd"), (".gz", "gzip")];

/// The codec and the format that options and a file's name ask for; codec `None` packs nothing.
pub(super) fn choose(
    options: &ExportOptions,
    path: Option<&Path>,
) -> Result<(Option<String>, ExportFormat)> {
    let name = path.and_then(Path::file_name).unwrap_or_default();
    let name = name.to_string_lossy();
    let ending = CODECS.iter().find(|(ending, _)| name.ends_with(ending));
    let codec = match options.codec.as_deref() {
        None => ending.map(|(_, codec)| (*codec).to_owned()),
        Some(crate::create::CODEC_NONE) => None,
        Some(asked) if CODECS.iter().any(|(_, codec)| *codec == asked) => Some(asked.to_owned()),
        Some(asked) => {
            let reason = format!(
                "`{asked}`: an export is packed by zstd, gzip or none, which an import reads"
            );
            return Err(Error::invalid("codec", reason));
        }
    };
    let stem = ending.and_then(|(ending, _)| name.strip_suffix(ending));
    let format = options.format.unwrap_or({
        match stem.unwrap_or(&name).ends_with(".json") {
            true => ExportFormat::Json,
            false => ExportFormat::JsonLines,
        }
    });
    Ok((codec, format))
}

/// The text of an export on its way.
pub(super) struct Output<'a> {
    sink: Sink<'a>,
    progress: &'a Progress,
    codec: Option<BlockCodec>,
    text: Vec<u8>,
    frame: Vec<u8>,
    /// Bytes of text.
    pub(super) text_bytes: u64,
    /// Bytes written.
    pub(super) bytes: u64,
}

enum Sink<'a> {
    File(FileSink<'a>),
    Stream(&'a mut (dyn Write + Send)),
}

/// A file under a temporary name, which is removed when it is dropped before its end.
struct FileSink<'a> {
    vfs: &'a dyn Vfs,
    file: Box<dyn WriteFile>,
    temporary: PathBuf,
    path: PathBuf,
    overwrite: bool,
    finished: bool,
}

impl Drop for FileSink<'_> {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.vfs.remove_file(&self.temporary)
        {
            tracing::warn!(path = %self.temporary.display(), %error, "part of an export stays behind");
        }
    }
}

impl<'a> FileSink<'a> {
    fn create(vfs: &'a dyn Vfs, path: &Path, overwrite: bool) -> Result<FileSink<'a>> {
        let named = path.file_name().and_then(|name| name.to_str());
        let (Some(parent), Some(name), true) = (path.parent(), named, path.is_absolute()) else {
            let reason = format!("{} is not the absolute path of a file", path.display());
            return Err(Error::invalid("export file", reason));
        };
        if !overwrite && vfs.exists(path).map_err(failed("look up", path))? {
            return Err(taken(path));
        }
        let temporary = parent.join(format!(".{name}.tmp-{}", Ulid::new()));
        let file = vfs
            .create(&temporary)
            .map_err(failed("create", &temporary))?;
        Ok(FileSink {
            vfs,
            file,
            temporary,
            path: path.to_owned(),
            overwrite,
            finished: false,
        })
    }

    fn finish(mut self) -> Result<()> {
        self.file.sync().map_err(failed("sync", &self.temporary))?;
        let renamed = match self.overwrite {
            true => self.vfs.rename(&self.temporary, &self.path),
            false => self.vfs.rename_new(&self.temporary, &self.path),
        };
        if let Err(error) = renamed {
            return Err(match error.kind() {
                std::io::ErrorKind::AlreadyExists => taken(&self.path),
                _ => failed("rename to", &self.path)(error),
            });
        }
        self.finished = true;
        let parent = self.path.parent().unwrap_or(&self.path);
        self.vfs
            .sync_dir(parent)
            .map_err(failed("sync the directory", parent))
    }
}

fn taken(path: &Path) -> Error {
    let message = format!(
        "{} is there already; give another name, or overwrite it",
        path.display()
    );
    Error::other(ErrorKind::AlreadyExists, message)
}

impl<'a> Output<'a> {
    pub(super) fn open<'b: 'a>(
        vfs: &'a dyn Vfs,
        to: ExportTo<'b>,
        codec: Option<BlockCodec>,
        overwrite: bool,
        progress: &'a Progress,
    ) -> Result<Output<'a>> {
        let sink = match to {
            ExportTo::File(path) => Sink::File(FileSink::create(vfs, path, overwrite)?),
            ExportTo::Stream(stream) => Sink::Stream(stream),
        };
        Ok(Output {
            sink,
            progress,
            codec,
            text: Vec::new(),
            frame: Vec::new(),
            text_bytes: 0,
            bytes: 0,
        })
    }

    /// Takes text.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<()> {
        self.text.extend_from_slice(text);
        self.text_bytes += text.len() as u64;
        if self.text.len() < FRAME_BYTES {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        text.chunks(FRAME_BYTES)
            .try_for_each(|frame| self.frame(frame))?;
        // What one large record took is given back.
        self.text = text;
        self.text.clear();
        self.text.shrink_to(2 * FRAME_BYTES);
        Ok(())
    }

    fn frame(&mut self, text: &[u8]) -> Result<()> {
        let bytes = match &self.codec {
            None => text,
            Some(BlockCodec { codec, level }) => {
                codec.compress(*level, text, &mut self.frame)?;
                &self.frame
            }
        };
        self.bytes += bytes.len() as u64;
        match &mut self.sink {
            Sink::File(file) => file
                .file
                .write_all(bytes)
                .map_err(failed("write to", &file.temporary))?,
            Sink::Stream(stream) => stream.write_all(bytes).map_err(stream_failed)?,
        }
        self.progress.pace(bytes.len() as u64, || false)
    }

    /// Writes what is left and makes the file visible; answers the bytes written.
    pub(super) fn finish(mut self) -> Result<u64> {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            self.frame(&text)?;
        }
        match self.sink {
            Sink::File(file) => file.finish()?,
            Sink::Stream(stream) => stream.flush().map_err(stream_failed)?,
        }
        Ok(self.bytes)
    }
}

fn stream_failed(source: std::io::Error) -> Error {
    failed("write to", Path::new("the stream"))(source)
}
