//! Which moments a repository can give back, and which backup gives a wanted one.
//!
//! A backup shows its own sequence, and with history every sequence from `history_from` on. Pasts
//! (timelines) are never mixed: a sequence or time belongs to one of them.

mod choose;
mod journal;
#[cfg(test)]
mod points_tests;
mod ranges;

use statekeep_core::{Result, Sequence, UnixMs};

pub(crate) use choose::{choose, within};
pub(crate) use journal::check_rows;
pub(crate) use ranges::ranges;
pub use ranges::{Gap, PointRange, Ranges, TimelineRanges};

use crate::manifest::Manifest;
use crate::merge::Point;
use crate::name::{BackupId, Folder, ObjectName};
use crate::repository::Repository;

/// A moment of a backup.
pub(crate) struct Chosen {
    pub(crate) manifest: Manifest,
    pub(crate) point: Point,
}

impl Chosen {
    /// What a backup shows.
    pub(crate) fn end(manifest: Manifest) -> Chosen {
        let point = Point::End;
        Chosen { manifest, point }
    }

    /// The sequence of the moment.
    pub(crate) fn sequence(&self) -> Sequence {
        match self.point {
            Point::End => Sequence(self.manifest.sequence_to),
            Point::Sequence(sequence, _) => sequence,
        }
    }

    /// The time of its commit, where it is known.
    pub(crate) fn time(&self) -> Option<UnixMs> {
        match self.point {
            Point::End => Some(UnixMs(self.manifest.time_unix_ms)),
            Point::Sequence(_, time) => time,
        }
    }
}

/// All manifests that can be used, oldest first. One that is damaged hides no other.
pub(crate) fn manifests(repository: &Repository) -> Result<Vec<Manifest>> {
    let listing = repository.store.list(Folder::Manifests, "")?;
    let names = listing.objects.iter().map(|object| object.name.leaf());
    let mut ids: Vec<_> = names
        .filter_map(|leaf| BackupId::parse(leaf).ok())
        .collect();
    ids.sort_unstable();
    let hidden = repository.trash(&mut Vec::new())?.hidden();
    let read = |id| {
        let slot = repository.slot(&ObjectName::manifest(id)).ok()?;
        slot.map(|(manifest, _)| manifest)
    };
    let shown = ids.into_iter().filter(|id| !hidden.contains(id));
    Ok(shown.filter_map(read).collect())
}

/// The first sequence that a backup can show.
fn first_sequence(manifest: &Manifest) -> u64 {
    let to = manifest.sequence_to;
    manifest.history_from.map_or(to, |from| from.min(to))
}
