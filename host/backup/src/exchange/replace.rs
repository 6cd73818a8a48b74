//! Replacing: the whole state by a new namespace, a part of one tenant by one commit. Nothing is
//! visible before the footer was found right.

use std::collections::{BTreeMap, HashSet};

use statekeep_core::{
    Class, Error, ErrorKind, Key, NamespaceBuilder, RestoreSource, Result, Scope, Selection,
    Sequence, TenantNumber, TransactOptions, data_key,
};

use super::ImportReport;
use super::format::{Header, TextRecord};
use super::import::{Filter, Task};
use super::parse::Sink;

pub(super) struct Replace<'a> {
    task: &'a Task<'a>,
    filter: Filter,
    target: Option<Target>,
}

enum Target {
    Whole(Box<Whole>),
    Part(Box<Part>),
}

struct Whole {
    builder: NamespaceBuilder,
    tenant: (String, TenantNumber),
    last: Vec<u8>,
    records: u64,
}

struct Part {
    covered: Selection,
    tenant: String,
    records: BTreeMap<(Scope, Key), TextRecord>,
    bytes: u64,
}

impl<'a> Replace<'a> {
    pub(super) fn new(task: &'a Task<'a>) -> Replace<'a> {
        Replace {
            task,
            filter: Filter::new(task),
            target: None,
        }
    }

    /// Makes the records the state, or the part of it.
    pub(super) fn finish(self, records: u64) -> Result<ImportReport> {
        let report = self.task.report(records, &self.filter);
        match self.target {
            Some(Target::Whole(whole)) => Ok(ImportReport {
                written: whole.records,
                commits: 1,
                sequence: Some(whole.builder.finish()?.0),
                times_kept: true,
                ..report
            }),
            Some(Target::Part(part)) => part.commit(self.task, &self.filter, &report),
            None => Err(Error::other(ErrorKind::Internal, "an import did not begin")),
        }
    }
}

impl Sink for Replace<'_> {
    fn begin(&mut self, header: Option<&Header>) -> Result<()> {
        self.filter.begin(header)?;
        let covered = self.task.covered(header)?;
        self.target = Some(match header {
            Some(header) if covered.is_whole() => {
                let mut builder = self.task.manager.begin_restore(RestoreSource {
                    state_id: header.state.clone(),
                    sequence: Sequence(header.sequence),
                    tenants: Vec::new(),
                })?;
                builder.fork_of(&header.timeline);
                Target::Whole(Box::new(Whole {
                    builder,
                    tenant: (String::new(), TenantNumber(0)),
                    last: Vec::new(),
                    records: 0,
                }))
            }
            _ => Target::Part(Box::new(Part::new(covered)?)),
        });
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
        match &mut self.target {
            Some(Target::Whole(whole)) => whole.put(&record),
            Some(Target::Part(part)) => part.put(self.task, record),
            None => Err(Error::other(ErrorKind::Internal, "an import did not begin")),
        }
    }

    fn end(&self) -> Result<()> {
        self.filter.end()
    }
}

impl Whole {
    fn put(&mut self, record: &TextRecord) -> Result<()> {
        if self.tenant.0 != record.tenant {
            let number = self.builder.tenant(&record.tenant)?;
            self.tenant = (record.tenant.clone(), number);
        }
        let key = data_key(self.tenant.1, &record.scope, &record.key);
        if self.last >= key {
            let reason = "it does not come after the record before it, as records of an export do";
            return Err(Error::invalid("record", reason));
        }
        self.builder
            .put_value(&key, record.header()?, &record.value)?;
        self.last = key;
        self.records += 1;
        Ok(())
    }
}

/// What to do about a part that does not fit into one commit.
fn too_large(error: &Error) -> Error {
    let message = format!(
        "a part is replaced by one commit, and this one is too large for it: {error}; narrow it by \
         scope or key, raise that limit, or merge"
    );
    Error::other(ErrorKind::TooLarge, message)
}

impl Part {
    fn new(covered: Selection) -> Result<Part> {
        let tenant = covered.tenant().map(str::to_owned).ok_or_else(|| {
            let reason = "a part of a state is replaced by one commit, which is of one tenant; name \
                          the tenant (the empty name is the default one)";
            Error::invalid("selection", reason)
        })?;
        Ok(Part {
            covered,
            tenant,
            records: BTreeMap::new(),
            bytes: 0,
        })
    }

    fn put(&mut self, task: &Task<'_>, record: TextRecord) -> Result<()> {
        let limits = task.manager.limits();
        self.bytes += record.value.as_bytes().len() as u64;
        let name = (record.scope.clone(), record.key.clone());
        if let Some(before) = self.records.insert(name, record) {
            self.bytes -= before.value.as_bytes().len() as u64;
        }
        let check = |what, actual, limit_name, limit| match actual > limit {
            true => Err(too_large(&Error::TooLarge {
                what,
                actual,
                limit_name,
                limit,
            })),
            false => Ok(()),
        };
        check(
            "records of a part",
            self.records.len() as u64,
            "limits.transaction_keys_max",
            limits.transaction_keys_max,
        )?;
        check(
            "bytes of a part",
            self.bytes,
            "limits.transaction_bytes_max",
            limits.transaction_bytes_max,
        )
    }

    /// One commit of the difference, checked against what others commit meanwhile.
    fn commit(
        self,
        task: &Task<'_>,
        filter: &Filter,
        report: &ImportReport,
    ) -> Result<ImportReport> {
        let tenant = task.tenant(&self.tenant)?;
        let outcome = tenant.retry(&TransactOptions::default(), |mut transaction| {
            let mut same = HashSet::new();
            let mut gone = Vec::new();
            let mut changed = 0;
            transaction.select(&self.covered, &mut |scope, key, current| {
                let name = (scope, key);
                match self.records.get(&name) {
                    Some(record) if filter.same(record, &current) => drop(same.insert(name)),
                    Some(_) => changed += 1,
                    // No export has it, so its absence says nothing.
                    None if current.class == Class::Ephemeral => {}
                    None => gone.push(name),
                }
                Ok(())
            })?;
            for (scope, key) in &gone {
                transaction.delete(scope, key)?;
            }
            for (name, record) in self
                .records
                .iter()
                .filter(|(name, _)| !same.contains(*name))
            {
                let options = filter.set_options(record)?;
                transaction.set(&name.0, &name.1, record.value.clone(), options)?;
            }
            let written = (self.records.len() - same.len()) as u64;
            let sequence = transaction.commit()?;
            let commits = u64::from(written > 0 || !gone.is_empty());
            Ok(ImportReport {
                written,
                added: Some(written - changed),
                changed: Some(changed),
                unchanged: Some(same.len() as u64),
                removed: Some(gone.len() as u64),
                commits,
                sequence: (commits > 0).then_some(sequence.0),
                ..report.clone()
            })
        });
        outcome.map_err(|error| match error.kind() {
            ErrorKind::TooLarge => too_large(&error),
            _ => error,
        })
    }
}
