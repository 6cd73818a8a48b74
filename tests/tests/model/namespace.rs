//! What one namespace of the state holds: what it began with, and its commits, with gaps where the
//! state went on elsewhere.

use std::collections::BTreeMap;

use statekeep::engine::{ChangeOp, CommitKind};
use statekeep::{ErrorKind, NamespaceId, Record};

use crate::model::{Rows, is_over};
use crate::steps::Name;

#[derive(Clone)]
pub struct Commit {
    pub time: i64,
    pub kind: CommitKind,
    pub changes: Vec<(Name, ChangeOp, Option<Record>)>,
}

/// A stored version: its record, and the commit that ended it.
pub struct Span {
    pub record: Record,
    pub until: Option<u64>,
}

#[derive(Clone)]
pub struct Namespace {
    pub id: NamespaceId,
    /// When the state was created.
    pub created: i64,
    /// What a restore has put there, before the first commit.
    pub base: Rows,
    pub commits: BTreeMap<u64, Commit>,
    pub floor: u64,
    /// Versions of a key that ended at this commit or before were dropped by the rule.
    pub forgotten: BTreeMap<Name, u64>,
    /// Which tenants' documents have an index.
    pub indexes: [bool; 2],
    /// A restore and an undo begin another one.
    pub timeline: u64,
    /// Snapshots of the same number hold each other's past.
    pub needs: u64,
}

impl Namespace {
    pub fn new(id: NamespaceId, created: i64) -> Namespace {
        Namespace {
            id,
            created,
            base: Rows::new(),
            commits: BTreeMap::new(),
            floor: 0,
            forgotten: BTreeMap::new(),
            indexes: [false; 2],
            timeline: 0,
            needs: 0,
        }
    }

    pub fn head(&self) -> u64 {
        self.commits.keys().last().copied().unwrap_or(0)
    }

    /// The last commit at or before a sequence, which may lie in a gap; 0 for none.
    pub fn last(&self, sequence: u64) -> u64 {
        let mut until = self.commits.range(..=sequence);
        until.next_back().map_or(0, |(sequence, _)| *sequence)
    }

    /// The time of a commit; of none, when the state was created.
    pub fn time(&self, sequence: u64) -> i64 {
        let commit = self.commits.get(&sequence);
        commit.map_or(self.created, |commit| commit.time)
    }

    /// Why the state right after a commit cannot be read, if so.
    pub fn refuses(&self, sequence: u64) -> Option<ErrorKind> {
        if sequence < self.floor {
            return Some(ErrorKind::Compacted);
        }
        let there = sequence == self.floor || self.commits.contains_key(&sequence);
        (!there).then_some(ErrorKind::InvalidArgument)
    }

    /// What was stored right after a commit, of which keys whose time had come are not there.
    pub fn at(&self, sequence: u64, expired_at: i64) -> Rows {
        let mut rows = self.base.clone();
        for (_, commit) in self.commits.range(..=sequence) {
            for (name, op, record) in &commit.changes {
                match (op, record) {
                    (ChangeOp::Put, Some(record)) => drop(rows.insert(*name, record.clone())),
                    (ChangeOp::DeleteEphemeral, _) => {}
                    _ => drop(rows.remove(name)),
                }
            }
        }
        rows.retain(|_, record| !is_over(record, expired_at));
        rows
    }

    /// The last commit at or before a time, unless it is forgotten.
    pub fn sequence_at(&self, time: i64) -> Option<u64> {
        let mut before = self.commits.iter().rev();
        let sequence = before.find(|(_, commit)| commit.time <= time);
        let sequence = sequence.map_or(0, |(sequence, _)| *sequence);
        (self.floor == 0 || self.time(self.floor) <= time).then_some(sequence)
    }

    /// The stored versions of a key that are kept, oldest first.
    pub fn spans(&self, name: Name) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        spans.extend(self.base.get(&name).map(|record| Span {
            record: record.clone(),
            until: None,
        }));
        for (at, commit) in &self.commits {
            let change = commit.changes.iter().find(|(other, _, _)| *other == name);
            let Some((_, op, record)) = change else {
                continue;
            };
            if *op != ChangeOp::DeleteEphemeral
                && let Some(last) = spans.last_mut().filter(|span| span.until.is_none())
            {
                last.until = Some(*at);
            }
            if *op == ChangeOp::Put {
                let record = record.clone().unwrap();
                spans.push(Span {
                    record,
                    until: None,
                });
            }
        }
        let known = self
            .floor
            .max(self.forgotten.get(&name).copied().unwrap_or(0));
        spans.retain(|span| span.until.is_none_or(|until| until > known));
        spans
    }

    /// How many commits it has that another namespace has not, after those that both have or that
    /// came before the other one; restores and undos are none. And whether all of these are kept.
    pub fn lost(&self, other: &Namespace) -> (u64, bool) {
        let both = |sequence: &&u64| other.commits.contains_key(sequence);
        let shared = self.commits.keys().rev().find(both).copied().unwrap_or(0);
        let since = shared.max(other.floor);
        let later = self.commits.range(since + 1..);
        let lost = later.filter(|(_, commit)| commit.kind != CommitKind::Restore);
        (lost.count() as u64, self.floor <= since)
    }
}
