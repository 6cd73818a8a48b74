//! Takes over what was committed after the copy: each commit of the journal once more, on the target.
//!
//! What a commit superseded is what the target holds, what it wrote is the source's version of that
//! commit: the current record, or the history row of a later commit. So the rows are those that the
//! source has, whatever was written since. A commit may be spread over several here.

use std::time::Instant;

use super::Swap;
use crate::batch::check_stored;
use crate::commit::OwnOp;
use crate::journal::{ChangeOp, HistoryRow, push_history_head, read_history, read_journal};
use crate::record::read_stamps;
use crate::row_batch::each_row;
use crate::stored_key::{journal_key, push_history_key, split_journal_key};
use crate::{Backend, Durability, Error, KeyRange, Result, Sequence, Space};

/// Most bytes of records that are remembered because the target may not have them yet.
const UNWRITTEN_BYTES_MAX: usize = 4 << 20;

/// Who calls, which says whether a commit may be on its way meanwhile.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// Any thread, while commits go on.
    Side,
    /// The committer, between two commits.
    Turn,
}

impl Swap {
    /// Takes over commits up to `until`, or as many as there are time for, and what was written to
    /// other rows since.
    pub(super) fn follow(
        &mut self,
        target: &dyn Backend,
        until: Sequence,
        at: At,
        end: Option<Instant>,
    ) -> Result<()> {
        let source = self.source.namespace.clone();
        let lo = journal_key(Sequence(self.done.0.saturating_add(1)));
        let hi = journal_key(Sequence(until.0.saturating_add(1)));
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: false,
        };
        let mut cursor = source.backend.scan(Space::Journal, range)?;
        let late = || end.is_some_and(|end| Instant::now() >= end);
        each_row(
            |most, visit| match late() {
                true => Ok(0),
                false => cursor.next_batch(most, visit),
            },
            |key, row| {
                if late() {
                    return Ok(());
                }
                self.take_own_rows(target, self.done)?;
                let sequence = split_journal_key(key)?;
                self.take_commit(target, sequence, row, at)?;
                self.bulk.put(target, Space::Journal, key, row)?;
                self.done = sequence;
                self.followed += 1;
                self.progress.behind(until.0.saturating_sub(sequence.0));
                self.progress.add(0, row.len() as u64, row.len() as u64);
                self.progress.check()
            },
        )?;
        if self.done < until && !late() {
            let reason = format!("it ends with {} before {}", self.done.0, until.0);
            return Err(Error::corrupt("journal", reason));
        }
        self.take_own_rows(target, self.done)?;
        self.take_meta(target)
    }

    fn take_commit(
        &mut self,
        target: &dyn Backend,
        sequence: Sequence,
        row: &[u8],
        at: At,
    ) -> Result<()> {
        for (op, key) in read_journal(row)?.changes {
            let old = self.record(target, key)?;
            if let Some(old) = &old {
                self.supersede(target, key, old, sequence)?;
            }
            let version = match op {
                ChangeOp::Put => Some(self.version(key, sequence, at)?),
                _ => None,
            };
            match &version {
                Some(record) => self.put_record(target, key, record)?,
                None if old.is_some() => self.bulk.delete(target, Space::Data, key)?,
                None => continue,
            }
            self.unwritten_bytes += key.len() + version.as_ref().map_or(0, Vec::len);
            self.unwritten.insert(key.to_vec(), version);
        }
        if self.unwritten_bytes >= UNWRITTEN_BYTES_MAX {
            self.flush(target, Durability::Relaxed)?;
        }
        Ok(())
    }

    /// The record that the target has of a key.
    fn record(&self, target: &dyn Backend, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(record) = self.unwritten.get(key) {
            return Ok(record.clone());
        }
        let mut record = Vec::new();
        let found = target.get(Space::Data, key, &mut record)?;
        Ok(found.then_some(record))
    }

    /// Makes a record of the target a version of the past, and takes its index rows away.
    fn supersede(
        &mut self,
        target: &dyn Backend,
        key: &[u8],
        old: &[u8],
        end: Sequence,
    ) -> Result<()> {
        let (mut history_key, mut history) = (Vec::new(), Vec::new());
        push_history_key(&mut history_key, key, read_stamps(old)?.0);
        push_history_head(&mut history, end);
        history.extend_from_slice(old);
        self.bulk
            .put(target, Space::History, &history_key, &history)?;
        for row in self.index_rows(key, old) {
            self.bulk.delete(target, Space::Index, &row)?;
        }
        Ok(())
    }

    /// The record that a commit wrote, as the source still has it.
    fn version(&self, key: &[u8], sequence: Sequence, at: At) -> Result<Vec<u8>> {
        let backend = &self.source.namespace.backend;
        let mut record = Vec::new();
        if backend.get(Space::Data, key, &mut record)? && read_stamps(&record)?.0 == sequence {
            return Ok(record);
        }
        let mut history_key = Vec::new();
        push_history_key(&mut history_key, key, sequence);
        let mut row = Vec::new();
        let mut found = backend.get(Space::History, &history_key, &mut row)?;
        if !found && at == At::Side {
            // The commit that replaced it may not be there with all of its rows yet.
            self.source.committer.settle();
            found = backend.get(Space::History, &history_key, &mut row)?;
        }
        if found && let HistoryRow::Record(_, record) = read_history(&row)? {
            return Ok(record.to_vec());
        }
        let what = format!("version of {} of commit {}", key.escape_ascii(), sequence.0);
        Err(Error::corrupt(
            what,
            "the journal tells of it and it is not there",
        ))
    }

    /// Writes a record and its index rows.
    pub(super) fn put_record(
        &mut self,
        target: &dyn Backend,
        key: &[u8],
        record: &[u8],
    ) -> Result<()> {
        check_stored(record, self.bulk.value_bytes_max())?;
        self.bulk.put(target, Space::Data, key, record)?;
        for row in self.index_rows(key, record) {
            self.bulk.put(target, Space::Index, &row, &[])?;
        }
        Ok(())
    }

    /// The index rows that a record has.
    pub(super) fn index_rows(&self, key: &[u8], record: &[u8]) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        let index = &self.source.namespace.index;
        index.rows(key, record, &mut |row| rows.push(row.to_vec()));
        rows
    }

    /// Writes index rows that the host wrote before the commit after `until`.
    fn take_own_rows(&mut self, target: &dyn Backend, until: Sequence) -> Result<()> {
        let source = self.source.namespace.clone();
        while let Some(op) = source.swap_feed.next(until) {
            match op {
                OwnOp::Put(space, key, value) => self.bulk.put(target, space, &key, &value)?,
                OwnOp::Delete(space, key) => self.bulk.delete(target, space, &key)?,
            }
        }
        Ok(())
    }

    /// Brings the meta rows to what the source has.
    pub(super) fn take_meta(&mut self, target: &dyn Backend) -> Result<()> {
        let source = self.source.namespace.clone();
        let mut cursor = source.backend.scan(Space::Meta, KeyRange::default())?;
        let mut gone = std::mem::take(&mut self.meta);
        each_row(
            |most, visit| cursor.next_batch(most, visit),
            |key, row| {
                if gone.remove(key).as_deref() != Some(row) {
                    self.bulk.put(target, Space::Meta, key, row)?;
                }
                self.meta.insert(key.to_vec(), row.to_vec());
                Ok(())
            },
        )?;
        for key in gone.into_keys() {
            self.bulk.delete(target, Space::Meta, &key)?;
        }
        Ok(())
    }

    /// Hands the target all rows that wait and makes everything in it durable.
    pub(super) fn finish(&mut self, target: &dyn Backend) -> Result<()> {
        self.flush(target, Durability::Relaxed)?;
        target.flush()
    }

    /// Hands the target all rows that wait.
    pub(super) fn flush(&mut self, target: &dyn Backend, durability: Durability) -> Result<()> {
        self.bulk.flush(target, durability)?;
        self.unwritten.clear();
        self.unwritten_bytes = 0;
        Ok(())
    }
}
