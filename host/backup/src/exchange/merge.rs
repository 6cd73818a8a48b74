//! Merging: records become sets in bounded commits. What is the same already is not written, so an
//! import that was stopped goes on where it was when it is run again.

use std::collections::HashSet;

use statekeep_core::{Batch, BlockingTenant, Error, Key, Result, Scope};

use super::ImportReport;
use super::format::{Header, TextRecord};
use super::import::{Filter, Task};
use super::parse::Sink;

/// A commit has at most so many records and, but for a larger one alone, bytes of values.
const COMMIT_RECORDS_MAX: u64 = 1_000;
const COMMIT_BYTES_MAX: u64 = 4 << 20;

pub(super) struct Merge<'a> {
    task: &'a Task<'a>,
    filter: Filter,
    tenant: Option<BlockingTenant>,
    batch: Batch,
    /// Names in the batch.
    waiting: HashSet<(Scope, Key)>,
    bytes: u64,
    added: u64,
    changed: u64,
    unchanged: u64,
    /// Records of the commits that were made.
    written: u64,
    commits: u64,
    sequence: Option<u64>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(task: &'a Task<'a>) -> Merge<'a> {
        Merge {
            task,
            filter: Filter::new(task),
            tenant: None,
            batch: Batch::new(),
            waiting: HashSet::new(),
            bytes: 0,
            added: 0,
            changed: 0,
            unchanged: 0,
            written: 0,
            commits: 0,
            sequence: None,
        }
    }

    /// Commits what waits.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.task.progress.check()?;
        let Some(tenant) = self.tenant.as_ref().filter(|_| !self.batch.is_empty()) else {
            return Ok(());
        };
        let records = self.batch.len() as u64;
        self.sequence = Some(tenant.commit(std::mem::take(&mut self.batch))?.0);
        self.written += records;
        self.commits += 1;
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    /// The report; an error says what had been committed.
    pub(super) fn finish(self, outcome: Result<u64>) -> Result<ImportReport> {
        let records = match outcome {
            Ok(records) => records,
            Err(error) if self.commits == 0 => return Err(error),
            Err(error) => {
                let message = format!(
                    "{error}; {} records in {} commits had been imported, and the same import can be \
                     run again",
                    self.written, self.commits
                );
                return Err(Error::other(error.kind(), message));
            }
        };
        Ok(ImportReport {
            written: self.written,
            added: Some(self.added),
            changed: Some(self.changed),
            unchanged: Some(self.unchanged),
            removed: Some(0),
            commits: self.commits,
            sequence: self.sequence,
            ..self.task.report(records, &self.filter)
        })
    }
}

impl Sink for Merge<'_> {
    fn begin(&mut self, header: Option<&Header>) -> Result<()> {
        self.filter.begin(header)
    }

    fn record(&mut self, record: TextRecord) -> Result<()> {
        if !self.filter.takes(&record)? {
            return Ok(());
        }
        let options = self.filter.set_options(&record)?;
        let name = (record.scope.clone(), record.key.clone());
        let other = |tenant: &BlockingTenant| tenant.name() != record.tenant;
        // A name that comes twice is compared with what the first one left.
        if self.waiting.contains(&name) || self.tenant.as_ref().is_some_and(other) {
            self.flush()?;
        }
        let tenant = match self.tenant.take() {
            Some(tenant) if !other(&tenant) => tenant,
            _ => self.task.tenant(&record.tenant)?,
        };
        let tenant = self.tenant.insert(tenant);
        let bytes = record.value.as_bytes().len() as u64;
        self.task.progress.add(1, 0, bytes);
        match tenant.get_record(&record.scope, &record.key)? {
            Some(current) if self.filter.same(&record, &current) => {
                self.unchanged += 1;
                return Ok(());
            }
            Some(_) => self.changed += 1,
            None => self.added += 1,
        }
        let limits = self.task.manager.limits();
        let records_max = COMMIT_RECORDS_MAX.min(limits.batch_ops_max);
        let bytes_max = COMMIT_BYTES_MAX.min(limits.batch_bytes_max);
        // Keys and envelopes count too.
        let bytes = bytes + 2 * statekeep_core::KEY_BYTES_MAX as u64;
        if self.batch.len() as u64 >= records_max || self.bytes + bytes > bytes_max {
            self.flush()?;
        }
        self.bytes += bytes;
        self.batch
            .set_with(&record.scope, &record.key, record.value, options);
        self.waiting.insert(name);
        Ok(())
    }
}
