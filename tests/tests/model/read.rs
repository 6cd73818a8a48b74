//! Compares what a state answers to readers with the model: pages, the past, queries and watches.

use std::time::Duration;

use serde_json::json;
use statekeep::engine::{
    ChangeOp, CommitKind, DiffChange, DiffOptions, HistoryOptions, Query, Start, WatchOptions,
};
use statekeep::{ErrorKind, ListOptions, Record, Result, ScopeListOptions, Sequence, Value};
use statekeep_tests::states::scope;

use crate::model::document;
use crate::run::{CURSOR, Held, Run, entries, kind, names, parts};
use crate::steps::{KEYS, Name, SCOPES, TENANTS};

type Matches = fn(&str) -> bool;

/// Globs over keys, and what they mean.
const GLOBS: [(&str, Matches); 4] = [
    ("*", |_| true),
    ("k*", |key| key.starts_with('k')),
    ("?", |key| key.chars().count() == 1),
    ("*b", |key| key.ends_with('b')),
];

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

impl Run {
    pub fn page(&self, tenant: usize, s: usize, glob: usize, limit: usize) {
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
        let keys =
            |all: Vec<(String, Value)>| all.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(found.unwrap()), keys(expected));
    }

    pub fn history(&self, name: Name, limit: usize) {
        let (scope, key) = parts(name);
        let mut expected = Vec::new();
        let mut newer = None;
        for span in self.model.namespace.spans(name).into_iter().rev() {
            if let Some(until) = span.until.filter(|until| newer != Some(*until)) {
                expected.push((until, newer, self.model.namespace.time(until), None));
            }
            let first = span.record.sequence.0;
            newer = Some(first);
            expected.push((first, span.until, span.record.changed.0, Some(span.record)));
        }
        let mut options = HistoryOptions {
            before: None,
            limit,
        };
        let mut found = Vec::new();
        loop {
            let page = self.tenant(name.0).history(&scope, &key, &options).unwrap();
            assert!(page.versions.len() <= limit);
            for version in page.versions {
                let at = version.sequence.0;
                if at > self.model.namespace.floor {
                    let commit = &self.model.namespace.commits[&at];
                    assert_eq!(version.kind, Some(commit.kind));
                    let mut changes = commit.changes.iter();
                    let change = changes.find(|(other, _, _)| *other == name);
                    assert_eq!(Some(version.op), change.map(|(_, op, _)| *op));
                }
                assert_eq!(version.record.is_some(), version.op == ChangeOp::Put);
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

    pub fn diff(&self, tenant: usize, s: usize, back: u8, length: u8) {
        let (model, now) = (&self.model.namespace, self.model.now);
        let first = model.head().saturating_sub(u64::from(back));
        let last = (first + u64::from(length)).min(model.head());
        let options = DiffOptions {
            scope: Some(scope(SCOPES[s])),
            ..DiffOptions::default()
        };
        let found = self
            .tenant(tenant)
            .diff(Sequence(first), Sequence(last), &options);
        if let Some(refused) = model.refuses(first).or(model.refuses(last)) {
            return assert_eq!(kind(found), Some(refused));
        }
        let at = |sequence: u64| {
            let is_head = sequence == model.head();
            model.at(sequence, if is_head { now } else { model.time(sequence) })
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

    pub fn query(&self, tenant: usize, least: i8) {
        let text = json!({
            "scope": "user:*",
            "where": [{ "path": "$.n", "gte": least }],
            "order_by": [{ "path": "$.n" }],
        });
        let query = Query::from_json(&text.to_string()).unwrap();
        let page = self.tenant(tenant).query(&query).unwrap();
        let used = page.facts.index.is_some();
        assert_eq!(
            used, self.model.namespace.indexes[tenant],
            "whether an index served"
        );
        let mut expected = Vec::new();
        for name in names().filter(|name| name.0 == tenant) {
            let Some(record) = self.model.get(name) else {
                continue;
            };
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
        let found: Vec<_> = rows
            .map(|row| ((row.scope, row.key), row.value, row.sequence))
            .collect();
        assert_eq!(found, expected, "with an index: {used}");
    }

    pub fn watch(&mut self, take: usize, acknowledge: bool) {
        let options = WatchOptions {
            from: Start::Cursor(CURSOR.to_owned()),
            ..Default::default()
        };
        let watch = self.manager().watch(&options).unwrap();
        assert_eq!(watch.created_cursor(), self.model.cursor.is_none());
        let cursor = *self.model.cursor.get_or_insert((self.model.head(), 0));
        let unread = self.model.unread();
        let mut handed = cursor;
        let replaced = self.model.replaced.filter(|_| take > 0);
        if let Some(time) = replaced {
            let change = watch.next_timeout(Duration::ZERO).unwrap().unwrap();
            assert_eq!((change.sequence.0, change.time.0), (cursor.0, time));
            let told = (change.kind, change.scope, change.key, change.op);
            assert_eq!(told, (CommitKind::Restore, None, None, None));
        }
        let hears = self.model.replaced.is_none() || replaced.is_some();
        let take = take - usize::from(replaced.is_some());
        for (sequence, index, last) in unread.iter().copied().take(take) {
            let change = watch.next_timeout(Duration::ZERO).unwrap().unwrap();
            let commit = &self.model.namespace.commits[&sequence];
            let (name, op, record) = &commit.changes[index];
            let (scope, key) = parts(*name);
            assert_eq!((change.sequence.0, change.last_of_commit), (sequence, last));
            assert_eq!((change.time.0, change.kind), (commit.time, commit.kind));
            assert_eq!(
                (change.scope, change.key, change.op),
                (Some(scope), Some(key), Some(*op))
            );
            assert_eq!(change.tenant, TENANTS[name.0]);
            // A value in memory is there while it is the current one.
            let stays = |record: &&Record| {
                *op == ChangeOp::Put
                    || self
                        .model
                        .rows
                        .get(name)
                        .is_some_and(|now| now.sequence == record.sequence)
            };
            let expected = record
                .as_ref()
                .filter(stays)
                .map(|record| record.value.clone());
            assert_eq!(change.value_gone, record.is_some() && expected.is_none());
            assert_eq!(change.value, expected);
            handed = if last {
                (sequence, 0)
            } else {
                (sequence - 1, index as u64 + 1)
            };
        }
        if hears && unread.len() <= take {
            assert_eq!(
                watch.next_timeout(Duration::ZERO).unwrap(),
                None,
                "one change too many"
            );
        }
        if acknowledge {
            watch.acknowledge().unwrap();
            self.model.cursor = Some(handed);
            self.model.replaced = self.model.replaced.filter(|_| !hears);
        }
    }

    /// Compares what can be read now, and what the snapshots show that are held.
    pub fn compare(&self) {
        let info = self.manager().info().unwrap();
        assert_eq!(
            (info.head.0, info.floor.0),
            (self.model.head(), self.model.namespace.floor)
        );
        assert_eq!(info.poisoned, None);
        let cursors = self.manager().cursors().unwrap();
        let cursors: Vec<_> = cursors.iter().map(|c| (c.sequence.0, c.changes)).collect();
        assert_eq!(cursors, self.model.cursor.into_iter().collect::<Vec<_>>());
        for tenant in 0..2 {
            let handle = self.tenant(tenant);
            let mut scopes = Vec::new();
            for (s, named) in SCOPES.iter().enumerate() {
                let expected = self.model.scope(tenant, s);
                let page = handle
                    .scan_page(&scope(named), &ListOptions::default())
                    .unwrap();
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
        self.held
            .iter()
            .flatten()
            .for_each(|held| self.compare_held(held));
    }

    pub fn compare_held(&self, held: &Held) {
        let all = &self.model.past(held.namespace).forgotten;
        let forgotten = |name: Name| all.get(&name).is_some_and(|until| *until > held.sequence);
        for name in names().filter(|name| name.0 == held.tenant) {
            let (scope, key) = parts(name);
            let found = held.view.get_record(&scope, &key);
            if forgotten(name) {
                assert_eq!(kind(found), Some(ErrorKind::Compacted), "{name:?}");
            } else {
                let expected = held.rows.get(&name);
                assert_eq!(
                    found.unwrap().as_ref(),
                    expected,
                    "{name:?} at {}",
                    held.sequence
                );
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
            assert_eq!(
                found.unwrap().entries,
                entries(&expected),
                "{named} at {}",
                held.sequence
            );
        }
    }
}
