//! Transactions, beside what the model knows of their reads and changes.

use statekeep::{ErrorKind, ListOptions};
use statekeep_tests::states::scope;

use crate::model::{options, value};
use crate::run::{Run, entries, parts};
use crate::steps::{SCOPES, Step};

impl Run {
    pub fn in_transaction(&mut self, step: &Step) {
        let Some((txn, own)) = &mut self.txn else {
            return;
        };
        match step {
            Step::Get(s, k) => {
                let name = (own.tenant, *s, *k);
                let (scope, key) = parts(name);
                own.read(&self.model, name);
                let expected = own
                    .scope(&self.model, *s)
                    .get(&name)
                    .map(|r| r.value.clone());
                assert_eq!(txn.get(&scope, &key).unwrap(), expected);
            }
            Step::List(s) => {
                own.read_scope(&self.model, *s);
                let page = txn
                    .scan_page(&scope(SCOPES[*s]), &ListOptions::default())
                    .unwrap();
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
