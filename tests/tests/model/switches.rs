//! Another namespace takes the place of the one in use: swaps of the backend, undos, restores of
//! backups; and what was replaced is released.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use statekeep::engine::{Backend, BackendConfig, Codec, Plugins};
use statekeep::{CreateOptions, ErrorKind, NamespaceId, Progress, RestoreOptions, Result};
use statekeep_core::check::check_consistency;

use crate::model::Backup;
use crate::namespace::Namespace;
use crate::run::{Run, kind};
use crate::steps::Put;

/// One of so many.
fn pick(number: u8, of: usize) -> Option<usize> {
    usize::from(number).checked_rem(of)
}

/// Plugins before whose next opening of a backend something is done.
pub struct HookedPlugins {
    inner: Arc<dyn Plugins>,
    before_open: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl HookedPlugins {
    pub fn over(inner: Arc<dyn Plugins>) -> HookedPlugins {
        HookedPlugins {
            inner,
            before_open: Mutex::default(),
        }
    }
}

impl Plugins for HookedPlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        let before_open = self.before_open.lock().take();
        if let Some(work) = before_open {
            work();
        }
        self.inner.open_backend(name, config)
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        self.inner.codec(name)
    }
}

impl Run {
    /// Swaps, with a commit after those that the copy begins with.
    pub fn swap_backend(&mut self, tenant: usize, changes: &[(usize, usize, Option<Put>)]) {
        let Some(pair) = &self.backends else {
            return;
        };
        let (batch, wanted) = self.batch(tenant, changes);
        let outcome = Arc::new(Mutex::new(None));
        if !wanted.is_empty() {
            let (handle, outcome) = (self.tenant(tenant), outcome.clone());
            let commit = move || *outcome.lock() = Some(handle.commit(batch));
            *self.plugins.before_open.lock() = Some(Box::new(commit));
        }
        let from = self.manager().backend_name();
        let to = pair.iter().find(|name| **name != from).unwrap();
        let report = self
            .manager()
            .swap_backend(to, &json!({}), &Progress::new())
            .unwrap();
        assert_eq!((&report.from, &report.to), (&from, to));
        if let Some(found) = outcome.lock().take() {
            assert_eq!(found.unwrap(), self.commit(wanted));
        }
        assert_eq!(report.replaced, self.model.namespace.id);
        assert_eq!(report.sequence.0, self.model.head());
        self.model.kept.push(self.model.namespace.clone());
        self.model.namespace.id = report.namespace;
        self.compare_namespaces();
    }

    /// Whether a snapshot or transaction reads a namespace.
    fn is_read(&self, id: NamespaceId) -> bool {
        let held = self.held.iter().flatten().map(|held| held.namespace);
        let txn = self.txn.as_ref().map(|(_, own)| own.namespace);
        held.chain(txn).any(|one| one == id)
    }

    pub fn undo(&mut self, number: u8) {
        let Some(at) = pick(number, self.model.kept.len()) else {
            return;
        };
        let kept = &self.model.kept[at];
        let (id, is_read) = (kept.id, self.is_read(kept.id));
        if self.backends.is_none() && !is_read {
            let found = self.manager().undo(id, u64::MAX);
            return assert_eq!(kind(found), Some(ErrorKind::NotFound));
        }
        let (lost, known) = self.model.namespace.lost(kept);
        if let Some(fewer) = lost.checked_sub(1) {
            let found = self.manager().undo(id, fewer);
            assert_eq!(kind(found), Some(ErrorKind::Conflict), "{lost} are lost");
        }
        let found = match self.manager().undo(id, lost) {
            // Of what was trimmed it is not known whether it is lost.
            Err(error) if error.kind() == ErrorKind::Conflict && !known => {
                self.manager().undo(id, u64::MAX)
            }
            found => found,
        };
        let found = found.unwrap();
        let mut namespace = self.model.kept.remove(at);
        if !is_read {
            namespace.needs = self.model.number();
        }
        assert_eq!(found.0, self.model.replace(namespace));
        self.replaced();
    }

    pub fn release_namespace(&mut self, number: u8) {
        let Some(at) = pick(number, self.model.kept.len()) else {
            return;
        };
        let id = self.model.kept[at].id;
        let found = loop {
            match kind(self.manager().release_namespace(id)) {
                // What removes the rows of dropped indexes may still read it.
                Some(ErrorKind::Busy) if !self.is_read(id) => std::thread::yield_now(),
                found => break found,
            }
        };
        assert_eq!(found, self.is_read(id).then_some(ErrorKind::Busy));
        if found.is_none() {
            self.model.kept.remove(at);
            let again = self.manager().release_namespace(id);
            assert_eq!(kind(again), Some(ErrorKind::NotFound));
        }
        self.compare_namespaces();
    }

    pub fn back_up(&mut self) {
        let backups = self.backups.as_ref().unwrap();
        let manifest = backups.create(&CreateOptions::default(), &Progress::new());
        let (manifest, model) = (manifest.unwrap(), &mut self.model);
        let backup = Backup {
            id: manifest.id,
            rows: model.namespace.at(model.head(), model.now),
            sequence: model.head(),
        };
        assert_eq!(manifest.sequence_to, backup.sequence);
        assert_eq!(manifest.records, backup.rows.len() as u64);
        model.backups.push(backup);
    }

    pub fn restore(&mut self, number: u8) {
        if self.model.backups.is_empty() {
            self.back_up();
        }
        let at = pick(number, self.model.backups.len()).unwrap();
        let backup = &self.model.backups[at];
        let backups = self.backups.as_ref().unwrap();
        let report = backups.restore(
            backup.id,
            &RestoreOptions {
                safety_backup: false,
                ..RestoreOptions::default()
            },
            &Progress::new(),
        );
        let report = report.unwrap();
        assert_eq!(
            (report.backup_sequence, report.records),
            (backup.sequence, backup.rows.len() as u64)
        );
        let all = self.manager().namespaces().unwrap();
        let current = all.iter().find(|one| one.is_current).unwrap();
        let before = &self.model.namespace;
        let mut namespace = Namespace {
            base: backup.rows.clone(),
            floor: report.sequence,
            indexes: before.indexes,
            ..Namespace::new(current.namespace, before.created)
        };
        namespace.needs = self.model.number();
        assert_eq!(report.sequence, self.model.replace(namespace));
        self.replaced();
    }

    /// What is in use now is whole, with the indexes that it is to have.
    fn replaced(&mut self) {
        for tenant in 0..2 {
            if self.model.namespace.indexes[tenant] {
                self.create_index(tenant);
            }
        }
        check_consistency(self.manager()).unwrap();
        self.compare_namespaces();
    }

    pub fn compare_namespaces(&self) {
        let all = self.manager().namespaces().unwrap();
        let mut found: Vec<_> = all.iter().map(|o| (o.namespace, o.is_current)).collect();
        let kept = self.model.kept.iter().map(|one| (one.id, false));
        let mut expected: Vec<_> = kept.chain([(self.model.namespace.id, true)]).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let unread = |o: &&statekeep::NamespaceStatus| self.is_read(o.namespace) && !o.is_read;
        assert!(!all.iter().filter(|o| !o.is_current).any(|o| unread(&o)));
    }
}
