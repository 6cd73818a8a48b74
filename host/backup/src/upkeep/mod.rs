//! The upkeep of a repository: what is damaged, what is left over, and what may go.
//!
//! Nothing here trusts a lack of evidence: a list that fails ends the work, and what a manifest that
//! cannot be read may need is never touched. Reports of all verbs are defined here.

mod check;
mod prune;
mod repair;
mod survey;
#[cfg(test)]
mod upkeep_tests;

use serde::Serialize;

use crate::name::BackupId;
use crate::problem::Problem;
use crate::verify::PROBLEMS_MAX;

/// Strays that a report lists; more are only counted.
pub const STRAYS_MAX: usize = 1000;

/// What a check of a repository looks at: every name, every length, and every byte of documents,
/// which are all objects but segments.
pub const LOOKED_AT: [&str; 3] = ["names", "sizes", "documents"];

/// Why nothing leads to an object.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StrayKind {
    /// Part of a backup that was never committed, whose writer is gone.
    Abandoned,
    /// No manifest needs it, and it is not known to be of a backup that was never committed.
    Unreferenced,
    /// The lease of a committed backup or the mark of a reader, which ended before it removed it.
    Finished,
}

/// An object that no manifest leads to and whose writer does not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// Its name.
    pub object: String,
    /// Its length.
    pub bytes: u64,
    /// The backup that it was written for.
    pub backup: BackupId,
    /// When that backup was begun, milliseconds since 1970-01-01 UTC.
    pub since_unix_ms: i64,
    /// Why it is a stray.
    pub kind: StrayKind,
}

/// Strays, at most [`STRAYS_MAX`] of them by name, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Strays {
    /// The first ones, in the order in which they are removed.
    pub listed: Vec<Stray>,
    /// How many there are.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Strays {
    fn add(&mut self, stray: &Stray) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(stray.bytes);
        if self.listed.len() < STRAYS_MAX {
            self.listed.push(stray.clone());
        }
    }
}

/// A backup that has a lease and no manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Creation {
    /// Its id.
    pub backup: BackupId,
    /// The process that makes it, on the host where it runs; 0 when its lease cannot be read.
    pub process: u32,
    /// When it was begun, milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: i64,
    /// Whether it may still be committed.
    pub is_alive: bool,
    /// Objects that it has written.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a check of a repository found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryReport {
    /// The repository's id; empty when there is none yet.
    pub repository: String,
    /// Nothing is wrong with what was looked at. Strays, leftovers and creations are no fault.
    pub is_valid: bool,
    /// What was looked at, see [`LOOKED_AT`].
    pub looked_at: [&'static str; 3],
    /// Segments, whose names and lengths alone were looked at; a verification reads them.
    pub unread_objects: u64,
    /// Their bytes.
    pub unread_bytes: u64,
    /// What it holds is encrypted.
    pub encrypted: bool,
    /// Backups that can be read.
    pub backups: u64,
    /// Objects in all folders.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is missing, short, damaged or foreign, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub problems_unlisted: u64,
    /// Objects that `prune_strays` removes.
    pub strays: Strays,
    /// Backups in the making, and those whose writer is gone.
    pub creations: Vec<Creation>,
    /// Half-written files of writers that are gone; the next backup sweeps them.
    pub leftovers: u64,
    /// What cannot be decided now, and why.
    pub undecided: Option<String>,
    /// What the place does not guarantee.
    pub warnings: Vec<String>,
}

impl RepositoryReport {
    fn new(repository: &str) -> RepositoryReport {
        RepositoryReport {
            repository: repository.to_owned(),
            is_valid: true,
            looked_at: LOOKED_AT,
            unread_objects: 0,
            unread_bytes: 0,
            encrypted: false,
            backups: 0,
            objects: 0,
            bytes: 0,
            problems: Vec::new(),
            problems_unlisted: 0,
            strays: Strays::default(),
            creations: Vec::new(),
            leftovers: 0,
            undecided: None,
            warnings: Vec::new(),
        }
    }

    fn add(&mut self, problem: Problem) {
        self.is_valid = false;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.problems_unlisted += 1;
        }
    }
}

/// What a removal of strays did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Nothing was removed, since only a plan was asked for.
    pub dry_run: bool,
    /// What would be removed; empty when it was done.
    pub would_remove: Strays,
    /// What was removed; empty after a dry run.
    pub removed: Strays,
    /// Why objects that no manifest leads to were kept.
    pub undecided: Option<String>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Leases of committed backups, and marks of readers that are gone, that were removed.
    pub leases: u64,
    /// Half-written files that were removed.
    pub leftovers: u64,
    /// Backups in the index that was written.
    pub indexed: u64,
    /// Index objects that were removed.
    pub indexes_removed: u64,
    /// What is wrong and was left as it is.
    pub problems: Vec<Problem>,
}
