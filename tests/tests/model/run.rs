//! Does steps to a state and to the model, and compares what both answer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;
use statekeep::engine::{
    ChangeOp, Clock, CommitKind, DiffChange, DiffOptions, Expected, HistoryLimits, HistoryOptions,
    IndexDefinition, Keep, Number, OpenOptions, Plugins, Query, Rule, Savepoint, Start,
    TenantSnapshot, Transaction, TransactionOptions, TrimOptions, WatchOptions,
};
use statekeep::{
    Batch, BlockingTenant, Class, Durability, ErrorKind, Key, ListOptions, Record, Result, Scope,
    ScopeListOptions, Sequence, SetOptions, StateManager, UnixMs, Value,
};
use statekeep_core::check::check_consistency;
use statekeep_tests::states::{key, scope};

use crate::model::{
    KEEP_AGE_MS, KEEP_COMMITS, Model, Rows, TTL_MS, Txn, document, options, value,
};
use crate::steps::{Expect, KEYS, LIMITED, Name, Put, SCOPES, Step, TENANTS, When};

/// The cursor's name.
const CURSOR: &str = "reader";
/// Globs over keys, and what they mean.
const GLOBS: [(&str, fn(&str) -> bool); 4] = [
    ("*", |_| true),
    ("k*", |key| key.starts_with('k')),
    ("?", |key| key.chars().count() == 1),
    ("*b", |key| key.ends_with('b')),
];

/// A clock that stands still until a step moves it.
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

/// A snapshot that is held, and what it shows.
struct Held {
    tenant: usize,
    view: TenantSnapshot,
    sequence: u64,
    rows: Rows,
}

pub struct Run {
    model: Model,
    clock: Arc<TestClock>,
    options: OpenOptions,
    plugins: Arc<dyn Plugins>,
    /// Missing only while the state is opened again.
    manager: Option<Arc<StateManager>>,
    txn: Option<(Transaction, Txn)>,
    savepoints: Vec<(Savepoint, std::collections::BTreeMap<Name, Option<Record>>)>,
    held: [Option<Held>; 2],
    persistent: bool,
}

fn names() -> impl Iterator<Item = Name> {
    (0..2).flat_map(|t| (0..4).flat_map(move |s| (0..4).map(move |k| (t, s, k))))
}

fn parts((_, s, k): Name) -> (Scope, Key) {
    (scope(SCOPES[s]), key(KEYS[k]))
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

/// All pages of a list of a scope.
fn pages(
    options: ListOptions,
    mut page: impl FnMut(&ListOptions) -> Result<(Vec<(String, Value)>, Option<String>)>,
) -> Result<Vec<(String, Value)>> {
    let mut options = options;
    let mut all = Vec::new();
    loop {
        let (entries, next) = page(&options)?;
        assert!(options.limit == 0 || entries.len() <= options.limit);
        all.extend(entries);
        options.after = next;
        if options.after.is_none() {
            return Ok(all);
        }
    }
}

fn entries(rows: &Rows) -> Vec<(String, Value)> {
    let entry = |(name, record): (&Name, &Record)| (KEYS[name.2].to_owned(), record.value.clone());
    rows.iter().map(entry).collect()
}

impl Run {
    pub fn new(path: &Path, backend: &str, plugins: Arc<dyn Plugins>) -> Run {
        let clock = Arc::new(TestClock(AtomicI64::new(1_000)));
        let mut options = OpenOptions::new(path, backend);
        options.clock = clock.clone();
        options.durability = Durability::Relaxed;
        options.flush_interval_ms = 3_600_000;
        options.upkeep_interval_ms = 0;
        options.cache_bytes = 1 << 20;
        options.archive_codec = "lz4".to_owned();
        options.keep = Keep { age_ms: Some(KEEP_AGE_MS as u64), commits: Some(KEEP_COMMITS) };
        options.rules = vec![
            Rule {
                scope: Some(SCOPES[1].to_owned()),
                class: Some(Class::Archive),
                ttl_ms: Some(TTL_MS as u64),
                ..Rule::default()
            },
            Rule {
                scope: Some(SCOPES[LIMITED].to_owned()),
                history: Some(HistoryLimits { versions: Some(1), ..HistoryLimits::default() }),
                ..Rule::default()
            },
        ];
        let manager = StateManager::open(options.clone(), plugins.clone()).unwrap();
        // Numbers of tenants are given in the order of their first commits.
        let mut model = Model { now: 1_000, created: 1_000, ..Model::default() };
        for (t, tenant) in TENANTS.iter().enumerate() {
            let name = (t, 0, 0);
            let (s, k) = parts(name);
            let tenant = manager.tenant(tenant).unwrap().blocking();
            tenant.set(&s, &k, value(0), SetOptions::default()).unwrap();
            let record = model.record(name, (0, None, None));
            model.commit(CommitKind::Commit, [(name, Some(record))]);
        }
        Run {
            model,
            clock,
            options,
            plugins,
            manager: Some(manager),
            txn: None,
            savepoints: Vec::new(),
            held: [None, None],
            persistent: backend != "memory",
        }
    }

    fn manager(&self) -> &Arc<StateManager> {
        self.manager.as_ref().unwrap()
    }

    fn tenant(&self, tenant: usize) -> BlockingTenant {
        self.manager().tenant(TENANTS[tenant]).unwrap().blocking()
    }

    /// One commit of the model; answers its sequence, or the head when nothing was changed.
    fn commit(&mut self, changes: Vec<(Name, Option<Record>)>) -> Sequence {
        let sequence = self.model.commit(CommitKind::Commit, changes);
        Sequence(sequence.unwrap_or(self.model.head()))
    }

    /// Does one step and compares everything that can be read now.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Change(tenant, changes) => self.change(*tenant, changes),
            Step::Swap(name, expect, put) => self.swap(*name, *expect, *put),
            Step::SetIfAbsent(name, put) => self.set_if_absent(*name, *put),
            Step::Increment(name, by) => self.increment(*name, *by),
            Step::MergePatch(name, number) => self.merge_patch(*name, *number),
            Step::JsonPatch(name, test, add) => self.json_patch(*name, *test, *add),
            Step::Clear(tenant, s) => self.whole_scope(CommitKind::Clear, *tenant, *s, *s),
            Step::Copy { tenant, from, to, moves } => {
                let kind = if *moves { CommitKind::Move } else { CommitKind::Copy };
                self.whole_scope(kind, *tenant, *from, *to);
            }
            Step::Begin(tenant) => {
                let begun = self.tenant(*tenant).begin(&TransactionOptions::default()).unwrap();
                self.savepoints.clear();
                self.txn = Some((begun, Txn::new(&self.model, *tenant)));
            }
            Step::Get(..) | Step::List(_) | Step::Write(..) | Step::Savepoint
            | Step::RollbackTo(_) => self.in_transaction(step),
            Step::Commit => self.commit_transaction(),
            Step::Rollback => drop(self.txn.take().map(|(txn, _)| txn.rollback())),
            Step::Hold(slot, tenant, when) => self.hold(*slot, *tenant, *when),
            Step::Release(slot) => self.held[*slot] = None,
            Step::Page { tenant, scope, glob, limit } => self.page(*tenant, *scope, *glob, *limit),
            Step::History(name, limit) => self.history(*name, *limit),
            Step::Diff(tenant, s, back, length) => self.diff(*tenant, *s, *back, *length),
            Step::Wait(ms) => {
                self.model.now += i64::from(*ms);
                self.clock.0.store(self.model.now, Ordering::SeqCst);
            }
            Step::Sweep => {
                let removed = self.manager().sweep().unwrap().removed;
                assert_eq!(removed, self.model.sweep(), "keys swept");
            }
            Step::Trim => self.trim(),
            Step::CreateIndex(tenant) => self.create_index(*tenant),
            Step::DropIndex(tenant) => {
                let there = std::mem::take(&mut self.model.indexes[*tenant]);
                let dropped = self.manager().drop_index(&Run::index_name(*tenant));
                assert_eq!(kind(dropped), (!there).then_some(ErrorKind::NotFound));
            }
            Step::Query(tenant, least) => self.query(*tenant, *least),
            Step::Watch { take, acknowledge } => self.watch(*take, *acknowledge),
            Step::ForgetCursor => {
                let there = self.manager().delete_cursor(CURSOR).unwrap();
                assert_eq!(there, self.model.cursor.take().is_some());
            }
            Step::Flush => self.manager().flush().unwrap(),
            Step::Reopen => self.reopen(),
        }
        self.compare();
    }

    fn change(&mut self, tenant: usize, changes: &[(usize, usize, Option<Put>)]) {
        let mut batch = Batch::new();
        let mut wanted = Vec::new();
        for (s, k, put) in changes {
            let name = (tenant, *s, *k);
            let (scope, key) = parts(name);
            match put {
                Some(put) => batch.set_with(&scope, &key, value(put.0), options(name, *put)),
                None => batch.delete(&scope, &key),
            };
            wanted.push((name, put.map(|put| self.model.record(name, put))));
        }
        // One change goes the way of single changes.
        let handle = self.tenant(tenant);
        let found = match (changes, &wanted[..]) {
            ([(_, _, Some(put))], [(name, _)]) => {
                let (scope, key) = parts(*name);
                handle.set(&scope, &key, value(put.0), options(*name, *put)).map(Some)
            }
            ([(_, _, None)], [(name, _)]) => {
                let (scope, key) = parts(*name);
                handle.delete(&scope, &key, SetOptions::default())
            }
            _ => handle.commit(batch).map(Some),
        };
        let before = self.model.head();
        let expected = self.commit(wanted);
        match found.unwrap() {
            Some(found) => assert_eq!(found, expected),
            None => assert_eq!(self.model.head(), before),
        }
    }

    fn swap(&mut self, name: Name, expect: Expect, put: Option<Put>) {
        let (scope, key) = parts(name);
        let old = self.model.get(name).cloned();
        let version = old.as_ref().map_or(Sequence(1), |old| old.sequence);
        let is = old.as_ref().map_or(value(0), |old| old.value.clone());
        let other = Value::bytes("another");
        let (expected, holds) = match expect {
            Expect::Absent => (Expected::Absent, old.is_none()),
            Expect::Version { stale } => {
                let version = Sequence(version.0 - u64::from(stale));
                (Expected::Version(version), old.is_some() && !stale)
            }
            Expect::Value { other: true } => (Expected::Value(&other), false),
            Expect::Value { other: false } => (Expected::Value(&is), old.is_some()),
        };
        let how = put.map_or(SetOptions::default(), |put| options(name, put));
        let to = put.map(|put| value(put.0));
        let found = self.tenant(name.0).compare_and_swap(&scope, &key, expected, to, how);
        if holds {
            let record = put.map(|put| self.model.record(name, put));
            assert_eq!(found.unwrap(), self.commit(vec![(name, record)]));
        } else {
            assert_eq!(kind(found), Some(ErrorKind::Conflict));
        }
    }

    fn set_if_absent(&mut self, name: Name, put: Put) {
        let (scope, key) = parts(name);
        let how = options(name, put);
        let found = self.tenant(name.0).set_if_absent(&scope, &key, value(put.0), how).unwrap();
        let expected = self.model.get(name).is_none().then(|| {
            let record = self.model.record(name, put);
            self.commit(vec![(name, Some(record))])
        });
        assert_eq!(found, expected);
    }

    fn increment(&mut self, name: Name, by: i8) {
        let (scope, key) = parts(name);
        let old = match self.model.get(name) {
            None => Some(0),
            Some(old) => document(&old.value).and_then(|document| document.as_i64()),
        };
        let by = i64::from(by);
        let found = self.tenant(name.0).increment(&scope, &key, by, SetOptions::default());
        match old {
            Some(old) => {
                assert_eq!(found.unwrap(), Number::Integer(old + by));
                let record = self.model.kept(name, Value::from(&json!(old + by)));
                self.commit(vec![(name, Some(record))]);
            }
            None => assert_eq!(kind(found), Some(ErrorKind::InvalidArgument)),
        }
    }

    fn merge_patch(&mut self, name: Name, number: Option<u8>) {
        let (scope, key) = parts(name);
        let patch = json!({ "n": number });
        let found = self.tenant(name.0).merge_patch(&scope, &key, &patch, SetOptions::default());
        let old = self.model.get(name).map(|old| document(&old.value));
        let Some(mut merged) = old.unwrap_or(Some(json!({}))) else {
            return assert_eq!(kind(found), Some(ErrorKind::InvalidArgument));
        };
        if !merged.is_object() {
            merged = json!({});
        }
        match number {
            Some(number) => merged["n"] = json!(number),
            None => drop(merged.as_object_mut().unwrap().remove("n")),
        }
        assert_eq!(found.unwrap(), Value::from(&merged));
        let record = self.model.kept(name, Value::from(&merged));
        self.commit(vec![(name, Some(record))]);
    }

    fn json_patch(&mut self, name: Name, test: u8, add: u8) {
        let (scope, key) = parts(name);
        let patch = json!([
            { "op": "test", "path": "/n", "value": test },
            { "op": "add", "path": "/m", "value": add },
        ]);
        let found = self.tenant(name.0).json_patch(&scope, &key, &patch, SetOptions::default());
        let old = self.model.get(name).map(|old| document(&old.value));
        match old {
            None => assert_eq!(kind(found), Some(ErrorKind::NotFound)),
            Some(Some(mut document)) if document["n"] == json!(test) => {
                document["m"] = json!(add);
                assert_eq!(found.unwrap(), Value::from(&document));
                let record = self.model.kept(name, Value::from(&document));
                self.commit(vec![(name, Some(record))]);
            }
            Some(Some(document)) if document.get("n").is_some() => {
                assert_eq!(kind(found), Some(ErrorKind::Conflict));
            }
            Some(_) => assert!(found.is_err()),
        }
    }

    fn whole_scope(&mut self, commit: CommitKind, tenant: usize, from: usize, to: usize) {
        let (source, target) = (scope(SCOPES[from]), scope(SCOPES[to]));
        let handle = self.tenant(tenant);
        let found = match commit {
            CommitKind::Clear => handle.clear_scope(&source),
            CommitKind::Move => handle.move_scope(&source, &target),
            _ => handle.copy_scope(&source, &target),
        };
        let rows = self.model.scope(tenant, from);
        assert_eq!(found.unwrap(), rows.len() as u64);
        let mut changes = Vec::new();
        if commit != CommitKind::Clear {
            let copy = |(name, record): (&Name, &Record)| {
                ((tenant, to, name.2), Some(record.clone()))
            };
            changes.extend(rows.iter().map(copy));
        }
        if commit != CommitKind::Copy {
            changes.extend(rows.keys().map(|name| (*name, None)));
        }
        self.model.commit(commit, changes);
    }

    fn in_transaction(&mut self, step: &Step) {
        let Some((txn, own)) = &mut self.txn else { return };
        match step {
            Step::Get(s, k) => {
                let name = (own.tenant, *s, *k);
                let (scope, key) = parts(name);
                own.read(&self.model, name);
                let expected = own.scope(&self.model, *s).get(&name).map(|r| r.value.clone());
                assert_eq!(txn.get(&scope, &key).unwrap(), expected);
            }
            Step::List(s) => {
                own.read_scope(&self.model, *s);
                let page = txn.scan_page(&scope(SCOPES[*s]), &ListOptions::default()).unwrap();
                assert_eq!(page.entries, entries(&own.scope(&self.model, *s)));
            }
            Step::Write(s, k, put) => {
                let name = (own.tenant, *s, *k);
                let (scope, key) = parts(name);
                match put {
                    Some(put) => txn.set(&scope, &key, value(put.0), options(name, *put)),
                    None => txn.delete(&scope, &key),
                }
                .unwrap();
                own.writes.insert(name, put.map(|put| self.model.record(name, put)));
            }
            Step::Savepoint => {
                self.savepoints.push((txn.savepoint().unwrap(), own.writes.clone()));
            }
            Step::RollbackTo(number) if !self.savepoints.is_empty() => {
                let at = usize::from(*number) % self.savepoints.len();
                self.savepoints.truncate(at + 1);
                txn.rollback_to(self.savepoints[at].0).unwrap();
                own.writes = self.savepoints[at].1.clone();
            }
            _ => {}
        }
    }

    fn commit_transaction(&mut self) {
        let Some((txn, own)) = self.txn.take() else { return };
        let conflicts = own.conflicts(&self.model);
        match txn.commit() {
            // Without changes it happened when it began, and nothing needs to be checked.
            Ok(_) if own.writes.is_empty() => {}
            Ok(sequence) => {
                assert!(!conflicts, "it committed, and what it read has changed");
                assert_eq!(sequence, self.commit(own.writes.into_iter().collect()));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(conflicts, "{error}, and nothing of what it read has changed");
            }
        }
    }

    fn hold(&mut self, slot: usize, tenant: usize, when: When) {
        let (handle, model) = (self.tenant(tenant), &self.model);
        let head = model.head();
        let (found, wanted) = match when {
            When::Head => (handle.snapshot(), Some((head, model.now))),
            When::Back(back) => {
                let sequence = head.saturating_sub(u64::from(back));
                let time = if sequence == head { model.now } else { model.time(sequence) };
                let kept = sequence >= model.floor;
                (handle.at(Sequence(sequence)), kept.then_some((sequence, time)))
            }
            When::Ago(ago) => {
                let time = model.now - i64::from(ago);
                let sequence = model.sequence_at(time).map(|sequence| (sequence, time));
                (handle.at_time(UnixMs(time)), sequence)
            }
        };
        let Some((sequence, expired_at)) = wanted else {
            return assert_eq!(kind(found), Some(ErrorKind::Compacted));
        };
        let view = found.unwrap();
        assert_eq!(view.sequence(), Sequence(sequence));
        let mut rows = model.at(sequence, expired_at);
        rows.retain(|name, _| name.0 == tenant);
        self.held[slot] = Some(Held { tenant, view, sequence, rows });
    }

    fn page(&self, tenant: usize, s: usize, glob: usize, limit: usize) {
        let (handle, named) = (self.tenant(tenant), scope(SCOPES[s]));
        let (glob, matches) = GLOBS[glob];
        let options = ListOptions {
            glob: Some(glob.to_owned()),
            limit,
            ..ListOptions::default()
        };
        let mut expected = entries(&self.model.scope(tenant, s));
        expected.retain(|(key, _)| matches(key));
        let found = pages(options.clone(), |options| {
            let page = handle.scan_page(&named, options)?;
            Ok((page.entries, page.next))
        });
        assert_eq!(found.unwrap(), expected);
        let found = pages(options, |options| {
            let page = handle.list(&named, options)?;
            let keys = page.keys.into_iter().map(|key| (key, Value::bytes("")));
            Ok((keys.collect(), page.next))
        });
        let keys = |all: Vec<(String, Value)>| all.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(found.unwrap()), keys(expected));
    }

    fn history(&self, name: Name, limit: usize) {
        let (scope, key) = parts(name);
        let mut expected = Vec::new();
        let mut newer = None;
        for span in self.model.spans(name).into_iter().rev() {
            if let Some(until) = span.until.filter(|until| newer != Some(*until)) {
                expected.push((until, newer, self.model.time(until), None));
            }
            let first = span.record.sequence.0;
            newer = Some(first);
            expected.push((first, span.until, span.record.changed.0, Some(span.record)));
        }
        let mut options = HistoryOptions { before: None, limit };
        let mut found = Vec::new();
        loop {
            let page = self.tenant(name.0).history(&scope, &key, &options).unwrap();
            assert!(page.versions.len() <= limit);
            for version in page.versions {
                let op = if version.record.is_some() { ChangeOp::Put } else { ChangeOp::Delete };
                assert_eq!(version.op, op);
                let at = version.sequence.0;
                if at > self.model.floor {
                    assert_eq!(version.kind, Some(self.model.commits[at as usize - 1].kind));
                }
                let until = version.until.map(|until| until.0);
                found.push((at, until, version.time.unwrap().0, version.record));
            }
            options.before = page.next;
            if options.before.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "history of {name:?}");
    }

    fn diff(&self, tenant: usize, s: usize, back: u8, length: u8) {
        let model = &self.model;
        let first = model.head().saturating_sub(u64::from(back));
        let last = (first + u64::from(length)).min(model.head());
        let options = DiffOptions { scope: Some(scope(SCOPES[s])), ..DiffOptions::default() };
        let found = self.tenant(tenant).diff(Sequence(first), Sequence(last), &options);
        if first < model.floor {
            return assert_eq!(kind(found), Some(ErrorKind::Compacted));
        }
        let at = |sequence: u64| {
            let is_head = sequence == model.head();
            model.at(sequence, if is_head { model.now } else { model.time(sequence) })
        };
        let (before, after) = (at(first), at(last));
        let mut expected = Vec::new();
        for name in names().filter(|name| (name.0, name.1) == (tenant, s)) {
            let says = |record: &Record| (record.value.clone(), record.class, record.expires);
            let pair = (before.get(&name), after.get(&name));
            let change = match pair {
                (None, Some(_)) => DiffChange::Added,
                (Some(_), None) => DiffChange::Removed,
                (Some(a), Some(b)) if says(a) != says(b) => DiffChange::Changed,
                _ => continue,
            };
            let key = KEYS[name.2].to_owned();
            expected.push((key, change, pair.0.cloned(), pair.1.cloned()));
        }
        let entries = found.unwrap().entries.into_iter();
        let found = entries.map(|e| (e.key.as_str().to_owned(), e.change, e.before, e.after));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{first} to {last}");
    }

    fn trim(&mut self) {
        let report = self.manager().trim(&TrimOptions::default()).unwrap();
        let held = self.held.iter().flatten().map(|held| held.sequence);
        let txn = self.txn.as_ref().map(|(_, own)| own.sequence);
        let before = self.model.floor;
        self.model.trim(held.chain(txn).collect::<Vec<_>>().into_iter());
        assert_eq!((report.floor_before.0, report.floor.0), (before, self.model.floor));
    }

    fn index_name(tenant: usize) -> String {
        format!("n-{tenant}")
    }

    fn create_index(&mut self, tenant: usize) {
        let build = self.manager().create_index(IndexDefinition {
            name: Run::index_name(tenant),
            tenant: TENANTS[tenant].to_owned(),
            scope: "user:*".to_owned(),
            path: "$.n".to_owned(),
        });
        build.unwrap().wait().unwrap();
        self.model.indexes[tenant] = true;
    }

    fn query(&self, tenant: usize, least: i8) {
        let text = json!({
            "scope": "user:*",
            "where": [{ "path": "$.n", "gte": least }],
            "order_by": [{ "path": "$.n" }],
        });
        let query = Query::from_json(&text.to_string()).unwrap();
        let page = self.tenant(tenant).query(&query).unwrap();
        let used = page.facts.index.is_some();
        assert_eq!(used, self.model.indexes[tenant], "whether an index served");
        let mut expected = Vec::new();
        for name in names().filter(|name| name.0 == tenant) {
            let Some(record) = self.model.get(name) else { continue };
            let number = document(&record.value).and_then(|document| document["n"].as_i64());
            if let Some(number) = number.filter(|number| *number >= i64::from(least)) {
                expected.push((number, name, record.value.clone(), record.sequence));
            }
        }
        expected.sort_by_key(|(number, name, _, _)| (*number, *name));
        let expected: Vec<_> = (expected.into_iter())
            .map(|(_, name, value, sequence)| (parts(name), value, sequence))
            .collect();
        let rows = page.rows.into_iter();
        let found: Vec<_> = rows.map(|row| ((row.scope, row.key), row.value, row.sequence)).collect();
        assert_eq!(found, expected, "with an index: {used}");
    }

    fn watch(&mut self, take: usize, acknowledge: bool) {
        let options = WatchOptions { from: Start::Cursor(CURSOR.to_owned()), ..Default::default() };
        let watch = self.manager().watch(&options).unwrap();
        assert_eq!(watch.created_cursor(), self.model.cursor.is_none());
        let cursor = *self.model.cursor.get_or_insert((self.model.head(), 0));
        let unread = self.model.unread();
        let mut handed = cursor;
        for (sequence, index, last) in unread.iter().copied().take(take) {
            let change = watch.next_timeout(Duration::ZERO).unwrap().unwrap();
            let commit = &self.model.commits[sequence as usize - 1];
            let (name, op, record) = &commit.changes[index];
            let (scope, key) = parts(*name);
            assert_eq!((change.sequence.0, change.last_of_commit), (sequence, last));
            assert_eq!((change.time.0, change.kind), (commit.time, commit.kind));
            assert_eq!((change.scope, change.key, change.op), (Some(scope), Some(key), Some(*op)));
            assert_eq!(change.tenant, TENANTS[name.0]);
            // A value in memory is there while it is the current one.
            let stays = |record: &&Record| {
                *op == ChangeOp::Put
                    || self.model.rows.get(name).is_some_and(|now| now.sequence == record.sequence)
            };
            let expected = record.as_ref().filter(stays).map(|record| record.value.clone());
            assert_eq!(change.value_gone, record.is_some() && expected.is_none());
            assert_eq!(change.value, expected);
            handed = if last { (sequence, 0) } else { (sequence - 1, index as u64 + 1) };
        }
        if unread.len() <= take {
            assert_eq!(watch.next_timeout(Duration::ZERO).unwrap(), None, "one change too many");
        }
        if acknowledge {
            watch.acknowledge().unwrap();
            self.model.cursor = Some(handed);
        }
    }

    fn reopen(&mut self) {
        if !self.persistent {
            return;
        }
        self.held = [None, None];
        self.txn = None;
        let manager = self.manager.take().unwrap();
        manager.close().unwrap();
        drop(manager);
        self.manager = Some(StateManager::open(self.options.clone(), self.plugins.clone()).unwrap());
        self.model.reopened();
    }

    /// Compares what can be read now, and what the snapshots show that are held.
    fn compare(&self) {
        let info = self.manager().info().unwrap();
        assert_eq!((info.head.0, info.floor.0), (self.model.head(), self.model.floor));
        assert_eq!(info.poisoned, None);
        let cursors = self.manager().cursors().unwrap();
        let cursors: Vec<_> = cursors.iter().map(|c| (c.sequence.0, c.changes)).collect();
        assert_eq!(cursors, self.model.cursor.into_iter().collect::<Vec<_>>());
        for tenant in 0..2 {
            let handle = self.tenant(tenant);
            let mut scopes = Vec::new();
            for (s, named) in SCOPES.iter().enumerate() {
                let expected = self.model.scope(tenant, s);
                let page = handle.scan_page(&scope(named), &ListOptions::default()).unwrap();
                assert_eq!(page.entries, entries(&expected), "{tenant} {named}");
                scopes.extend((!expected.is_empty()).then(|| scope(named)));
            }
            let page = handle.list_scopes(&ScopeListOptions::default()).unwrap();
            assert_eq!(page.scopes, scopes);
        }
        for name in names() {
            let (scope, key) = parts(name);
            let found = self.tenant(name.0).get_record(&scope, &key).unwrap();
            assert_eq!(found.as_ref(), self.model.get(name), "{name:?}");
        }
        self.held.iter().flatten().for_each(|held| self.compare_held(held));
    }

    fn compare_held(&self, held: &Held) {
        let forgotten = |name: Name| self.model.is_forgotten(name, held.sequence);
        for name in names().filter(|name| name.0 == held.tenant) {
            let (scope, key) = parts(name);
            let found = held.view.get_record(&scope, &key);
            if forgotten(name) {
                assert_eq!(kind(found), Some(ErrorKind::Compacted), "{name:?}");
            } else {
                let expected = held.rows.get(&name);
                assert_eq!(found.unwrap().as_ref(), expected, "{name:?} at {}", held.sequence);
            }
        }
        for (s, named) in SCOPES.iter().enumerate() {
            let inside = |name: &Name| (name.0, name.1) == (held.tenant, s);
            let found = held.view.scan_page(&scope(named), &ListOptions::default());
            if names().any(|name| inside(&name) && forgotten(name)) {
                assert_eq!(kind(found), Some(ErrorKind::Compacted), "{named}");
                continue;
            }
            let mut expected = held.rows.clone();
            expected.retain(|name, _| inside(name));
            assert_eq!(found.unwrap().entries, entries(&expected), "{named} at {}", held.sequence);
        }
    }

    /// Ends the case: all rows must tell one story, also when the state is opened once more.
    pub fn end(mut self) {
        check_consistency(self.manager()).unwrap();
        self.step(&Step::Reopen);
        check_consistency(self.manager()).unwrap();
        self.held = [None, None];
        self.txn = None;
        self.manager().close().unwrap();
    }
}
