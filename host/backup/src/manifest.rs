//! Manifests: the object `man/ID`, the commit slot of a backup.
//!
//! A backup exists exactly when its slot holds a manifest. A collector that gives up on a writer
//! puts `"type": "aborted"` there instead; the first put wins. A manifest names every run that it
//! needs and nothing else, so deleting one backup never breaks another.

use serde::{Deserialize, Serialize};
use statekeep_core::{Error, Result};

use crate::facts::Counts;
use crate::hex::Hash256;
use crate::name::{BackupId, Folder, ObjectName};
use crate::sealed;

/// Most runs that a manifest names.
pub const RUNS_MAX: usize = 1024;
/// Most tags of a backup.
pub const TAGS_MAX: usize = 64;
/// Longest tag, label or other short text in a manifest, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// How a backup was made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// All records, read from the state.
    #[default]
    Full,
    /// What changed since the parent; its runs follow those of the parent.
    Incremental,
    /// All records, merged from the runs of other backups.
    Synthetic,
}

impl BackupKind {
    /// The word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            BackupKind::Full => "full",
            BackupKind::Incremental => "incremental",
            BackupKind::Synthetic => "synthetic",
        }
    }
}

/// Which past a state has: a restore starts a new timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Its id.
    pub id: String,
    /// The timeline that it left, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The last sequence that both have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_sequence: Option<u64>,
}

/// A run that a backup needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// `run/BACKUP-N`
    pub name: ObjectName,
    /// SHA-256 of the run object.
    pub sha256: Hash256,
    /// Length of the run object.
    pub bytes: u64,
}

/// A manifest that was there before, by id and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    /// The backup.
    pub id: BackupId,
    /// SHA-256 of its manifest object.
    pub sha256: Hash256,
}

/// A tenant's number in stored keys and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// The number.
    pub number: u32,
    /// The name; empty for the default tenant.
    pub name: String,
}

/// The description of one backup. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format number, see [`crate::FORMAT_VERSION`].
    pub format: u32,
    /// Always `manifest`.
    #[serde(rename = "type")]
    pub object: SlotType,
    /// The backup's id, which is also its object's name.
    pub id: BackupId,
    /// The repository that it was made for.
    pub repository: String,
    /// How it was made.
    pub kind: BackupKind,
    /// Backups that replace one another: retention counts within a series.
    pub series: String,
    /// The state's id.
    pub state: String,
    /// The state's past.
    pub timeline: Timeline,
    /// Changes after this sequence are in it: 0 of a full, the parent's `sequence_to` otherwise.
    pub sequence_from: u64,
    /// It is the state as of this sequence.
    pub sequence_to: u64,
    /// The time of the commit `sequence_to`.
    pub time_unix_ms: i64,
    /// The moment by which expiry was judged: records whose time had come by then are not in it.
    pub as_of_unix_ms: i64,
    /// When making it began.
    pub started_unix_ms: i64,
    /// The storage engine that it was read from.
    pub backend: String,
    /// The program that wrote it.
    pub tool: String,
    /// The configured codec; each block names its own. `none`: stored raw.
    pub codec: String,
    /// The level that was asked for, which the codec brings into its own range; absent: its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,
    /// The backup that an incremental builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BackupId>,
    /// The backup whose runs were merged into this synthetic full; of an incremental, into its parent,
    /// right before it, since the chain had reached its maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_from: Option<BackupId>,
    /// How many incrementals stand on the full that it needs, itself counted; 0 of a full.
    #[serde(default)]
    pub chain: u32,
    /// Why it is a full although an incremental was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_reason: Option<String>,
    /// Every run of records that it needs, oldest first; a later run's entries win.
    pub runs: Vec<RunRow>,
    /// Runs of superseded records, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RunRow>,
    /// Runs of journal rows, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<RunRow>,
    /// With history: any sequence from this one to `sequence_to` can be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_from: Option<u64>,
    /// Records of the state at `sequence_to`.
    pub records: u64,
    /// Bytes of the entries that this backup wrote, before the codec.
    pub raw_bytes: u64,
    /// Bytes of the segments that this backup wrote.
    pub stored_bytes: u64,
    /// Records by tenant and scope.
    pub counts: Counts,
    /// All tenants of the state.
    pub tenants: Vec<TenantRow>,
    /// The newest manifest when this one was made: a removed manifest is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ManifestRef>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// See [`crate::StateDigest`].
    pub state_digest: Hash256,
    /// The key that segments are encrypted with; this build neither writes nor reads such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

impl Manifest {
    /// Every run that it needs, whatever it holds.
    pub fn needs(&self) -> impl Iterator<Item = &RunRow> {
        self.runs.iter().chain(&self.history).chain(&self.journal)
    }
}

/// What a commit slot holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotType {
    /// A backup.
    Manifest,
    /// A backup that a collector gave up on; it never existed.
    Aborted,
}

#[derive(Deserialize)]
struct SlotProbe {
    #[serde(rename = "type")]
    object: SlotType,
}

/// The manifest in the bytes of the object `name`; `None` when the slot says "aborted". Checked:
/// seal, format, that the id is the object's name, and that it names no object but runs.
pub fn parse_manifest(name: &ObjectName, bytes: &[u8]) -> Result<Option<Manifest>> {
    let text = name.to_string();
    let slot: SlotProbe = sealed::open(&text, bytes)?;
    if slot.object == SlotType::Aborted {
        return Ok(None);
    }
    let manifest: Manifest = sealed::open(&text, bytes)?;
    if ObjectName::manifest(manifest.id) != *name {
        let reason = format!("it says that it is backup {}", manifest.id);
        return Err(Error::corrupt(text, reason));
    }
    if manifest.key_id.is_some() {
        let reason = "it is encrypted, which this build cannot read; use a newer statekeep";
        return Err(Error::Incompatible {
            what: text,
            reason: reason.to_owned(),
        });
    }
    let named = manifest.needs().count();
    if named > RUNS_MAX {
        let reason = format!("it names {named} runs, more than {RUNS_MAX}");
        return Err(Error::corrupt(text, reason));
    }
    let stray =
        |run: &&RunRow| run.name.folder() != Some(Folder::Runs) || run.name.owner().is_none();
    if let Some(run) = manifest.needs().find(stray) {
        return Err(Error::corrupt(
            text,
            format!("it names {} as a run", run.name),
        ));
    }
    Ok(Some(manifest))
}

/// Checks label and tags of a backup that is to be made.
pub(crate) fn check_words(label: Option<&str>, tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        let (actual, limit) = (tags.len() as u64, TAGS_MAX as u64);
        return Err(Error::TooLarge {
            what: "number of tags",
            actual,
            limit_name: "TAGS_MAX",
            limit,
        });
    }
    for word in tags.iter().map(String::as_str).chain(label) {
        if word.is_empty() || word.len() > TEXT_BYTES_MAX || word.chars().any(char::is_control) {
            let reason =
                format!("a label or tag has 1 to {TEXT_BYTES_MAX} bytes and no control characters");
            return Err(Error::invalid("label or tag", reason));
        }
    }
    Ok(())
}
