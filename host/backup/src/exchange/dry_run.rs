//! What an import would do, by comparing the text with a snapshot of the state.

use std::collections::HashSet;

use statekeep_core::{
    Record, Result, Selection, Snapshot, TenantNumber, data_key, split_key, unpack_record,
};

use super::export::scan;
use super::format::{Header, TextRecord};
use super::import::{Filter, Task};
use super::parse::Sink;
use super::{ImportMode, ImportReport, RecordName, SAMPLES_MAX, Samples};
use crate::segment::ENTRY_BYTES_MAX;

/// Removed names are looked for among so many of the state's first keys.
pub(super) const SAMPLED_KEYS_MAX: usize = 10_000;

pub(super) struct DryRun<'a> {
    task: &'a Task<'a>,
    filter: Filter,
    snapshot: Snapshot,
    tenants: Vec<(TenantNumber, String)>,
    /// Records of the state in the part that is replaced.
    covered: u64,
    /// The first of their names, without those that the text has.
    first: HashSet<RecordName>,
    added: u64,
    changed: u64,
    unchanged: u64,
    samples: Samples,
}

impl<'a> DryRun<'a> {
    pub(super) fn new(task: &'a Task<'a>) -> Result<DryRun<'a>> {
        let snapshot = task.manager.snapshot()?;
        let tenants = snapshot.facts().tenants;
        Ok(DryRun {
            task,
            filter: Filter::new(task),
            snapshot,
            tenants,
            covered: 0,
            first: HashSet::new(),
            added: 0,
            changed: 0,
            unchanged: 0,
            samples: Samples::default(),
        })
    }

    pub(super) fn finish(mut self, records: u64) -> Result<ImportReport> {
        let mut removed: Vec<_> = self.first.into_iter().collect();
        removed.sort();
        removed.truncate(SAMPLES_MAX);
        self.samples.removed = removed;
        let found = self.changed + self.unchanged;
        Ok(ImportReport {
            written: self.added + self.changed,
            added: Some(self.added),
            changed: Some(self.changed),
            unchanged: Some(self.unchanged),
            removed: Some(self.covered.saturating_sub(found)),
            samples: Some(self.samples),
            ..self.task.report(records, &self.filter)
        })
    }

    /// Counts what is in the part that is replaced.
    fn look_over(&mut self, covered: &Selection) -> Result<()> {
        let Some(keys) = covered.keys(&self.tenants) else {
            return Ok(());
        };
        let (count, first) = (&mut self.covered, &mut self.first);
        let tenants = &self.tenants;
        scan(&self.snapshot, &keys, &mut |data_key, _| {
            self.task.progress.check()?;
            if !keys.has(data_key)? {
                return Ok(());
            }
            *count += 1;
            if first.len() < SAMPLED_KEYS_MAX {
                let (number, scope, key) = split_key(data_key)?;
                let tenant = tenants.iter().find(|(known, _)| *known == number);
                first.insert(RecordName {
                    tenant: tenant.map(|(_, name)| name.clone()).unwrap_or_default(),
                    scope: scope.to_string(),
                    key: key.as_str().to_owned(),
                });
            }
            Ok(())
        })
    }

    /// What the state has under the name of a record.
    fn current(&self, record: &TextRecord) -> Result<Option<Record>> {
        let number = match record.tenant.as_str() {
            "" => Some(TenantNumber(0)),
            name => {
                let known = self.tenants.iter().find(|(_, known)| known == name);
                known.map(|(number, _)| *number)
            }
        };
        let Some(number) = number else {
            return Ok(None);
        };
        let key = data_key(number, &record.scope, &record.key);
        let Some(bytes) = self.snapshot.record(&key)? else {
            return Ok(None);
        };
        let plugins = self.task.manager.plugins();
        let (header, value) = unpack_record(&bytes, &**plugins, ENTRY_BYTES_MAX as u64)?;
        Ok(Some(Record {
            value,
            sequence: header.sequence,
            created: header.created,
            changed: header.changed,
            expires: header.expires,
            class: header.class,
        }))
    }
}

impl Sink for DryRun<'_> {
    fn begin(&mut self, header: Option<&Header>) -> Result<()> {
        self.filter.begin(header)?;
        if self.task.options.mode == ImportMode::Replace {
            let covered = self.task.covered(header)?;
            self.look_over(&covered)?;
        }
        Ok(())
    }

    fn record(&mut self, record: TextRecord) -> Result<()> {
        self.task.progress.check()?;
        if !self.filter.takes(&record)? {
            return Ok(());
        }
        self.task
            .progress
            .add(1, 0, record.value.as_bytes().len() as u64);
        let name = RecordName {
            tenant: record.tenant.clone(),
            scope: record.scope.to_string(),
            key: record.key.as_str().to_owned(),
        };
        self.first.remove(&name);
        let samples = match self.current(&record)? {
            Some(current) if self.filter.same(&record, &current) => {
                self.unchanged += 1;
                return Ok(());
            }
            Some(_) => {
                self.changed += 1;
                &mut self.samples.changed
            }
            None => {
                self.added += 1;
                &mut self.samples.added
            }
        };
        if samples.len() < SAMPLES_MAX {
            samples.push(name);
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        self.filter.end()
    }
}
