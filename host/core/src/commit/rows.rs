//! The rows of a group's backend commit: data, history, index, journal and meta, in buffers that are
//! reused.
//!
//! Index rows are written in the order of commits; a row that a change leaves as it is is not
//! written. Which commits get rows is decided in [`super::group`].

use std::ops::Range;
use std::sync::Arc;

use super::group::{Group, Plan};
use crate::journal::{ChangeOp, CommitKind, JournalWriter, Origin, push_history_head};
use crate::meta::{TENANT_NEXT, push_number, tenant_key};
use crate::namespace::Namespace;
use crate::record::{own_life, read_life, stamp};
use crate::stored_key::{journal_key, push_history_key};
use crate::{Class, Error, Result, RowOp, Sequence, Space, UnixMs};

/// Where the bytes of a key or value are.
enum Bytes {
    Arena(Range<usize>),
    /// Of a commit and a change in it.
    Key(usize, usize),
    Record(usize, usize),
    Name(&'static [u8]),
}

pub(super) struct Row {
    space: Space,
    key: Bytes,
    value: Option<Bytes>,
}

/// A change that changes something.
pub(super) struct Effect {
    pub(super) change: usize,
    op: ChangeOp,
    /// The row of `data` changes, not only a record in memory.
    pub(super) stored: bool,
}

/// A record in memory that a commit puts or takes away.
pub(crate) type MemoryChange = (Vec<u8>, Option<Arc<[u8]>>);

/// Buffers that are reused from group to group.
#[derive(Default)]
pub(crate) struct Rows {
    pub(super) arena: Vec<u8>,
    pub(super) rows: Vec<Row>,
    pub(super) effective: Vec<Effect>,
    /// Index rows of the change at hand, and whether they are to be there.
    index: Vec<(Vec<u8>, bool)>,
    pub(crate) memory: Vec<MemoryChange>,
    /// A record of class `critical` is among them.
    pub(super) critical: bool,
    pub(super) lookup: Vec<u8>,
}

/// An arena above this size is not kept for the next group.
const ARENA_KEEP_BYTES: usize = 8 << 20;

/// The record that a key has by an earlier commit of the group; `Some(None)` when it is deleted there.
pub(super) type Overlay<'f, 'r> = dyn Fn(&[u8]) -> Option<Option<&'r [u8]>> + 'f;

impl Rows {
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.memory.clear();
        self.critical = false;
        self.arena.clear();
        if self.arena.capacity() > ARENA_KEEP_BYTES {
            self.arena = Vec::new();
        }
    }

    /// History and index rows of what the changes of one commit supersede; fills `effective` with
    /// the changes that change anything, and stamps their records.
    pub(super) fn supersede<'r>(
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
    pub(super) fn journal(
        &mut self,
        keys: &[Vec<u8>],
        kind: CommitKind,
        (origin, detail): (&Origin, Option<&str>),
        (sequence, time): (Sequence, UnixMs),
    ) {
        let start = self.arena.len();
        self.arena.extend_from_slice(&journal_key(sequence));
        let key = start..self.arena.len();
        let count = self.effective.len();
        let row = JournalWriter::begin(&mut self.arena, kind, time, origin, detail, count);
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

    /// The meta rows of the whole group: tenants that it is the first to write to.
    pub(super) fn tenants(&mut self, plan: &Plan) {
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
    pub(crate) fn ops<'a>(&'a self, group: &'a Group) -> (Vec<RowOp<'a>>, usize) {
        let mut bytes = 0;
        let mut find = |place: &'a Bytes| -> &'a [u8] {
            let found = match place {
                Bytes::Arena(range) => &self.arena[range.clone()],
                Bytes::Key(commit, change) => &group.commits[*commit].keys[*change],
                Bytes::Record(commit, change) => group.commits[*commit].records[*change]
                    .as_deref()
                    .unwrap_or_default(),
                Bytes::Name(name) => name,
            };
            bytes += found.len();
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

pub(super) fn data_row(commit: usize, change: usize, records: &[Option<Vec<u8>>]) -> Row {
    let stored = (records[change].as_deref()).is_some_and(|r| own_life(r).0 != Class::Ephemeral);
    let value = stored.then_some(Bytes::Record(commit, change));
    Row {
        space: Space::Data,
        key: Bytes::Key(commit, change),
        value,
    }
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
