//! Transactions, beside what the model knows of their reads and changes.

use std::collections::{BTreeMap, BTreeSet};

use statekeep::{ErrorKind, ListOptions, NamespaceId, Record, Sequence};
use statekeep_tests::states::scope;

use crate::model::{Model, Rows, is_over, options, value};
use crate::run::{Run, entries, parts};
use crate::steps::{Name, SCOPES, Step};

impl Run {
    pub fn in_transaction(&mut self, step: &Step) {
        let Some((txn, own)) = &mut self.txn else {
            return;
        };
        match step {
            Step::Get(s, k) => {
                let name = (own.tenant, *s, *k);
                let (scope, key) = parts(name);
                own.read(name);
                let expected = own.scope(*s).get(&name).map(|r| r.value.clone());
                assert_eq!(txn.get(&scope, &key).unwrap(), expected);
            }
            Step::List(s) => {
                own.read_scope(*s);
                let page = txn
                    .scan_page(&scope(SCOPES[*s]), &ListOptions::default())
                    .unwrap();
                assert_eq!(page.entries, entries(&own.scope(*s)));
            }
            Step::Write(s, k, put) => {
                let name = (own.tenant, *s, *k);
                let (scope, key) = parts(name);
                match put {
                    Some(put) => txn.set(&scope, &key, value(put.0), options(name, *put)),
                    None => txn.delete(&scope, &key),
                }
                .unwrap();
                own.writes
                    .insert(name, put.map(|put| self.model.record(name, put)));
            }
            Step::Savepoint => {
                self.savepoints
                    .push((txn.savepoint().unwrap(), own.writes.clone()));
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

    pub fn commit_transaction(&mut self) {
        let Some((txn, own)) = self.txn.take() else {
            return;
        };
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
                assert!(
                    conflicts,
                    "{error}, and nothing of what it read has changed"
                );
            }
        }
    }
}

/// A transaction in progress.
pub struct Txn {
    pub tenant: usize,
    pub sequence: u64,
    /// The namespace that it reads, its timeline, and whose past it holds.
    pub namespace: NamespaceId,
    pub timeline: u64,
    pub needs: u64,
    /// What is there for it.
    pub rows: Rows,
    /// When it began; keys whose time had come by then are not there for it.
    pub began: i64,
    pub writes: BTreeMap<Name, Option<Record>>,
    pub keys: BTreeMap<Name, Option<Sequence>>,
    pub scopes: BTreeSet<usize>,
}

impl Txn {
    pub fn new(model: &Model, tenant: usize) -> Txn {
        Txn {
            tenant,
            sequence: model.head(),
            namespace: model.namespace.id,
            timeline: model.namespace.timeline,
            needs: model.namespace.needs,
            rows: model.namespace.at(model.head(), model.now),
            began: model.now,
            writes: BTreeMap::new(),
            keys: BTreeMap::new(),
            scopes: BTreeSet::new(),
        }
    }

    /// What a scope holds for the transaction, its own changes included.
    pub fn scope(&self, scope: usize) -> Rows {
        let mut rows = self.rows.clone();
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
    pub fn read(&mut self, name: Name) {
        if !self.writes.contains_key(&name) {
            let version = self.rows.get(&name).map(|record| record.sequence);
            self.keys.insert(name, version);
        }
    }

    /// Takes note of a read of a whole scope: also of keys that may expire before the end.
    pub fn read_scope(&mut self, scope: usize) {
        self.scopes.insert(scope);
        for (name, record) in &self.rows {
            let inside = (name.0, name.1) == (self.tenant, scope) && record.expires.is_some();
            if inside && !self.writes.contains_key(name) {
                self.keys.insert(*name, Some(record.sequence));
            }
        }
    }

    /// Whether what was read has changed, or the whole state was replaced.
    pub fn conflicts(&self, model: &Model) -> bool {
        let version = |name: &Name| model.get(*name).map(|record| record.sequence);
        let since = model.namespace.commits.range(self.sequence + 1..);
        let mut changed = since.flat_map(|(_, commit)| &commit.changes);
        self.timeline != model.namespace.timeline
            || self.keys.iter().any(|(name, read)| version(name) != *read)
            || changed.any(|(name, _, _)| name.0 == self.tenant && self.scopes.contains(&name.1))
    }
}
