//! Changes of keys and of whole scopes, done to the state and to the model.

use serde_json::json;
use statekeep::engine::{CommitKind, Expected, Number};
use statekeep::{Batch, ErrorKind, Record, Sequence, SetOptions, Value};
use statekeep_tests::states::scope;

use crate::model::{document, options, value};
use crate::run::{Run, kind, parts};
use crate::steps::{Expect, Name, Put, SCOPES};

/// Keys with what becomes of them.
type Wanted = Vec<(Name, Option<Record>)>;

impl Run {
    /// Changes of a tenant as a batch, and what they make of the keys.
    pub fn batch(&self, tenant: usize, changes: &[(usize, usize, Option<Put>)]) -> (Batch, Wanted) {
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
        (batch, wanted)
    }

    pub fn change(&mut self, tenant: usize, changes: &[(usize, usize, Option<Put>)]) {
        let (batch, wanted) = self.batch(tenant, changes);
        // One change goes the way of single changes.
        let handle = self.tenant(tenant);
        let found = match (changes, &wanted[..]) {
            ([(_, _, Some(put))], [(name, _)]) => {
                let (scope, key) = parts(*name);
                handle
                    .set(&scope, &key, value(put.0), options(*name, *put))
                    .map(Some)
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

    pub fn swap(&mut self, name: Name, expect: Expect, put: Option<Put>) {
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
        let found = self
            .tenant(name.0)
            .compare_and_swap(&scope, &key, expected, to, how);
        if holds {
            let record = put.map(|put| self.model.record(name, put));
            assert_eq!(found.unwrap(), self.commit(vec![(name, record)]));
        } else {
            assert_eq!(kind(found), Some(ErrorKind::Conflict));
        }
    }

    pub fn set_if_absent(&mut self, name: Name, put: Put) {
        let (scope, key) = parts(name);
        let how = options(name, put);
        let found = self
            .tenant(name.0)
            .set_if_absent(&scope, &key, value(put.0), how)
            .unwrap();
        let expected = self.model.get(name).is_none().then(|| {
            let record = self.model.record(name, put);
            self.commit(vec![(name, Some(record))])
        });
        assert_eq!(found, expected);
    }

    pub fn increment(&mut self, name: Name, by: i8) {
        let (scope, key) = parts(name);
        let old = match self.model.get(name) {
            None => Some(0),
            Some(old) => document(&old.value).and_then(|document| document.as_i64()),
        };
        let by = i64::from(by);
        let found = self
            .tenant(name.0)
            .increment(&scope, &key, by, SetOptions::default());
        match old {
            Some(old) => {
                assert_eq!(found.unwrap(), Number::Integer(old + by));
                let record = self.model.kept(name, Value::from(&json!(old + by)));
                self.commit(vec![(name, Some(record))]);
            }
            None => assert_eq!(kind(found), Some(ErrorKind::InvalidArgument)),
        }
    }

    pub fn merge_patch(&mut self, name: Name, number: Option<u8>) {
        let (scope, key) = parts(name);
        let patch = json!({ "n": number });
        let found = self
            .tenant(name.0)
            .merge_patch(&scope, &key, &patch, SetOptions::default());
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

    pub fn json_patch(&mut self, name: Name, test: u8, add: u8) {
        let (scope, key) = parts(name);
        let patch = json!([
            { "op": "test", "path": "/n", "value": test },
            { "op": "add", "path": "/m", "value": add },
        ]);
        let found = self
            .tenant(name.0)
            .json_patch(&scope, &key, &patch, SetOptions::default());
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

    pub fn whole_scope(&mut self, commit: CommitKind, tenant: usize, from: usize, to: usize) {
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
            let copy =
                |(name, record): (&Name, &Record)| ((tenant, to, name.2), Some(record.clone()));
            changes.extend(rows.iter().map(copy));
        }
        if commit != CommitKind::Copy {
            changes.extend(rows.keys().map(|name| (*name, None)));
        }
        self.model.commit(commit, changes);
    }
}
