//! What became of a state since an earlier point of its past: the base of incremental backups and of
//! history in backups.
//!
//! A [`Since`] pins that past, so nothing of it is trimmed while it lives. What it reads costs what
//! was changed in between, not what the state holds, in bounded memory.

use super::changes::Changes;
use super::versions::PastVersions;
use super::{Snapshot, row_in};
use crate::stored_key::journal_key;
use crate::{Cursor, Error, ErrorKind, KeyRange, Result, Sequence, Space, UnixMs};

/// A point of a state's past, as a snapshot had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastPoint {
    /// The timeline's id, see [`super::StateFacts::timeline`].
    pub timeline: String,
    /// The last commit of the point.
    pub sequence: Sequence,
    /// The time of that commit.
    pub time: UnixMs,
    /// The moment by which expiry was judged.
    pub as_of: UnixMs,
}

/// The past of a snapshot from an earlier point on.
pub struct Since<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) before: Snapshot,
    /// All of the kept past: it is read in whole, not by what was changed.
    pub(super) whole: bool,
}

impl Snapshot {
    /// The point that the snapshot shows.
    pub fn point(&self) -> PastPoint {
        PastPoint {
            timeline: self.namespace.timeline.to_string(),
            sequence: self.sequence,
            time: self.time,
            as_of: self.as_of(),
        }
    }

    /// What became of the state since an earlier point.
    ///
    /// # Errors
    /// `Compacted` when the past after the point has been trimmed, `Conflict` when the point is none
    /// of this snapshot's past: of another timeline, of another copy of the state, or
    /// later, also by a clock that was set back.
    pub fn since(&self, point: &PastPoint) -> Result<Since<'_>> {
        let conflict = |reason: String| Err(Error::other(ErrorKind::Conflict, reason));
        let timeline = self.namespace.timeline.to_string();
        let sequence = point.sequence.0;
        if point.timeline != timeline {
            return conflict(format!(
                "commit {sequence} of timeline {} is none of this one, {timeline}",
                point.timeline
            ));
        }
        if point.sequence > self.sequence {
            return conflict(format!(
                "commit {sequence} comes after {}, the last one of the snapshot",
                self.sequence.0
            ));
        }
        if point.as_of > self.as_of() {
            return conflict(format!(
                "it is {} ms now and was {} ms at the earlier point: the clock was set back",
                self.as_of().0,
                point.as_of.0
            ));
        }
        let what = format!("the state at commit {sequence}");
        self.namespace.pin(point.sequence, &what)?;
        let since = Since {
            snapshot: self,
            before: self.earlier(point.sequence, point.time, point.as_of),
            whole: false,
        };
        let row = row_in(&self.namespace, point.sequence, point.sequence, false)?;
        match row {
            Some((_, time)) if time == point.time => Ok(since),
            // The state before the first commit has no row.
            None if sequence == 0 => Ok(since),
            _ => conflict(format!(
                "commit {sequence} is not the one of {} ms any more: a copy of the state went on by \
                 itself, or commits were lost",
                point.time.0
            )),
        }
    }

    /// All of the past that is kept.
    pub fn since_floor(&self) -> Since<'_> {
        let floor = self.namespace.pin_floor();
        Since {
            snapshot: self,
            before: self.earlier(floor, UnixMs(i64::MIN), UnixMs(i64::MIN)),
            whole: true,
        }
    }

    /// A snapshot of the same namespace at a sequence that has been pinned for it.
    fn earlier(&self, sequence: Sequence, time: UnixMs, as_of: UnixMs) -> Snapshot {
        Snapshot {
            committer: self.committer.clone(),
            namespace: self.namespace.clone(),
            sequence,
            time,
            expired_at: Some(as_of),
            lease: None,
        }
    }
}

impl Since<'_> {
    /// The last commit of the earlier point.
    pub fn after(&self) -> Sequence {
        self.before.sequence
    }

    /// The keys that have another record than at the earlier point, in their order.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(self)
    }

    /// Rows of space `history`, in the order of their keys: what tells, with the records of the
    /// snapshot, every record that was there after any commit from the earlier point on.
    pub fn history(&self) -> PastVersions<'_> {
        PastVersions::new(self)
    }

    /// The rows of space `journal` after the earlier point up to that of the snapshot; when asked for,
    /// also that of the point itself, which tells its time.
    pub fn journal(&self, with_first: bool) -> Result<Box<dyn Cursor + '_>> {
        let lo = journal_key(Sequence(self.before.sequence.0 + u64::from(!with_first)));
        let hi = journal_key(Sequence(self.snapshot.sequence.0.saturating_add(1)));
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: false,
        };
        self.snapshot.namespace.backend.scan(Space::Journal, range)
    }
}
