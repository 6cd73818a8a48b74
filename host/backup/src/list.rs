//! What a repository holds: good backups, and beside them what is wrong.

use serde::Serialize;
use statekeep_core::{Error, ErrorKind, Result};

use crate::attest::Standing;
use crate::hex::{Hash256, sha256};
use crate::index::{BackupRow, Known};
use crate::manifest::{Manifest, ManifestRef, parse_manifest};
use crate::name::{BackupId, Folder, ObjectName};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::sealed::DOCUMENT_BYTES_MAX;
use crate::store::read_all;

/// A backup in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupSummary {
    /// Its id.
    pub id: BackupId,
    /// How it was made.
    pub kind: &'static str,
    /// The series that retention counts it in.
    pub series: String,
    /// The moment that it shows, milliseconds since 1970-01-01 UTC.
    pub time_unix_ms: i64,
    /// When it was begun, milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: i64,
    /// The sequence that it shows.
    pub sequence: u64,
    /// The engine that it was read from.
    pub backend: String,
    /// The configured codec.
    pub codec: String,
    /// Number of records.
    pub records: u64,
    /// Bytes of entries that it wrote, before the codec.
    pub raw_bytes: u64,
    /// Bytes of segments that it wrote.
    pub stored_bytes: u64,
    /// The backup that an incremental one builds on.
    pub parent: Option<BackupId>,
    /// Incrementals on the full that it needs, itself counted; 0 of a full.
    pub chain: u32,
    /// Why it is a full although an incremental was asked for.
    pub full_reason: Option<String>,
    /// With history: any sequence from this one on can be restored.
    pub history_from: Option<u64>,
    /// A name for people.
    pub label: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Pinned: no policy forgets it.
    pub pin: bool,
    /// When it was last read wholly and found good; null when something was found wrong since.
    pub last_verified_unix_ms: Option<i64>,
    /// When something was found wrong; null when it was read wholly and found good since.
    pub verify_failed_unix_ms: Option<i64>,
    /// When a restore of it was last tried and found good; null when something was found wrong since.
    pub last_restore_test_unix_ms: Option<i64>,
    /// How often the whole of it was restored.
    pub restores: u64,
    /// A restore, comparison, verification or export is reading it, here or elsewhere.
    pub in_use: bool,
    /// See [`crate::StateDigest`].
    pub state_digest: Hash256,
}

impl BackupSummary {
    fn of(
        id: BackupId,
        row: BackupRow,
        (pin, in_use): (bool, bool),
        standing: &Standing,
    ) -> BackupSummary {
        BackupSummary {
            id,
            kind: row.kind.name(),
            series: row.series,
            time_unix_ms: row.time_unix_ms,
            started_unix_ms: row.started_unix_ms,
            sequence: row.sequence,
            backend: row.backend,
            codec: row.codec,
            records: row.records,
            raw_bytes: row.raw_bytes,
            stored_bytes: row.stored_bytes,
            parent: row.parent,
            chain: row.chain,
            full_reason: row.full_reason,
            history_from: row.history_from,
            label: row.label,
            tags: row.tags,
            pin,
            last_verified_unix_ms: standing.verified_unix_ms,
            verify_failed_unix_ms: standing.failed_unix_ms,
            last_restore_test_unix_ms: standing.restore_tested_unix_ms,
            restores: standing.restores,
            in_use,
            state_digest: row.state_digest,
        }
    }
}

/// A backup as its manifest describes it, and what was said of it since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupDetails {
    /// What its maker wrote.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Pinned: no policy forgets it.
    pub pin: bool,
    /// When it was last read wholly and found good; null when something was found wrong since.
    pub last_verified_unix_ms: Option<i64>,
    /// When something was found wrong; null when it was read wholly and found good since.
    pub verify_failed_unix_ms: Option<i64>,
    /// When a restore of it was last tried and found good; null when something was found wrong since.
    pub last_restore_test_unix_ms: Option<i64>,
    /// How often the whole of it was restored.
    pub restores: u64,
    /// When it last was.
    pub last_restored_unix_ms: Option<i64>,
}

impl BackupDetails {
    /// A backup that was just made.
    pub fn made(manifest: Manifest, pin: bool) -> BackupDetails {
        BackupDetails::of(manifest, pin, &Standing::default())
    }

    pub(crate) fn of(manifest: Manifest, pin: bool, standing: &Standing) -> BackupDetails {
        BackupDetails {
            manifest,
            pin,
            last_verified_unix_ms: standing.verified_unix_ms,
            verify_failed_unix_ms: standing.failed_unix_ms,
            last_restore_test_unix_ms: standing.restore_tested_unix_ms,
            restores: standing.restores,
            last_restored_unix_ms: standing.restored_unix_ms,
        }
    }
}

/// All backups of a repository. A damaged manifest hides no good one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackupList {
    /// Good manifests, oldest first.
    pub backups: Vec<BackupSummary>,
    /// Manifests that cannot be used, and what does not belong among them.
    pub problems: Vec<Problem>,
    /// When a restore of any of them was last tried and found good.
    pub last_restore_test_unix_ms: Option<i64>,
}

impl Repository {
    /// Reads the manifest of a backup with the hash of its object; `NotFound` when the slot is
    /// empty or says "aborted".
    pub(crate) fn manifest(&self, id: BackupId) -> Result<(Manifest, Hash256)> {
        let name = ObjectName::manifest(id);
        self.check_not_deleted(id)?;
        match self.slot(&name) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(not_found(id)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(id)),
            Err(error) => Err(error),
        }
    }

    /// What a commit slot holds; `None` when it says "aborted".
    pub(crate) fn slot(&self, name: &ObjectName) -> Result<Option<(Manifest, Hash256)>> {
        let bytes = read_all(self.store.as_ref(), name, DOCUMENT_BYTES_MAX)?;
        let Some(manifest) = parse_manifest(name, &bytes)? else {
            return Ok(None);
        };
        if manifest.repository != self.id {
            let reason = format!(
                "it belongs to repository {}, this is {}",
                manifest.repository, self.id
            );
            return Err(Error::corrupt(name.to_string(), reason));
        }
        Ok(Some((manifest, sha256(&bytes))))
    }

    /// All backups and problems. Fails only when the folder itself cannot be listed.
    pub(crate) fn list(&self) -> Result<BackupList> {
        let mut list = BackupList::default();
        let slots = self.slots(Known::Used, &mut list.problems)?;
        let hidden = self.trash(&mut list.problems)?.hidden();
        // After the slots: a backup that is listed was pinned before it was committed.
        let pins = self.pins()?;
        // What cannot be read of a mark says that somebody may be reading; `repository check` tells it.
        let in_use = self.leases(&mut Vec::new())?.in_use();
        let attested = self.attested()?;
        list.last_restore_test_unix_ms = attested.last_restore_test_unix_ms;
        let shown = slots.into_iter().filter(|slot| !hidden.contains(&slot.id));
        let backups = shown.filter_map(|slot| {
            let (id, row) = (slot.id, slot.backup?);
            let is = (pins.contains(&id), in_use.contains(&id));
            Some(BackupSummary::of(id, row, is, &attested.of(id)))
        });
        list.backups.extend(backups);
        list.backups.sort_by_key(|backup| backup.id);
        Ok(list)
    }

    /// The newest id among all slots, and the newest good manifest.
    pub(crate) fn newest(&self) -> Result<(Option<BackupId>, Option<ManifestRef>)> {
        let listing = self.store.list(Folder::Manifests, "")?;
        let mut ids: Vec<BackupId> = listing
            .objects
            .iter()
            .filter_map(|object| BackupId::parse(object.name.leaf()).ok())
            .collect();
        ids.sort_unstable();
        let newest = ids.iter().rev().find_map(|id| match self.manifest(*id) {
            Ok((_, sha256)) => Some(ManifestRef { id: *id, sha256 }),
            Err(error) => {
                tracing::warn!(backup = %id, %error, "a manifest cannot be read");
                None
            }
        });
        Ok((ids.last().copied(), newest))
    }
}

pub(crate) fn not_found(id: BackupId) -> Error {
    Error::other(
        ErrorKind::NotFound,
        format!("there is no backup {id}; list shows those there are"),
    )
}
