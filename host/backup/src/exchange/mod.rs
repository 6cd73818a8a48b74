//! Export and import: a state or a backup as JSON text, and back (docs/exchange.md).
//!
//! An export streams rows in the order of their keys into text; an import streams text into the
//! commit path or into a new namespace. Neither holds more than a few records in memory. A file is
//! believed only after its count and its hash were found right.

mod dry_run;
mod export;
mod format;
mod import;
mod input;
mod merge;
mod output;
mod parse;
mod replace;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use statekeep_core::{Error, Result, Selection, Sequence, UnixMs};

use crate::hex::Hash256;
use crate::name::BackupId;

pub use format::{EXPORT_FORMAT, TextRecord};
pub use parse::parse_records;

/// Nesting of a value is limited by [`statekeep_core::JSON_DEPTH_MAX`]; names, class and times of a
/// record take at most this many bytes of its text.
pub const RECORD_HEAD_BYTES_MAX: u64 = 64 << 10;
/// Most names of each kind that a dry run gives as samples.
pub const SAMPLES_MAX: usize = 10;

/// How records are written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ExportFormat {
    /// A header, one record a line, a footer.
    #[default]
    JsonLines,
    /// One JSON document of the same objects.
    Json,
}

/// What is exported.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ExportFrom {
    /// The state as it is.
    #[default]
    Now,
    /// The state as it was right after a commit.
    Sequence(Sequence),
    /// The state as it was at a time.
    Time(UnixMs),
    /// A backup.
    Backup(BackupId),
    /// The state right after a commit in the history of a backup.
    BackupSequence(BackupId, Sequence),
    /// The state after the last commit at or before a time in the history of a backup.
    BackupTime(BackupId, UnixMs),
}

/// Where an export goes.
pub enum ExportTo<'a> {
    /// A file, under its name only when it is whole and synced. An absolute path.
    File(&'a Path),
    /// A stream.
    Stream(&'a mut (dyn Write + Send)),
}

/// How an export is made. `ExportOptions::default()` is the state as it is, all of it, in JSON
/// Lines.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// What is exported.
    pub from: ExportFrom,
    /// Which of its records; all when `None`.
    pub selection: Option<Selection>,
    /// How they are written; when `None` as the file's name says, else in JSON Lines.
    pub format: Option<ExportFormat>,
    /// `zstd`, `gzip` or `none`; when `None` as the file's name says, else `none`.
    pub codec: Option<String>,
    /// The codec's level.
    pub level: Option<i32>,
    /// Replace a file that is there.
    pub overwrite: bool,
}

/// The result of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// The file, if it went to one.
    pub path: Option<PathBuf>,
    /// The last commit that it shows.
    pub sequence: u64,
    /// The backup that was read.
    pub backup: Option<BackupId>,
    /// Records written.
    pub records: u64,
    /// Bytes of text.
    pub text_bytes: u64,
    /// Bytes written, after the codec.
    pub bytes: u64,
    /// The footer's hash.
    pub sha256: Hash256,
    /// What did not go as it should, and kept nothing from being exported.
    pub warnings: Vec<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// What becomes of records that the file does not have.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// They stay.
    Merge,
    /// Those in the part that the file covers are removed.
    Replace,
}

impl std::str::FromStr for ImportMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<ImportMode> {
        match text {
            "merge" => Ok(ImportMode::Merge),
            "replace" => Ok(ImportMode::Replace),
            _ => Err(Error::invalid("mode", "it is `merge` or `replace`")),
        }
    }
}

/// Where an import reads.
pub enum ImportFrom<'a> {
    /// A file, which is checked to its end before anything is written. An absolute path.
    File(&'a Path),
    /// A stream, which is read once.
    Stream(&'a mut (dyn Read + Send)),
}

/// How an import is made.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What becomes of other records.
    pub mode: ImportMode,
    /// The text has no header and no footer.
    pub plain: bool,
    /// Which records are taken; all when `None`.
    pub selection: Option<Selection>,
    /// Change nothing, only compare.
    pub dry_run: bool,
    /// Who makes the commits, for the journal.
    pub principal: String,
    /// What the commits belong to, for the journal.
    pub correlation_id: String,
}

impl ImportOptions {
    /// All records of a Statekeep export, in a mode.
    pub fn new(mode: ImportMode) -> ImportOptions {
        ImportOptions {
            mode,
            plain: false,
            selection: None,
            dry_run: false,
            principal: String::new(),
            correlation_id: String::new(),
        }
    }
}

/// The result of an import. A number is null where it was not counted: a state that was replaced as
/// a whole is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// What became of other records.
    pub mode: ImportMode,
    /// Nothing was changed.
    pub dry_run: bool,
    /// Records in the file.
    pub records: u64,
    /// Records whose time had come, which were not written.
    pub expired: u64,
    /// Records that were not selected.
    pub not_selected: u64,
    /// Records written, or that would be.
    pub written: u64,
    /// Of these, names that were not there.
    pub added: Option<u64>,
    /// Of these, names that were there with something else.
    pub changed: Option<u64>,
    /// Records that were the same already.
    pub unchanged: Option<u64>,
    /// Records that the file does not have and that are gone, or would be.
    pub removed: Option<u64>,
    /// Commits made; 0 for a dry run.
    pub commits: u64,
    /// The last of them.
    pub sequence: Option<u64>,
    /// Whether `created`, `changed` and `sequence` of the records are those of the file.
    pub times_kept: bool,
    /// Of a dry run, some of the names.
    pub samples: Option<Samples>,
    /// How long it took.
    pub duration_ms: u64,
}

/// Names of records that differ, up to [`SAMPLES_MAX`] of each kind. Removed ones are looked for
/// among the first [`SAMPLED_KEYS_MAX`](dry_run::SAMPLED_KEYS_MAX) keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Samples {
    /// Names that are not in the state.
    pub added: Vec<RecordName>,
    /// Names that have something else.
    pub changed: Vec<RecordName>,
    /// Names that are not in the file.
    pub removed: Vec<RecordName>,
}

/// The name of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RecordName {
    /// Empty for the default tenant.
    pub tenant: String,
    /// As scopes are written.
    pub scope: String,
    /// The key.
    pub key: String,
}
