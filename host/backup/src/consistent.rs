//! Whether a manifest agrees with itself, with the backup that it builds on and with the one that was made
//! after it. Its own hash says only that it was not damaged: who edits it can compute that anew.
//!
//! Nothing of this is needed to restore; [`crate::verify`] asks it.

use std::collections::HashSet;

use statekeep_core::Result;

use crate::hex::Hash256;
use crate::manifest::{BackupKind, Manifest};
use crate::name::{BackupId, Folder, ObjectName};
use crate::repository::Repository;

/// Manifests after one that are asked whether they were made after it: several writers may be at work.
const LATER_MAX: usize = 4;

/// What a manifest says that cannot be true together.
pub(crate) fn contradictions(manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    let name = manifest.kind.name();
    let stands = manifest.parent.is_some();
    let is_incremental = manifest.kind == BackupKind::Incremental;
    if stands != is_incremental {
        found.push(match stands {
            true => format!("it is {name} and names a parent, which only an incremental has"),
            false => format!("it is {name} and names no parent"),
        });
    }
    if (manifest.chain > 0) != is_incremental {
        found.push(format!(
            "it is {name} and number {} of a chain",
            manifest.chain
        ));
    }
    if !is_incremental && manifest.sequence_from != 0 {
        let from = manifest.sequence_from;
        found.push(format!("it is {name} and begins after sequence {from}"));
    }
    if manifest.sequence_from > manifest.sequence_to {
        let (from, to) = (manifest.sequence_from, manifest.sequence_to);
        found.push(format!("it begins after sequence {from} and ends at {to}"));
    }
    let is_merged = manifest.merged_from.is_some();
    if is_merged && manifest.kind == BackupKind::Full
        || !is_merged && manifest.kind == BackupKind::Synthetic
    {
        let what = match is_merged {
            true => "names a backup that it was merged from",
            false => "names no backup that it was merged from",
        };
        found.push(format!("it is {name} and {what}"));
    }
    let other = |row: &&crate::manifest::RunRow| row.name.owner() != Some(manifest.id);
    if manifest.kind == BackupKind::Full
        && let Some(row) = manifest.needs().find(other)
    {
        found.push(format!(
            "it is full and needs {}, which it did not write",
            row.name
        ));
    }
    let (mut numbers, mut names) = (HashSet::new(), HashSet::new());
    for tenant in &manifest.tenants {
        if !numbers.insert(tenant.number) || !names.insert(tenant.name.as_str()) {
            let (name, number) = (&tenant.name, tenant.number);
            found.push(format!(
                "it names tenant {name:?} with the number {number} among others of the same"
            ));
        }
    }
    found
}

/// What an incremental says that is not so beside its parent.
pub(crate) fn contradictions_with_parent(manifest: &Manifest, parent: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, is: String, wanted: String| {
        if is != wanted {
            let id = parent.id;
            found.push(format!(
                "its {what} is {is}, and by its parent {id} it would be {wanted}"
            ));
        }
    };
    differs("state", manifest.state.clone(), parent.state.clone());
    differs(
        "timeline",
        manifest.timeline.id.clone(),
        parent.timeline.id.clone(),
    );
    differs(
        "place in the chain",
        manifest.chain.to_string(),
        (u64::from(parent.chain) + 1).to_string(),
    );
    let began = manifest.sequence_from.to_string();
    differs("first sequence", began, parent.sequence_to.to_string());
    for old in &parent.tenants {
        let own = manifest.tenants.iter().find(|own| own.number == old.number);
        let own = own.map_or_else(|| "missing".to_owned(), |own| format!("{:?}", own.name));
        differs(
            &format!("tenant {}", old.number),
            own,
            format!("{:?}", old.name),
        );
    }
    if !manifest.runs.starts_with(&parent.runs) {
        found.push(format!(
            "it does not need all runs of its parent {}",
            parent.id
        ));
    }
    found
}

impl Repository {
    /// The backup that was made after one and tells of another manifest of it, if there is one.
    pub(crate) fn later_witness(&self, id: BackupId, sha256: &Hash256) -> Result<Option<BackupId>> {
        let listed = self.store.list(Folder::Manifests, "")?.objects;
        let ids = listed
            .iter()
            .filter_map(|object| BackupId::parse(object.name.leaf()).ok());
        let mut later: Vec<BackupId> = ids.filter(|other| *other > id).collect();
        later.sort_unstable();
        for other in later.into_iter().take(LATER_MAX) {
            // What is wrong with that one is said when it is verified itself.
            let Ok(Some((manifest, _))) = self.slot(&ObjectName::manifest(other)) else {
                continue;
            };
            let previous = manifest.previous.filter(|previous| previous.id == id);
            if previous.is_some_and(|previous| previous.sha256 != *sha256) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }
}
