//! Merging: records become sets in bounded commits. What is the same already is not written, so an
//! import that was stopped goes on where it was when it is run again.
//!
//! A commit is of one tenant. Records of several tenants may come in any order, so each has a batch
//! that waits until it is full, or all together are.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};

use statekeep_core::{Batch, BlockingTenant, Error, Key, Result, Scope};

use super::ImportReport;
use super::format::{Header, TextRecord};
use super::import::{Filter, Task};
use super::parse::Sink;

/// A commit has at most so many records.
const COMMIT_RECORDS_MAX: u64 = 1_000;
/// All batches that wait have at most so many bytes of values, but for a larger one alone.
const WAITING_BYTES_MAX: u64 = 4 << 20;
/// And they are of at most so many tenants, since one whose records are all the same has no bytes.
const TENANTS_MAX: usize = 4_096;

/// What waits for a commit of one tenant.
struct Waiting {
    tenant: BlockingTenant,
    batch: Batch,
    /// Names in the batch.
    names: HashSet<(Scope, Key)>,
    bytes: u64,
}

pub(super) struct Merge<'a> {
    task: &'a Task<'a>,
    filter: Filter,
    waiting: BTreeMap<String, Waiting>,
    /// Bytes of all batches.
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
            waiting: BTreeMap::new(),
            bytes: 0,
            added: 0,
            changed: 0,
            unchanged: 0,
            written: 0,
            commits: 0,
            sequence: None,
        }
    }

    /// Commits what waits of all tenants.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.task.progress.check()?;
        while let Some((_, waiting)) = self.waiting.pop_first() {
            self.commit(waiting)?;
        }
        Ok(())
    }

    /// Commits what waits of one tenant.
    fn commit(&mut self, waiting: Waiting) -> Result<()> {
        self.task.progress.check()?;
        self.bytes -= waiting.bytes;
        let records = waiting.batch.len() as u64;
        if records > 0 {
            self.sequence = Some(waiting.tenant.commit(waiting.batch)?.0);
            self.written += records;
            self.commits += 1;
        }
        Ok(())
    }

    fn commit_of(&mut self, tenant: &str) -> Result<()> {
        match self.waiting.remove(tenant) {
            Some(waiting) => self.commit(waiting),
            None => Ok(()),
        }
    }

    /// Commits the largest batches until so many bytes find room.
    fn make_room(&mut self, bytes: u64, bytes_max: u64) -> Result<()> {
        while self.bytes + bytes > bytes_max {
            let largest = self.waiting.iter().max_by_key(|(_, waiting)| waiting.bytes);
            let Some(tenant) = largest.map(|(tenant, _)| tenant.clone()) else {
                break;
            };
            self.commit_of(&tenant)?;
        }
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
        let limits = self.task.manager.limits();
        let records_max = COMMIT_RECORDS_MAX.min(limits.batch_ops_max);
        let bytes_max = WAITING_BYTES_MAX.min(limits.batch_bytes_max);
        // A name that comes twice is compared with what the first one left.
        let ends = |waiting: &Waiting| {
            waiting.names.contains(&name) || waiting.batch.len() as u64 >= records_max
        };
        if self.waiting.get(&record.tenant).is_some_and(ends) {
            self.commit_of(&record.tenant)?;
        }
        let bytes = record.value.as_bytes().len() as u64;
        self.task.progress.add(1, 0, bytes);
        // Keys and envelopes count too.
        let bytes = bytes + 2 * statekeep_core::KEY_BYTES_MAX as u64;
        self.make_room(bytes, bytes_max)?;
        if self.waiting.len() >= TENANTS_MAX {
            self.flush()?;
        }
        let waiting = match self.waiting.entry(record.tenant.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Waiting {
                tenant: self.task.tenant(&record.tenant)?,
                batch: Batch::new(),
                names: HashSet::new(),
                bytes: 0,
            }),
        };
        match waiting.tenant.get_record(&record.scope, &record.key)? {
            Some(current) if self.filter.same(&record, &current) => {
                self.unchanged += 1;
                return Ok(());
            }
            Some(_) => self.changed += 1,
            None => self.added += 1,
        }
        self.bytes += bytes;
        waiting.bytes += bytes;
        waiting
            .batch
            .set_with(&record.scope, &record.key, record.value, options);
        waiting.names.insert(name);
        Ok(())
    }

    fn end(&self) -> Result<()> {
        self.filter.end()
    }
}
