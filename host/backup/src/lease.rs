//! Leases: `lease/ID` says that a writer is at work on backup ID, and a mark, `lease/ID-ULID`, that
//! somebody reads it.
//!
//! A lease is put before the backup's first object and removed after its commit, so what has no manifest
//! but a lease is a backup in the making, or one whose writer is gone. A mark is put before the manifest
//! is read, so that either its reader sees that the backup is purged, or the collector sees the mark.
//! Whether who put it is gone shows in its session, see [`crate::Store::is_alive`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use statekeep_core::{Error, ErrorKind, Result};
use ulid::Ulid;

use crate::list::not_found;
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::sealed::{self, DOCUMENT_BYTES_MAX, FORMAT_VERSION, seal};
use crate::store::{Store, read_all};

/// What a backup is read for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    Restore,
    Compare,
    Verify,
    Export,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// Says that a writer or a reader is at work. A collector touches nothing of a backup whose writer
/// lives, and nothing that a backup needs whose reader does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    format: u32,
    pub(crate) backup: BackupId,
    pub(crate) session: String,
    pub(crate) process: u32,
    pub(crate) started_unix_ms: i64,
    /// Of a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reads: Option<Purpose>,
}

impl Lease {
    /// A lease of this process, or with a purpose a mark.
    pub(crate) fn of(
        repository: &Repository,
        backup: BackupId,
        reads: Option<Purpose>,
    ) -> Result<Lease> {
        Ok(Lease {
            format: FORMAT_VERSION,
            backup,
            session: repository.store.session()?,
            process: std::process::id(),
            started_unix_ms: repository.now_ms(),
            reads,
        })
    }
}

/// What is known of a lease or a mark.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// `None` when it cannot be read: then who put it counts as alive.
    pub(crate) lease: Option<Lease>,
    pub(crate) is_alive: bool,
}

impl Held {
    /// The process that put it, on the host where it runs; 0 when that is not known.
    pub(crate) fn process(&self) -> u32 {
        self.lease.as_ref().map_or(0, |lease| lease.process)
    }
}

/// A reader's mark.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) name: ObjectName,
    pub(crate) backup: BackupId,
    pub(crate) held: Held,
}

/// All leases and marks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    pub(crate) writers: BTreeMap<BackupId, Held>,
    pub(crate) marks: Vec<Mark>,
}

impl Leases {
    /// The marks of readers that live.
    pub(crate) fn readers(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(|mark| mark.held.is_alive)
    }

    /// The backups that they read.
    pub(crate) fn in_use(&self) -> HashSet<BackupId> {
        self.readers().map(|mark| mark.backup).collect()
    }
}

/// A backup that is being read. Dropped, it takes its mark away.
pub(crate) struct Reading {
    store: Arc<dyn Store>,
    name: ObjectName,
    /// Why there may be no mark, for people; nothing else keeps a backup from being read.
    pub(crate) warning: Option<String>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        // Tried also without a mark: after an error it may be there.
        if let Err(error) = self.store.delete(&self.name)
            && self.warning.is_none()
        {
            tracing::warn!(name = %self.name, %error, "the mark of a reader stays behind");
        }
    }
}

impl Repository {
    /// Marks a backup as being read, before its manifest is read, until the answer is dropped. Where
    /// the repository cannot be written, it is read without a mark.
    ///
    /// # Errors
    /// `NotFound` when it is purged, or was just now.
    pub(crate) fn begin_reading(&self, id: BackupId, purpose: Purpose) -> Result<Reading> {
        let name = ObjectName::mark(id, Ulid::new());
        let put = || -> Result<()> {
            let lease = Lease::of(self, id, Some(purpose))?;
            // A name of our own: what is there is ours.
            let _ = self.store.put_new(&name, &seal("lease", &lease)?)?;
            Ok(())
        };
        let warning = put().err().map(|error| {
            tracing::warn!(backup = %id, %error, "a backup is read without a mark");
            format!(
                "the backup was read without a mark that keeps cleanups away from it, which could not \
                 be written: {error}"
            )
        });
        let reading = Reading {
            store: Arc::clone(&self.store),
            name,
            warning,
        };
        // The end first: a collector takes the manifest away before it forgets that it purged it.
        if self.is_purged(id)? {
            return Err(not_found(id));
        }
        Ok(reading)
    }

    /// Refuses a backup that was purged while it was read without a mark that held.
    pub(crate) fn check_not_purged(&self, id: BackupId) -> Result<()> {
        if !self.is_purged(id)? && self.store.exists(&ObjectName::manifest(id))? {
            return Ok(());
        }
        Err(not_found(id))
    }

    /// All leases and marks, and whether who put them lives. What cannot be read is told.
    pub(crate) fn leases(&self, problems: &mut Vec<Problem>) -> Result<Leases> {
        let mut leases = Leases::default();
        for object in self.store.list(Folder::Leases, "")?.objects {
            let Some(backup) = object.name.leased() else {
                continue;
            };
            let held = match self.lease(&object.name, backup) {
                Ok(lease) => {
                    let is_alive = match self.store.is_alive(&lease.session) {
                        // It keeps one backup; whoever may only read must be able to list all.
                        Err(_) if object.name.is_mark() => true,
                        is_alive => is_alive?,
                    };
                    let lease = Some(lease);
                    Held { lease, is_alive }
                }
                // It has ended since.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    problems.push(Problem::of(&object.name, &error));
                    Held {
                        lease: None,
                        is_alive: true,
                    }
                }
            };
            if object.name.is_mark() {
                leases.marks.push(Mark {
                    name: object.name,
                    backup,
                    held,
                });
            } else {
                leases.writers.insert(backup, held);
            }
        }
        Ok(leases)
    }

    fn lease(&self, name: &ObjectName, backup: BackupId) -> Result<Lease> {
        let bytes = read_all(self.store.as_ref(), name, DOCUMENT_BYTES_MAX)?;
        let lease: Lease = sealed::open(&name.to_string(), &bytes)?;
        if lease.backup != backup || lease.reads.is_some() != name.is_mark() {
            let reason = format!("it says that it is of backup {}", lease.backup);
            return Err(Error::corrupt(name.to_string(), reason));
        }
        Ok(lease)
    }

    /// Takes the marks of readers away that are gone; answers how many they were.
    pub(crate) fn tidy_readers(&self, leases: &Leases) -> Result<u64> {
        let mut tidied = 0;
        for mark in leases.marks.iter().filter(|mark| !mark.held.is_alive) {
            self.store.delete(&mark.name)?;
            tidied += 1;
        }
        Ok(tidied)
    }
}
