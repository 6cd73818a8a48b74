//! Work of the host itself at its turn in the queue: rows that are no change of the user's state.
//!
//! Trimming, durable cursors and index definitions write such rows. They see every commit before
//! them and none after, take no sequence and leave no journal row.

use std::sync::Arc;

use super::Committer;
use super::core::{Core, indeterminate};
use super::request::Done;
use crate::namespace::Namespace;
use crate::{CommitError, Durability, Result, RowOp, Sequence, Space, UnixMs};

/// What the work is given: the state between two commits.
pub(crate) struct Turn<'a> {
    pub(crate) namespace: &'a Arc<Namespace>,
    pub(crate) head: Sequence,
    pub(crate) now: UnixMs,
}

/// One row to write or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnOp {
    Put(Space, Vec<u8>, Vec<u8>),
    Delete(Space, Vec<u8>),
}

/// What the work asks for; without rows nothing is committed.
#[derive(Default)]
pub(crate) struct TurnRows {
    pub(crate) ops: Vec<OwnOp>,
    pub(crate) durability: Durability,
    /// A number for the caller, handed back in [`Done::count`].
    pub(crate) count: u64,
    /// Called once the rows are written and before the next commit.
    pub(crate) after: Option<Box<dyn FnOnce(&Namespace) + Send>>,
}

pub(crate) type TurnWork = dyn FnOnce(&Turn<'_>) -> Result<TurnRows> + Send;

impl Core {
    pub(crate) fn turn(&mut self, committer: &Committer, work: Box<TurnWork>) -> Result<Done> {
        let rows = work(&Turn {
            namespace: &self.namespace,
            head: self.position.head.sequence,
            now: committer.clock.now().max(self.position.head.time),
        })?;
        if !rows.ops.is_empty() {
            let ops: Vec<_> = rows.ops.iter().map(OwnOp::row).collect();
            match self.namespace.backend.commit(&ops, rows.durability) {
                Ok(()) => self.dirty = rows.durability == Durability::Relaxed,
                Err(CommitError::Refused(error)) => return Err(error),
                Err(CommitError::Unknown(error)) => {
                    let _ = committer.poison(format!("a commit failed: {error}"));
                    return Err(indeterminate(&error));
                }
            }
        }
        if let Some(after) = rows.after {
            after(&self.namespace);
        }
        Ok(Done {
            sequence: None,
            count: rows.count,
            head: self.position.head.sequence,
        })
    }
}

impl OwnOp {
    fn row(&self) -> RowOp<'_> {
        match self {
            OwnOp::Put(space, key, value) => RowOp::Put {
                space: *space,
                key,
                value,
            },
            OwnOp::Delete(space, key) => RowOp::Delete { space: *space, key },
        }
    }
}
