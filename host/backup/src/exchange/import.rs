//! Taking text into the state: what all ways of it share, and which way is taken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use statekeep_core::{
    BlockingTenant, Error, ErrorKind, Expiry, Phase, Progress, Record, Result, Selection,
    SetOptions, StateManager, UnixMs,
};

use super::dry_run::DryRun;
use super::format::{Header, TextRecord};
use super::input::Input;
use super::merge::Merge;
use super::parse::{Rules, Sink, parse};
use super::replace::Replace;
use super::{ImportFrom, ImportMode, ImportOptions, ImportReport};
use crate::manager::{BackupManager, Ends};

impl BackupManager {
    /// Takes text into the state (docs/exchange.md). Clients stay open.
    ///
    /// A replacement is all or nothing. A merge makes bounded commits, and a file is checked to its end
    /// before the first; stopped half-way it can be run again, with the same result.
    ///
    /// # Errors
    /// `InvalidArgument`, `Corrupt`, `Incompatible` and `TooLarge` for text that is not as it must be,
    /// with the line; `Cancelled`. An error of a merge says what had been committed.
    pub fn import(
        &self,
        mut from: ImportFrom<'_>,
        options: &ImportOptions,
        progress: &Progress,
    ) -> Result<ImportReport> {
        let _ends = Ends(progress);
        progress.enter(Phase::Preparing);
        let task = Task {
            manager: self.state(),
            options,
            progress,
            now: self.state().snapshot()?.as_of(),
            started: Instant::now(),
        };
        // A stream comes once; a replacement shows nothing before its end.
        let is_file = matches!(from, ImportFrom::File(_));
        let checks = is_file && options.mode == ImportMode::Merge && !options.dry_run;
        let passes = 1 + u64::from(checks);
        let mut pass = |sink: &mut dyn Sink| {
            let input = Input::open(&**self.state().vfs(), &mut from, progress, passes)?;
            let rules = Rules {
                plain: options.plain,
                value_bytes_max: self.state().limits().value_bytes_max,
            };
            let records = parse(input, rules, sink)?;
            sink.end()?;
            Ok::<_, Error>(records)
        };
        if options.dry_run {
            let mut dry = DryRun::new(&task)?;
            progress.enter(Phase::Verifying);
            let records = pass(&mut dry)?;
            return dry.finish(records);
        }
        match options.mode {
            ImportMode::Merge => {
                if checks {
                    progress.enter(Phase::Verifying);
                    pass(&mut Check(Filter::new(&task)))?;
                }
                progress.enter(Phase::Copying);
                let mut merge = Merge::new(&task);
                let outcome = pass(&mut merge).and_then(|records| merge.flush().map(|()| records));
                merge.finish(outcome)
            }
            ImportMode::Replace => {
                progress.enter(Phase::Copying);
                let mut replace = Replace::new(&task);
                let records = pass(&mut replace)?;
                progress.check()?;
                progress.enter(Phase::Committing);
                replace.finish(records)
            }
        }
    }
}

/// What an import is made with.
pub(super) struct Task<'a> {
    pub(super) manager: &'a Arc<StateManager>,
    pub(super) options: &'a ImportOptions,
    pub(super) progress: &'a Progress,
    /// The moment by which expiry is judged.
    pub(super) now: UnixMs,
    started: Instant,
}

impl Task<'_> {
    /// A tenant, whose commits say who made them.
    pub(super) fn tenant(&self, name: &str) -> Result<BlockingTenant> {
        let tenant = self.manager.tenant(name)?.blocking();
        tenant.with_origin(&self.options.principal, &self.options.correlation_id)
    }

    /// A report that has nothing to say yet but what was read.
    pub(super) fn report(&self, records: u64, filter: &Filter) -> ImportReport {
        ImportReport {
            mode: self.options.mode,
            dry_run: self.options.dry_run,
            records,
            expired: filter.expired,
            not_selected: filter.not_selected,
            written: 0,
            added: None,
            changed: None,
            unchanged: None,
            removed: None,
            commits: 0,
            sequence: None,
            times_kept: false,
            samples: None,
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The part that a replacement covers: that of the file, narrowed where the file is of a whole
    /// state.
    pub(super) fn covered(&self, header: Option<&Header>) -> Result<Selection> {
        let asked = self.options.selection.as_ref();
        let Some(header) = header else {
            return asked
                .filter(|asked| !asked.is_whole())
                .cloned()
                .ok_or_else(|| {
                    let reason = "plain lines replace a part that tenant, scope and key name; to \
                                  replace all, merge them into an empty state";
                    Error::invalid("mode", reason)
                });
        };
        let of_file = header.selection.read()?;
        match asked {
            None => Ok(of_file),
            Some(asked) if of_file.is_whole() || *asked == of_file => Ok(asked.clone()),
            Some(_) => {
                let reason = "the file is itself of a part of a state, and replaces just that part; \
                              give no tenant, scope and key";
                Err(Error::invalid("selection", reason))
            }
        }
    }
}

/// Most tenants of a text that are kept, to be named.
const TENANTS_NOTED_MAX: usize = 16;

/// Which records of the file are taken, and what became of the others.
pub(super) struct Filter {
    of_file: Selection,
    asked: Option<Selection>,
    now: UnixMs,
    /// The text says everything about its records.
    pub(super) exact: bool,
    expired: u64,
    not_selected: u64,
    /// Named tenants that the text has records of, as many as tell whether the one that is asked for is
    /// among them.
    tenants: BTreeSet<String>,
}

impl Filter {
    pub(super) fn new(task: &Task<'_>) -> Filter {
        Filter {
            of_file: Selection::whole(),
            asked: task.options.selection.clone(),
            now: task.now,
            exact: false,
            expired: 0,
            not_selected: 0,
            tenants: BTreeSet::new(),
        }
    }

    /// Refuses a tenant that the text has no record of, unless the text is of that tenant: a misspelt one
    /// would import nothing, and replace what is there by nothing.
    pub(super) fn end(&self) -> Result<()> {
        match &self.asked {
            Some(asked) if self.of_file.tenant() != asked.tenant() => {
                asked.check_tenant(self.tenants.iter().map(String::as_str))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the tenant that is asked for and some of the others.
    fn note_tenant(&mut self, tenant: &str) {
        let is_asked = self.asked.as_ref().and_then(Selection::tenant) == Some(tenant);
        if (is_asked || self.tenants.len() < TENANTS_NOTED_MAX) && !self.tenants.contains(tenant) {
            self.tenants.insert(tenant.to_owned());
        }
    }

    pub(super) fn begin(&mut self, header: Option<&Header>) -> Result<()> {
        if let Some(header) = header {
            self.of_file = header.selection.read()?;
            self.exact = true;
        }
        Ok(())
    }

    /// Whether a record is taken.
    pub(super) fn takes(&mut self, record: &TextRecord) -> Result<bool> {
        let TextRecord {
            tenant, scope, key, ..
        } = record;
        if self.exact {
            record.header()?;
        }
        self.note_tenant(tenant);
        if !self.of_file.has(tenant, scope, key) {
            let reason = "it is not in the part that the header tells of";
            return Err(Error::corrupt("record", reason));
        }
        if self
            .asked
            .as_ref()
            .is_some_and(|asked| !asked.has(tenant, scope, key))
        {
            self.not_selected += 1;
            return Ok(false);
        }
        if record.expires.is_some_and(|expires| expires <= self.now) {
            self.expired += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// How a record is set by a commit.
    pub(super) fn set_options(&self, record: &TextRecord) -> Result<SetOptions> {
        if record.schema_version.is_some() {
            let message = "a commit cannot keep its schema version; replace the whole state";
            return Err(Error::other(ErrorKind::Unsupported, message));
        }
        let never = self.exact.then_some(Expiry::Never);
        let standard = self.exact.then_some(Default::default());
        Ok(SetOptions {
            durability: None,
            expires: record.expires.map(Expiry::At).or(never),
            class: record.class.or(standard),
        })
    }

    /// Whether the state has a record as the text says it.
    pub(super) fn same(&self, record: &TextRecord, current: &Record) -> bool {
        let class = record.class.or(self.exact.then_some(Default::default()));
        let expires = (self.exact || record.expires.is_some()).then_some(record.expires);
        record.value == current.value
            && class.is_none_or(|class| class == current.class)
            && expires.is_none_or(|expires| expires == current.expires)
    }
}

/// Takes nothing, and refuses what an import would.
struct Check(Filter);

impl Sink for Check {
    fn begin(&mut self, header: Option<&Header>) -> Result<()> {
        self.0.begin(header)
    }

    fn record(&mut self, record: TextRecord) -> Result<()> {
        if self.0.takes(&record)? {
            self.0.set_options(&record)?;
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        self.0.end()
    }
}
