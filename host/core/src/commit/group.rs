//! A group of commits on its way to the backend: rows of every space from the changes.
//!
//! Commits are resolved in order, each against those before it in the group and then against the
//! backend, so that two commits on one key leave the same history as two groups would. A commit
//! that cannot be resolved fails alone. Only the last state of a key is written to `data`.

use std::collections::HashMap;
use std::ops::Range;

use super::core::Position;
use super::request::{Ack, Changes, Done};
use crate::journal::{ChangeOp, CommitKind, JournalWriter, Origin, push_history_head};
use crate::meta::{HEAD, HeadRow, TENANT_NEXT, push_head, push_number, tenant_key};
use crate::namespace::Namespace;
use crate::record::{read_stamps, stamp};
use crate::stored_key::{journal_key, push_history_key};
use crate::{
    Backend, Durability, Error, ErrorKind, Result, RowOp, Sequence, Space, TenantNumber, UnixMs,
};

/// Commits that are to become one backend commit, in order; all fields run in parallel.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) commits: Vec<Changes>,
    pub(crate) acks: Vec<Ack>,
    pub(crate) changes: usize,
    pub(crate) bytes: usize,
}

impl Group {
    pub(crate) fn push(&mut self, changes: Changes, ack: Ack) {
        self.changes += changes.keys.len();
        self.bytes += changes.bytes();
        self.commits.push(changes);
        self.acks.push(ack);
    }
}

/// Where the bytes of a key or value are.
enum Bytes {
    Arena(Range<usize>),
    /// Of a commit and a change in it.
    Key(usize, usize),
    Record(usize, usize),
    Name(&'static [u8]),
}

struct Row {
    space: Space,
    key: Bytes,
    value: Option<Bytes>,
}

/// Buffers that are reused from group to group.
#[derive(Default)]
pub(crate) struct Rows {
    arena: Vec<u8>,
    rows: Vec<Row>,
    effective: Vec<usize>,
}

/// What a group becomes if the backend takes it.
pub(crate) struct Plan {
    /// One outcome a commit; a failed one has left no row.
    pub(crate) outcomes: Vec<Result<Done>>,
    pub(crate) head: HeadRow,
    pub(crate) tenants: Vec<(String, TenantNumber)>,
    pub(crate) tenant_next: TenantNumber,
    pub(crate) durability: Durability,
}

/// An arena above this size is not kept for the next group.
const ARENA_KEEP_BYTES: usize = 8 << 20;

/// The record that a key has by an earlier commit of the group; `Some(None)` when it is deleted there.
type Overlay<'f, 'r> = dyn Fn(&[u8]) -> Option<Option<&'r [u8]>> + 'f;

/// The newest change of each key within the group: commit and change.
type Latest<'g> = HashMap<&'g [u8], (usize, usize)>;

impl Rows {
    /// Resolves all commits of a group. Records are stamped in place; resolving again is harmless.
    pub(crate) fn resolve(
        &mut self,
        group: &mut Group,
        namespace: &Namespace,
        position: &Position,
        now: UnixMs,
    ) -> Plan {
        self.clear();
        let mut plan = Plan {
            outcomes: Vec::with_capacity(group.commits.len()),
            head: HeadRow {
                time: now.max(position.head.time),
                ..position.head
            },
            tenants: Vec::new(),
            tenant_next: position.tenant_next,
            durability: Durability::Relaxed,
        };
        let failed = number_keys(group, namespace, &mut plan);
        let mut parts: Vec<_> = Vec::with_capacity(group.commits.len());
        let mut records: Vec<&mut [Option<Vec<u8>>]> = Vec::with_capacity(group.commits.len());
        for commit in &mut group.commits {
            plan.durability = plan.durability.max(commit.durability);
            parts.push((&commit.keys[..], commit.kind, &commit.origin));
            records.push(&mut commit.records);
        }
        // Keys within one commit are unique, so a group of one needs no overlay.
        let mut latest = (parts.len() > 1).then(Latest::new);
        for (at, failure) in failed.into_iter().enumerate() {
            if let Some(outcome) = failure {
                plan.outcomes.push(outcome);
                continue;
            }
            let (keys, kind, origin) = parts[at];
            let (before, own) = records.split_at_mut(at);
            let sequence = Sequence(plan.head.sequence.0 + 1);
            let stamps = (sequence, plan.head.time);
            let marks = (self.arena.len(), self.rows.len());
            let old = |key: &[u8]| latest.as_ref().and_then(|latest| latest.get(key)).copied();
            let resolved = self.supersede(&*namespace.backend, keys, own[0], stamps, &|key| {
                old(key).map(|(commit, change)| before[commit][change].as_deref())
            });
            if resolved.is_err() || self.effective.is_empty() {
                self.arena.truncate(marks.0);
                self.rows.truncate(marks.1);
                let done = Done {
                    sequence: None,
                    count: 0,
                    head: plan.head.sequence,
                };
                plan.outcomes.push(resolved.map(|()| done));
                continue;
            }
            self.journal(keys, own[0], kind, origin, stamps);
            for &change in &self.effective {
                match &mut latest {
                    Some(latest) => drop(latest.insert(&keys[change], (at, change))),
                    None => self.rows.push(data_row(at, change, own[0])),
                }
            }
            plan.head.sequence = sequence;
            let count = self.effective.len() as u64;
            plan.outcomes.push(Ok(Done {
                sequence: Some(sequence),
                count,
                head: sequence,
            }));
        }
        for (commit, change) in latest.into_iter().flat_map(HashMap::into_values) {
            self.rows.push(data_row(commit, change, records[commit]));
        }
        if plan.head.sequence != position.head.sequence {
            self.head(&plan);
        }
        plan
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.arena.clear();
        if self.arena.capacity() > ARENA_KEEP_BYTES {
            self.arena = Vec::new();
        }
    }

    /// History rows of what the changes of one commit supersede; fills `effective` with the changes
    /// that change anything, and stamps their records.
    fn supersede<'r>(
        &mut self,
        backend: &dyn Backend,
        keys: &[Vec<u8>],
        records: &mut [Option<Vec<u8>>],
        (sequence, time): (Sequence, UnixMs),
        in_group: &Overlay<'_, 'r>,
    ) -> Result<()> {
        self.effective.clear();
        for (change, (key, record)) in keys.iter().zip(records).enumerate() {
            let start = self.arena.len();
            push_history_head(&mut self.arena, sequence);
            let old_start = self.arena.len();
            let found = match in_group(key) {
                Some(Some(old)) => {
                    self.arena.extend_from_slice(old);
                    true
                }
                Some(None) => false,
                None => backend.get(Space::Data, key, &mut self.arena)?,
            };
            let mut created = time;
            if found {
                let first;
                (first, created) = read_stamps(&self.arena[old_start..])
                    .map_err(|error| unreadable(key, &error))?;
                let value = start..self.arena.len();
                push_history_key(&mut self.arena, key, first);
                let key = value.end..self.arena.len();
                let (key, value) = (Bytes::Arena(key), Some(Bytes::Arena(value)));
                self.rows.push(Row {
                    space: Space::History,
                    key,
                    value,
                });
            } else {
                self.arena.truncate(start);
            }
            match record {
                Some(record) => stamp(record, sequence, created, time),
                None if !found => continue,
                None => {}
            }
            self.effective.push(change);
        }
        Ok(())
    }

    /// The journal row of one commit.
    fn journal(
        &mut self,
        keys: &[Vec<u8>],
        records: &[Option<Vec<u8>>],
        kind: CommitKind,
        origin: &Origin,
        (sequence, time): (Sequence, UnixMs),
    ) {
        let start = self.arena.len();
        self.arena.extend_from_slice(&journal_key(sequence));
        let key = start..self.arena.len();
        let count = self.effective.len();
        let row = JournalWriter::begin(&mut self.arena, kind, time, origin, None, count);
        for &change in &self.effective {
            let op = if records[change].is_some() {
                ChangeOp::Put
            } else {
                ChangeOp::Delete
            };
            row.change(&mut self.arena, op, &keys[change]);
        }
        row.finish(&mut self.arena);
        let value = Some(Bytes::Arena(key.end..self.arena.len()));
        self.rows.push(Row {
            space: Space::Journal,
            key: Bytes::Arena(key),
            value,
        });
    }

    /// The meta rows of the whole group.
    fn head(&mut self, plan: &Plan) {
        let value = self.meta(|arena| push_head(arena, &plan.head));
        self.push_meta(Bytes::Name(HEAD), value);
        for (name, number) in &plan.tenants {
            let key = self.meta(|arena| arena.extend_from_slice(&tenant_key(name)));
            let value = self.meta(|arena| push_number(arena, *number));
            self.push_meta(key, value);
        }
        if !plan.tenants.is_empty() {
            let value = self.meta(|arena| push_number(arena, plan.tenant_next));
            self.push_meta(Bytes::Name(TENANT_NEXT), value);
        }
    }

    fn meta(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let start = self.arena.len();
        fill(&mut self.arena);
        Bytes::Arena(start..self.arena.len())
    }

    fn push_meta(&mut self, key: Bytes, value: Bytes) {
        self.rows.push(Row {
            space: Space::Meta,
            key,
            value: Some(value),
        });
    }

    /// The rows as operations of one backend commit, with the bytes of all keys and values.
    pub(crate) fn ops<'a>(&'a self, group: &'a Group) -> (Vec<RowOp<'a>>, u64) {
        let mut bytes = 0u64;
        let mut find = |place: &'a Bytes| -> &'a [u8] {
            let found = match place {
                Bytes::Arena(range) => &self.arena[range.clone()],
                Bytes::Key(commit, change) => &group.commits[*commit].keys[*change],
                Bytes::Record(commit, change) => group.commits[*commit].records[*change]
                    .as_deref()
                    .unwrap_or_default(),
                Bytes::Name(name) => name,
            };
            bytes += found.len() as u64;
            found
        };
        let op = |row: &'a Row| {
            let (space, key) = (row.space, find(&row.key));
            match &row.value {
                Some(value) => RowOp::Put {
                    space,
                    key,
                    value: find(value),
                },
                None => RowOp::Delete { space, key },
            }
        };
        let ops = self.rows.iter().map(op).collect();
        (ops, bytes)
    }
}

fn data_row(commit: usize, change: usize, records: &[Option<Vec<u8>>]) -> Row {
    let value = records[change]
        .is_some()
        .then_some(Bytes::Record(commit, change));
    Row {
        space: Space::Data,
        key: Bytes::Key(commit, change),
        value,
    }
}

/// Writes the tenants' numbers into the keys of all commits, and gives new tenants theirs. Answers
/// the outcome of those commits that end here: an error, or deletes in a tenant that has nothing.
fn number_keys(
    group: &mut Group,
    namespace: &Namespace,
    plan: &mut Plan,
) -> Vec<Option<Result<Done>>> {
    let mut ended = Vec::with_capacity(group.commits.len());
    for commit in &mut group.commits {
        let name = commit.tenant.name();
        let given = plan
            .tenants
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, n)| *n);
        let number = match commit.tenant.number(namespace).or(given) {
            Some(number) => number,
            None if commit.records.iter().all(Option::is_none) => {
                let done = Done {
                    sequence: None,
                    count: 0,
                    head: plan.head.sequence,
                };
                ended.push(Some(Ok(done)));
                continue;
            }
            None => {
                let number = plan.tenant_next;
                let Some(next) = number.0.checked_add(1) else {
                    let message = "all tenant numbers of this state are used up";
                    ended.push(Some(Err(Error::other(ErrorKind::TooLarge, message))));
                    continue;
                };
                plan.tenant_next = TenantNumber(next);
                plan.tenants.push((name.to_owned(), number));
                number
            }
        };
        for key in &mut commit.keys {
            key[..4].copy_from_slice(&number.0.to_be_bytes());
        }
        ended.push(None);
    }
    ended
}

fn unreadable(key: &[u8], error: &Error) -> Error {
    let name = match crate::split_key(key) {
        Ok((_, scope, key)) => format!("`{key}` in {scope}"),
        Err(_) => key.escape_ascii().to_string(),
    };
    let message =
        format!("the stored record of {name} cannot be read, so it is not replaced: {error}");
    Error::other(error.kind(), message)
}
