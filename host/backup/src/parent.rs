//! What an incremental backup builds on: which backup, and whether it is still there. A synthetic
//! full asks the same of the backup that it is merged from.

use std::collections::BinaryHeap;

use statekeep_core::{Error, ErrorKind, PastPoint, Result, Sequence, UnixMs};

use crate::create::Source;
use crate::manifest::{BackupKind, Manifest};
use crate::name::{BackupId, Folder, ObjectName};
use crate::repository::Repository;

impl Manifest {
    /// The point of the state's past that the backup shows.
    pub(crate) fn point(&self) -> PastPoint {
        PastPoint {
            timeline: self.timeline.id.clone(),
            sequence: Sequence(self.sequence_to),
            time: UnixMs(self.time_unix_ms),
            as_of: UnixMs(self.as_of_unix_ms),
        }
    }
}

impl Repository {
    /// The newest good backup of the state and its timeline that shows no later commit than
    /// `source`, or why there is none. Of a backup and the synthetic full of it, the latter.
    pub(crate) fn parent_of(&self, source: &Source) -> Result<Result<Manifest, String>> {
        let listing = self.store.list(Folder::Manifests, "")?;
        let ids = listing.objects.iter();
        let ids = ids.filter_map(|object| BackupId::parse(object.name.leaf()).ok());
        let mut places: BinaryHeap<_> = ids.map(|id| (id, id)).collect();
        let mut why = "there is no backup of this state yet".to_owned();
        while let Some((place, id)) = places.pop() {
            let manifest = match self.manifest(id) {
                Ok((manifest, _)) => manifest,
                Err(error) => {
                    tracing::warn!(backup = %id, %error, "a manifest cannot be read");
                    continue;
                }
            };
            if manifest.state != source.state {
                continue;
            }
            // However young, it shows no more than what it was merged from.
            if manifest.kind == BackupKind::Synthetic
                && let Some(from) = manifest.merged_from.filter(|from| *from < place)
            {
                places.push((from, id));
                continue;
            }
            if manifest.timeline.id != source.timeline.id {
                why = format!(
                    "the last backup, {id}, shows the state before it was restored or taken back"
                );
                return Ok(Err(why));
            }
            if manifest.sequence_to > source.sequence {
                why = format!(
                    "backup {id} shows commit {}, which this state has not",
                    manifest.sequence_to
                );
                continue;
            }
            if let Some(lost) = self.missing(&manifest)? {
                return Ok(Err(format!(
                    "{lost}, which backup {id} needs, is not there"
                )));
            }
            return match self.still_there(id) {
                Ok(()) => Ok(Ok(manifest)),
                Err(error) if error.kind() == ErrorKind::Compacted => Ok(Err(error.to_string())),
                // Whether it is there is not known; that costs no full backup.
                Err(error) => Err(error),
            };
        }
        Ok(Err(why))
    }

    /// A run object that a backup needs and that is not there.
    fn missing(&self, manifest: &Manifest) -> Result<Option<ObjectName>> {
        for run in manifest.needs() {
            if !self.store.exists(&run.name)? {
                return Ok(Some(run.name.clone()));
            }
        }
        Ok(None)
    }

    /// Checks that a backup is there and that nobody has claimed its end.
    ///
    /// # Errors
    /// `Compacted` when it is gone or about to go.
    pub(crate) fn still_there(&self, id: BackupId) -> Result<()> {
        let end = ObjectName::new(Folder::Ends, &id.to_string())?;
        // The end first: a collector takes the manifest away before it forgets that it purged it.
        if !self.store.exists(&end)? && self.store.exists(&ObjectName::manifest(id))? {
            return Ok(());
        }
        let message = format!("backup {id}, which the one to be made would need, is being removed");
        Err(Error::other(ErrorKind::Compacted, message))
    }
}
