//! Attestations: objects `att/ULID` that say how a verification ended, that a backup was restored, or that
//! a state's schedule cleaned up.
//!
//! They are for people, policies and schedules: nothing that is restored depends on them. One that cannot
//! be read counts as not there. The record of a restore has no `level`, that of a cleanup no `backup`, so
//! that who knows only verifications takes them for none.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use statekeep_core::{Error, ErrorKind, Result, UnixMs};
use ulid::{Generator, Ulid};

use crate::create::is_put;
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::{Problem, ProblemKind};
use crate::repository::Repository;
use crate::restore::{RestoreReport, RestoreTo};
use crate::sealed::{self, FORMAT_VERSION, seal};
use crate::store::read_all;
use crate::verify::{VerifyLevel, VerifyReport};

/// Largest attestation that is read.
const ATTESTATION_BYTES_MAX: usize = 64 << 10;

/// How a verification ended. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Format number, see [`FORMAT_VERSION`].
    pub format: u32,
    /// Its id, which is its object's name.
    pub id: String,
    /// The backup.
    pub backup: BackupId,
    /// What was read.
    pub level: VerifyLevel,
    /// Nothing was wrong.
    pub is_valid: bool,
    /// When it began.
    pub started_unix_ms: i64,
    /// When it ended.
    pub finished_unix_ms: i64,
    /// The program that did it.
    pub tool: String,
}

/// Where a whole backup was restored to.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Restored {
    State,
    Backend,
    Directory,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// What an attestation says, of a verification, a restore or a cleanup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backup: Option<BackupId>,
    /// Of a cleanup, the state whose schedule made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cleanup: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<VerifyLevel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_valid: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restored: Option<Restored>,
    /// Of a restore, the sequence that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    started_unix_ms: i64,
    finished_unix_ms: i64,
    tool: String,
}

/// Attestations that were read before, by their objects' names; they never change.
pub(crate) type Records = HashMap<ObjectName, Record>;

/// What was found out of a backup since it was made. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// When it was last read wholly and found good, if nothing was found wrong since.
    pub(crate) verified_unix_ms: Option<i64>,
    /// When something was found wrong, if it was not read wholly and found good since.
    pub(crate) failed_unix_ms: Option<i64>,
    /// When a restore of it was last tried and found good, if nothing was found wrong since.
    pub(crate) restore_tested_unix_ms: Option<i64>,
    /// How often the whole of it was restored.
    pub(crate) restores: u64,
    /// When it was last.
    pub(crate) restored_unix_ms: Option<i64>,
}

impl Standing {
    /// A verification of any level that found something wrong takes away what was found good before; only
    /// one that reads everything gives it back.
    fn verification(&mut self, level: VerifyLevel, is_valid: bool, time: i64) {
        if !is_valid {
            (self.verified_unix_ms, self.failed_unix_ms) = (None, Some(time));
            self.restore_tested_unix_ms = None;
        } else if level != VerifyLevel::Quick {
            (self.verified_unix_ms, self.failed_unix_ms) = (Some(time), None);
        }
        if is_valid && level == VerifyLevel::RestoreTest {
            self.restore_tested_unix_ms = Some(time);
        }
    }
}

/// What all attestations say together.
#[derive(Debug, Default)]
pub(crate) struct Attested {
    backups: HashMap<BackupId, Standing>,
    /// When the newest scheduled cleanup of a state began.
    cleanups: HashMap<String, UnixMs>,
    /// When a restore test last ended well.
    pub(crate) last_restore_test_unix_ms: Option<i64>,
}

impl Attested {
    /// What is known of a backup.
    pub(crate) fn of(&self, id: BackupId) -> Standing {
        self.backups.get(&id).cloned().unwrap_or_default()
    }

    /// When the newest scheduled cleanup of a state began.
    pub(crate) fn cleanup_of(&self, state: &str) -> Option<UnixMs> {
        self.cleanups.get(state).copied()
    }
}

/// An id that sorts after those that this process gave before, also within a millisecond.
fn rising() -> Ulid {
    static GENERATOR: Mutex<Generator> = Mutex::new(Generator::new());
    let id = GENERATOR.lock().generate();
    id.unwrap_or_else(|_| Ulid::new())
}

fn tool() -> String {
    format!("statekeep {}", env!("CARGO_PKG_VERSION"))
}

impl Repository {
    /// Writes down how a verification ended; where that is not possible, its report gets a warning.
    pub(crate) fn attest(&self, report: &mut VerifyReport, started_unix_ms: i64) {
        let id = rising().to_string();
        let attestation = Attestation {
            format: FORMAT_VERSION,
            id: id.clone(),
            backup: report.id,
            level: report.level,
            is_valid: report.is_valid,
            started_unix_ms,
            finished_unix_ms: self.now_ms(),
            tool: tool(),
        };
        if let Err(error) = self.put_record(&id, &attestation) {
            let what = format!("the result of this verification could not be kept: {error}");
            let object = format!("{}/{id}", Folder::Attestations.name());
            let warning = Problem::new(ProblemKind::Unreadable, &object, what);
            report.warnings.push(warning);
        }
    }

    /// Writes down that the whole of a backup was restored; where that is not possible, the report gets
    /// a warning.
    pub(crate) fn attest_restore(
        &self,
        report: &mut RestoreReport,
        to: &RestoreTo,
        started_unix_ms: i64,
    ) {
        let id = rising().to_string();
        let record = Record {
            format: FORMAT_VERSION,
            id: id.clone(),
            backup: Some(report.id),
            cleanup: None,
            level: None,
            is_valid: None,
            restored: Some(match to {
                RestoreTo::State => Restored::State,
                RestoreTo::Backend { .. } => Restored::Backend,
                RestoreTo::Dir { .. } => Restored::Directory,
            }),
            sequence: Some(report.backup_sequence),
            started_unix_ms,
            finished_unix_ms: self.now_ms(),
            tool: tool(),
        };
        if let Err(error) = self.put_record(&id, &record) {
            let what = format!("this restore is not counted, which could not be written: {error}");
            report.warnings.push(what);
        }
    }

    /// Writes down that a state's schedule cleaned up, and takes its earlier records of that away.
    pub(crate) fn attest_cleanup(&self, state: &str, started: UnixMs) -> Result<()> {
        let id = rising().to_string();
        let record = Record {
            format: FORMAT_VERSION,
            id: id.clone(),
            backup: None,
            cleanup: Some(state.to_owned()),
            level: None,
            is_valid: None,
            restored: None,
            sequence: None,
            started_unix_ms: started.0,
            finished_unix_ms: self.now_ms(),
            tool: tool(),
        };
        self.put_record(&id, &record)?;
        let of_state = |record: &Record| record.cleanup.as_deref() == Some(state);
        let records = self.records.lock();
        let earlier = records
            .iter()
            .filter(|(_, record)| of_state(record) && record.id != id);
        let earlier: Vec<_> = earlier.map(|(name, _)| name.clone()).collect();
        drop(records);
        earlier.iter().try_for_each(|name| self.store.delete(name))
    }

    /// Removes what was found out of backups that are purged and cannot come back. The newest good restore
    /// test stays, as it is told of the repository; an earlier one goes once its backup is not there.
    pub(crate) fn forget_attestations(&self, purged: &[BackupId]) -> Result<()> {
        let purged: HashSet<BackupId> = purged.iter().copied().collect();
        let newest = self.attested()?.last_restore_test_unix_ms;
        let records = self.records.lock().clone();
        for (name, record) in records {
            let Some(backup) = record.backup else {
                continue;
            };
            let is_test =
                record.is_valid == Some(true) && record.level == Some(VerifyLevel::RestoreTest);
            if is_test && Some(record.finished_unix_ms) == newest {
                continue;
            }
            let is_over = purged.contains(&backup)
                || (is_test && !self.store.exists(&ObjectName::manifest(backup))?);
            if is_over {
                self.store.delete(&name)?;
            }
        }
        Ok(())
    }

    fn put_record(&self, id: &str, record: &impl Serialize) -> Result<()> {
        let name = ObjectName::new(Folder::Attestations, id)?;
        if is_put(self.store.as_ref(), &name, &seal("attestation", record)?)? {
            return Ok(());
        }
        let message = format!("{name} is there already");
        Err(Error::other(ErrorKind::AlreadyExists, message))
    }

    /// Reads all attestations.
    pub(crate) fn attested(&self) -> Result<Attested> {
        let mut known = self.records.lock();
        let mut records = Records::new();
        for object in self.store.list(Folder::Attestations, "")?.objects {
            let read = match known.remove(&object.name) {
                Some(record) => Ok(record),
                None => self.read_record(&object.name),
            };
            match read {
                Ok(record) if record.id == object.name.leaf() => {
                    records.insert(object.name, record);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(name = %object.name, %error, "an attestation cannot be read");
                }
            }
        }
        let mut ordered: Vec<&Record> = records.values().collect();
        ordered.sort_unstable_by_key(|record| (record.finished_unix_ms, &record.id));
        let mut attested = Attested::default();
        for record in ordered {
            if let Some(state) = &record.cleanup {
                let began = UnixMs(record.started_unix_ms);
                let newest = attested.cleanups.entry(state.clone()).or_insert(began);
                *newest = began.max(*newest);
            }
            let Some(backup) = record.backup else {
                continue;
            };
            let standing = attested.backups.entry(backup).or_default();
            let time = record.finished_unix_ms;
            if record.restored.is_some() {
                standing.restores += 1;
                standing.restored_unix_ms = Some(time);
            }
            if let (Some(level), Some(is_valid)) = (record.level, record.is_valid) {
                standing.verification(level, is_valid, time);
                if is_valid && level == VerifyLevel::RestoreTest {
                    attested.last_restore_test_unix_ms = Some(time);
                }
            }
        }
        *known = records;
        Ok(attested)
    }

    fn read_record(&self, name: &ObjectName) -> Result<Record> {
        let bytes = read_all(self.store.as_ref(), name, ATTESTATION_BYTES_MAX)?;
        sealed::open(&name.to_string(), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(restored: Option<Restored>) -> Record {
        let id = Ulid::new().to_string();
        let is_restore = restored.is_some();
        Record {
            format: FORMAT_VERSION,
            id,
            backup: Some(BackupId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
            cleanup: None,
            level: (!is_restore).then_some(VerifyLevel::Full),
            is_valid: (!is_restore).then_some(true),
            restored,
            sequence: None,
            started_unix_ms: 1,
            finished_unix_ms: 2,
            tool: tool(),
        }
    }

    #[test]
    fn a_restore_is_no_verification_to_who_knows_only_those() {
        let bytes = seal("attestation", &record(None)).unwrap();
        assert!(sealed::open::<Attestation>("att", &bytes).is_ok());
        let bytes = seal("attestation", &record(Some(Restored::Directory))).unwrap();
        assert!(sealed::open::<Attestation>("att", &bytes).is_err());
    }

    #[test]
    fn a_place_that_a_later_version_restores_to_counts_too() {
        let bytes = seal("attestation", &record(Some(Restored::State))).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let document: serde_json::Value =
            serde_json::from_str(text.rsplit_once("sha256").unwrap().0).unwrap();
        let mut document = document;
        document["restored"] = "moon".into();
        let bytes = seal("attestation", &document).unwrap();
        let read: Record = sealed::open("att", &bytes).unwrap();
        assert_eq!(read.restored, Some(Restored::Other));
    }
}
