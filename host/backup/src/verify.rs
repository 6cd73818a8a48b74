//! Verification: is every object there, is every byte what was written, and do all runs together
//! give what the manifest says? All bytes are read and decoded once.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use statekeep_core::{Error, ErrorKind, Phase, Result, StateDigest};

use crate::consistent::{contradictions, contradictions_with_parent};
use crate::facts::BlockFacts;
use crate::hex::{Hash256, sha256};
use crate::manifest::{BackupKind, Manifest, RunRow};
use crate::merge::{Audit, MergeRequest, Point, Totals, check_history, merge, open_run};
use crate::name::{BackupId, ObjectName};
use crate::points::check_rows;
use crate::problem::{Problem, ProblemKind};
use crate::read_run::ReadTask;
use crate::repository::Repository;
use crate::run::{Run, RunContent, parse_run};
use crate::sealed::DOCUMENT_BYTES_MAX;
use crate::store::read_all;

/// Problems that a report lists; more are only counted.
pub const PROBLEMS_MAX: usize = 1000;

/// How much a verification reads.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLevel {
    /// Manifest and runs whole; of each segment, that it is there with its size.
    Quick,
    /// Every byte: hashes, blocks, entries, envelopes, order, counts, state digest.
    #[default]
    Full,
    /// As full, and all records are put into a namespace that nobody sees; what its backend then
    /// holds is compared. The namespace is removed.
    RestoreTest,
}

impl VerifyLevel {
    /// The word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            VerifyLevel::Quick => "quick",
            VerifyLevel::Full => "full",
            VerifyLevel::RestoreTest => "restore_test",
        }
    }
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

/// Where a restore test puts its records.
pub(crate) trait Drill {
    /// Takes a record, in the order of keys.
    fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()>;

    /// The number and the digest of what is there now. Nothing of it stays.
    fn finish(self: Box<Self>) -> Result<(u64, StateDigest)>;
}

/// Makes the place of a restore test.
pub(crate) type BeginDrill<'a> = &'a mut dyn FnMut(&Manifest) -> Result<Box<dyn Drill>>;

struct Findings<'a> {
    report: VerifyReport,
    manifest: Option<&'a Manifest>,
    /// Tenants that the manifest names, and those that were missed already.
    tenants: HashSet<u32>,
    segments: HashMap<ObjectName, Seen>,
    complete: bool,
}

/// What the good blocks of a segment add up to.
struct Seen {
    sequences: (u64, u64),
    entries: u64,
}

impl Findings<'_> {
    fn add(&mut self, problem: Problem) {
        let report = &mut self.report;
        self.complete = false;
        report.is_valid = false;
        report.integrity_valid = false;
        if matches!(problem.kind, ProblemKind::Missing | ProblemKind::Checksum) {
            report.checksum_valid = false;
        }
        if report.errors.contains(&problem) {
            return;
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

    fn warn(&mut self, kind: ProblemKind, object: &ObjectName, what: String) {
        let warnings = &mut self.report.warnings;
        warnings.push(Problem::new(kind, object, what));
    }

    /// Compares what was seen of a run with what it says.
    fn finish_run(&mut self, run: &Run, sequence_to: u64) {
        for row in &run.segments {
            let Some(seen) = self.segments.remove(&row.name) else {
                continue;
            };
            let range = seen.sequences;
            let said = (row.sequence_min, row.sequence_max);
            let legal = range.0 > 0 && range.1 <= sequence_to;
            if seen.entries == row.entries && (range != said || !legal) {
                let what = format!(
                    "its records have sequences {} to {}, its run says {} to {}, the backup ends \
                     at {sequence_to}",
                    range.0, range.1, said.0, said.1
                );
                self.integrity(&row.name, what);
            }
        }
    }
}

impl Audit for Findings<'_> {
    fn block(&mut self, run: &Run, segment: usize, facts: &BlockFacts) -> Result<()> {
        let Some(row) = run.segments.get(segment) else {
            return Ok(());
        };
        let manifest = self.manifest;
        let first = manifest.and_then(|manifest| manifest.runs.first());
        if facts.tombstones > 0 && first.is_some_and(|first| first.name == run.name()) {
            let what = "the first run of a backup holds a tombstone";
            self.integrity(&row.name, what.to_owned());
        }
        // What a synthetic full copied has the codec that it had.
        if let (Some(manifest), Some(codec)) = (manifest, &facts.codec)
            && manifest.id == run.backup
            && manifest.kind != BackupKind::Synthetic
            && *codec != manifest.codec
        {
            let what = format!(
                "it says that {} packed it, and its blocks {codec}",
                manifest.codec
            );
            self.integrity(&ObjectName::manifest(manifest.id), what);
        }
        let seen = self.segments.entry(row.name.clone()).or_insert(Seen {
            sequences: (u64::MAX, 0),
            entries: 0,
        });
        seen.entries += u64::from(facts.entries);
        seen.sequences.0 = seen.sequences.0.min(facts.sequences.0);
        seen.sequences.1 = seen.sequences.1.max(facts.sequences.1);
        for stretch in &facts.stretches {
            // Named once: from then on it counts as known.
            if self.tenants.insert(stretch.tenant.0)
                && let Some(manifest) = manifest
            {
                let what = format!("it names no tenant {}", stretch.tenant.0);
                self.integrity(&ObjectName::manifest(manifest.id), what);
            }
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        self.add(problem);
        Ok(())
    }
}

/// Verifies a backup. Damage is in the report; an error means that the verification itself could
/// not be done: no such backup, no room for a restore test, or cancelled.
pub(crate) fn verify(
    repository: &Repository,
    task: &ReadTask<'_>,
    id: BackupId,
    level: VerifyLevel,
    drill: Option<BeginDrill<'_>>,
) -> Result<VerifyReport> {
    let started = Instant::now();
    task.progress.enter(Phase::Preparing);
    let manifest = match repository.manifest(id) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
        read => read,
    };
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
        manifest: manifest.as_ref().ok().map(|(manifest, _)| manifest),
        tenants: HashSet::from([0]),
        segments: HashMap::new(),
        complete: true,
    };
    match &manifest {
        Ok((manifest, sha256)) => {
            check(repository, task, manifest, drill, &mut findings)?;
            check_consistent(repository, manifest, sha256, &mut findings);
        }
        Err(error) => findings.add(Problem::of(&ObjectName::manifest(id), error)),
    }
    let mut report = findings.report;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

fn check(
    repository: &Repository,
    task: &ReadTask<'_>,
    manifest: &Manifest,
    drill: Option<BeginDrill<'_>>,
    findings: &mut Findings<'_>,
) -> Result<()> {
    check_before(repository, manifest, findings);
    let named = manifest.tenants.iter().map(|tenant| tenant.number);
    findings.tenants.extend(named);
    task.progress.enter(Phase::Copying);
    let mut runs = Vec::new();
    for (content, rows) in [
        (RunContent::Records, &manifest.runs),
        (RunContent::History, &manifest.history),
        (RunContent::Journal, &manifest.journal),
    ] {
        for row in rows {
            task.progress.check()?;
            runs.extend(open_run(repository, row, content, findings)?);
        }
    }
    if findings.complete {
        check_sums(manifest, &runs, findings);
    }
    if findings.report.level == VerifyLevel::Quick {
        return runs
            .iter()
            .try_for_each(|run| check_presence(repository, run, findings));
    }
    let before = task.progress.snapshot().bytes_in;
    let drill = drill.map(|begin| begin(manifest)).transpose()?;
    check_records(repository, task, manifest, drill, findings)?;
    let of = |content| {
        let runs = runs.iter().filter(move |run| run.content == content);
        runs.cloned().collect::<Vec<_>>()
    };
    check_history(task, of(RunContent::History), findings)?;
    check_rows(task, manifest, &of(RunContent::Journal), findings)?;
    for run in &runs {
        findings.finish_run(run, manifest.sequence_to);
    }
    findings.report.bytes = task.progress.snapshot().bytes_in - before;
    Ok(())
}

/// Merges all runs of records, and puts them where a restore test wants them.
fn check_records(
    repository: &Repository,
    task: &ReadTask<'_>,
    manifest: &Manifest,
    mut drill: Option<Box<dyn Drill>>,
    findings: &mut Findings<'_>,
) -> Result<()> {
    let request = MergeRequest::all(manifest, Point::End);
    let totals = merge(repository, task, &request, findings, &mut |merged| {
        if let Some(drill) = &mut drill {
            merged.each(&mut |key, record| drill.put(key, record))?;
        }
        task.progress.add(merged.records(), 0, 0);
        Ok(())
    })?;
    findings.report.records = totals.records;
    // The sums of what is damaged say nothing.
    if !findings.complete {
        return Ok(());
    }
    let (records, digest) = (totals.records, totals.digest);
    check_totals(manifest, findings, totals);
    let Some(drill) = drill.filter(|_| findings.complete) else {
        return Ok(());
    };
    task.progress.enter(Phase::Verifying);
    let held = drill.finish()?;
    if held != (records, digest) {
        let what = format!(
            "it has {records} records with the digest {digest}; restored, the backend holds {} with {}",
            held.0, held.1
        );
        findings.integrity(&ObjectName::manifest(manifest.id), what);
    }
    Ok(())
}

/// Says what the manifest contradicts: itself, its parent, and, beyond a quick look, a later backup.
fn check_consistent(
    repository: &Repository,
    manifest: &Manifest,
    sha256: &Hash256,
    findings: &mut Findings<'_>,
) {
    let name = ObjectName::manifest(manifest.id);
    let mut wrong = contradictions(manifest);
    let stands = manifest.kind == BackupKind::Incremental;
    // Where the parent cannot be read is told before.
    if let Some(Ok((parent, _))) = manifest
        .parent
        .filter(|_| stands)
        .map(|id| repository.manifest(id))
    {
        wrong.extend(contradictions_with_parent(manifest, &parent));
    }
    if findings.report.level != VerifyLevel::Quick {
        match repository.later_witness(manifest.id, sha256) {
            Ok(None) => {}
            Ok(Some(other)) => wrong.push(format!(
                "backup {other}, which was made after it, tells of another sha256 than {sha256}: it was changed"
            )),
            Err(error) => findings.report.warnings.push(Problem::of(&name, &error)),
        }
    }
    for what in wrong {
        findings.integrity(&name, what);
    }
}

/// Warns of a removed or changed backup that this one was made after or builds on. It needs neither.
fn check_before(repository: &Repository, manifest: &Manifest, findings: &mut Findings<'_>) {
    let previous = manifest.previous.as_ref();
    if let Some(previous) = previous {
        let name = ObjectName::manifest(previous.id);
        let of = manifest.id;
        match repository.manifest(previous.id) {
            Ok((_, sha256)) if sha256 == previous.sha256 => {}
            Ok(_) => findings.warn(
                ProblemKind::Checksum,
                &name,
                format!("it is not the manifest that backup {of} was made after"),
            ),
            Err(_) if was_deleted(repository, previous.id) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => findings.warn(
                ProblemKind::Missing,
                &name,
                format!("backup {of} was made after it; it has been removed since"),
            ),
            Err(error) => findings.report.warnings.push(Problem::of(&name, &error)),
        }
    }
    let parent = manifest.parent;
    if let Some(parent) = parent.filter(|id| previous.is_none_or(|other| other.id != *id)) {
        let name = ObjectName::manifest(parent);
        match repository.manifest(parent) {
            Ok(_) => {}
            Err(_) if was_deleted(repository, parent) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => findings.warn(
                ProblemKind::Missing,
                &name,
                format!("backup {} builds on it; it is not needed", manifest.id),
            ),
            Err(error) => findings.report.warnings.push(Problem::of(&name, &error)),
        }
    }
}

/// Whether a backup went by a deletion; one that vanished otherwise is told.
fn was_deleted(repository: &Repository, id: BackupId) -> bool {
    let in_trash = || {
        repository
            .trash(&mut Vec::new())
            .is_ok_and(|trash| trash.of(id).is_some())
    };
    repository.is_purged(id).unwrap_or_default() || in_trash()
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

fn check_presence(repository: &Repository, run: &Run, findings: &mut Findings<'_>) -> Result<()> {
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

/// Compares what the backup's own runs add up to with what it says.
fn check_sums(manifest: &Manifest, runs: &[Run], findings: &mut Findings<'_>) {
    let own = runs.iter().filter(|run| run.backup == manifest.id);
    let is = own.fold((0_u64, 0_u64), |(raw, stored), run| {
        (
            raw.saturating_add(run.raw_bytes),
            stored.saturating_add(run.stored_bytes),
        )
    });
    let said = (manifest.raw_bytes, manifest.stored_bytes);
    if is != said {
        let what = format!(
            "it says that it wrote {} raw and {} stored bytes; its runs have {} and {}",
            said.0, said.1, is.0, is.1
        );
        findings.integrity(&ObjectName::manifest(manifest.id), what);
    }
}

fn check_totals(manifest: &Manifest, findings: &mut Findings<'_>, totals: Totals) {
    let name = ObjectName::manifest(manifest.id);
    let digest = Hash256(totals.digest.to_bytes());
    if digest != manifest.state_digest || totals.records != manifest.records {
        let what = format!(
            "it says {} records with the state digest {}; its runs give {} with {digest}",
            manifest.records, manifest.state_digest, totals.records
        );
        findings.integrity(&name, what);
    }
    if !totals.counter.finish().agrees(&manifest.counts) {
        let what = "its counts by tenant and scope are not those of its records";
        findings.integrity(&name, what.to_owned());
    }
}
