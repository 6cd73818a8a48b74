//! Where a watch stands in the journal, and how it gets to the next change.
//!
//! It holds the keys of at most one commit and one value; everything else stays in the backend until
//! it is asked for. Nothing beyond the published head is read. The position moves only when a change
//! is taken, so whatever is broken off is done again.

use super::filter::Filter;
use super::hold::Hold;
use super::{Change, Position};
use crate::commit::Committer;
use crate::journal::{ChangeOp, CommitKind, HistoryRow, JournalRow, read_history, read_journal};
use crate::namespace::{Namespace, TenantSlot};
use crate::read::in_key;
use crate::record::{read_stamps, read_value};
use crate::stored_key::{journal_key, push_history_key, split_journal_key};
use crate::{
    Error, KeyRange, Plugins, Result, Sequence, Space, TenantNumber, UnixMs, Value, split_key,
};

/// Journal rows that are passed over at one go.
const ROWS_MAX: usize = 1_024;

fn following(sequence: Sequence) -> Sequence {
    Sequence(sequence.0.saturating_add(1))
}

/// What a watch looks for, and where.
pub(super) struct Reader<'a> {
    pub(super) committer: &'a Committer,
    pub(super) plugins: &'a dyn Plugins,
    pub(super) hold: &'a Hold,
    pub(super) tenant: Option<&'a TenantSlot>,
    pub(super) filter: &'a Filter,
    pub(super) values: bool,
}

/// What an attempt came to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A change can be taken.
    Ready,
    /// There may be more to read.
    Again,
    /// Everything up to the head has been read.
    Nothing,
}

pub(super) struct Source {
    /// Up to where the journal has been read.
    position: Position,
    /// Up to where changes have been taken, while some are at hand.
    handed: Position,
    commit: Option<Commit>,
    /// The next change, and the position once it is taken.
    ready: Option<(Change, Position)>,
}

/// A commit of which not everything has been handed out: the keys that match.
struct Commit {
    sequence: Sequence,
    time: UnixMs,
    kind: CommitKind,
    principal: String,
    correlation_id: String,
    keys: Vec<u8>,
    changes: Vec<Pending>,
    next: usize,
}

struct Pending {
    op: ChangeOp,
    /// Its place in the commit, from 0.
    index: u64,
    /// Where its key begins and ends in `keys`.
    start: usize,
    end: usize,
}

impl Source {
    /// A source that goes on after a position. `restored` is the commit and time of a restore that
    /// its reader has not heard of.
    pub(super) fn new(position: Position, restored: Option<(Position, UnixMs)>) -> Source {
        let mut source = Source {
            position,
            handed: position,
            commit: None,
            ready: None,
        };
        if let Some((after, time)) = restored {
            source.restored(after, time);
        }
        source
    }

    /// Everything up to here has been handed out or does not match.
    pub(super) fn handed(&self) -> Position {
        match self.ready.is_none() && self.commit.is_none() {
            true => self.position,
            false => self.handed,
        }
    }

    /// Takes the change that is ready.
    pub(super) fn take(&mut self) -> Option<Change> {
        let (change, after) = self.ready.take()?;
        self.handed = after;
        Some(change)
    }

    fn restored(&mut self, after: Position, time: UnixMs) {
        self.position = after;
        self.ready = Some((Change::restore(after.sequence, time), after));
    }

    /// Whether nothing is at hand and the journal has been read to its end.
    pub(super) fn is_idle(&self, hold: &Hold) -> Result<bool> {
        let current = hold.current()?;
        Ok(self.ready.is_none()
            && self.commit.is_none()
            && !current.replaced
            && self.position.sequence >= current.namespace.head().0)
    }

    /// Gets the next change ready, or passes over a part of the journal.
    pub(super) fn advance(&mut self, reader: &Reader<'_>) -> Result<Step> {
        if self.ready.is_some() {
            reader.hold.current()?;
            return Ok(Step::Ready);
        }
        let current = reader.hold.current()?;
        let namespace = &*current.namespace;
        if self.commit.is_none() && self.position.sequence < namespace.head().0 {
            self.read(reader, namespace)?;
        }
        if let Some(commit) = &mut self.commit {
            let (change, last) = commit.change(reader, namespace)?;
            let after = match last {
                true => self.position.whole(commit.sequence),
                false => self.position.within(commit.changes_done()),
            };
            if last {
                self.commit = None;
                self.position = after;
            }
            self.ready = Some((change, after));
            return Ok(Step::Ready);
        }
        if self.position.sequence < namespace.head().0 {
            return Ok(Step::Again);
        }
        if current.replaced
            && let Some((namespace, sequence, time)) = reader.hold.pass_restore()
        {
            self.restored(Position::new(namespace.timeline, sequence), time);
            return Ok(Step::Ready);
        }
        Ok(Step::Nothing)
    }

    /// Reads the journal up to the head, to the first commit that matches, or as far as one step
    /// goes.
    fn read(&mut self, reader: &Reader<'_>, namespace: &Namespace) -> Result<()> {
        let head = namespace.head().0;
        let lo = journal_key(following(self.position.sequence));
        let hi = journal_key(following(head));
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: false,
        };
        let tenant = reader.tenant.map(|slot| slot.number(namespace));
        let mut cursor = namespace.backend.scan(Space::Journal, range)?;
        for _ in 0..ROWS_MAX {
            if self.position.sequence >= head || self.commit.is_some() {
                break;
            }
            let mut found = None;
            cursor.next_batch(1, &mut |key, row| {
                let read = split_journal_key(key).and_then(|sequence| {
                    let row = read_journal(row)?;
                    let commit = self.commit_of(sequence, &row, reader.filter, tenant)?;
                    Ok((sequence, commit))
                });
                found = Some(read);
            })?;
            let Some(found) = found else {
                let reason = format!("commit {} is the head and has no row", head.0);
                return Err(Error::corrupt("journal", reason));
            };
            let (sequence, commit) = found?;
            match commit {
                Some(commit) => self.commit = Some(commit),
                None => self.position = self.position.whole(sequence),
            }
        }
        reader.hold.move_pin(namespace, self.position.sequence);
        Ok(())
    }

    /// What of the next commit matches and has not been handed out.
    fn commit_of(
        &self,
        sequence: Sequence,
        row: &JournalRow<'_>,
        filter: &Filter,
        tenant: Option<Option<TenantNumber>>,
    ) -> Result<Option<Commit>> {
        // Only an undo leaves a gap, and tells of it.
        if sequence != following(self.position.sequence) && row.kind != CommitKind::Restore {
            let after = self.position.sequence.0;
            let reason = format!("commit {} follows commit {after}", sequence.0);
            return Err(Error::corrupt("journal", reason));
        }
        let mut commit = Commit {
            sequence,
            time: row.time,
            kind: row.kind,
            principal: row.principal.to_owned(),
            correlation_id: row.correlation_id.to_owned(),
            keys: Vec::new(),
            changes: Vec::new(),
            next: 0,
        };
        for (index, (op, key)) in (0u64..).zip(&row.changes) {
            let of_tenant = match tenant {
                None => true,
                Some(None) => false,
                Some(Some(number)) => key.starts_with(&number.0.to_be_bytes()),
            };
            if index >= self.position.changes && of_tenant && filter.matches(key)? {
                let start = commit.keys.len();
                commit.keys.extend_from_slice(key);
                let end = commit.keys.len();
                commit.changes.push(Pending {
                    op: *op,
                    index,
                    start,
                    end,
                });
            }
        }
        let matches = row.kind == CommitKind::Restore || !commit.changes.is_empty();
        Ok(matches.then_some(commit))
    }

    /// Changes and bytes of keys that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let commit = self.commit.as_ref();
        commit.map_or((0, 0), |commit| (commit.changes.len(), commit.keys.len()))
    }
}

impl Commit {
    /// The change at hand, and whether it is the last one. Passes it only when it could be read.
    fn change(&mut self, reader: &Reader<'_>, namespace: &Namespace) -> Result<(Change, bool)> {
        let Some(pending) = self.changes.get(self.next) else {
            return Ok((Change::restore(self.sequence, self.time), true));
        };
        let data_key = self.keys.get(pending.start..pending.end);
        let data_key = data_key.unwrap_or_default();
        let (tenant, scope, key) = split_key(data_key)?;
        let mut value = None;
        let puts = matches!(pending.op, ChangeOp::Put | ChangeOp::PutEphemeral);
        if puts && reader.values {
            value = reader
                .written(namespace, data_key, self.sequence, pending.op)
                .map_err(|error| in_key(&scope, &key, error))?;
        }
        let last = self.next + 1 == self.changes.len();
        let change = Change {
            sequence: self.sequence,
            time: self.time,
            kind: self.kind,
            principal: self.principal.clone(),
            correlation_id: self.correlation_id.clone(),
            tenant: namespace.tenant_name(tenant)?,
            scope: Some(scope),
            key: Some(key),
            op: Some(pending.op),
            value_gone: puts && reader.values && value.is_none(),
            value,
            last_of_commit: last,
        };
        self.next += 1;
        Ok((change, last))
    }

    /// How many changes of the commit, also of those that do not match, are before the next one.
    fn changes_done(&self) -> u64 {
        self.changes
            .get(self.next)
            .map_or(u64::MAX, |pending| pending.index)
    }
}

impl Reader<'_> {
    /// The value that a commit wrote: the current one, or the one that history has. `None` when it is
    /// not kept any more.
    fn written(
        &self,
        namespace: &Namespace,
        data_key: &[u8],
        sequence: Sequence,
        op: ChangeOp,
    ) -> Result<Option<Value>> {
        let value = |record: &[u8]| read_value(record, self.plugins).map(Some);
        if op == ChangeOp::PutEphemeral {
            return match namespace.ephemeral.get(data_key) {
                Some(record) if read_stamps(&record)?.0 == sequence => value(&record),
                _ => Ok(None),
            };
        }
        let mut row = Vec::new();
        if namespace.backend.get(Space::Data, data_key, &mut row)?
            && read_stamps(&row)?.0 == sequence
        {
            return value(&row);
        }
        let mut key = Vec::new();
        push_history_key(&mut key, data_key, sequence);
        for settled in [false, true] {
            if settled {
                // The commit that superseded it may not be there with all of its rows yet.
                self.committer.settle();
            }
            row.clear();
            if namespace.backend.get(Space::History, &key, &mut row)?
                && let HistoryRow::Record(_, record) = read_history(&row)?
            {
                return value(record);
            }
        }
        Ok(None)
    }
}
