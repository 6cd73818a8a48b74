//! Durable named cursors: how far a reader of changes has come, as a meta row.
//!
//! A cursor is written at its turn in the queue of commits, and kept in memory with the namespace,
//! whose past it holds. A restore takes cursors along, so that their readers hear of it.

use ulid::Ulid;

use crate::commit::{Committer, Done, OwnOp, Turn, TurnRows, Work};
use crate::meta::{cursor_key, push_cursor};
use crate::{
    Durability, Error, ErrorKind, Result, Sequence, Space, StateManager, UnixMs, batch::check,
};

use super::backup::is_backup_cursor;
use super::hold::Lease;

/// Most named cursors of a state.
pub const CURSORS_MAX: usize = 1_024;
/// Longest name of a cursor in bytes.
pub const CURSOR_NAME_BYTES_MAX: usize = 128;

/// A place in the changes of a timeline: after all of a commit, and after so many changes of the
/// next one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) timeline: Ulid,
    pub(crate) sequence: Sequence,
    pub(crate) changes: u64,
}

impl Position {
    /// After a commit.
    pub(crate) fn new(timeline: Ulid, sequence: Sequence) -> Position {
        Position {
            timeline,
            sequence,
            changes: 0,
        }
    }

    pub(super) fn whole(self, sequence: Sequence) -> Position {
        Position::new(self.timeline, sequence)
    }

    pub(super) fn within(self, changes: u64) -> Position {
        Position { changes, ..self }
    }
}

/// A cursor as it is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct CursorRow {
    /// In another timeline than the namespace's: the sequence is that of a restore which the
    /// cursor's reader has not heard of, and `updated` its time.
    pub(crate) position: Position,
    pub(crate) created: UnixMs,
    pub(crate) updated: UnixMs,
}

impl CursorRow {
    /// The cursor in a restored namespace, from its restore on.
    pub(crate) fn carried(self, restore: Sequence, time: UnixMs) -> CursorRow {
        CursorRow {
            position: self.position.whole(restore),
            updated: time,
            ..self
        }
    }
}

/// A named cursor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CursorInfo {
    /// Its name.
    pub name: String,
    /// All changes up to this commit are acknowledged.
    pub sequence: Sequence,
    /// So many changes of the next commit are acknowledged too.
    pub changes: u64,
    /// When it was created.
    #[serde(rename = "created_unix_ms")]
    pub created: UnixMs,
    /// When its position was last stored.
    #[serde(rename = "updated_unix_ms")]
    pub updated: UnixMs,
    /// A watch reads it now.
    pub watched: bool,
    /// The host's own: no reader, it holds the past for the next incremental backup.
    pub system: bool,
}

impl StateManager {
    /// All named cursors, by name.
    pub fn cursors(&self) -> Result<Vec<CursorInfo>> {
        let namespace = self.committer.namespace_arc()?;
        let info = |(name, row): (String, CursorRow)| CursorInfo {
            watched: self.committer.watches.read_cursor(&name),
            system: is_backup_cursor(&name),
            name,
            sequence: row.position.sequence,
            changes: row.position.changes,
            created: row.created,
            updated: row.updated,
        };
        Ok(namespace.cursors().into_iter().map(info).collect())
    }

    /// Forgets a named cursor, durably, so that it holds back no trimming any more; answers whether
    /// it was there.
    ///
    /// # Errors
    /// `Busy` while a watch reads it, `InvalidArgument` for a name that no cursor can have.
    pub fn delete_cursor(&self, name: &str) -> Result<bool> {
        check_cursor_name(name)?;
        let _lease = Lease::take(&self.committer, Some(name))?;
        let name = name.to_owned();
        let done = turn(&self.committer, move |turn| {
            if turn.namespace.cursor(&name).is_none() {
                return Ok(TurnRows::default());
            }
            Ok(TurnRows {
                ops: vec![OwnOp::Delete(Space::Meta, cursor_key(&name))],
                durability: Durability::Sync,
                count: 1,
                after: Some(Box::new(move |namespace| {
                    namespace.put_cursor(name, None);
                })),
                ..TurnRows::default()
            })
        })?;
        Ok(done.count > 0)
    }
}

/// Checks the name of a cursor.
pub(super) fn check_cursor_name(name: &str) -> Result<()> {
    let bytes = name.len();
    if bytes == 0 || bytes > CURSOR_NAME_BYTES_MAX {
        let reason = format!("it has {bytes} bytes; 1 to {CURSOR_NAME_BYTES_MAX} are allowed");
        return Err(Error::invalid("cursor name", reason));
    }
    let ordinary = |c: char| c.is_ascii_alphanumeric() || ".-_:/".contains(c);
    match name.chars().find(|c| !ordinary(*c)) {
        None => Ok(()),
        Some(c) => {
            let reason = format!("it holds {c:?}; letters, digits and . - _ : / are allowed");
            Err(Error::invalid("cursor name", reason))
        }
    }
}

pub(super) fn turn(
    committer: &Committer,
    work: impl FnOnce(&Turn<'_>) -> Result<TurnRows> + Send + 'static,
) -> Result<Done> {
    committer.run_blocking(Work::turn(CURSOR_NAME_BYTES_MAX, work))
}

/// Creates a cursor at the head, durably, unless it is there; answers whether it was created.
pub(super) fn create_cursor(committer: &Committer, name: &str) -> Result<bool> {
    let name = name.to_owned();
    let done = turn(committer, move |turn| {
        let cursors = turn.namespace.cursors();
        if cursors.iter().any(|(other, _)| *other == name) {
            return Ok(TurnRows::default());
        }
        let count = cursors.len() as u64 + 1;
        check("named cursors", count, "CURSORS_MAX", CURSORS_MAX as u64)?;
        let row = CursorRow {
            position: Position::new(turn.namespace.timeline, turn.head),
            created: turn.now,
            updated: turn.now,
        };
        Ok(TurnRows {
            count: 1,
            durability: Durability::Sync,
            ..rows_of(name, row)
        })
    })?;
    Ok(done.count > 0)
}

/// The work that stores how far the reader of a cursor has come; a position of another timeline or
/// behind the stored one changes nothing.
pub(super) fn store_position(name: &str, position: Position) -> Work {
    let name = name.to_owned();
    Work::turn(name.len(), move |turn| {
        let Some(old) = turn.namespace.cursor(&name) else {
            let message = format!("the cursor `{name}` is not in this state any more");
            return Err(Error::other(ErrorKind::NotFound, message));
        };
        let at = |position: &Position| (position.sequence, position.changes);
        let known =
            old.position.timeline == position.timeline && at(&old.position) >= at(&position);
        if known || position.timeline != turn.namespace.timeline {
            return Ok(TurnRows::default());
        }
        let row = CursorRow {
            position,
            updated: turn.now,
            ..old
        };
        Ok(rows_of(name, row))
    })
}

pub(super) fn rows_of(name: String, row: CursorRow) -> TurnRows {
    let mut bytes = Vec::new();
    push_cursor(&mut bytes, &row);
    TurnRows {
        ops: vec![OwnOp::Put(Space::Meta, cursor_key(&name), bytes)],
        durability: Durability::Relaxed,
        after: Some(Box::new(move |namespace| {
            namespace.put_cursor(name, Some(row));
        })),
        ..TurnRows::default()
    }
}
