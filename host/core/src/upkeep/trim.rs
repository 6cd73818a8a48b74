//! Forgetting the past: the floor rises, and journal and history rows below it go.
//!
//! The floor's row is written first, so that whoever asks for what is going hears `Compacted`. The
//! journal is then walked from its oldest row: the history rows that its commits ended go before
//! the row itself, so that a run that was broken off is continued by the next one. The floor's own
//! journal row stays, so that its time is known.

use std::collections::HashSet;
use std::sync::Arc;

use super::{BATCH_BYTES, BATCH_ROWS, Upkeep, check_in_use};
use crate::commit::{OwnOp, TurnRows, Work};
use crate::journal::{read_history_end, read_journal};
use crate::meta::{FLOOR, floor_row};
use crate::namespace::Namespace;
use crate::snapshot::{last_until, row_in};
use crate::stored_key::{journal_key, push_history_key, split_journal_key};
use crate::watch::{lapsed_by, let_go_of_backups};
use crate::{Durability, ErrorKind, KeyRange, Result, Sequence, Space, UnixMs};

/// How to trim.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TrimOptions {
    /// Tell what would go, and remove nothing.
    pub dry_run: bool,
}

/// What a trim did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TrimReport {
    /// Nothing was removed.
    pub dry_run: bool,
    /// Journal rows removed.
    pub journal_rows: u64,
    /// History rows removed: superseded records.
    pub history_rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The oldest sequence that could be read before.
    pub floor_before: Sequence,
    /// The oldest sequence that can be read now.
    pub floor: Sequence,
    /// What keeps more of the past than `keep` asks for, in words.
    pub held_by: Vec<String>,
}

/// Keys whose history a run has dealt with are remembered up to so many bytes.
const DONE_BYTES_MAX: usize = 8 << 20;

/// Rows to be removed, handed on in batches.
pub(super) struct Batch<'a> {
    upkeep: &'a Upkeep,
    namespace: &'a Arc<Namespace>,
    ops: Vec<OwnOp>,
    bytes: usize,
    pub(super) report: TrimReport,
    /// Somebody may have begun to need what ended before this since it was looked at.
    pub(super) free: Option<Sequence>,
}

impl Batch<'_> {
    pub(super) fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.bytes += key.len() + value.len();
        self.ops.push(OwnOp::Put(space, key, value));
        self.full()
    }

    /// Removes a row whose value has so many bytes.
    pub(super) fn delete(&mut self, space: Space, key: &[u8], value_bytes: usize) -> Result<()> {
        self.report.bytes += (key.len() + value_bytes) as u64;
        match space {
            Space::Journal => self.report.journal_rows += 1,
            _ => self.report.history_rows += 1,
        }
        self.bytes += key.len();
        self.ops.push(OwnOp::Delete(space, key.to_vec()));
        self.full()
    }

    fn full(&mut self) -> Result<()> {
        let most = &self.namespace.capabilities;
        let rows = (self.ops.len() as u64) < most.commit_ops_max.min(BATCH_ROWS as u64);
        if rows && (self.bytes as u64) < most.commit_bytes_max.min(BATCH_BYTES as u64) {
            return Ok(());
        }
        self.end()
    }

    pub(super) fn end(&mut self) -> Result<()> {
        self.bytes = 0;
        let ops = std::mem::take(&mut self.ops);
        if self.report.dry_run {
            return self.upkeep.go_on();
        }
        let deletes_of = |wanted| {
            let is_one = |op: &&OwnOp| matches!(op, OwnOp::Delete(space, _) if *space == wanted);
            ops.iter().filter(is_one).count() as u64
        };
        let (journal, history) = (deletes_of(Space::Journal), deletes_of(Space::History));
        self.upkeep.write(self.namespace, self.free, ops)?;
        let mut totals = self.upkeep.totals.lock();
        totals.trimmed_journal_rows += journal;
        totals.trimmed_history_rows += history;
        Ok(())
    }
}

impl Upkeep {
    pub(super) fn trim(&self, options: &TrimOptions) -> Result<TrimReport> {
        if !options.dry_run {
            self.index_worker.retry(&self.committer);
        }
        let work = || self.trim_now(options);
        self.run("trim", work, |status, report| {
            if !report.dry_run {
                status.last_trim = Some(report);
            }
        })
    }

    fn trim_now(&self, options: &TrimOptions) -> Result<TrimReport> {
        let namespace = self.committer.namespace_arc()?;
        let now = self.committer.clock.now();
        self.release(&namespace, now);
        let lapsed = lapsed_by(now, self.backup_hold_ms);
        if !options.dry_run {
            let_go_of_backups(&self.committer, &namespace, lapsed)?;
        }
        let wanted = self.wanted(&namespace, now)?;
        let (floor, held_by) = namespace.floor_without(wanted, lapsed);
        let mut report = TrimReport {
            dry_run: options.dry_run,
            floor_before: namespace.floor(),
            floor: (namespace.floor()).max(last_row(&namespace, floor)?),
            held_by,
            ..TrimReport::default()
        };
        if namespace.swap_feed.holds_past() {
            // A swap copies the past as it is; there is another run after it.
            report.floor = report.floor_before;
            report.held_by.push("a swap of the backend".to_owned());
            return Ok(report);
        }
        if !options.dry_run && report.floor > report.floor_before {
            report.floor = self.raise(&namespace, report.floor)?;
        }
        let mut batch = Batch {
            upkeep: self,
            namespace: &namespace,
            ops: Vec::new(),
            bytes: 0,
            report,
            free: None,
        };
        if batch.report.floor.0 > 0 {
            walk(&namespace, &mut batch)?;
            batch.end()?;
        }
        if self.rules.limit_history() {
            super::history::trim(self, &namespace, (now, lapsed), &mut batch)?;
        }
        batch.end()?;
        Ok(batch.report)
    }

    /// Lets go of what transactions need that are too old to do anything, since nobody may ever end
    /// them.
    fn release(&self, namespace: &Namespace, now: UnixMs) {
        let age = self.committer.limits().transaction_age_ms_max;
        let age = i64::try_from(age).unwrap_or(i64::MAX);
        let released = namespace.release(UnixMs(now.0.saturating_sub(age)));
        if released > 0 {
            tracing::warn!(
                transactions = released,
                "transactions older than limits.transaction_age_ms_max were never ended; their past is kept no longer"
            );
        }
    }

    /// The floor that `keep` asks for.
    fn wanted(&self, namespace: &Namespace, now: UnixMs) -> Result<Sequence> {
        let (head, _) = namespace.head();
        let mut wanted = Sequence(0);
        if let Some(age) = self.keep.age_ms {
            wanted = wanted.max(before(namespace, now, age)?);
        }
        if let Some(commits) = self.keep.commits {
            wanted = wanted.max(Sequence(head.0.saturating_sub(commits)));
        }
        Ok(wanted)
    }

    /// Raises the floor as far as it may be, in memory and in the state. In memory it is first, so
    /// that nobody pins what is going; it is taken back when the state does not take it.
    fn raise(&self, namespace: &Arc<Namespace>, wanted: Sequence) -> Result<Sequence> {
        let (before, trimmed) = (namespace.floor(), namespace.clone());
        let work = Work::turn(0, move |turn| {
            check_in_use(turn, &trimmed)?;
            // Who pinned an earlier one meanwhile may have done so in a gap.
            let wanted = last_row(&trimmed, trimmed.allowed_floor(wanted))?;
            let floor = trimmed.raise_floor(wanted);
            Ok(TurnRows {
                ops: vec![OwnOp::Put(Space::Meta, FLOOR.to_vec(), floor_row(floor))],
                durability: Durability::Relaxed,
                count: floor.0,
                ..TurnRows::default()
            })
        });
        match self.committer.run_blocking(work) {
            Ok(done) => Ok(Sequence(done.count)),
            Err(error) => {
                namespace.lower_floor(before);
                Err(error)
            }
        }
    }
}

/// The last commit at or before a sequence, which may lie in the gap that an undo leaves: the floor's
/// own row tells its time.
fn last_row(namespace: &Namespace, until: Sequence) -> Result<Sequence> {
    let row = row_in(namespace, namespace.floor(), until, true)?;
    Ok(row.map_or(namespace.floor(), |(sequence, _)| sequence))
}

/// The last commit that is at least so many milliseconds old; 0 when there is none.
pub(super) fn before(namespace: &Namespace, now: UnixMs, age_ms: u64) -> Result<Sequence> {
    let age = i64::try_from(age_ms).unwrap_or(i64::MAX);
    match last_until(namespace, UnixMs(now.0.saturating_sub(age))) {
        Err(error) if error.kind() == ErrorKind::Compacted => Ok(Sequence(0)),
        found => found,
    }
}

/// Removes what lies below the floor.
fn walk(namespace: &Namespace, batch: &mut Batch<'_>) -> Result<()> {
    let floor = batch.report.floor;
    let end = journal_key(Sequence(floor.0.saturating_add(1)));
    let range = KeyRange {
        lo: &[],
        hi: Some(&end),
        reverse: false,
    };
    let mut cursor = namespace.backend.scan(Space::Journal, range)?;
    let (mut done, mut done_bytes) = (HashSet::new(), 0);
    loop {
        let mut rows = Vec::new();
        let read =
            cursor.next_batch(64, &mut |key, row| rows.push((key.to_vec(), row.to_vec())))?;
        for (key, row) in rows {
            for (_, data_key) in read_journal(&row)?.changes {
                if done.contains(data_key) {
                    continue;
                }
                ended(namespace, data_key, floor, batch)?;
                done_bytes += data_key.len();
                if done_bytes > DONE_BYTES_MAX {
                    done.clear();
                    done_bytes = 0;
                }
                done.insert(data_key.to_vec());
            }
            if split_journal_key(&key)? < floor {
                batch.delete(Space::Journal, &key, row.len())?;
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Removes the versions of a key that ended at the floor or before.
fn ended(
    namespace: &Namespace,
    data_key: &[u8],
    floor: Sequence,
    batch: &mut Batch<'_>,
) -> Result<()> {
    let (mut lo, mut hi) = (Vec::new(), Vec::new());
    push_history_key(&mut lo, data_key, Sequence(0));
    push_history_key(&mut hi, data_key, floor);
    let range = KeyRange {
        lo: &lo,
        hi: Some(&hi),
        reverse: false,
    };
    let mut cursor = namespace.backend.scan(Space::History, range)?;
    loop {
        let mut outcome = Ok(());
        let (mut rows, mut read) = (Vec::new(), false);
        cursor.next_batch(64, &mut |key, row| {
            read = true;
            match read_history_end(row) {
                Ok(end) if end <= floor => rows.push((key.to_vec(), row.len())),
                Ok(_) => {}
                Err(error) => outcome = Err(error),
            }
        })?;
        outcome?;
        for (key, bytes) in rows {
            batch.delete(Space::History, &key, bytes)?;
        }
        if !read {
            return Ok(());
        }
    }
}
