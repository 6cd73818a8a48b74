//! The versions of one key, newest first, with who made them.

use crate::counts::Operation;
use crate::journal::{HistoryRow, read_history, read_journal};
use crate::namespace::Namespace;
use crate::read::in_key;
use crate::stored_key::{data_key, journal_key, push_history_key, split_history_key};
use crate::{
    BlockingTenant, ChangeOp, CommitKind, Key, KeyRange, Record, Result, Scope, Sequence, Space,
    UnixMs,
};

/// Which versions of a key a page holds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Only versions of commits before this one; the `next` of the page before.
    pub before: Option<Sequence>,
    /// Most versions in the page; 0 stands for `limits.page_keys_max`.
    pub limit: usize,
}

/// What a key became by one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The commit.
    pub sequence: Sequence,
    /// Its time; of a removal whose commit is forgotten, nothing is known.
    pub time: Option<UnixMs>,
    /// The commit that ended this version; `None` for the current one.
    pub until: Option<Sequence>,
    /// Whether it was written or deleted.
    pub op: ChangeOp,
    /// What the commit was, while its journal row is kept.
    pub kind: Option<CommitKind>,
    /// Who made it; empty when not told or no longer kept.
    pub principal: String,
    /// What it belonged to; empty when not told or no longer kept.
    pub correlation_id: String,
    /// The value with its times and class; `None` for a delete.
    pub record: Option<Record>,
}

/// Versions of a key, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HistoryPage {
    /// The versions.
    pub versions: Vec<Version>,
    /// Where the next page continues; `None` when this is the last one.
    pub next: Option<Sequence>,
    /// Versions that ended before this commit are not kept any more; `None` when all are.
    pub compacted: Option<Sequence>,
}

/// A version as the rows tell it.
struct Span {
    first: Sequence,
    until: Option<Sequence>,
    record: Record,
}

impl BlockingTenant {
    /// What a key was over time: each write and each delete, newest first, with its commit. Values
    /// of class `ephemeral` are not kept, only that there was one.
    pub fn history(
        &self,
        scope: &Scope,
        key: &Key,
        options: &HistoryOptions,
    ) -> Result<HistoryPage> {
        self.manager.committer.counts.operation(Operation::History);
        let limits = self.manager.committer.limits();
        let limit = crate::list::page_limit(limits, options.limit)?;
        let snapshot = self.manager.snapshot()?.with_expired();
        let namespace = &*snapshot.namespace;
        let mut page = HistoryPage {
            compacted: Some(namespace.floor()).filter(|floor| floor.0 > 0),
            ..HistoryPage::default()
        };
        let Some(number) = self.slot.number(namespace) else {
            return Ok(page);
        };
        let name = data_key(number, scope, key);
        let plugins = &**self.manager.plugins();
        let read =
            |bytes: &[u8]| Record::read(bytes, plugins).map_err(|error| in_key(scope, key, error));
        // Newest first; a delete stands between two spans that do not touch, and after the last.
        let mut newer = None;
        let mut take = |page: &mut HistoryPage, span: Span| -> Result<bool> {
            let gone = span.until.filter(|until| newer != Some(*until));
            if let Some(at) = gone
                && !page.push(namespace, &name, (at, newer), None, options.before, limit)?
            {
                return Ok(false);
            }
            newer = Some(span.first);
            let (first, until) = (span.first, span.until);
            page.push(
                namespace,
                &name,
                (first, until),
                Some(span.record),
                options.before,
                limit,
            )
        };
        let mut more = true;
        if let Some(bytes) = snapshot.record(&name)? {
            let record = read(&bytes)?;
            let first = record.sequence;
            more = take(
                &mut page,
                Span {
                    first,
                    until: None,
                    record,
                },
            )?;
        }
        let (mut lo, mut hi) = (Vec::new(), Vec::new());
        push_history_key(&mut lo, &name, Sequence(0));
        push_history_key(&mut hi, &name, snapshot.sequence);
        hi.push(0);
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: true,
        };
        let mut cursor = namespace.backend.scan(Space::History, range)?;
        while more {
            let mut outcome: Result<()> = Ok(());
            let rows = cursor.next_batch(16, &mut |key, row| {
                if outcome.is_err() || !more {
                    return;
                }
                outcome = (|| {
                    let (_, first) = split_history_key(key)?;
                    match read_history(row)? {
                        HistoryRow::Trimmed(end) => {
                            page.compacted = page.compacted.max(Some(end));
                        }
                        // The record at the snapshot itself has been taken.
                        HistoryRow::Record(end, _) if end > snapshot.sequence => {}
                        HistoryRow::Record(end, bytes) => {
                            let span = Span {
                                first,
                                until: Some(end),
                                record: read(bytes)?,
                            };
                            more = take(&mut page, span)?;
                        }
                    }
                    Ok(())
                })();
            })?;
            outcome?;
            if rows == 0 {
                break;
            }
        }
        Ok(page)
    }
}

impl HistoryPage {
    /// Adds a version unless the page is full; answers whether there is room for more.
    fn push(
        &mut self,
        namespace: &Namespace,
        name: &[u8],
        (sequence, until): (Sequence, Option<Sequence>),
        record: Option<Record>,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<bool> {
        if before.is_some_and(|before| sequence >= before) {
            return Ok(true);
        }
        if self.versions.len() == limit {
            self.next = self.versions.last().map(|version| version.sequence);
            return Ok(false);
        }
        let mut version = Version {
            sequence,
            time: record.as_ref().map(|record| record.changed),
            until,
            op: match record {
                Some(_) => ChangeOp::Put,
                None => ChangeOp::Delete,
            },
            kind: None,
            principal: String::new(),
            correlation_id: String::new(),
            record,
        };
        let mut row = Vec::new();
        if namespace
            .backend
            .get(Space::Journal, &journal_key(sequence), &mut row)?
        {
            let row = read_journal(&row)?;
            if let Some((op, _)) = row.changes.iter().find(|(_, key)| *key == name) {
                version.op = *op;
            }
            version.time = Some(row.time);
            version.kind = Some(row.kind);
            version.principal = row.principal.to_owned();
            version.correlation_id = row.correlation_id.to_owned();
        }
        self.versions.push(version);
        Ok(true)
    }
}
