//! Pins: `pin/ID` keeps a backup from every policy for as long as it is there.
//!
//! A manifest never changes, so that a backup is pinned is said by an object beside it: put to pin,
//! removed to unpin. A collector reads pins after it has claimed a backup's end slot.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use statekeep_core::{ErrorKind, Result};

use crate::name::{BackupId, Folder, ObjectName};
use crate::repository::Repository;
use crate::sealed::{FORMAT_VERSION, seal};
use crate::store::Put;

#[derive(Serialize, Deserialize)]
struct Pin {
    format: u32,
    backup: BackupId,
    pinned_unix_ms: i64,
}

/// The object that pins a backup: its name and its bytes.
pub(crate) fn pin_object(id: BackupId, now_ms: i64) -> Result<(ObjectName, Vec<u8>)> {
    let pin = Pin {
        format: FORMAT_VERSION,
        backup: id,
        pinned_unix_ms: now_ms,
    };
    Ok((ObjectName::pin(id), seal("pin", &pin)?))
}

impl Repository {
    /// Pins a backup; `true` when it was not pinned before. `NotFound` when there is none.
    pub(crate) fn pin(&self, id: BackupId) -> Result<bool> {
        self.manifest(id)?;
        let (name, bytes) = pin_object(id, self.now_ms())?;
        let pinned = self.store.put_new(&name, &bytes)? == Put::Created;
        // A deletion that was written meanwhile is taken back, if that is not too late.
        let stays = match self.check_not_deleted(id) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.undelete(id),
            checked => checked,
        };
        if let Err(error) = stays {
            // A pin that was there before is not this call's to take away.
            if pinned {
                self.store.delete(&name)?;
            }
            return Err(error);
        }
        Ok(pinned)
    }

    /// Takes a pin away; `true` when there was one. `NotFound` when there is no such backup.
    pub(crate) fn unpin(&self, id: BackupId) -> Result<bool> {
        self.manifest(id)?;
        let name = ObjectName::pin(id);
        let pinned = self.store.exists(&name)?;
        self.store.delete(&name)?;
        Ok(pinned)
    }

    pub(crate) fn is_pinned(&self, id: BackupId) -> Result<bool> {
        self.store.exists(&ObjectName::pin(id))
    }

    /// All pinned ids. A pin counts by its name: damage in it must not let a backup go.
    pub(crate) fn pins(&self) -> Result<HashSet<BackupId>> {
        let listing = self.store.list(Folder::Pins, "")?;
        let ids = listing.objects.iter();
        Ok(ids
            .filter_map(|object| BackupId::parse(object.name.leaf()).ok())
            .collect())
    }
}
