//! Export and import: a state or a backup as JSON text, and back.
//!
//! As with backups, what takes long is a `statekeep_op`, and a handle that is bound to a tenant is
//! refused.

use std::ffi::c_char;
use std::path::PathBuf;

use statekeep_plugin_api::Status;

use crate::engine::{
    BackupId, ExportFormat, ExportFrom, ExportOptions, ExportTo, Host, ImportFrom, ImportMode,
    ImportOptions, Progress, Selection, Sequence, UnixMs,
};
use crate::error::{Error, Failure};
use crate::guard::guard;
use crate::input::{self, TEXT_BYTES_MAX};
use crate::manager::Manager;
use crate::op::{self, Op};

/// A file's path, made absolute.
///
/// # Safety
/// As `input::bytes`.
unsafe fn file(ptr: *const c_char, len: usize) -> Result<PathBuf, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { input::text(ptr, len, TEXT_BYTES_MAX, "path") }?;
    absolute(text)
}

/// A path as it is meant from where the process is.
pub(crate) fn absolute(path: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::invalid("path", &error.to_string()))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportForm {
    backup: Option<String>,
    at_sequence: Option<u64>,
    at_unix_ms: Option<i64>,
    tenant: Option<String>,
    scope: Option<String>,
    key: Option<String>,
    format: Option<String>,
    codec: Option<String>,
    level: Option<i32>,
    overwrite: Option<bool>,
}

impl ExportForm {
    fn options(self) -> Result<ExportOptions, Failure> {
        let from = match (self.backup, self.at_sequence, self.at_unix_ms) {
            (None, None, None) => ExportFrom::Now,
            (Some(id), None, None) => ExportFrom::Backup(BackupId::parse(&id)?),
            (Some(id), Some(sequence), None) => {
                ExportFrom::BackupSequence(BackupId::parse(&id)?, Sequence(sequence))
            }
            (Some(id), None, Some(at)) => ExportFrom::BackupTime(BackupId::parse(&id)?, UnixMs(at)),
            (None, Some(sequence), None) => ExportFrom::Sequence(Sequence(sequence)),
            (None, None, Some(at)) => ExportFrom::Time(UnixMs(at)),
            (_, Some(_), Some(_)) => {
                let reason = "give one of `at_sequence` and `at_unix_ms`";
                return Err(Failure::invalid("options", reason));
            }
        };
        let format = match self.format.as_deref() {
            None => None,
            Some("jsonl") => Some(ExportFormat::JsonLines),
            Some("json") => Some(ExportFormat::Json),
            Some(_) => return Err(Failure::invalid("format", "it is `jsonl` or `json`")),
        };
        let [tenant, scope, key] = [&self.tenant, &self.scope, &self.key].map(Option::as_deref);
        Ok(ExportOptions {
            from,
            selection: Some(Selection::new(tenant, scope, key)?),
            format,
            codec: self.codec,
            level: self.level,
            overwrite: self.overwrite.unwrap_or_default(),
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportForm {
    mode: Option<String>,
    plain: Option<bool>,
    tenant: Option<String>,
    scope: Option<String>,
    key: Option<String>,
    dry_run: Option<bool>,
    principal: Option<String>,
    correlation_id: Option<String>,
}

impl ImportForm {
    fn options(self) -> Result<ImportOptions, Failure> {
        let mode: ImportMode = self.mode.as_deref().unwrap_or_default().parse()?;
        let [tenant, scope, key] = [&self.tenant, &self.scope, &self.key].map(Option::as_deref);
        let selection = Selection::new(tenant, scope, key)?;
        Ok(ImportOptions {
            plain: self.plain.unwrap_or_default(),
            selection: Some(selection).filter(|selection| !selection.is_whole()),
            dry_run: self.dry_run.unwrap_or_default(),
            principal: self.principal.unwrap_or_default(),
            correlation_id: self.correlation_id.unwrap_or_default(),
            ..ImportOptions::new(mode)
        })
    }
}

/// Starts an export into a file, which has its name only once it is whole and synced; writers go on.
/// `options` is a JSON object or empty: `backup` (id; else the state), one of `at_sequence` and
/// `at_unix_ms` (a moment of the state's past or in the backup's history); `tenant`, `scope`, `key` (patterns) narrow it; `format` (`"jsonl"`, `"json"`),
/// `codec` (`"zstd"`, `"gzip"`, `"none"`), both else by the file's name; `level`; `overwrite`
/// (boolean). The result has `records`, `bytes`, `sha256` and more. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_export_start(
    manager: *const Manager,
    path: *const c_char,
    path_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.whole("an export")?;
            let path = file(path, path_len)?;
            let form: ExportForm = input::options(options, options_len)?;
            let options = form.options()?;
            Ok(move |host: &Host, progress: &Progress| {
                host.backups
                    .export(ExportTo::File(&path), &options, progress)
            })
        })
    })
}

/// Starts an import of a file that an export made, or of plain lines, also packed by zstd or gzip.
/// `options` is a JSON object: `mode` (`"merge"`, `"replace"`; required), `plain` (boolean: lines
/// without header and footer), `tenant`, `scope`, `key` (patterns; only these), `dry_run` (boolean),
/// `principal`, `correlation_id`. A replacement that fails changes nothing; the error of a merge says
/// what had been committed. The result has `added`, `changed`, `removed` and more.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_import_start(
    manager: *const Manager,
    path: *const c_char,
    path_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.state_writer("an import")?;
            let path = file(path, path_len)?;
            let form: ImportForm = input::options(options, options_len)?;
            let options = form.options()?;
            Ok(move |host: &Host, progress: &Progress| {
                host.backups
                    .import(ImportFrom::File(&path), &options, progress)
            })
        })
    })
}
