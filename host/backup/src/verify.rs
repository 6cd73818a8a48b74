//! Verification: is every object there, and is every byte what was written?

use std::collections::HashSet;
use std::time::Instant;

use serde::Serialize;
use statekeep_core::{Error, ErrorKind, Phase, Plugins, Progress, Result, StateDigest};

use crate::facts::Counter;
use crate::hex::{Hash256, sha256};
use crate::list::is_whole;
use crate::manifest::{Manifest, RunRow};
use crate::name::{BackupId, ObjectName};
use crate::problem::{Problem, ProblemKind};
use crate::read_run::{Item, ReadTask, read_run};
use crate::repository::Repository;
use crate::run::{Run, parse_run};
use crate::sealed::DOCUMENT_BYTES_MAX;
use crate::store::read_all;

/// Problems that a report lists; more are only counted.
pub const PROBLEMS_MAX: usize = 1000;

/// How much a verification reads.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLevel {
    /// Manifest and runs whole; of each segment, that it is there with its size.
    Quick,
    /// Every byte: hashes, blocks, entries, envelopes, order, counts, state digest.
    #[default]
    Full,
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The backup.
    pub id: BackupId,
    /// What was read.
    pub level: VerifyLevel,
    /// Nothing is wrong: the backup can be restored as far as the level shows.
    pub is_valid: bool,
    /// All that was read is there and has the bytes that were written.
    pub checksum_valid: bool,
    /// All that was read could be decoded and fits together.
    pub integrity_valid: bool,
    /// What is wrong, at most [`PROBLEMS_MAX`].
    pub errors: Vec<Problem>,
    /// Errors beyond those.
    pub errors_unlisted: u64,
    /// What is odd, but keeps nobody from restoring.
    pub warnings: Vec<Problem>,
    /// Records that were read and found good.
    pub records: u64,
    /// Stored bytes that were read, or whose presence was checked.
    pub bytes: u64,
    /// How long it took.
    pub duration_ms: u64,
}

struct Findings {
    report: VerifyReport,
}

impl Findings {
    fn add(&mut self, problem: Problem) {
        let report = &mut self.report;
        report.is_valid = false;
        report.integrity_valid = false;
        if matches!(problem.kind, ProblemKind::Missing | ProblemKind::Checksum) {
            report.checksum_valid = false;
        }
        if report.errors.len() < PROBLEMS_MAX {
            report.errors.push(problem);
        } else {
            report.errors_unlisted += 1;
        }
    }

    fn integrity(&mut self, object: &ObjectName, what: String) {
        self.add(Problem::new(ProblemKind::Integrity, object, what));
    }
}

/// Verifies a backup. Damage is in the report; an error means that the verification itself could
/// not be done: no such backup, or cancelled.
pub(crate) fn verify(
    repository: &Repository,
    plugins: &dyn Plugins,
    threads: usize,
    id: BackupId,
    level: VerifyLevel,
    progress: &Progress,
) -> Result<VerifyReport> {
    let started = Instant::now();
    progress.enter(Phase::Preparing);
    let mut findings = Findings {
        report: VerifyReport {
            id,
            level,
            is_valid: true,
            checksum_valid: true,
            integrity_valid: true,
            errors: Vec::new(),
            errors_unlisted: 0,
            warnings: Vec::new(),
            records: 0,
            bytes: 0,
            duration_ms: 0,
        },
    };
    let task = ReadTask {
        store: repository.store.as_ref(),
        plugins,
        threads,
        progress,
    };
    match repository.manifest(id) {
        Ok((manifest, _)) => check(repository, &task, &manifest, level, &mut findings)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
        Err(error) => findings.add(Problem::of(&ObjectName::manifest(id), &error)),
    }
    let mut report = findings.report;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

fn check(
    repository: &Repository,
    task: &ReadTask<'_>,
    manifest: &Manifest,
    level: VerifyLevel,
    findings: &mut Findings,
) -> Result<()> {
    check_previous(repository, manifest, findings);
    task.progress.enter(Phase::Copying);
    let mut totals = Totals::default();
    let mut complete = true;
    for row in &manifest.runs {
        task.progress.check()?;
        match read_run_object(repository, row) {
            Ok(run) => {
                task.progress.expect(manifest.records, run.stored_bytes);
                match level {
                    VerifyLevel::Quick => check_presence(repository, &run, findings)?,
                    VerifyLevel::Full => {
                        complete &= check_run(task, manifest, &run, findings, &mut totals)?;
                    }
                }
                totals.entries = totals.entries.saturating_add(run.entries);
                totals.raw_bytes = totals.raw_bytes.saturating_add(run.raw_bytes);
                totals.stored_bytes = totals.stored_bytes.saturating_add(run.stored_bytes);
            }
            Err(problem) => {
                complete = false;
                findings.add(problem);
            }
        }
    }
    if !is_whole(manifest) {
        let what = "the state digest of a backup of several runs is not checked by this build";
        let problem = Problem::new(
            ProblemKind::Incompatible,
            &ObjectName::manifest(manifest.id),
            what,
        );
        findings.report.warnings.push(problem);
    } else if complete {
        check_totals(manifest, level, findings, totals);
    }
    Ok(())
}

#[derive(Default)]
struct Totals {
    digest: StateDigest,
    counter: Counter,
    entries: u64,
    raw_bytes: u64,
    stored_bytes: u64,
}

fn check_previous(repository: &Repository, manifest: &Manifest, findings: &mut Findings) {
    let Some(previous) = &manifest.previous else {
        return;
    };
    let name = ObjectName::manifest(previous.id);
    let warning = match repository.manifest(previous.id) {
        Ok((_, sha256)) if sha256 == previous.sha256 => return,
        Ok(_) => Problem::new(
            ProblemKind::Checksum,
            &name,
            format!(
                "it is not the manifest that backup {} was made after",
                manifest.id
            ),
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Problem::new(
            ProblemKind::Missing,
            &name,
            format!(
                "backup {} was made after it; it has been removed since",
                manifest.id
            ),
        ),
        Err(error) => Problem::of(&name, &error),
    };
    findings.report.warnings.push(warning);
}

/// Reads a run object and compares it with its row in the manifest.
pub(crate) fn read_run_object(repository: &Repository, row: &RunRow) -> Result<Run, Problem> {
    let wrong = |error: Error| Problem::of(&row.name, &error);
    let bytes =
        read_all(repository.store.as_ref(), &row.name, DOCUMENT_BYTES_MAX).map_err(wrong)?;
    let is = sha256(&bytes);
    if is != row.sha256 || bytes.len() as u64 != row.bytes {
        let what = format!("its sha256 is {is}, its manifest says {}", row.sha256);
        return Err(Problem::new(ProblemKind::Checksum, &row.name, what));
    }
    parse_run(&row.name, &bytes).map_err(wrong)
}

fn check_presence(repository: &Repository, run: &Run, findings: &mut Findings) -> Result<()> {
    for row in &run.segments {
        match repository
            .store
            .open(&row.name)
            .and_then(|object| object.len())
        {
            Ok(len) if len == row.bytes => findings.report.bytes += len,
            Ok(len) => {
                let what = format!("it has {len} bytes, its run says {}", row.bytes);
                findings.add(Problem::new(ProblemKind::Checksum, &row.name, what));
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => findings.add(Problem::of(&row.name, &error)),
        }
    }
    Ok(())
}

/// Reads all of a run; answers whether every block of it was good.
fn check_run(
    task: &ReadTask<'_>,
    manifest: &Manifest,
    run: &Run,
    findings: &mut Findings,
    totals: &mut Totals,
) -> Result<bool> {
    let whole = is_whole(manifest);
    let mut complete = true;
    let mut tenants: HashSet<u32> = manifest
        .tenants
        .iter()
        .map(|tenant| tenant.number)
        .collect();
    tenants.insert(0);
    let mut sequences = vec![(u64::MAX, 0); run.segments.len()];
    let before = task.progress.snapshot().bytes_in;
    read_run(task, run, &mut |item| {
        match item {
            Item::Problem(problem) => {
                complete = false;
                findings.add(problem);
            }
            Item::Block { segment, facts, .. } => {
                if whole
                    && facts.tombstones > 0
                    && let Some(row) = run.segments.get(segment)
                {
                    findings.integrity(&row.name, "a full backup holds a tombstone".to_owned());
                }
                if let Some(range) = sequences.get_mut(segment) {
                    *range = (
                        range.0.min(facts.sequences.0),
                        range.1.max(facts.sequences.1),
                    );
                }
                for stretch in &facts.stretches {
                    // Named once: from then on it counts as known.
                    if tenants.insert(stretch.tenant.0) {
                        let what = format!("it names no tenant {}", stretch.tenant.0);
                        findings.integrity(&ObjectName::manifest(manifest.id), what);
                    }
                }
                findings.report.records += u64::from(facts.entries - facts.tombstones);
                totals.digest.merge(&facts.digest);
                facts
                    .stretches
                    .iter()
                    .for_each(|stretch| totals.counter.add(stretch));
                task.progress.add(u64::from(facts.entries), 0, 0);
            }
        }
        Ok(())
    })?;
    findings.report.bytes += task.progress.snapshot().bytes_in - before;
    for (row, range) in run.segments.iter().zip(sequences).filter(|_| complete) {
        let legal = range.0 > 0 && range.1 <= manifest.sequence_to;
        if range != (row.sequence_min, row.sequence_max) || !legal {
            let what = format!(
                "its records have sequences {} to {}, its run says {} to {}, the backup ends at {}",
                range.0, range.1, row.sequence_min, row.sequence_max, manifest.sequence_to
            );
            findings.integrity(&row.name, what);
        }
    }
    Ok(complete)
}

fn check_totals(manifest: &Manifest, level: VerifyLevel, findings: &mut Findings, totals: Totals) {
    let name = ObjectName::manifest(manifest.id);
    let said = (manifest.records, manifest.raw_bytes, manifest.stored_bytes);
    let is = (totals.entries, totals.raw_bytes, totals.stored_bytes);
    // A synthetic full may share segments that another backup wrote.
    if manifest.kind == crate::BackupKind::Full && said != is || said.0 != is.0 {
        let what = format!(
            "it counts {} records, {} raw and {} stored bytes; its run has {}, {} and {}",
            said.0, said.1, said.2, is.0, is.1, is.2
        );
        findings.integrity(&name, what);
    }
    if level == VerifyLevel::Quick {
        return;
    }
    let digest = Hash256(totals.digest.to_bytes());
    if digest != manifest.state_digest {
        let what = format!(
            "its state digest is {}, its records give {digest}",
            manifest.state_digest
        );
        findings.integrity(&name, what);
    }
    if totals.counter.finish() != manifest.counts {
        let what = "its counts by tenant and scope are not those of its records";
        findings.integrity(&name, what.to_owned());
    }
}
