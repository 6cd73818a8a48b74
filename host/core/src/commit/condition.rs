//! What a commit expects of the state at its turn: versions of keys, and ranges that nobody changed.
//!
//! Conditions are looked at in the order of commits, each against those before it in its group and
//! then against the backend. A commit whose conditions do not hold fails alone and writes nothing.

use ulid::Ulid;

use crate::journal::read_journal;
use crate::namespace::Namespace;
use crate::record::read_life;
use crate::row_batch::{Visit, each_row};
use crate::stored_key::{journal_key, split_key};
use crate::{Error, KeyRange, Result, Sequence, Space, UnixMs};

/// What a key must be at the commit's turn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It is not there, or its time has come.
    Absent,
    /// It is there and was written by this commit.
    Version(Sequence),
}

/// A condition on one key. Its first four bytes, the tenant's number, are set by the committer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) key: Vec<u8>,
    pub(crate) expect: Expect,
}

/// Ranges of keys that must not have changed since a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeReads {
    /// The timeline on which they were read.
    pub(crate) timeline: Ulid,
    /// The snapshot at which they were read.
    pub(crate) snapshot: Sequence,
    /// Commits up to this one did not change them; at first the snapshot.
    pub(crate) checked: Sequence,
    /// First key that belongs and first key that does not; both begin with the tenant's number,
    /// which the committer sets.
    pub(crate) ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A journal of more commits than this is read by the caller before its turn.
const TURN_COMMITS_MAX: u64 = 64;

impl RangeReads {
    /// Checks the journal up to now on the caller's thread when it is long, which leaves the
    /// committer the commits after it.
    pub(crate) fn check_ahead(&mut self, namespace: &Namespace) -> Result<()> {
        let head = namespace.head().0;
        let long = head.0.saturating_sub(self.checked.0) > TURN_COMMITS_MAX;
        if self.ranges.is_empty() || self.timeline != namespace.timeline || !long {
            return Ok(());
        }
        self.check_journal(namespace)?;
        // A journal that was trimmed while it was read has not told everything.
        if self.checked >= namespace.floor() {
            self.checked = head;
        }
        Ok(())
    }

    fn holding(&self, key: &[u8]) -> bool {
        self.ranges
            .iter()
            .any(|(lo, hi)| lo.as_slice() <= key && key < hi.as_slice())
    }

    /// Checks the ranges against commits after the snapshot; `in_group` are keys of commits that
    /// come before this one in its group.
    pub(super) fn check<'k>(
        &self,
        namespace: &Namespace,
        mut in_group: impl Iterator<Item = &'k [u8]>,
    ) -> Result<()> {
        if self.timeline != namespace.timeline {
            return Err(self.lost("was restored meanwhile"));
        }
        if self.ranges.is_empty() {
            return Ok(());
        }
        // Another backend took the place of the one that was read, without the journal since.
        if self.checked < namespace.floor() {
            return Err(self.lost("has no journal of what was changed since"));
        }
        if let Some(key) = in_group.find(|key| self.holding(key)) {
            return Err(self.conflict(key));
        }
        if namespace.head().0 == self.checked {
            return Ok(());
        }
        self.check_journal(namespace)
    }

    /// Looks for changes in the journal after what has been checked.
    fn check_journal(&self, namespace: &Namespace) -> Result<()> {
        let lo = journal_key(Sequence(self.checked.0 + 1));
        let range = KeyRange {
            lo: &lo,
            hi: None,
            reverse: false,
        };
        let mut cursor = namespace.backend.scan(Space::Journal, range)?;
        let next = |rows_max, visit: &mut Visit<'_>| cursor.next_batch(rows_max, visit);
        each_row(next, |_, row| {
            let row = read_journal(row)?;
            match row.changes.iter().find(|(_, key)| self.holding(key)) {
                Some((_, key)) => Err(self.conflict(key)),
                None => Ok(()),
            }
        })
    }

    fn lost(&self, found: &str) -> Error {
        Error::Changed {
            what: "the whole state".to_owned(),
            expected: format!("the state as of commit {}", self.snapshot.0),
            found: found.to_owned(),
            current: None,
        }
    }

    fn conflict(&self, key: &[u8]) -> Error {
        Error::Changed {
            what: name_of(key),
            expected: format!("a range unchanged since commit {}", self.snapshot.0),
            found: "was changed meanwhile".to_owned(),
            current: None,
        }
    }
}

impl Condition {
    /// Checks the condition against the record that the key has, if any.
    pub(super) fn check(&self, record: Option<&[u8]>, now: UnixMs) -> Result<()> {
        let (stored, live) = match record {
            None => (None, false),
            Some(record) => {
                let life = read_life(record)?;
                (Some(life.sequence), !life.is_over(now))
            }
        };
        let holds = match self.expect {
            Expect::Absent => !live,
            Expect::Version(version) => live && stored == Some(version),
        };
        if holds {
            return Ok(());
        }
        let current = stored.filter(|_| live);
        let version = |version: Option<Sequence>| match version {
            Some(version) => format!("version {}", version.0),
            None => "no value".to_owned(),
        };
        let expected = match self.expect {
            Expect::Absent => version(None),
            Expect::Version(wanted) => version(Some(wanted)),
        };
        Err(Error::Changed {
            what: name_of(&self.key),
            expected,
            found: format!("has {}", version(current)),
            current,
        })
    }
}

/// The name of a stored key, for errors.
pub(crate) fn name_of(key: &[u8]) -> String {
    match split_key(key) {
        Ok((_, scope, key)) => format!("`{key}` in {scope}"),
        Err(_) => key.escape_ascii().to_string(),
    }
}
