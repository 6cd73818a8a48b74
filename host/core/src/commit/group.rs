//! A group of commits on its way to the backend: rows of every space from the changes.
//!
//! Commits are resolved in order, each against those before it in the group and then against the
//! backend, so that two commits on one key leave the same history as two groups would. A commit
//! that cannot be resolved, or whose conditions do not hold, fails alone. Only the last state of a
//! key is written to `data`; index rows are written in the order of commits.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::condition::Condition;
use super::core::Position;
use super::request::{Ack, Changes, Done};
use crate::journal::{ChangeOp, CommitKind, JournalWriter, Origin, push_history_head};
use crate::meta::{HEAD, HeadRow, TENANT_NEXT, push_head, push_number, tenant_key};
use crate::namespace::Namespace;
use crate::record::{own_life, read_life, stamp};
use crate::stored_key::{journal_key, push_history_key};
use crate::{
    Class, Durability, Error, ErrorKind, Result, RowOp, Sequence, Space, TenantNumber, UnixMs,
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

/// A change that changes something.
struct Effect {
    change: usize,
    op: ChangeOp,
    /// The row of `data` changes, not only a record in memory.
    stored: bool,
}

/// A record in memory that a commit puts or takes away.
pub(crate) type MemoryChange = (Vec<u8>, Option<Arc<[u8]>>);

/// Buffers that are reused from group to group.
#[derive(Default)]
pub(crate) struct Rows {
    arena: Vec<u8>,
    rows: Vec<Row>,
    effective: Vec<Effect>,
    /// Index rows of the change at hand, and whether they are to be there.
    index: Vec<(Vec<u8>, bool)>,
    pub(crate) memory: Vec<MemoryChange>,
    /// A record of class `critical` is among them.
    critical: bool,
    lookup: Vec<u8>,
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
            let (conditions, reads) = (&commit.conditions[..], commit.reads.as_deref());
            parts.push((
                &commit.keys[..],
                commit.kind,
                &*commit.origin,
                conditions,
                reads,
            ));
            records.push(&mut commit.records);
        }
        // Keys within one commit are unique, so a group of one needs no overlay.
        let mut latest = (parts.len() > 1).then(Latest::new);
        for (at, failure) in failed.into_iter().enumerate() {
            if let Some(outcome) = failure {
                plan.outcomes.push(outcome);
                continue;
            }
            let (keys, kind, origin, conditions, reads) = parts[at];
            let (before, own) = records.split_at_mut(at);
            let sequence = Sequence(plan.head.sequence.0 + 1);
            let stamps = (sequence, plan.head.time);
            let marks = (self.arena.len(), self.rows.len(), self.memory.len());
            let in_group = |key: &[u8]| {
                let found = latest.as_ref().and_then(|latest| latest.get(key));
                found.map(|&(commit, change)| before[commit][change].as_deref())
            };
            let resolved = self
                .check(namespace, conditions, plan.head.time, &in_group)
                .and_then(|()| match reads {
                    Some(reads) => {
                        reads.check(namespace, latest.iter().flat_map(HashMap::keys).copied())
                    }
                    None => Ok(()),
                })
                .and_then(|()| self.supersede(namespace, keys, own[0], kind, stamps, &in_group));
            if resolved.is_err() || self.effective.is_empty() {
                self.arena.truncate(marks.0);
                self.rows.truncate(marks.1);
                self.memory.truncate(marks.2);
                let done = Done {
                    sequence: None,
                    count: 0,
                    head: plan.head.sequence,
                };
                plan.outcomes.push(resolved.map(|()| done));
                continue;
            }
            self.journal(keys, kind, origin, stamps);
            for effect in &self.effective {
                let change = effect.change;
                match &mut latest {
                    Some(latest) => drop(latest.insert(&keys[change], (at, change))),
                    None if effect.stored => self.rows.push(data_row(at, change, own[0])),
                    None => {}
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
        if self.critical {
            plan.durability = Durability::Sync;
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
        self.memory.clear();
        self.critical = false;
        self.arena.clear();
        if self.arena.capacity() > ARENA_KEEP_BYTES {
            self.arena = Vec::new();
        }
    }

    /// Checks what a commit expects of single keys.
    fn check<'r>(
        &mut self,
        namespace: &Namespace,
        conditions: &[Condition],
        now: UnixMs,
        in_group: &Overlay<'_, 'r>,
    ) -> Result<()> {
        for condition in conditions {
            let record = match in_group(&condition.key) {
                Some(record) => record,
                None => {
                    self.lookup.clear();
                    let found = match namespace.cache.peek(&condition.key) {
                        Some(record) => {
                            self.lookup.extend_from_slice(&record);
                            true
                        }
                        None => namespace.stored(&condition.key, &mut self.lookup)?,
                    };
                    found.then_some(self.lookup.as_slice())
                }
            };
            condition.check(record, now)?;
        }
        Ok(())
    }

    /// History and index rows of what the changes of one commit supersede; fills `effective` with
    /// the changes that change anything, and stamps their records.
    fn supersede<'r>(
        &mut self,
        namespace: &Namespace,
        keys: &[Vec<u8>],
        records: &mut [Option<Vec<u8>>],
        kind: CommitKind,
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
                None => match namespace.cache.peek(key) {
                    Some(record) => {
                        self.arena.extend_from_slice(&record);
                        true
                    }
                    None => namespace.stored(key, &mut self.arena)?,
                },
            };
            let old = match found {
                true => {
                    let life = read_life(&self.arena[old_start..]);
                    Some(life.map_err(|error| unreadable(key, &error))?)
                }
                false => None,
            };
            let live = old.filter(|old| !old.is_over(time));
            let nothing = match (&record, kind) {
                (Some(_), _) => false,
                (None, CommitKind::Expire) => live.is_some() || old.is_none(),
                (None, _) => live.is_none(),
            };
            if nothing {
                self.arena.truncate(start);
                continue;
            }
            let in_memory = old.is_some_and(|old| old.class == Class::Ephemeral);
            let was_stored = old.is_some() && !in_memory;
            if let Some(record) = record.as_mut() {
                stamp(
                    record,
                    sequence,
                    live.map_or(time, |live| live.created),
                    time,
                );
            }
            let class = record.as_deref().map(|record| own_life(record).0);
            let to_memory = class == Some(Class::Ephemeral);
            self.critical |= class == Some(Class::Critical);
            if let Some(old) = old.filter(|_| was_stored) {
                let before = &self.arena[old_start..];
                let index = &mut self.index;
                let rows = &mut |row: &[u8]| index.push((row.to_vec(), false));
                namespace.index.rows(key, before, rows);
                let value = start..self.arena.len();
                push_history_key(&mut self.arena, key, old.sequence);
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
            if let Some(record) = record.as_deref().filter(|_| !to_memory) {
                let index = &mut self.index;
                let rows = &mut |row: &[u8]| index.push((row.to_vec(), true));
                namespace.index.rows(key, record, rows);
            }
            self.index_rows();
            if in_memory || to_memory {
                let record = record.as_deref().filter(|_| to_memory).map(Arc::from);
                self.memory.push((key.clone(), record));
            }
            self.effective.push(Effect {
                change,
                op: match record {
                    Some(_) if to_memory => ChangeOp::PutEphemeral,
                    Some(_) => ChangeOp::Put,
                    None if was_stored => ChangeOp::Delete,
                    None => ChangeOp::DeleteEphemeral,
                },
                stored: was_stored || (record.is_some() && !to_memory),
            });
        }
        Ok(())
    }

    /// Index rows of one change; those that stay as they are are left alone.
    fn index_rows(&mut self) {
        if self.index.is_empty() {
            return;
        }
        self.index.sort();
        let mut rows = std::mem::take(&mut self.index).into_iter().peekable();
        while let Some((key, put)) = rows.next() {
            if rows.next_if(|(other, _)| *other == key).is_some() {
                continue;
            }
            let start = self.arena.len();
            self.arena.extend_from_slice(&key);
            let end = self.arena.len();
            self.rows.push(Row {
                space: Space::Index,
                key: Bytes::Arena(start..end),
                value: put.then_some(Bytes::Arena(end..end)),
            });
        }
    }

    /// The journal row of one commit.
    fn journal(
        &mut self,
        keys: &[Vec<u8>],
        kind: CommitKind,
        origin: &Origin,
        (sequence, time): (Sequence, UnixMs),
    ) {
        let start = self.arena.len();
        self.arena.extend_from_slice(&journal_key(sequence));
        let key = start..self.arena.len();
        let count = self.effective.len();
        let row = JournalWriter::begin(&mut self.arena, kind, time, origin, None, count);
        for effect in &self.effective {
            row.change(&mut self.arena, effect.op, &keys[effect.change]);
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
    let stored = (records[change].as_deref()).is_some_and(|r| own_life(r).0 != Class::Ephemeral);
    let value = stored.then_some(Bytes::Record(commit, change));
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
                let nothing = |condition: &Condition| condition.check(None, plan.head.time);
                let checked = commit.conditions.iter().try_for_each(nothing);
                ended.push(Some(checked.map(|()| done)));
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
        let conditions = commit
            .conditions
            .iter_mut()
            .map(|condition| &mut condition.key);
        let ranges = commit.reads.iter_mut().flat_map(|reads| &mut reads.ranges);
        for key in commit.keys.iter_mut().chain(conditions) {
            key[..4].copy_from_slice(&number.0.to_be_bytes());
        }
        for (lo, hi) in ranges {
            lo[..4].copy_from_slice(&number.0.to_be_bytes());
            hi[..4].copy_from_slice(&number.0.to_be_bytes());
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
