//! Snapshots of the past: by sequence, and by the time of commits.
//!
//! Times of commits never go back, so the state at a time is that of the last commit at or before
//! it. The journal is searched by halving; commits need not be numbered without gaps.

use std::sync::Arc;

use super::Snapshot;
use crate::journal::read_journal;
use crate::namespace::Namespace;
use crate::stored_key::{journal_key, split_journal_key};
use crate::{Error, KeyRange, Result, Sequence, Space, StateManager, UnixMs};

impl StateManager {
    /// The state as it was right after a commit.
    ///
    /// # Errors
    /// `Compacted` when that past has been trimmed, `InvalidArgument` for a commit that has not
    /// been made, or was undone.
    pub fn snapshot_at(self: &Arc<Self>, sequence: Sequence) -> Result<Snapshot> {
        let head = self.snapshot()?;
        if sequence == head.sequence {
            return Ok(head);
        }
        if sequence > head.sequence {
            let reason = format!("the last commit is {}", head.sequence.0);
            return Err(Error::invalid("sequence", reason));
        }
        let namespace = head.namespace.clone();
        namespace.pin(sequence, &format!("the state at commit {}", sequence.0))?;
        // From here on dropping the snapshot takes the pin back.
        let mut past = Snapshot {
            committer: self.committer.clone(),
            namespace,
            sequence,
            time: UnixMs(0),
            expired_at: None,
            lease: None,
        };
        past.time = time_at(&past.namespace, sequence)?;
        past.expired_at = Some(past.time);
        Ok(past)
    }

    /// The state as it was at a time.
    ///
    /// # Errors
    /// `Compacted` when that past has been trimmed, `InvalidArgument` for a time to come.
    pub fn snapshot_at_time(self: &Arc<Self>, time: UnixMs) -> Result<Snapshot> {
        let head = self.snapshot()?;
        let now = head.expired_at.unwrap_or(head.time);
        if time > now {
            let reason = format!("{} ms is in the future; it is {} ms now", time.0, now.0);
            return Err(Error::invalid("time", reason));
        }
        let sequence = last_until(&head.namespace, time)?;
        let mut past = self.snapshot_at(sequence)?;
        past.expired_at = Some(time);
        Ok(past)
    }

    /// The last commit at or before a time; 0 for a time before the first one.
    ///
    /// # Errors
    /// `Compacted` when that past has been trimmed.
    pub fn sequence_at(self: &Arc<Self>, time: UnixMs) -> Result<Sequence> {
        last_until(&*self.committer.namespace_arc()?, time)
    }
}

/// The first journal row of a range, or the last one.
pub(crate) fn row_in(
    namespace: &Namespace,
    lo: Sequence,
    hi: Sequence,
    reverse: bool,
) -> Result<Option<(Sequence, UnixMs)>> {
    let (lo, end) = (
        journal_key(lo),
        journal_key(Sequence(hi.0.saturating_add(1))),
    );
    let range = KeyRange {
        lo: &lo,
        hi: Some(&end),
        reverse,
    };
    let mut found = None;
    namespace
        .backend
        .scan(Space::Journal, range)?
        .next_batch(1, &mut |key, row| {
            found.get_or_insert_with(|| Ok((split_journal_key(key)?, read_journal(row)?.time)));
        })?;
    found.transpose()
}

/// The time of the last commit at or before a sequence.
fn time_of(namespace: &Namespace, sequence: Sequence) -> Result<UnixMs> {
    let row = row_in(namespace, namespace.floor(), sequence, true)?;
    Ok(row.map_or(namespace.state.created, |(_, time)| time))
}

/// The time of a commit; the floor's row may be missing, as that of the state before all commits is.
fn time_at(namespace: &Namespace, sequence: Sequence) -> Result<UnixMs> {
    let before = row_in(namespace, namespace.floor(), sequence, true)?;
    match before {
        Some((at, time)) if at == sequence => Ok(time),
        _ if sequence == namespace.floor() => Ok(namespace.state.created),
        _ => {
            let before = before.map_or(namespace.floor(), |(at, _)| at);
            let reason = format!(
                "commit {} was undone with the namespace that it was made in; commit {} is the \
                 last one before it",
                sequence.0, before.0
            );
            Err(Error::invalid("sequence", reason))
        }
    }
}

/// The last commit at or before a time.
pub(crate) fn last_until(namespace: &Namespace, time: UnixMs) -> Result<Sequence> {
    let (head, head_time) = namespace.head();
    if head_time <= time {
        return Ok(head);
    }
    let floor = namespace.floor();
    // The floor's own row stays, so that its time is known; the state before the first commit has
    // none and reaches back for ever.
    if floor > Sequence(0) && time_of(namespace, floor)? > time {
        let what = format!("the state at {} ms", time.0);
        return Err(Error::Compacted {
            what,
            oldest: floor,
        });
    }
    // `below` is at or before the time, `above` after it.
    let (mut below, mut above) = (floor, head);
    while above.0 - below.0 > 1 {
        let middle = Sequence(below.0 + (above.0 - below.0) / 2);
        match row_in(namespace, Sequence(below.0 + 1), middle, true)? {
            Some((_, at)) if at > time => above = middle,
            _ => below = middle,
        }
    }
    // `below` may lie in the gap that an undo leaves.
    let row = row_in(namespace, floor, below, true)?;
    Ok(row.map_or(floor, |(sequence, _)| sequence))
}
