//! Indexes: `idx/ULID` holds what lists show of many manifests, so that a list of thousands of backups
//! reads one object and the manifests after it.
//!
//! Which backups there are is what `man/` says; an index only saves reading those whose name and
//! length it knows. It is never asked about what a backup needs, may be removed at any time, and a
//! damaged one counts as none.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use statekeep_core::{ErrorKind, Result};

use crate::hex::Hash256;
use crate::manifest::{BackupKind, Manifest};
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::{Problem, ProblemKind};
use crate::repository::Repository;
use crate::sealed::{self, DOCUMENT_BYTES_MAX, FORMAT_VERSION, seal};
use crate::store::{ObjectInfo, Put, read_all};

/// A writer writes an index when more manifests than this are in none.
pub const INDEX_AFTER: usize = 64;
/// Most manifests in an index: the oldest ones.
pub const INDEX_ROWS_MAX: usize = 25_000;

/// What a list shows of a slot that was read once; slots never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotRow {
    pub(crate) id: BackupId,
    /// Length of the slot's object.
    pub(crate) bytes: u64,
    /// `None` for a slot that says "aborted".
    pub(crate) backup: Option<BackupRow>,
}

/// What a list shows of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupRow {
    pub(crate) sha256: Hash256,
    pub(crate) kind: BackupKind,
    pub(crate) series: String,
    pub(crate) state: String,
    pub(crate) time_unix_ms: i64,
    pub(crate) started_unix_ms: i64,
    pub(crate) sequence: u64,
    pub(crate) backend: String,
    pub(crate) codec: String,
    pub(crate) records: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) parent: Option<BackupId>,
    pub(crate) chain: u32,
    pub(crate) full_reason: Option<String>,
    pub(crate) history_from: Option<u64>,
    pub(crate) label: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) state_digest: Hash256,
}

impl BackupRow {
    fn of(manifest: &Manifest, sha256: Hash256) -> BackupRow {
        BackupRow {
            sha256,
            kind: manifest.kind,
            series: manifest.series.clone(),
            state: manifest.state.clone(),
            time_unix_ms: manifest.time_unix_ms,
            started_unix_ms: manifest.started_unix_ms,
            sequence: manifest.sequence_to,
            backend: manifest.backend.clone(),
            codec: manifest.codec.clone(),
            records: manifest.records,
            raw_bytes: manifest.raw_bytes,
            stored_bytes: manifest.stored_bytes,
            parent: manifest.parent,
            chain: manifest.chain,
            full_reason: manifest.full_reason.clone(),
            history_from: manifest.history_from,
            label: manifest.label.clone(),
            tags: manifest.tags.clone(),
            state_digest: manifest.state_digest,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Index {
    format: u32,
    repository: String,
    slots: Vec<SlotRow>,
}

/// Whether slots that were read before, by this process or for an index, are read again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// What is known is used.
    Used,
    /// All are read.
    Ignored,
}

/// Rows of slots by backup.
pub(crate) type Rows = HashMap<BackupId, SlotRow>;

impl Repository {
    /// Reads a slot for a list; `NotFound` when it is empty.
    pub(crate) fn read_row(&self, id: BackupId, object: &ObjectInfo) -> Result<SlotRow> {
        let slot = self.slot(&object.name)?;
        Ok(SlotRow {
            id,
            bytes: object.len,
            backup: slot.map(|(manifest, sha256)| BackupRow::of(&manifest, sha256)),
        })
    }

    /// The rows of the newest index that can be read.
    pub(crate) fn indexed(&self) -> Result<Rows> {
        let listing = self.store.list(Folder::Indexes, "")?;
        for object in listing.objects.iter().rev() {
            match self.read_index(&object.name) {
                Ok(index) => {
                    let rows = index.slots.into_iter().map(|row| (row.id, row));
                    return Ok(rows.collect());
                }
                // A newer one took its place.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(index = %object.name, %error, "an index is left out"),
            }
        }
        Ok(Rows::new())
    }

    fn read_index(&self, name: &ObjectName) -> Result<Index> {
        let bytes = read_all(self.store.as_ref(), name, DOCUMENT_BYTES_MAX)?;
        let index: Index = sealed::open(&name.to_string(), &bytes)?;
        if index.repository != self.id {
            let reason = format!("it belongs to repository {}", index.repository);
            return Err(statekeep_core::Error::corrupt(name.to_string(), reason));
        }
        Ok(index)
    }

    /// Writes an index when many manifests are in none. The backups do not depend on it.
    pub(crate) fn index_when_due(&self) -> Result<()> {
        let slots = self.slots(Known::Used, &mut Vec::new())?;
        let indexed = self.indexed()?;
        let missing = slots.iter().filter(|slot| !indexed.contains_key(&slot.id));
        if missing.count() > INDEX_AFTER {
            self.write_index(slots)?;
        }
        Ok(())
    }

    /// All slots that can be read; what is wrong with others is told. Fails only when the folder
    /// itself cannot be listed.
    pub(crate) fn slots(&self, known: Known, problems: &mut Vec<Problem>) -> Result<Vec<SlotRow>> {
        let listing = self.store.list(Folder::Manifests, "")?;
        let what = "it is not the manifest of a backup";
        let foreign =
            |name: &dyn ToString| Problem::new(ProblemKind::Integrity, &name.to_string(), what);
        problems.extend(listing.foreign.iter().map(|name| foreign(name)));
        let mut rows = match known {
            Known::Used => self.rows.lock().clone(),
            Known::Ignored => Rows::new(),
        };
        if rows.is_empty() && known == Known::Used {
            rows = self.indexed().unwrap_or_else(|error| {
                tracing::warn!(%error, "the index is left out");
                Rows::new()
            });
        }
        let mut slots = Vec::new();
        for object in listing.objects {
            let Ok(id) = BackupId::parse(object.name.leaf()) else {
                problems.push(foreign(&object.name));
                continue;
            };
            if let Some(row) = rows.remove(&id).filter(|row| row.bytes == object.len) {
                slots.push(row);
                continue;
            }
            match self.read_row(id, &object) {
                Ok(row) => slots.push(row),
                // It was deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => problems.push(Problem::of(&object.name, &error)),
            }
        }
        *self.rows.lock() = slots.iter().map(|slot| (slot.id, slot.clone())).collect();
        Ok(slots)
    }

    /// Puts an index of these slots and removes those before it; answers how many it removed.
    pub(crate) fn write_index(&self, mut slots: Vec<SlotRow>) -> Result<u64> {
        slots.sort_by_key(|slot| slot.id);
        slots.truncate(INDEX_ROWS_MAX);
        let index = Index {
            format: FORMAT_VERSION,
            repository: self.id.clone(),
            slots,
        };
        let bytes = seal("index", &index)?;
        let old = self.store.list(Folder::Indexes, "")?.objects;
        // Later than those that are there, also within a millisecond.
        let newest = old
            .iter()
            .filter_map(|object| BackupId::parse(object.name.leaf()).ok())
            .max();
        let own = ObjectName::new(Folder::Indexes, &BackupId::after(newest).to_string())?;
        if self.store.put_new(&own, &bytes)? == Put::Exists {
            return Ok(0);
        }
        let mut removed = 0;
        for object in old.iter().filter(|object| object.name < own) {
            self.store.delete(&object.name)?;
            removed += 1;
        }
        Ok(removed)
    }
}
