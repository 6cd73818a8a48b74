//! `backup export`: the state or a backup as JSON text.

use std::io::{self, ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use statekeep::{
    Error, ExportFormat, ExportFrom, ExportOptions, ExportReport, ExportTo, Host, Progress, Result,
    Sequence,
};

use super::part::Part;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{rate, text, time, work};

const EXAMPLES: &str = "\
Without --tenant, --scope and --key all records of all tenants are exported; --scope and --key are of
the default tenant unless --tenant names another one, or --all-tenants is given. With ID, --at and
--at-sequence mean a moment in the history of that backup. docs/exchange.md describes every line.

Examples:
  statekeep backup export --to state.jsonl.zst
  statekeep backup export 01K9TB --to backup.json
  statekeep backup export 01K9TB --at-sequence 4711 --to then.jsonl
  statekeep backup export --scope 'agent:*' --at 2026-03-01 | jq .value";

/// Arguments of `backup export`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Export {
    /// The backup, or the start of its id [default: the state as it is]
    id: Option<String>,
    /// The file, which must not be there yet; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    to: PathBuf,
    #[command(flatten)]
    part: Part,
    /// The state as it was at a time: 2026-03-01, "2026-03-01 14:03" (local), 2026-03-01T14:03:05Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The state as it was right after a commit
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "at")]
    at_sequence: Option<u64>,
    /// How records are written [default: by the file's name, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Form>,
    /// zstd, gzip or none [default: by the file's name, else none]
    #[arg(long, value_name = "NAME")]
    codec: Option<String>,
    /// The compression level
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    level: Option<i32>,
    /// Most bytes a second that are read from the backup and written, such as 500K or 10M
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    limit_rate: Option<u64>,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
}

#[derive(Copy, Clone, ValueEnum)]
enum Form {
    /// A header, one record a line, a footer
    Jsonl,
    /// One JSON document
    Json,
}

/// Standard output, whose reader may go early.
struct Pipe<'a> {
    stdout: io::Stdout,
    progress: &'a Progress,
    closed: bool,
}

impl Pipe<'_> {
    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome
            && error.kind() == IoKind::BrokenPipe
        {
            self.closed = true;
            self.progress.cancel();
        }
        outcome
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stdout.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stdout.flush();
        self.note(flushed)
    }
}

impl Export {
    /// Writes the text; to a file, prints what was written.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let at = self.at.as_deref().map(time::parse).transpose()?;
        let host = session::open(globals, Access::Existing)?;
        let id = self.id.as_deref();
        let id = id.map(|id| super::resolve(&host.backups, id)).transpose()?;
        let from = match (id, at, self.at_sequence.map(Sequence)) {
            (Some(id), Some(at), _) => ExportFrom::BackupTime(id, at),
            (Some(id), None, Some(sequence)) => ExportFrom::BackupSequence(id, sequence),
            (Some(id), None, None) => ExportFrom::Backup(id),
            (None, Some(at), _) => ExportFrom::Time(at),
            (None, None, Some(sequence)) => ExportFrom::Sequence(sequence),
            (None, None, None) => ExportFrom::Now,
        };
        let options = ExportOptions {
            from,
            selection: Some(self.part.selection(globals)?),
            format: self.format.map(|format| match format {
                Form::Jsonl => ExportFormat::JsonLines,
                Form::Json => ExportFormat::Json,
            }),
            codec: self.codec.clone(),
            level: self.level,
            overwrite: self.overwrite,
        };
        if self.to == Path::new("-") {
            let (closed, outcome) = work::run(out, "export", |progress| {
                progress.limit_rate(self.limit_rate.unwrap_or_default());
                Ok(to_stdout(&host, &options, progress))
            })?;
            // Who closed the pipe has seen enough.
            if !closed {
                remark(&outcome?, out);
            }
            return Ok(Exit::Ok);
        }
        let path = absolute(&self.to)?;
        let report = work::run(out, "export", |progress| {
            progress.limit_rate(self.limit_rate.unwrap_or_default());
            host.backups
                .export(ExportTo::File(&path), &options, progress)
        })?;
        if out.json() {
            out.document(&report)?;
        } else {
            out.line(text::shown(&path.display().to_string()))?;
            remark(&report, out);
        }
        Ok(Exit::Ok)
    }
}

fn to_stdout(
    host: &Host,
    options: &ExportOptions,
    progress: &Progress,
) -> (bool, Result<ExportReport>) {
    let mut pipe = Pipe {
        stdout: io::stdout(),
        progress,
        closed: false,
    };
    let outcome = host
        .backups
        .export(ExportTo::Stream(&mut pipe), options, progress);
    (pipe.closed, outcome)
}

fn remark(report: &ExportReport, out: &mut Output) {
    out.remark(format_args!(
        "{} at sequence {}, {}",
        text::count(report.records, "record"),
        report.sequence,
        text::size(report.bytes)
    ));
    for warning in &report.warnings {
        out.warning(text::shown_text(warning));
    }
}

/// A path that does not hang on the working directory.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| Error::File {
        action: "find",
        path: path.to_owned(),
        source,
    })
}
