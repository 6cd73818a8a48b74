//! Writing records as text.
//!
//! Rows come in the order of their keys from a snapshot of the state or from the run of a backup;
//! nothing here knows which.

use std::time::Instant;

use sha2::{Digest as _, Sha256};
use statekeep_core::{
    Error, ErrorKind, Phase, Plugins, Progress, Result, SelectedKeys, Selection, Snapshot,
    TenantNumber, split_key, unpack_record,
};

use super::format::{EXPORT_FORMAT, Footer, Header, SelectionText, line, push_record};
use super::output::{Output, choose};
use super::{ExportFormat, ExportFrom, ExportOptions, ExportReport, ExportTo};
use crate::hex::Hash256;
use crate::lease::Purpose;
use crate::manager::{BackupManager, Ends, check_level};
use crate::merge::{MergeRequest, Merged, Point, Strict, merge};
use crate::name::BackupId;
use crate::points::{Chosen, within};
use crate::read_run::ReadTask;
use crate::repository::Repository;
use crate::restore::RestoreAt;
use crate::segment::{BlockCodec, ENTRY_BYTES_MAX};

/// Rows that are asked of a scan at once.
const SCAN_ROWS: usize = 64;

/// Takes a stored key and its record.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;
/// Tenants by their numbers in stored keys.
type Tenants = Vec<(TenantNumber, String)>;

impl BackupManager {
    /// Writes the state or a backup as text (docs/exchange.md). Writers go on; what is written is one
    /// instant.
    ///
    /// # Errors
    /// `Cancelled`, `NoSpace`, `Corrupt` for what cannot be read: then there is no file under the
    /// name, and a stream has a part that no import takes. `AlreadyExists` for a name that is taken,
    /// `NotFound` for a backup or a moment that it has not, `Compacted` for a past that was trimmed.
    pub fn export(
        &self,
        to: ExportTo<'_>,
        options: &ExportOptions,
        progress: &Progress,
    ) -> Result<ExportReport> {
        let _ends = Ends(progress);
        self.aside(|| self.write_out(to, options, progress))
    }

    fn write_out(
        &self,
        to: ExportTo<'_>,
        options: &ExportOptions,
        progress: &Progress,
    ) -> Result<ExportReport> {
        progress.enter(Phase::Preparing);
        let started = Instant::now();
        let exported = self.state().clock().now().0;
        let path = match &to {
            ExportTo::File(path) => Some(*path),
            ExportTo::Stream(_) => None,
        };
        let path = path.map(std::path::Path::to_owned);
        let (codec, format) = choose(options, path.as_deref())?;
        check_level(options.level)?;
        let codec = codec
            .map(|name| {
                Ok::<_, Error>(BlockCodec {
                    codec: self.plugins().codec(&name)?,
                    level: options.level,
                })
            })
            .transpose()?;
        let mut warnings = Vec::new();
        let whole = Selection::whole();
        let selection = options.selection.as_ref().unwrap_or(&whole);
        let vfs = self.state().vfs().clone();
        let export = |header: &Header, tenants: &Tenants, rows: &mut Rows<'_>| {
            selection.check_tenant(tenants.iter().map(|(_, name)| name.as_str()))?;
            let output = Output::open(&*vfs, to, codec, options.overwrite, progress)?;
            let mut writer = Writer::new(output, format, self.plugins(), progress);
            writer.begin(header)?;
            progress.enter(Phase::Copying);
            if let Some(keys) = selection.keys(tenants) {
                rows(&keys, &mut |key, record| {
                    writer.row(&keys, tenants, key, record)
                })?;
            }
            writer.finish()
        };
        let (sequence, backup, written) = match self.source(options.from)? {
            Origin::Backup(id, at) => {
                let repository = self.existing(id)?;
                let task = self.task(&repository, progress);
                let reading = repository.begin_reading(id, Purpose::Export)?;
                warnings.extend(reading.warning.clone());
                let chosen = within(&repository, &task, id, at)?;
                let header = header_of_backup(&chosen, selection, exported)?;
                let tenants = chosen.manifest.tenants.iter();
                let tenants = tenants
                    .map(|row| (TenantNumber(row.number), row.name.clone()))
                    .collect();
                let mut rows = |_: &SelectedKeys, visit: &mut Visit<'_>| {
                    backup_rows(&repository, &task, &chosen, visit)
                };
                let written = export(&header, &tenants, &mut rows)?;
                (chosen.sequence().0, Some(id), written)
            }
            Origin::State(snapshot) => {
                let facts = snapshot.facts();
                let header = Header {
                    statekeep_export: EXPORT_FORMAT,
                    state: facts.state_id,
                    timeline: facts.timeline,
                    sequence: snapshot.sequence().0,
                    time_unix_ms: snapshot.time().0,
                    as_of_unix_ms: snapshot.as_of().0,
                    exported_unix_ms: exported,
                    tool: tool(),
                    backup: None,
                    selection: SelectionText::of(selection),
                };
                let mut rows =
                    |keys: &SelectedKeys, visit: &mut Visit<'_>| scan(&snapshot, keys, visit);
                let written = export(&header, &facts.tenants, &mut rows)?;
                (snapshot.sequence().0, None, written)
            }
        };
        Ok(ExportReport {
            path,
            sequence,
            backup,
            records: written.records,
            text_bytes: written.text_bytes,
            bytes: written.bytes,
            sha256: written.sha256,
            warnings,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn source(&self, from: ExportFrom) -> Result<Origin> {
        Ok(match from {
            ExportFrom::Now => Origin::State(self.state().snapshot()?),
            ExportFrom::Sequence(sequence) => Origin::State(self.state().snapshot_at(sequence)?),
            ExportFrom::Time(time) => Origin::State(self.state().snapshot_at_time(time)?),
            ExportFrom::Backup(id) => Origin::Backup(id, id.into()),
            ExportFrom::BackupSequence(id, sequence) => {
                Origin::Backup(id, RestoreAt::Sequence(sequence.0))
            }
            ExportFrom::BackupTime(id, time) => Origin::Backup(id, RestoreAt::Time(time)),
        })
    }
}

/// What is read.
enum Origin {
    State(Snapshot),
    /// A moment of a backup.
    Backup(BackupId, RestoreAt),
}

/// The records of a moment of a backup, in the order of their keys.
fn backup_rows(
    repository: &Repository,
    task: &ReadTask<'_>,
    chosen: &Chosen,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let request = MergeRequest::all(&chosen.manifest, chosen.point);
    let mut each = |merged: Merged<'_>| merged.each(&mut |key, record| visit(key, record));
    merge(repository, task, &request, &mut Strict, &mut each).map(drop)
}

type Rows<'a> = dyn FnMut(&SelectedKeys, &mut Visit<'_>) -> Result<()> + 'a;

fn tool() -> String {
    format!("statekeep {}", env!("CARGO_PKG_VERSION"))
}

fn header_of_backup(chosen: &Chosen, selection: &Selection, exported: i64) -> Result<Header> {
    let manifest = &chosen.manifest;
    let (sequence, time) = (chosen.sequence().0, chosen.time());
    let time = time.ok_or_else(|| {
        let message = format!(
            "backup {} does not know the time of commit {sequence}, by which expiry is judged; \
             export the commit after it",
            manifest.id
        );
        Error::other(ErrorKind::Compacted, message)
    })?;
    Ok(Header {
        statekeep_export: EXPORT_FORMAT,
        state: manifest.state.clone(),
        timeline: manifest.timeline.id.clone(),
        sequence,
        time_unix_ms: time.0,
        as_of_unix_ms: match chosen.point {
            Point::End => manifest.as_of_unix_ms,
            Point::Sequence(..) => time.0,
        },
        exported_unix_ms: exported,
        tool: tool(),
        backup: Some(manifest.id),
        selection: SelectionText::of(selection),
    })
}

/// Hands the rows of a snapshot to `visit`.
pub(super) fn scan(snapshot: &Snapshot, keys: &SelectedKeys, visit: &mut Visit<'_>) -> Result<()> {
    let mut rows = snapshot.scan_keys(keys)?;
    loop {
        let mut outcome = Ok(());
        let read = rows.next_batch(SCAN_ROWS, &mut |key, record| {
            if outcome.is_ok() {
                outcome = visit(key, record);
            }
        })?;
        outcome?;
        if read == 0 {
            return Ok(());
        }
    }
}

/// What was written.
struct Written {
    records: u64,
    text_bytes: u64,
    bytes: u64,
    sha256: Hash256,
}

/// Turns rows into text.
struct Writer<'a> {
    output: Output<'a>,
    format: ExportFormat,
    plugins: &'a dyn Plugins,
    progress: &'a Progress,
    hash: Sha256,
    line: Vec<u8>,
    records: u64,
}

impl<'a> Writer<'a> {
    fn new(
        output: Output<'a>,
        format: ExportFormat,
        plugins: &'a dyn Plugins,
        progress: &'a Progress,
    ) -> Writer<'a> {
        Writer {
            output,
            format,
            plugins,
            progress,
            hash: Sha256::new(),
            line: Vec::new(),
            records: 0,
        }
    }

    fn begin(&mut self, header: &Header) -> Result<()> {
        let text = line(header)?;
        self.hash.update(&text);
        self.hash.update(b"\n");
        if self.format == ExportFormat::Json {
            self.output.write(b"{\"header\":")?;
        }
        self.output.write(&text)?;
        match self.format {
            ExportFormat::JsonLines => self.output.write(b"\n"),
            ExportFormat::Json => self.output.write(b",\n\"records\":["),
        }
    }

    fn row(
        &mut self,
        keys: &SelectedKeys,
        tenants: &Tenants,
        data_key: &[u8],
        record: &[u8],
    ) -> Result<()> {
        self.progress.check()?;
        if !keys.has(data_key)? {
            return Ok(());
        }
        let (number, scope, key) = split_key(data_key)?;
        let tenant = match number {
            TenantNumber(0) => "",
            number => tenants
                .iter()
                .find(|(known, _)| *known == number)
                .map(|(_, name)| name.as_str())
                .ok_or_else(|| {
                    let what = format!("key {}", data_key.escape_ascii());
                    Error::corrupt(what, "its tenant has no name")
                })?,
        };
        let (header, value) = unpack_record(record, self.plugins, ENTRY_BYTES_MAX as u64)
            .map_err(|error| named(&error, tenant, &scope.to_string(), key.as_str()))?;
        self.line.clear();
        push_record(&mut self.line, tenant, (&scope, &key), &header, &value)?;
        self.hash.update(&self.line);
        self.hash.update(b"\n");
        match self.format {
            ExportFormat::JsonLines => self.line.push(b'\n'),
            ExportFormat::Json => {
                let before: &[u8] = if self.records == 0 { b"\n" } else { b",\n" };
                self.output.write(before)?;
            }
        }
        self.output.write(&self.line)?;
        self.records += 1;
        let read = (data_key.len() + record.len()) as u64;
        self.progress.add(1, read, self.line.len() as u64);
        self.line.shrink_to(1 << 20);
        Ok(())
    }

    fn finish(mut self) -> Result<Written> {
        let footer = Footer {
            statekeep_export_end: EXPORT_FORMAT,
            records: self.records,
            sha256: Hash256(self.hash.finalize().into()),
        };
        let text = line(&footer)?;
        let (before, after): (&[u8], &[u8]) = match self.format {
            ExportFormat::JsonLines => (b"", b"\n"),
            ExportFormat::Json => (b"\n],\n\"footer\":", b"}\n"),
        };
        for part in [before, &text, after] {
            self.output.write(part)?;
        }
        self.progress.check()?;
        self.progress.enter(Phase::Committing);
        let text_bytes = self.output.text_bytes;
        Ok(Written {
            records: self.records,
            text_bytes,
            bytes: self.output.finish()?,
            sha256: footer.sha256,
        })
    }
}

/// An error with the record that it is about.
pub(super) fn named(error: &Error, tenant: &str, scope: &str, key: &str) -> Error {
    let of = match tenant {
        "" => String::new(),
        tenant => format!(" of tenant `{tenant}`"),
    };
    Error::other(error.kind(), format!("`{key}` in {scope}{of}: {error}"))
}
