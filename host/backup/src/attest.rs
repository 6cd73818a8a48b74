//! Attestations: objects `att/ULID` that say how a verification ended.
//!
//! They are for people and policies: nothing that is restored depends on them. One that cannot be
//! read counts as not there.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use statekeep_core::{Error, ErrorKind, Result};
use ulid::Ulid;

use crate::create::now_ms;
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::{Problem, ProblemKind};
use crate::repository::Repository;
use crate::sealed::{self, FORMAT_VERSION, seal};
use crate::store::{Put, read_all};
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

/// What all attestations say together.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// When a backup was last read wholly and found good.
    pub(crate) backups: HashMap<BackupId, i64>,
    /// When a restore test last ended well.
    pub(crate) last_restore_test_unix_ms: Option<i64>,
}

impl Repository {
    /// Writes down how a verification ended; where that is not possible, its report gets a warning.
    pub(crate) fn attest(&self, report: &mut VerifyReport, started_unix_ms: i64) {
        let id = Ulid::new().to_string();
        let attestation = Attestation {
            format: FORMAT_VERSION,
            id: id.clone(),
            backup: report.id,
            level: report.level,
            is_valid: report.is_valid,
            started_unix_ms,
            finished_unix_ms: now_ms(),
            tool: format!("statekeep {}", env!("CARGO_PKG_VERSION")),
        };
        let put = || -> Result<()> {
            let name = ObjectName::new(Folder::Attestations, &id)?;
            match self
                .store
                .put_new(&name, &seal("attestation", &attestation)?)?
            {
                Put::Created => Ok(()),
                Put::Exists => {
                    let message = format!("{name} is there already");
                    Err(Error::other(ErrorKind::AlreadyExists, message))
                }
            }
        };
        if let Err(error) = put() {
            let what = format!("the result of this verification could not be kept: {error}");
            let object = format!("{}/{id}", Folder::Attestations.name());
            let warning = Problem::new(ProblemKind::Unreadable, &object, what);
            report.warnings.push(warning);
        }
    }

    /// Reads all attestations.
    pub(crate) fn verified(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        for object in self.store.list(Folder::Attestations, "")?.objects {
            let read = read_all(self.store.as_ref(), &object.name, ATTESTATION_BYTES_MAX)
                .and_then(|bytes| sealed::open::<Attestation>(&object.name.to_string(), &bytes));
            let attestation = match read {
                Ok(attestation) if attestation.id == object.name.leaf() => attestation,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(name = %object.name, %error, "an attestation cannot be read");
                    continue;
                }
            };
            if !attestation.is_valid || attestation.level == VerifyLevel::Quick {
                continue;
            }
            let time = attestation.finished_unix_ms;
            let last = verified.backups.entry(attestation.backup).or_insert(time);
            *last = time.max(*last);
            if attestation.level == VerifyLevel::RestoreTest {
                verified.last_restore_test_unix_ms =
                    verified.last_restore_test_unix_ms.max(Some(time));
            }
        }
        Ok(verified)
    }
}
