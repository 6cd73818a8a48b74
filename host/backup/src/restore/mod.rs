//! Restoring: the whole state, a part of it, or a state elsewhere, from a backup or a moment of one.
//!
//! Whatever is restored, it is all or nothing, and of what is replaced a backup is made before. A dry
//! run changes nothing and tells what would differ.

mod compare;
mod diff;
mod elsewhere;
mod options;
mod part;
mod rows;
mod whole;

use std::time::Instant;

use serde_json::{Map, Value, json};
use statekeep_core::{
    Error, ErrorKind, NamespaceBuilder, Phase, Progress, Result, Selection, Sequence,
};

use crate::create::CreateOptions;
use crate::hex::Hash256;
use crate::lease::{Purpose, Reading};
use crate::list::not_found;
use crate::manager::{BackupManager, Ends};
use crate::name::BackupId;
use crate::points::{Chosen, choose};
use crate::read_run::ReadTask;
use crate::repository::Repository;

pub use diff::BackupDiff;
pub use options::{RestoreAt, RestoreMode, RestoreOptions, RestoreReport, RestoreTo};
pub(crate) use whole::{Finished, Target, restore};

/// The tag of a backup that was made because something was restored. Retention must not count such
/// backups as a reason to forget others.
pub const SAFETY_TAG: &str = "safety";

/// What is restored, and what for.
pub(crate) struct Job<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) task: &'a ReadTask<'a>,
    pub(crate) chosen: &'a Chosen,
    pub(crate) started: Instant,
    /// What the report says beside the result.
    pub(crate) warnings: Vec<String>,
}

/// Most times that a moment is looked for because the backup that has it is removed meanwhile.
const CHOICES_MAX: u32 = 8;

impl Job<'_> {
    /// A report that says what was read, and nothing of what became of it.
    fn report(&self) -> RestoreReport {
        RestoreReport {
            id: self.chosen.manifest.id,
            backup_sequence: self.chosen.sequence().0,
            backup_time_unix_ms: self.chosen.time().map(|time| time.0),
            timeline: self.chosen.manifest.timeline.id.clone(),
            mode: RestoreMode::Replace,
            dry_run: false,
            sequence: 0,
            before_sequence: None,
            records: 0,
            bytes: 0,
            state_digest: Hash256([0; 32]),
            added: None,
            changed: None,
            removed: None,
            unchanged: None,
            expired: 0,
            samples: None,
            safety_backup: None,
            namespace: None,
            replaced: None,
            path: None,
            state_id: None,
            warnings: self.warnings.clone(),
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What the journal says about it.
    fn facts(&self, selection: &Selection, mode: RestoreMode) -> Map<String, Value> {
        let manifest = &self.chosen.manifest;
        let mut facts = Map::new();
        facts.insert("backup".to_owned(), json!(manifest.id.to_string()));
        facts.insert(
            "backup_sequence".to_owned(),
            json!(self.chosen.sequence().0),
        );
        facts.insert("backup_timeline".to_owned(), json!(manifest.timeline.id));
        if !selection.is_whole() {
            let narrowed = [
                ("tenant", selection.tenant()),
                ("scope", selection.scope()),
                ("key", selection.key()),
            ];
            facts.extend(narrowed.map(|(name, text)| (name.to_owned(), json!(text))));
            facts.insert("mode".to_owned(), json!(mode));
        }
        facts
    }

    fn note(&self, selection: &Selection, mode: RestoreMode) -> Value {
        json!({ "restore": self.facts(selection, mode) })
    }
}

impl BackupManager {
    /// Restores a moment of a backup: the whole state or a part of it, into the state or into a
    /// directory of its own; see [`RestoreOptions`]. All of it, or nothing on any error.
    ///
    /// Into the state, clients stay open and sequences go on rising. The whole of it is a new
    /// namespace, and the old one stays as the undo. A part is one commit, and the backup that was made
    /// before is the way back.
    ///
    /// # Errors
    /// `NotFound`, for a sequence or time with the nearest ones that there are, and for a tenant that the
    /// backup does not have with some of those that it has; `Corrupt` or
    /// `Incompatible` naming the object that is damaged; `Compacted` naming a key whose past was
    /// trimmed by a rule; `TooLarge` for a part that differs by more than one commit holds;
    /// `InvalidArgument` for options that do not go together. Only after `Indeterminate` the state may
    /// be the restored one.
    pub fn restore(
        &self,
        at: impl Into<RestoreAt>,
        options: &RestoreOptions,
        progress: &Progress,
    ) -> Result<RestoreReport> {
        let _ends = Ends(progress);
        let outcome = self.restore_at(at.into(), options, progress);
        self.tell_restore(options, &outcome);
        outcome
    }

    fn restore_at(
        &self,
        at: RestoreAt,
        options: &RestoreOptions,
        progress: &Progress,
    ) -> Result<RestoreReport> {
        let started = Instant::now();
        progress.enter(Phase::Preparing);
        options.check()?;
        let repository = self.source_of(at)?;
        let started_unix_ms = repository.now_ms();
        let task = self.task(&repository, progress);
        let wanted = options.timeline.as_deref();
        let (chosen, reading) = self.read_at((&repository, &task), at, wanted, Purpose::Restore)?;
        if let Some(part) = options.part() {
            let tenants = chosen.manifest.tenants.iter();
            part.check_tenant(tenants.map(|row| row.name.as_str()))?;
        }
        let job = Job {
            repository: &repository,
            task: &task,
            chosen: &chosen,
            started,
            warnings: reading.warning.iter().cloned().collect(),
        };
        if options.dry_run {
            return self.dry_run(&job, options);
        }
        let mut report = self.carry_out(&job, options, progress)?;
        if options.part().is_none() {
            repository.attest_restore(&mut report, &options.to, started_unix_ms);
        }
        Ok(report)
    }

    fn carry_out(
        &self,
        job: &Job<'_>,
        options: &RestoreOptions,
        progress: &Progress,
    ) -> Result<RestoreReport> {
        if let RestoreTo::Dir {
            path,
            backend,
            options: settings,
        } = &options.to
        {
            let place = (path.as_path(), backend.as_deref(), settings);
            let part = options.part();
            return elsewhere::restore_elsewhere(job, self.state(), place, part);
        }
        let safety_backup = match options.safety_backup {
            true => self.safety_backup(job.chosen, progress)?,
            false => None,
        };
        let report = match options.part() {
            Some(part) => self.restore_part(job, part, options)?,
            None => restore(job, &mut |chosen| {
                let mut builder = match &options.to {
                    RestoreTo::Backend { name, options } => {
                        let backend = Some((name.as_str(), options));
                        self.state().begin_restore_on(job.source(), backend)?
                    }
                    _ => self.begin(chosen)?,
                };
                for (name, fact) in job.facts(&Selection::whole(), RestoreMode::Replace) {
                    builder.note(&name, fact);
                }
                builder.fork_of(&chosen.manifest.timeline.id);
                Ok(Box::new(builder) as Box<dyn Target>)
            })?,
        };
        Ok(RestoreReport {
            safety_backup,
            ..report
        })
    }

    /// The backup that has a moment, marked as being read until the answer is dropped.
    pub(crate) fn read_at(
        &self,
        (repository, task): (&Repository, &ReadTask<'_>),
        at: RestoreAt,
        timeline: Option<&str>,
        purpose: Purpose,
    ) -> Result<(Chosen, Reading)> {
        let own = self.own_timeline()?;
        let mut left = CHOICES_MAX;
        loop {
            let chosen = choose(repository, task, at, &own, timeline)?;
            let id = chosen.manifest.id;
            let marked = repository
                .begin_reading(id, purpose)
                .and_then(|reading| repository.manifest(id).map(|_| reading));
            match marked {
                Ok(reading) => return Ok((chosen, reading)),
                // It went before the mark was there; perhaps another backup has the moment.
                Err(error) if error.kind() == ErrorKind::NotFound && left > 0 => left -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn source_of(&self, at: RestoreAt) -> Result<std::sync::Arc<Repository>> {
        self.find()?.ok_or_else(|| match at {
            RestoreAt::Backup(id) => not_found(id),
            _ => Error::other(ErrorKind::NotFound, "there is no backup yet"),
        })
    }

    fn restore_part(
        &self,
        job: &Job<'_>,
        part: &Selection,
        options: &RestoreOptions,
    ) -> Result<RestoreReport> {
        let (tenant, mode) = options.tenant_and_mode(part)?;
        let tenant = self.state().tenant(tenant)?.blocking();
        let correlation_id = match options.correlation_id.as_str() {
            // Shown by the history of each key that it changes.
            "" => format!("restore {}", job.chosen.manifest.id),
            given => given.to_owned(),
        };
        let tenant = tenant.with_origin(&options.principal, &correlation_id)?;
        let report = part::restore_part(job, &tenant, part, mode)?;
        Ok(RestoreReport { mode, ..report })
    }

    /// The state as it is, in case the restore was a mistake; `None` of a state that has nothing.
    fn safety_backup(&self, chosen: &Chosen, progress: &Progress) -> Result<Option<BackupId>> {
        if self.state().head() == Sequence(0) {
            return Ok(None);
        }
        let options = CreateOptions {
            label: Some(format!(
                "before the restore of {} at sequence {}",
                chosen.manifest.id,
                chosen.sequence().0
            )),
            tags: vec![SAFETY_TAG.to_owned()],
            // What an incremental would stand on may be damaged, and is not read before.
            incremental: Some(false),
            ..CreateOptions::default()
        };
        let unlimited = progress.rate_limit() == 0;
        let made = self.create(&options, progress).map_err(|error| {
            if error.kind() == ErrorKind::Cancelled {
                return error;
            }
            let message = format!(
                "the backup before the restore was not made, and nothing was restored: {error}; mend \
                 that, or restore without a safety backup"
            );
            Error::other(error.kind(), message)
        })?;
        if unlimited && progress.rate_limit() == self.config().bytes_per_second_max {
            // The configured limit is that of backups.
            progress.limit_rate(0);
        }
        progress.restart();
        progress.enter(Phase::Preparing);
        Ok(Some(made.id))
    }
}

impl Target for NamespaceBuilder {
    fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        NamespaceBuilder::put(self, key, record)
    }

    fn finish(self: Box<Self>) -> Result<Finished> {
        let done = self.complete()?;
        Ok(Finished {
            sequence: done.sequence.0,
            namespace: Some(done.namespace.to_string()),
            replaced: Some(done.replaced.to_string()),
        })
    }
}
