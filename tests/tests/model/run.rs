//! Does steps to a state and to the model, and compares what both answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use statekeep::engine::{
    Clock, CommitKind, HistoryLimits, IndexDefinition, Keep, OpenOptions, Plugins, Rule, Savepoint,
    TenantSnapshot, Transaction, TransactionOptions, TrimOptions,
};
use statekeep::{
    BackupConfig, BackupManager, BlockingTenant, Class, Durability, ErrorKind, Key, NamespaceId,
    Record, Result, Scope, Sequence, SetOptions, StateManager, UnixMs, Value,
};
use statekeep_core::check::check_consistency;
use statekeep_tests::states::{key, scope};

use crate::model::{KEEP_AGE_MS, KEEP_COMMITS, Model, Rows, TTL_MS, value};
use crate::steps::{KEYS, LIMITED, Name, SCOPES, Step, TENANTS, When};
use crate::switches::HookedPlugins;
use crate::transactions::Txn;

/// The cursor's name.
pub const CURSOR: &str = "reader";

/// A clock that stands still until a step moves it.
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

/// A snapshot that is held, and what it shows.
pub struct Held {
    pub tenant: usize,
    /// The namespace that it reads, and whose past it holds.
    pub namespace: NamespaceId,
    pub needs: u64,
    pub view: TenantSnapshot,
    pub sequence: u64,
    pub rows: Rows,
}

pub struct Run {
    pub model: Model,
    clock: Arc<TestClock>,
    options: OpenOptions,
    pub plugins: Arc<HookedPlugins>,
    /// Missing only while the state is opened again.
    manager: Option<Arc<StateManager>>,
    pub backups: Option<BackupManager>,
    pub txn: Option<(Transaction, Txn)>,
    pub savepoints: Vec<(Savepoint, BTreeMap<Name, Option<Record>>)>,
    pub held: [Option<Held>; 2],
    /// The backend of the case, and the one to swap to; missing where rows do not outlive the
    /// process.
    pub backends: Option<[String; 2]>,
}

pub fn names() -> impl Iterator<Item = Name> {
    (0..2).flat_map(|t| (0..4).flat_map(move |s| (0..4).map(move |k| (t, s, k))))
}

pub fn parts((_, s, k): Name) -> (Scope, Key) {
    (scope(SCOPES[s]), key(KEYS[k]))
}

pub fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

pub fn entries(rows: &Rows) -> Vec<(String, Value)> {
    let entry = |(name, record): (&Name, &Record)| (KEYS[name.2].to_owned(), record.value.clone());
    rows.iter().map(entry).collect()
}

impl Run {
    pub fn new(path: &Path, backend: &str, plugins: Arc<dyn Plugins>) -> Run {
        let clock = Arc::new(TestClock(AtomicI64::new(1_000)));
        let plugins = Arc::new(HookedPlugins::over(plugins));
        let mut options = OpenOptions::new(path, backend);
        // What holds the past for incremental backups has tests of its own.
        options.backup_hold_ms = 0;
        options.clock = clock.clone();
        options.durability = Durability::Relaxed;
        options.flush_interval_ms = 3_600_000;
        options.upkeep_interval_ms = 0;
        options.cache_bytes = 1 << 20;
        options.archive_codec = "lz4".to_owned();
        options.keep = Keep {
            age_ms: Some(KEEP_AGE_MS as u64),
            commits: Some(KEEP_COMMITS),
        };
        options.rules = vec![
            Rule {
                scope: Some(SCOPES[1].to_owned()),
                class: Some(Class::Archive),
                ttl_ms: Some(TTL_MS as u64),
                ..Rule::default()
            },
            Rule {
                scope: Some(SCOPES[LIMITED].to_owned()),
                history: Some(HistoryLimits {
                    versions: Some(1),
                    ..HistoryLimits::default()
                }),
                ..Rule::default()
            },
        ];
        let manager = StateManager::open(options.clone(), plugins.clone()).unwrap();
        // Numbers of tenants are given in the order of their first commits.
        let current = &manager.namespaces().unwrap()[0];
        let mut model = Model::new(current.namespace, 1_000);
        for (t, tenant) in TENANTS.iter().enumerate() {
            let name = (t, 0, 0);
            let (s, k) = parts(name);
            let tenant = manager.tenant(tenant).unwrap().blocking();
            tenant.set(&s, &k, value(0), SetOptions::default()).unwrap();
            let record = model.record(name, (0, None, None));
            model.commit(CommitKind::Commit, [(name, Some(record))]);
        }
        let mut run = Run {
            model,
            backups: None,
            clock,
            options,
            plugins,
            manager: Some(manager),
            txn: None,
            savepoints: Vec::new(),
            held: [None, None],
            backends: (backend != "memory").then(|| {
                let other = if backend == "redb" { "sqlite" } else { "redb" };
                [backend.to_owned(), other.to_owned()]
            }),
        };
        run.open_backups();
        run
    }

    fn open_backups(&mut self) {
        let config = BackupConfig {
            dir: self.options.path.with_extension("backups"),
            codec: "none".to_owned(),
            level: None,
            threads: 1,
            cores_free: 0,
            incremental: false,
            history: false,
            chain_max: statekeep_backup::CHAIN_DEFAULT,
            bytes_per_second_max: 0,
        };
        self.backups = Some(BackupManager::open(self.manager().clone(), config).unwrap());
    }

    pub fn manager(&self) -> &Arc<StateManager> {
        self.manager.as_ref().unwrap()
    }

    pub fn tenant(&self, tenant: usize) -> BlockingTenant {
        self.manager().tenant(TENANTS[tenant]).unwrap().blocking()
    }

    /// One commit of the model; answers its sequence, or the head when nothing was changed.
    pub fn commit(&mut self, changes: Vec<(Name, Option<Record>)>) -> Sequence {
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
            Step::Copy {
                tenant,
                from,
                to,
                moves,
            } => {
                let kind = if *moves {
                    CommitKind::Move
                } else {
                    CommitKind::Copy
                };
                self.whole_scope(kind, *tenant, *from, *to);
            }
            Step::Begin(tenant) => {
                let begun = self
                    .tenant(*tenant)
                    .begin(&TransactionOptions::default())
                    .unwrap();
                self.savepoints.clear();
                self.txn = Some((begun, Txn::new(&self.model, *tenant)));
            }
            Step::Get(..)
            | Step::List(_)
            | Step::Write(..)
            | Step::Savepoint
            | Step::RollbackTo(_) => self.in_transaction(step),
            Step::Commit => self.commit_transaction(),
            Step::Rollback => drop(self.txn.take().map(|(txn, _)| txn.rollback())),
            Step::Hold(slot, tenant, when) => self.hold(*slot, *tenant, *when),
            Step::Release(slot) => self.held[*slot] = None,
            Step::Page {
                tenant,
                scope,
                glob,
                limit,
            } => self.page(*tenant, *scope, *glob, *limit),
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
                let there = std::mem::take(&mut self.model.namespace.indexes[*tenant]);
                let dropped = self.manager().drop_index(&Run::index_name(*tenant));
                assert_eq!(kind(dropped), (!there).then_some(ErrorKind::NotFound));
            }
            Step::Query(tenant, least) => self.query(*tenant, *least),
            Step::Watch { take, acknowledge } => self.watch(*take, *acknowledge),
            Step::ForgetCursor => {
                let there = self.manager().delete_cursor(CURSOR).unwrap();
                assert_eq!(there, self.model.cursor.take().is_some());
                self.model.replaced = None;
            }
            Step::Flush => self.manager().flush().unwrap(),
            Step::SwapBackend(tenant, changes) => self.swap_backend(*tenant, changes),
            Step::Undo(number) => self.undo(*number),
            Step::ReleaseNamespace(number) => self.release_namespace(*number),
            Step::BackUp => self.back_up(),
            Step::Restore(number) => self.restore(*number),
            Step::Reopen => self.reopen(),
        }
        self.compare();
    }

    fn hold(&mut self, slot: usize, tenant: usize, when: When) {
        let (handle, model, now) = (self.tenant(tenant), &self.model.namespace, self.model.now);
        let head = model.head();
        let (found, wanted) = match when {
            When::Head => (handle.snapshot(), Ok((head, now))),
            When::Back(back) => {
                let sequence = head.saturating_sub(u64::from(back));
                let time = if sequence == head {
                    now
                } else {
                    model.time(sequence)
                };
                let wanted = model.refuses(sequence).map_or(Ok((sequence, time)), Err);
                (handle.at(Sequence(sequence)), wanted)
            }
            When::Ago(ago) => {
                let time = now - i64::from(ago);
                let sequence = model.sequence_at(time).ok_or(ErrorKind::Compacted);
                (handle.at_time(UnixMs(time)), sequence.map(|s| (s, time)))
            }
        };
        let (sequence, expired_at) = match wanted {
            Ok(wanted) => wanted,
            Err(refused) => return assert_eq!(kind(found), Some(refused)),
        };
        let view = found.unwrap();
        assert_eq!(view.sequence(), Sequence(sequence));
        let mut rows = model.at(sequence, expired_at);
        rows.retain(|name, _| name.0 == tenant);
        self.held[slot] = Some(Held {
            tenant,
            namespace: model.id,
            needs: model.needs,
            view,
            sequence,
            rows,
        });
    }

    fn trim(&mut self) {
        let report = self.manager().trim(&TrimOptions::default()).unwrap();
        let held = self.held.iter().flatten();
        let held = held.map(|held| (held.needs, held.sequence));
        let txn = self.txn.as_ref().map(|(_, own)| (own.needs, own.sequence));
        let past = &self.model.namespace;
        let (before, needs) = (past.floor, past.needs);
        let needed = held.chain(txn).filter(|(group, _)| *group == needs);
        self.model.trim(needed.map(|(_, sequence)| sequence));
        assert_eq!(
            (report.floor_before.0, report.floor.0),
            (before, self.model.namespace.floor)
        );
    }

    fn index_name(tenant: usize) -> String {
        format!("n-{tenant}")
    }

    pub fn create_index(&mut self, tenant: usize) {
        let build = self.manager().create_index(IndexDefinition {
            name: Run::index_name(tenant),
            tenant: TENANTS[tenant].to_owned(),
            scope: "user:*".to_owned(),
            path: "$.n".to_owned(),
        });
        build.unwrap().wait().unwrap();
        self.model.namespace.indexes[tenant] = true;
    }

    fn reopen(&mut self) {
        if self.backends.is_none() {
            return;
        }
        self.held = [None, None];
        self.txn = None;
        self.backups = None;
        let manager = self.manager.take().unwrap();
        manager.close().unwrap();
        drop(manager);
        // The backend is the one that the state has.
        self.options.backend.clear();
        self.manager =
            Some(StateManager::open(self.options.clone(), self.plugins.clone()).unwrap());
        self.model.reopened();
        self.open_backups();
        self.compare_namespaces();
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
