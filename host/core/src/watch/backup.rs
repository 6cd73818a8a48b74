//! The past that the next incremental backup needs: one durable cursor a repository, which stands at
//! the last backup into it.
//!
//! Nobody may ever make that next backup, so such a cursor holds the past for a limited time only.

use super::cursor::{CursorRow, Position, rows_of, turn};
use crate::batch::check;
use crate::commit::{Committer, OwnOp, TurnRows};
use crate::meta::cursor_key;
use crate::namespace::Namespace;
use crate::{CURSORS_MAX, Durability, Error, PastPoint, Result, Space, StateManager, UnixMs};

/// How the names of cursors begin that are the host's own.
pub(crate) const OWN_PREFIX: &str = "statekeep.";
const BACKUP_PREFIX: &str = "statekeep.backup.";

/// Whether a name is that of a cursor which holds the past for backups.
pub(crate) fn is_backup_cursor(name: &str) -> bool {
    name.starts_with(BACKUP_PREFIX)
}

/// Whether a cursor holds the past for backups and was last stored by then.
pub(crate) fn is_lapsed(name: &str, row: &CursorRow, by: UnixMs) -> bool {
    is_backup_cursor(name) && row.updated <= by
}

/// By when cursors of backups must have been stored that are let go at `now`.
pub(crate) fn lapsed_by(now: UnixMs, hold_ms: u64) -> UnixMs {
    let age = i64::try_from(hold_ms).unwrap_or(i64::MAX);
    UnixMs(now.0.saturating_sub(age))
}

/// Refuses names that are the host's own.
pub(super) fn check_not_own(name: &str) -> Result<()> {
    match name.starts_with(OWN_PREFIX) {
        true => {
            let reason = format!("names that begin with `{OWN_PREFIX}` are the host's own");
            Err(Error::invalid("cursor name", reason))
        }
        false => Ok(()),
    }
}

impl StateManager {
    /// Holds the past from a backup's point on for the next incremental backup into a repository,
    /// durably and for `backup_hold_ms` at most; what was held for it before is let go. A point of
    /// another timeline or before the one that is held changes nothing.
    pub fn hold_for_backups(&self, repository: &str, point: &PastPoint) -> Result<()> {
        if self.upkeep.backup_hold_ms() == 0 {
            return Ok(());
        }
        let (name, point) = (format!("{BACKUP_PREFIX}{repository}"), point.clone());
        turn(&self.committer, move |turn| {
            let namespace = turn.namespace;
            let (timeline, old) = (namespace.timeline, namespace.cursor(&name));
            let newer = old.is_some_and(|old| {
                old.position.timeline == timeline && old.position.sequence > point.sequence
            });
            let kept = namespace.floor()..=turn.head;
            if newer || timeline.to_string() != point.timeline || !kept.contains(&point.sequence) {
                return Ok(TurnRows::default());
            }
            if old.is_none() {
                let count = namespace.cursors().len() as u64 + 1;
                check("named cursors", count, "CURSORS_MAX", CURSORS_MAX as u64)?;
            }
            let row = CursorRow {
                position: Position::new(timeline, point.sequence),
                created: old.map_or(turn.now, |old| old.created),
                updated: turn.now,
            };
            Ok(TurnRows {
                durability: Durability::Sync,
                ..rows_of(name, row)
            })
        })?;
        Ok(())
    }
}

/// Removes the cursors of backups that were last stored by then.
pub(crate) fn let_go_of_backups(
    committer: &Committer,
    namespace: &Namespace,
    by: UnixMs,
) -> Result<()> {
    let lapsed = move |name: &str, row: &CursorRow| is_lapsed(name, row, by);
    let all = namespace.cursors().into_iter();
    for (name, row) in all.filter(|(name, row)| lapsed(name, row)) {
        tracing::warn!(
            cursor = name,
            commit = row.position.sequence.0,
            "no backup followed within backup.hold_ms; the past that an incremental one needs is \
             held no longer, and the next backup into that repository may be a full one"
        );
        turn(committer, move |turn| {
            let is_due = turn.namespace.cursor(&name);
            if !is_due.is_some_and(|row| lapsed(&name, &row)) {
                return Ok(TurnRows::default());
            }
            Ok(TurnRows {
                ops: vec![OwnOp::Delete(Space::Meta, cursor_key(&name))],
                after: Some(Box::new(move |namespace| namespace.put_cursor(name, None))),
                ..TurnRows::default()
            })
        })?;
    }
    Ok(())
}
