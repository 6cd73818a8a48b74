//! What a state is: commits in order and a map, with no thought of how anything is stored.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use statekeep::engine::{ChangeOp, CommitKind, Expiry};
use statekeep::{Class, Record, Sequence, SetOptions, UnixMs, Value};

use crate::steps::{KEYS, LIMITED, MEMORY, Name, Put};

/// Values of the second scope live so long.
pub const TTL_MS: i64 = 150;
/// What the state keeps: this many commits, and none older than this.
pub const KEEP_COMMITS: u64 = 12;
pub const KEEP_AGE_MS: i64 = 900;

/// Names with their records.
pub type Rows = BTreeMap<Name, Record>;

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

/// A transaction in progress.
#[derive(Default)]
pub struct Txn {
    pub tenant: usize,
    pub sequence: u64,
    /// When it began; keys whose time had come by then are not there for it.
    pub began: i64,
    pub writes: BTreeMap<Name, Option<Record>>,
    pub keys: BTreeMap<Name, Option<Sequence>>,
    pub scopes: BTreeSet<usize>,
}

#[derive(Default)]
pub struct Model {
    pub now: i64,
    pub created: i64,
    pub commits: Vec<Commit>,
    /// Everything that is there, also what is in memory only and what has expired unswept.
    pub rows: Rows,
    pub floor: u64,
    /// Versions of a key that ended at this commit or before were dropped by the rule.
    pub forgotten: BTreeMap<Name, u64>,
    /// The cursor: after this commit, and so many changes of the next.
    pub cursor: Option<(u64, u64)>,
    /// Which tenants' documents have an index.
    pub indexes: [bool; 2],
}

/// The value of a number: documents, numbers, bytes, and long documents that can be packed.
pub fn value(number: u8) -> Value {
    match number % 4 {
        0 => Value::from(&json!({ "n": number })),
        1 => Value::from(&json!(number)),
        2 => Value::bytes([number]),
        _ => Value::from(&json!({ "n": number, "text": "long ".repeat(100) })),
    }
}

/// How a value is set, as users say it.
pub fn options(name: Name, put: Put) -> SetOptions {
    let classes = [
        Class::Standard,
        Class::Critical,
        Class::Bulk,
        Class::Archive,
    ];
    let class = match (put.2, name.1) {
        (Some(0), MEMORY) | (None, MEMORY) => Some(Class::Ephemeral),
        (number, _) => number.map(|number| classes[usize::from(number)]),
    };
    SetOptions {
        class,
        expires: put.1.map(|ms| Expiry::After(u64::from(ms))),
        ..SetOptions::default()
    }
}

fn is_over(record: &Record, now: i64) -> bool {
    record.expires.is_some_and(|expires| expires.0 <= now)
}

impl Model {
    pub fn head(&self) -> u64 {
        self.commits.len() as u64
    }

    /// The time of a commit; of none, when the state was created.
    pub fn time(&self, sequence: u64) -> i64 {
        match sequence {
            0 => self.created,
            sequence => self.commits[sequence as usize - 1].time,
        }
    }

    /// A record as a set makes it, not committed yet.
    pub fn record(&self, name: Name, put: Put) -> Record {
        self.record_of(name, value(put.0), options(name, put))
    }

    /// A record of a value.
    pub fn record_of(&self, name: Name, value: Value, options: SetOptions) -> Record {
        let ruled = name.1 == 1;
        let expires = match options.expires {
            Some(Expiry::After(ms)) => Some(self.now + ms as i64),
            Some(Expiry::At(time)) => Some(time.0),
            Some(Expiry::Never) => None,
            None => ruled.then_some(self.now + TTL_MS),
        };
        let class = if ruled {
            Class::Archive
        } else {
            Class::Standard
        };
        Record {
            value,
            sequence: Sequence(0),
            created: UnixMs(self.now),
            changed: UnixMs(self.now),
            expires: expires.map(UnixMs),
            class: options.class.unwrap_or(class),
        }
    }

    /// A record in the place of another, which keeps class and expiry.
    pub fn kept(&self, name: Name, value: Value) -> Record {
        let fresh = self.record_of(name, value, SetOptions::default());
        match self.get(name) {
            Some(old) => Record {
                class: old.class,
                expires: old.expires,
                ..fresh
            },
            None => fresh,
        }
    }

    /// What is there for readers now.
    pub fn get(&self, name: Name) -> Option<&Record> {
        self.rows
            .get(&name)
            .filter(|record| !is_over(record, self.now))
    }

    /// The live records of a scope.
    pub fn scope(&self, tenant: usize, scope: usize) -> Rows {
        let inside = |name: &Name| (name.0, name.1) == (tenant, scope);
        let live = self
            .rows
            .iter()
            .filter(|(name, record)| inside(name) && !is_over(record, self.now));
        live.map(|(name, record)| (*name, record.clone())).collect()
    }

    /// Makes a commit; without a sequence when nothing was to change.
    pub fn commit(
        &mut self,
        kind: CommitKind,
        changes: impl IntoIterator<Item = (Name, Option<Record>)>,
    ) -> Option<u64> {
        let sequence = self.head() + 1;
        // Of several changes of a key the last one wins, in the place of the first.
        let mut wanted: Vec<(Name, Option<Record>)> = Vec::new();
        for (name, record) in changes {
            match wanted.iter_mut().find(|(other, _)| *other == name) {
                Some(change) => change.1 = record,
                None => wanted.push((name, record)),
            }
        }
        let mut made = Vec::new();
        for (name, record) in wanted {
            let old = self.rows.get(&name);
            let live = old.filter(|old| !is_over(old, self.now));
            let ends = if kind == CommitKind::Expire {
                old
            } else {
                live
            };
            if record.is_none() && ends.is_none() {
                continue;
            }
            let was_stored = old.is_some_and(|old| old.class != Class::Ephemeral);
            let op = match &record {
                Some(record) if record.class == Class::Ephemeral => ChangeOp::PutEphemeral,
                Some(_) => ChangeOp::Put,
                None if was_stored => ChangeOp::Delete,
                None => ChangeOp::DeleteEphemeral,
            };
            let record = record.map(|record| Record {
                sequence: Sequence(sequence),
                created: live.map_or(UnixMs(self.now), |live| live.created),
                changed: UnixMs(self.now),
                ..record
            });
            match &record {
                Some(record) => self.rows.insert(name, record.clone()),
                None => self.rows.remove(&name),
            };
            made.push((name, op, record));
        }
        if made.is_empty() {
            return None;
        }
        self.commits.push(Commit {
            time: self.now,
            kind,
            changes: made,
        });
        Some(sequence)
    }

    /// What was stored right after a commit, of which keys whose time had come are not there.
    pub fn at(&self, sequence: u64, expired_at: i64) -> Rows {
        let mut rows = Rows::new();
        for commit in &self.commits[..sequence as usize] {
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
        let sequence = self
            .commits
            .iter()
            .filter(|commit| commit.time <= time)
            .count() as u64;
        (self.floor == 0 || self.time(self.floor) <= time).then_some(sequence)
    }

    /// The stored versions of a key that are kept, oldest first.
    pub fn spans(&self, name: Name) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (at, commit) in self.commits.iter().enumerate() {
            let change = commit.changes.iter().find(|(other, _, _)| *other == name);
            let Some((_, op, record)) = change else {
                continue;
            };
            if *op != ChangeOp::DeleteEphemeral
                && let Some(last) = spans.last_mut().filter(|span| span.until.is_none())
            {
                last.until = Some(at as u64 + 1);
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

    /// Forgets what nobody needs; `needed` are the commits of snapshots that are held.
    pub fn trim(&mut self, needed: impl Iterator<Item = u64>) {
        let cursor = self.cursor.map(|(sequence, _)| sequence);
        let free = needed.chain(cursor).fold(self.head(), u64::min);
        let by_age = self.sequence_at(self.now - KEEP_AGE_MS).unwrap_or(0);
        let wanted = by_age.max(self.head().saturating_sub(KEEP_COMMITS));
        self.floor = self.floor.max(wanted.min(free));
        for name in (0..2).flat_map(|t| (0..KEYS.len()).map(move |k| (t, LIMITED, k))) {
            let ends: Vec<u64> = self
                .spans(name)
                .iter()
                .filter_map(|span| span.until)
                .collect();
            let gone = ends.len().saturating_sub(1);
            if let Some(last) = ends[..gone].iter().rfind(|end| **end <= free) {
                self.forgotten.insert(name, *last);
            }
        }
    }

    /// Removes the keys whose time has come; answers how many.
    pub fn sweep(&mut self) -> u64 {
        let over: Vec<(Name, Record)> = (self.rows.iter())
            .filter(|(_, record)| is_over(record, self.now))
            .map(|(name, record)| (*name, record.clone()))
            .collect();
        // Those in memory go first; stored ones in the order in which they expired.
        let (memory, mut stored): (Vec<_>, Vec<_>) = over
            .iter()
            .cloned()
            .partition(|(_, record)| record.class == Class::Ephemeral);
        stored.sort_by_key(|(name, record)| (record.expires, *name));
        for names in [memory, stored] {
            for tenant in 0..2 {
                let mine = names.iter().filter(|(name, _)| name.0 == tenant);
                let changes: Vec<_> = mine.map(|(name, _)| (*name, None)).collect();
                self.commit(CommitKind::Expire, changes);
            }
        }
        over.len() as u64
    }

    /// What only this process knew is gone.
    pub fn reopened(&mut self) {
        self.rows
            .retain(|_, record| record.class != Class::Ephemeral);
    }

    /// The changes that the cursor's reader has not acknowledged: commit, place in it, and whether
    /// it is the last one.
    pub fn unread(&self) -> Vec<(u64, usize, bool)> {
        let Some((after, passed)) = self.cursor else {
            return Vec::new();
        };
        let later = (after + 1..=self.head()).flat_map(|sequence| {
            let count = self.commits[sequence as usize - 1].changes.len();
            (0..count).map(move |index| (sequence, index, index + 1 == count))
        });
        later.skip(passed as usize).collect()
    }
}

impl Txn {
    pub fn new(model: &Model, tenant: usize) -> Txn {
        Txn {
            tenant,
            sequence: model.head(),
            began: model.now,
            ..Txn::default()
        }
    }

    /// What a scope holds for the transaction, its own changes included.
    pub fn scope(&self, model: &Model, scope: usize) -> Rows {
        let mut rows = model.at(self.sequence, self.began);
        for (name, record) in &self.writes {
            match record
                .as_ref()
                .filter(|record| !is_over(record, self.began))
            {
                Some(record) => rows.insert(*name, record.clone()),
                None => rows.remove(name),
            };
        }
        rows.retain(|name, _| (name.0, name.1) == (self.tenant, scope));
        rows
    }

    /// Takes note of a read.
    pub fn read(&mut self, model: &Model, name: Name) {
        if !self.writes.contains_key(&name) {
            let rows = model.at(self.sequence, self.began);
            self.keys
                .insert(name, rows.get(&name).map(|record| record.sequence));
        }
    }

    /// Takes note of a read of a whole scope: also of keys that may expire before the end.
    pub fn read_scope(&mut self, model: &Model, scope: usize) {
        self.scopes.insert(scope);
        for (name, record) in model.at(self.sequence, self.began) {
            let inside = (name.0, name.1) == (self.tenant, scope) && record.expires.is_some();
            if inside && !self.writes.contains_key(&name) {
                self.keys.insert(name, Some(record.sequence));
            }
        }
    }

    /// Whether what was read has changed.
    pub fn conflicts(&self, model: &Model) -> bool {
        let version = |name: &Name| model.get(*name).map(|record| record.sequence);
        let since = &model.commits[self.sequence as usize..];
        let mut changed = since.iter().flat_map(|commit| &commit.changes);
        self.keys.iter().any(|(name, read)| version(name) != *read)
            || changed.any(|(name, _, _)| name.0 == self.tenant && self.scopes.contains(&name.1))
    }
}

/// The document that a value is.
pub fn document(value: &Value) -> Option<Json> {
    value.to_json().ok()
}
