//! The meta row `fork`: which timeline a state's own one left, and where. A state that no restore
//! made has none, nor has one that a version without such rows restored.

use ulid::Ulid;

use super::{begin, finish, open};
use crate::{Result, Sequence};

pub(super) const FORK: &[u8] = b"fork";

/// Where a timeline begins in another one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The other one.
    pub(crate) timeline: Ulid,
    /// The last commit that both have.
    pub(crate) sequence: Sequence,
}

impl Fork {
    /// A fork from the timeline of that id; `None` for an id that no state gives.
    pub(crate) fn of(timeline: &str, sequence: Sequence) -> Option<Fork> {
        let timeline = Ulid::from_string(timeline).ok()?;
        Some(Fork { timeline, sequence })
    }

    pub(super) fn row(&self) -> (Vec<u8>, Vec<u8>) {
        let mut row = Vec::new();
        let start = begin(&mut row);
        row.extend_from_slice(&self.timeline.0.to_le_bytes());
        row.extend_from_slice(&self.sequence.0.to_le_bytes());
        finish(&mut row, start);
        (FORK.to_vec(), row)
    }

    pub(super) fn read(row: &[u8]) -> Result<Fork> {
        let mut reader = open(row, "meta row `fork`")?;
        let fork = Fork {
            timeline: Ulid(reader.u128()?),
            sequence: Sequence(reader.u64()?),
        };
        reader.end()?;
        Ok(fork)
    }
}
