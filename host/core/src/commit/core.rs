//! The committer's work on one namespace, done by one thread at a time: group, commit, publish,
//! acknowledge, flush.
//!
//! A refused group is tried again commit by commit, so that one bad commit fails no other. After an
//! unknown outcome or a failed flush nothing is written any more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Committer;
use super::group::Group;
use super::request::{Ack, Changes, Done, Request, Work};
use super::rows::Rows;
use crate::batch::check;
use crate::cache::{CommitTicket, RecordCache};
use crate::meta::HeadRow;
use crate::namespace::Namespace;
use crate::record::own_life;
use crate::{
    Capabilities, Class, CommitError, Durability, Error, ErrorKind, Result, RowOp, Space,
    TenantNumber,
};

/// A group stops growing beyond these.
const GROUP_CHANGES: usize = 2_048;
const GROUP_BYTES: usize = 4 << 20;

/// Where the next commit continues.
pub(crate) struct Position {
    pub(crate) head: HeadRow,
    pub(crate) tenant_next: TenantNumber,
}

pub(crate) struct Core {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) position: Position,
    /// Relaxed commits have been made since the last flush.
    pub(crate) dirty: bool,
    rows: Rows,
}

impl Core {
    pub(crate) fn new(namespace: Arc<Namespace>, tenant_next: TenantNumber) -> Core {
        let position = Position {
            head: namespace.head_row(),
            tenant_next,
        };
        Core {
            namespace,
            position,
            dirty: false,
            rows: Rows::default(),
        }
    }

    /// Carries out requests in order and tells each its outcome.
    pub(crate) fn work(&mut self, committer: &Committer, requests: &mut VecDeque<Request>) {
        let mut group = Group::default();
        while let Some(Request { work, ack, since }) = requests.pop_front() {
            match work {
                Work::Commit(changes) => {
                    let changes_after = group.changes + changes.keys.len();
                    let bytes_after = group.bytes + changes.bytes();
                    if changes_after > GROUP_CHANGES || bytes_after > GROUP_BYTES {
                        self.commit_group(committer, &mut group);
                    }
                    group.push(changes, ack, since);
                }
                other => {
                    self.commit_group(committer, &mut group);
                    let is_commit = matches!(other, Work::Scope(_));
                    let outcome = self.command(committer, other);
                    if is_commit {
                        committer.counts.outcome(since, &outcome);
                    }
                    ack.send(outcome);
                }
            }
        }
        self.commit_group(committer, &mut group);
    }

    fn command(&mut self, committer: &Committer, work: Work) -> Result<Done> {
        committer.check_poison()?;
        match work {
            Work::Commit(changes) => self.commit_one(committer, changes),
            Work::Scope(scope) => self.scope_command(committer, &scope),
            Work::Turn { work, .. } => self.turn(committer, work),
            Work::Switch(switch) => self.switch(committer, *switch),
            Work::Flush => {
                self.flush(committer)?;
                Ok(Done {
                    sequence: None,
                    count: 0,
                    head: self.position.head.sequence,
                })
            }
        }
    }

    /// Makes everything committed so far durable.
    pub(crate) fn flush(&mut self, committer: &Committer) -> Result<()> {
        if !self.dirty {
            return Ok(());
        }
        committer.check_poison()?;
        match self.namespace.backend.flush() {
            Ok(()) => {
                self.dirty = false;
                Ok(())
            }
            Err(error) => Err(committer.poison(format!("a flush failed: {error}"))),
        }
    }

    /// Commits a group and empties it.
    fn commit_group(&mut self, committer: &Committer, group: &mut Group) {
        if group.commits.is_empty() {
            return;
        }
        let outcomes = match committer.check_poison().map_err(CommitError::Refused) {
            Ok(()) => self.try_commit(committer, group),
            Err(error) => Err(error),
        };
        let acks = std::mem::take(&mut group.acks);
        match outcomes {
            Ok(outcomes) => send_all(committer, acks, outcomes),
            Err(CommitError::Refused(error)) if acks.len() == 1 => {
                send_all(committer, acks, vec![Err(error)]);
            }
            Err(CommitError::Refused(_)) => {
                for (changes, ack) in group.commits.drain(..).zip(acks) {
                    let outcome = self.commit_one(committer, changes);
                    send_all(committer, vec![ack], vec![outcome]);
                }
            }
            Err(CommitError::Unknown(error)) => {
                let _ = committer.poison(format!("a commit failed: {error}"));
                let outcomes = acks.iter().map(|_| Err(indeterminate(&error))).collect();
                send_all(committer, acks, outcomes);
            }
        }
        *group = Group::default();
    }

    /// Commits the changes as a group of their own.
    pub(crate) fn commit_one(&mut self, committer: &Committer, changes: Changes) -> Result<Done> {
        committer.check_poison()?;
        let mut group = Group::default();
        group.commits.push(changes);
        match self.try_commit(committer, &mut group) {
            Ok(mut outcomes) => match outcomes.pop() {
                Some(outcome) => outcome,
                None => Err(Error::other(ErrorKind::Internal, "a commit had no outcome")),
            },
            Err(CommitError::Refused(error)) => Err(error),
            Err(CommitError::Unknown(error)) => {
                let _ = committer.poison(format!("a commit failed: {error}"));
                Err(indeterminate(&error))
            }
        }
    }

    /// Resolves a group, hands it to the backend and makes it the head.
    fn try_commit(
        &mut self,
        committer: &Committer,
        group: &mut Group,
    ) -> Result<Vec<Result<Done>>, CommitError> {
        let now = committer.clock.now();
        let plan = self
            .rows
            .resolve(group, &self.namespace, &self.position, now);
        if plan.head.sequence == self.position.head.sequence {
            // Nothing to write; what was seen must still be as durable as was asked for.
            if plan.durability == Durability::Sync {
                self.flush(committer).map_err(CommitError::Refused)?;
            }
            return Ok(plan.outcomes);
        }
        let memory = std::mem::take(&mut self.rows.memory);
        let (ops, bytes) = self.rows.ops(group);
        let most = &self.namespace.capabilities;
        check_size(most, ops.len(), bytes).map_err(CommitError::Refused)?;
        let ephemeral = &self.namespace.ephemeral;
        let in_memory = memory.iter().map(|(key, _)| key.as_slice());
        let in_flight = (!memory.is_empty()).then(|| ephemeral.begin(in_memory));
        let written = Written::new(&self.namespace.cache, &ops);
        let began = Instant::now();
        let committed = self.namespace.backend.commit(&ops, plan.durability);
        let took = began.elapsed();
        written.end(&self.namespace.cache, committed.is_ok());
        committed?;
        let commits = plan.head.sequence.0 - self.position.head.sequence.0;
        committer.counts.group(commits, bytes as u64, took);
        if in_flight.is_some() {
            ephemeral.apply(memory);
        }
        for (name, number) in plan.tenants {
            self.namespace.add_tenant(name, number);
        }
        self.position = Position {
            head: plan.head,
            tenant_next: plan.tenant_next,
        };
        self.namespace.publish(plan.head.sequence, plan.head.time);
        drop(in_flight);
        committer.published.notify(usize::MAX);
        self.dirty = plan.durability == Durability::Relaxed;
        Ok(plan.outcomes)
    }
}

/// What a commit writes, as the cache of hot records is told: a record that was hot stays so.
struct Written<'a> {
    ticket: CommitTicket,
    records: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Written<'a> {
    fn new(cache: &RecordCache, ops: &'a [RowOp<'a>]) -> Written<'a> {
        let mut records = Vec::new();
        let keys = ops.iter().filter_map(|op| match *op {
            RowOp::Put {
                space: Space::Data,
                key,
                value,
            } => {
                let hot = match own_life(value).0 {
                    Class::Critical => true,
                    Class::Archive | Class::Ephemeral => false,
                    Class::Standard | Class::Bulk => cache.peek(key).is_some(),
                };
                records.extend(hot.then_some((key, value)));
                Some(key)
            }
            RowOp::Delete {
                space: Space::Data,
                key,
            } => Some(key),
            _ => None,
        });
        let ticket = cache.begin_commit(keys);
        Written { ticket, records }
    }

    fn end(self, cache: &RecordCache, committed: bool) {
        let records = self.records.into_iter().filter(|_| committed);
        cache.end_commit(
            self.ticket,
            records.map(|(key, record)| (key, Some(record))),
        );
    }
}

/// Counts the outcomes, and then tells them: whoever knows of one finds it counted.
fn send_all(committer: &Committer, acks: Vec<(Ack, Instant)>, outcomes: Vec<Result<Done>>) {
    for ((ack, since), outcome) in acks.into_iter().zip(outcomes) {
        committer.counts.outcome(since, &outcome);
        ack.send(outcome);
    }
}

/// Checks that a backend takes a commit of so many rows and bytes.
pub(super) fn check_size(most: &Capabilities, ops: usize, bytes: usize) -> Result<()> {
    check(
        "operations in a commit",
        ops as u64,
        "the backend's commit_ops_max",
        most.commit_ops_max,
    )?;
    check(
        "bytes in a commit",
        bytes as u64,
        "the backend's commit_bytes_max",
        most.commit_bytes_max,
    )
}

pub(crate) fn indeterminate(error: &Error) -> Error {
    let message = format!(
        "whether the commit took place is unknown: {error}; close and open the state again, then look"
    );
    Error::other(ErrorKind::Indeterminate, message)
}
