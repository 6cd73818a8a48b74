//! Run objects: the segments of one sorted run.

use serde::{Deserialize, Serialize};
use statekeep_core::{Error, Result};

use crate::hex::{Hash256, HexBytes};
use crate::name::{BackupId, Folder, ObjectName};
use crate::sealed::{self, FORMAT_VERSION};

/// One segment of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRow {
    /// `seg/BACKUP-NNNNNN.seg`
    pub name: ObjectName,
    /// SHA-256 of all its bytes, as `sha256sum` prints it.
    pub sha256: Hash256,
    /// Its length.
    pub bytes: u64,
    /// The hash in its footer, over header, block index and footer.
    pub index_sha256: Hash256,
    /// Its first key.
    pub first_key: HexBytes,
    /// Its last key.
    pub last_key: HexBytes,
    /// Smallest sequence of its records.
    pub sequence_min: u64,
    /// Largest sequence of its records.
    pub sequence_max: u64,
    /// Number of blocks.
    pub blocks: u32,
    /// Number of entries.
    pub entries: u64,
    /// Tombstones among them.
    pub tombstones: u64,
    /// Bytes of its entries before the codec.
    pub raw_bytes: u64,
}

impl SegmentRow {
    pub(crate) fn empty(name: &ObjectName) -> SegmentRow {
        SegmentRow {
            name: name.clone(),
            sha256: Hash256([0; 32]),
            bytes: 0,
            index_sha256: Hash256([0; 32]),
            first_key: HexBytes::default(),
            last_key: HexBytes::default(),
            sequence_min: 0,
            sequence_max: 0,
            blocks: 0,
            entries: 0,
            tombstones: 0,
            raw_bytes: 0,
        }
    }
}

/// Which rows of the state a run holds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunContent {
    /// Rows of `data`, and tombstones.
    #[default]
    Records,
    /// Rows of `history`: superseded records.
    History,
    /// Rows of `journal`.
    Journal,
}

/// The object `run/BACKUP-N`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Format number, see [`FORMAT_VERSION`].
    pub format: u32,
    /// The backup that wrote it.
    pub backup: BackupId,
    /// Its number within that backup.
    pub number: u32,
    /// Which rows it holds.
    pub content: RunContent,
    /// Its segments, in the order of their keys.
    pub segments: Vec<SegmentRow>,
    /// Entries of all segments.
    pub entries: u64,
    /// Tombstones among them.
    pub tombstones: u64,
    /// Raw bytes of all segments.
    pub raw_bytes: u64,
    /// Length of all segments.
    pub stored_bytes: u64,
}

impl Run {
    pub(crate) fn new(
        backup: BackupId,
        number: u32,
        content: RunContent,
        segments: Vec<SegmentRow>,
    ) -> Run {
        let mut run = Run {
            format: FORMAT_VERSION,
            backup,
            number,
            content,
            segments,
            entries: 0,
            tombstones: 0,
            raw_bytes: 0,
            stored_bytes: 0,
        };
        (run.entries, run.tombstones, run.raw_bytes, run.stored_bytes) = run.sums();
        run
    }

    /// Its name, `run/BACKUP-N`.
    pub fn name(&self) -> ObjectName {
        ObjectName::run(self.backup, self.number)
    }

    fn sums(&self) -> (u64, u64, u64, u64) {
        self.segments.iter().fold((0, 0, 0, 0), |sum, row| {
            (
                sum.0.saturating_add(row.entries),
                sum.1.saturating_add(row.tombstones),
                sum.2.saturating_add(row.raw_bytes),
                sum.3.saturating_add(row.bytes),
            )
        })
    }
}

/// The run in the bytes of the object `name`, checked against its seal, its name and its own sums.
pub fn parse_run(name: &ObjectName, bytes: &[u8]) -> Result<Run> {
    let text = name.to_string();
    let run: Run = sealed::open(&text, bytes)?;
    if run.name() != *name {
        let reason = format!("it says that it is {}", run.name());
        return Err(Error::corrupt(text, reason));
    }
    if run.sums() != (run.entries, run.tombstones, run.raw_bytes, run.stored_bytes) {
        return Err(Error::corrupt(
            text,
            "its sums are not those of its segments",
        ));
    }
    for row in &run.segments {
        let named =
            row.name.folder() == Some(Folder::Segments) && row.name.owner() == Some(run.backup);
        if !named || row.blocks == 0 || row.first_key.0 > row.last_key.0 {
            let reason = format!(
                "its row of {} is not that of a segment of this run",
                row.name
            );
            return Err(Error::corrupt(text, reason));
        }
    }
    let rises = run
        .segments
        .is_sorted_by(|a, b| a.last_key.0 < b.first_key.0 && a.name != b.name);
    if !rises {
        return Err(Error::corrupt(text, "the keys of its segments do not rise"));
    }
    Ok(run)
}
