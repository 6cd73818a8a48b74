//! What makes a namespace of restored records a state: its facts and the first row of its journal.

use std::sync::Arc;

use ulid::Ulid;

use super::turn::Turn;
use crate::journal::{CommitKind, JournalWriter, Origin};
use crate::meta::{Fork, HeadRow, Meta, cursor_key, meta_ops};
use crate::stored_key::journal_key;
use crate::watch::CursorRow;
use crate::{
    Backend, CommitError, Durability, Error, RestoreSource, Result, RowOp, Sequence, Space,
    TenantNumber,
};

/// Restored records and whose they are.
pub(crate) struct Restored {
    pub(crate) backend: Arc<dyn Backend>,
    /// The highest sequence in it.
    pub(crate) sequence: Sequence,
    pub(crate) tenants: Vec<(String, TenantNumber)>,
    /// Whose past it is, where that is known.
    pub(crate) fork: Option<Fork>,
    /// What the journal says about where it came from, JSON.
    pub(crate) detail: String,
}

impl Restored {
    /// Writes the meta rows and the first journal row, durably.
    pub(crate) fn complete(self, turn: &Turn<'_>) -> Result<Arc<dyn Backend>> {
        let sequence = Sequence(turn.head.max(self.sequence).0 + 1);
        let mut tenants = self.tenants;
        let tenant_next = turn.namespace.index.tenants_needed(&mut tenants)?;
        let meta = Meta {
            state: turn.namespace.state,
            head: HeadRow {
                sequence,
                time: turn.now,
                timeline: Ulid::new(),
            },
            fork: self.fork,
            floor: sequence,
            tenant_next,
            tenants,
            indexes: turn.namespace.index.to_be_built(),
            cursors: carried_cursors(turn, sequence),
        };
        let rows = meta.rows();
        write(&*self.backend, &rows, &[], &meta.head, &self.detail)?;
        Ok(self.backend)
    }
}

/// Makes restored records a state of their own, durably, and answers its first commit.
pub(crate) fn begin_state(
    backend: &dyn Backend,
    meta: Meta,
    source: &RestoreSource,
    detail: &serde_json::Value,
) -> Result<Sequence> {
    let sequence = Sequence(source.sequence.0 + 1);
    let last = source.tenants.iter().map(|(number, _)| number.0).max();
    let tenants = source.tenants.iter();
    let meta = Meta {
        head: HeadRow {
            sequence,
            ..meta.head
        },
        floor: sequence,
        tenant_next: TenantNumber(last.unwrap_or(0).saturating_add(1)),
        tenants: tenants
            .map(|(number, name)| (name.clone(), *number))
            .collect(),
        ..meta
    };
    write(backend, &meta.rows(), &[], &meta.head, &detail.to_string())?;
    Ok(sequence)
}

/// Makes a commit of kind "restore" the head of a namespace that was in use before, durably. It
/// starts a new timeline; the sequences between are of commits that are not in this namespace.
/// Durable cursors are those of the namespace in use.
pub(crate) fn go_on(
    turn: &Turn<'_>,
    backend: &dyn Backend,
    before: Meta,
    detail: &str,
) -> Result<()> {
    let sequence = Sequence(turn.head.max(before.head.sequence).0 + 1);
    let cursors = carried_cursors(turn, sequence);
    let gone = before.cursors.iter().map(|(name, _)| name);
    let gone: Vec<_> = gone
        .filter(|name| cursors.iter().all(|(kept, _)| kept != *name))
        .map(|name| cursor_key(name))
        .collect();
    let meta = Meta {
        fork: Some(Fork {
            timeline: before.head.timeline,
            sequence: before.head.sequence,
        }),
        head: HeadRow {
            sequence,
            time: turn.now,
            timeline: Ulid::new(),
        },
        cursors,
        ..before
    };
    write(backend, &meta.rows(), &gone, &meta.head, detail)
}

fn carried_cursors(turn: &Turn<'_>, sequence: Sequence) -> Vec<(String, CursorRow)> {
    let cursors = turn.namespace.cursors().into_iter();
    let carried = cursors.map(|(name, row)| (name, row.carried(sequence, turn.now)));
    carried.collect()
}

fn write(
    backend: &dyn Backend,
    rows: &[(Vec<u8>, Vec<u8>)],
    gone: &[Vec<u8>],
    head: &HeadRow,
    detail: &str,
) -> Result<()> {
    let mut journal = Vec::new();
    let origin = Origin::default();
    let kind = CommitKind::Restore;
    JournalWriter::begin(&mut journal, kind, head.time, &origin, Some(detail), 0)
        .finish(&mut journal);
    let key = journal_key(head.sequence);
    let mut ops = meta_ops(rows);
    let space = Space::Meta;
    ops.extend(gone.iter().map(|key| RowOp::Delete { space, key }));
    ops.push(RowOp::Put {
        space: Space::Journal,
        key: &key,
        value: &journal,
    });
    backend
        .commit(&ops, Durability::Sync)
        .map_err(|error| match error {
            CommitError::Refused(error) | CommitError::Unknown(error) => Error::other(
                error.kind(),
                format!("the namespace could not be completed, the state is as it was: {error}"),
            ),
        })
}
