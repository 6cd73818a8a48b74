//! What a state is: commits in order and a map, with no thought of how anything is stored.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use statekeep::engine::{ChangeOp, CommitKind, Expiry};
use statekeep::{BackupId, Class, NamespaceId, Record, Sequence, SetOptions, UnixMs, Value};

use crate::namespace::{Commit, Namespace};
use crate::steps::{KEYS, LIMITED, MEMORY, Name, Put};

/// Values of the second scope live so long.
pub const TTL_MS: i64 = 150;
/// What the state keeps: this many commits, and none older than this.
pub const KEEP_COMMITS: u64 = 12;
pub const KEEP_AGE_MS: i64 = 900;

/// Names with their records.
pub type Rows = BTreeMap<Name, Record>;

/// A backup: its records, and the commit at which it was taken.
pub struct Backup {
    pub id: BackupId,
    pub rows: Rows,
    pub sequence: u64,
}

pub struct Model {
    pub now: i64,
    /// The namespace in use, and those that were replaced.
    pub namespace: Namespace,
    pub kept: Vec<Namespace>,
    pub backups: Vec<Backup>,
    /// Everything that is there, also what is in memory only and what has expired unswept.
    pub rows: Rows,
    /// The cursor: after this commit, and so many changes of the next.
    pub cursor: Option<(u64, u64)>,
    /// When the whole state was replaced, of which the cursor's reader has not heard.
    pub replaced: Option<i64>,
    /// The last number of a timeline or of needs.
    numbers: u64,
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

pub fn is_over(record: &Record, now: i64) -> bool {
    record.expires.is_some_and(|expires| expires.0 <= now)
}

impl Model {
    /// A state that was just created.
    pub fn new(id: NamespaceId, now: i64) -> Model {
        Model {
            now,
            namespace: Namespace::new(id, now),
            kept: Vec::new(),
            backups: Vec::new(),
            rows: Rows::new(),
            cursor: None,
            replaced: None,
            numbers: 0,
        }
    }

    pub fn head(&self) -> u64 {
        self.namespace.head()
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
        let commit = Commit {
            time: self.now,
            kind,
            changes: made,
        };
        self.namespace.commits.insert(sequence, commit);
        Some(sequence)
    }

    /// Forgets what nobody needs; `needed` are the commits of snapshots that are held.
    pub fn trim(&mut self, needed: impl Iterator<Item = u64>) {
        let cursor = self.cursor.map(|(sequence, _)| sequence);
        let free = needed.chain(cursor).fold(self.head(), u64::min);
        let past = &mut self.namespace;
        let by_age = past.sequence_at(self.now - KEEP_AGE_MS).unwrap_or(0);
        let wanted = by_age.max(past.head().saturating_sub(KEEP_COMMITS));
        past.floor = past.floor.max(past.last(wanted.min(free)));
        for name in (0..2).flat_map(|t| (0..KEYS.len()).map(move |k| (t, LIMITED, k))) {
            let ends: Vec<u64> = past
                .spans(name)
                .iter()
                .filter_map(|span| span.until)
                .collect();
            let gone = ends.len().saturating_sub(1);
            if let Some(last) = ends[..gone].iter().rfind(|end| **end <= free) {
                past.forgotten.insert(name, *last);
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

    /// What a namespace holds, in use or kept.
    pub fn past(&self, id: NamespaceId) -> &Namespace {
        let all = self.kept.iter().chain([&self.namespace]);
        all.into_iter().find(|one| one.id == id).unwrap()
    }

    /// A number that was not given yet.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Another namespace takes the place of the one in use, on a timeline of its own.
    pub fn replace(&mut self, mut namespace: Namespace) -> u64 {
        let sequence = self.head().max(namespace.head()) + 1;
        namespace.timeline = self.number();
        let commit = Commit {
            time: self.now,
            kind: CommitKind::Restore,
            changes: Vec::new(),
        };
        namespace.commits.insert(sequence, commit);
        self.rows = namespace.at(sequence, i64::MIN);
        if self.cursor.is_some() {
            (self.cursor, self.replaced) = (Some((sequence, 0)), Some(self.now));
        }
        let replaced = std::mem::replace(&mut self.namespace, namespace);
        self.kept.push(replaced);
        sequence
    }

    /// What only this process knew is gone.
    pub fn reopened(&mut self) {
        self.namespace.needs = self.number();
        self.rows
            .retain(|_, record| record.class != Class::Ephemeral);
    }

    /// The changes that the cursor's reader has not acknowledged: commit, place in it, and whether
    /// it is the last one.
    pub fn unread(&self) -> Vec<(u64, usize, bool)> {
        let Some((after, passed)) = self.cursor else {
            return Vec::new();
        };
        let later = self.namespace.commits.range(after + 1..);
        let later = later.flat_map(|(sequence, commit)| {
            let count = commit.changes.len();
            (0..count).map(move |index| (*sequence, index, index + 1 == count))
        });
        later.skip(passed as usize).collect()
    }
}

/// The document that a value is.
pub fn document(value: &Value) -> Option<Json> {
    value.to_json().ok()
}
