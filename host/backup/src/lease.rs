//! Leases: `lease/ID` says that a writer is at work on backup ID.
//!
//! It is put before the backup's first object and removed after its commit, so what has no manifest
//! but a lease is a backup in the making, or one whose writer is gone. Which of the two shows in the
//! writer's session, see [`crate::Store::is_alive`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statekeep_core::{ErrorKind, Result};

use crate::create::now_ms;
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::sealed::{self, DOCUMENT_BYTES_MAX, FORMAT_VERSION};
use crate::store::{Store, read_all};

/// Says that a writer is at work. A collector touches nothing of a backup whose writer lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    format: u32,
    pub(crate) backup: BackupId,
    pub(crate) session: String,
    pub(crate) process: u32,
    pub(crate) started_unix_ms: i64,
}

impl Lease {
    /// A lease of this process.
    pub(crate) fn of(store: &dyn Store, backup: BackupId) -> Result<Lease> {
        Ok(Lease {
            format: FORMAT_VERSION,
            backup,
            session: store.session()?,
            process: std::process::id(),
            started_unix_ms: now_ms(),
        })
    }
}

/// What is known of a backup that has a lease.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// `None` when the lease cannot be read: then its writer counts as alive.
    pub(crate) lease: Option<Lease>,
    pub(crate) is_alive: bool,
}

impl Repository {
    /// All leases, and whether their writers live. Leases that cannot be read are told.
    pub(crate) fn leases(&self, problems: &mut Vec<Problem>) -> Result<BTreeMap<BackupId, Held>> {
        let mut held = BTreeMap::new();
        for object in self.store.list(Folder::Leases, "")?.objects {
            let Ok(id) = BackupId::parse(object.name.leaf()) else {
                continue;
            };
            match self.lease(&object.name) {
                Ok(lease) => {
                    let is_alive = self.store.is_alive(&lease.session)?;
                    let lease = Some(lease);
                    held.insert(id, Held { lease, is_alive });
                }
                // Its writer has ended since.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    problems.push(Problem::of(&object.name, &error));
                    let (lease, is_alive) = (None, true);
                    held.insert(id, Held { lease, is_alive });
                }
            }
        }
        Ok(held)
    }

    fn lease(&self, name: &ObjectName) -> Result<Lease> {
        let bytes = read_all(self.store.as_ref(), name, DOCUMENT_BYTES_MAX)?;
        let lease: Lease = sealed::open(&name.to_string(), &bytes)?;
        if ObjectName::lease(lease.backup) != *name {
            let reason = format!("it says that it is the lease of backup {}", lease.backup);
            return Err(statekeep_core::Error::corrupt(name.to_string(), reason));
        }
        Ok(lease)
    }
}
