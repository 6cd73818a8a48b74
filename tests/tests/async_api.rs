//! The async API keeps its executor free: while a backend commits or reads, other tasks of the same
//! thread go on. The backend is held at a gate by the test, so nothing depends on time; a call that
//! blocked the executor would never end, which a watchdog reports.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use statekeep::{Batch, CreateOptions, Host, Key, ListOptions, Progress, RestoreOptions};
use statekeep::{Sequence, SetOptions, StateManager, Value};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Backend, BackendConfig, Capabilities, Codec, CommitError, Cursor, Durability, KeyRange,
    OpenOptions, Plugins, Result, RowOp, Scope, Space,
};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, key};
use tokio::task::{JoinSet, yield_now};

/// What is held, and how many calls wait at the gate.
#[derive(Default)]
struct Orders {
    commits_held: bool,
    reads_held: bool,
    waiting: usize,
}

#[derive(Default)]
struct Gate {
    orders: Mutex<Orders>,
    changed: Condvar,
}

impl Gate {
    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock());
        self.changed.notify_all();
    }

    fn waiting(&self) -> usize {
        self.orders.lock().waiting
    }

    fn pass(&self, held: impl Fn(&Orders) -> bool) {
        let mut orders = self.orders.lock();
        orders.waiting += 1;
        while held(&orders) {
            self.changed.wait(&mut orders);
        }
        orders.waiting -= 1;
    }
}

/// The log backend behind a gate; it says that its reads may block.
struct Gated {
    gate: Arc<Gate>,
    inner: Arc<dyn Backend>,
}

impl Backend for Gated {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            blocking_reads: true,
            ..self.inner.capabilities()
        }
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.gate.pass(|orders| orders.reads_held);
        self.inner.get(space, key, out)
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        self.gate.pass(|orders| orders.commits_held);
        self.inner.commit(ops, durability)
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        self.gate.pass(|orders| orders.reads_held);
        self.inner.scan(space, range)
    }

    fn flush(&self) -> Result<()> {
        self.gate.pass(|orders| orders.commits_held);
        self.inner.flush()
    }
}

struct GatedPlugins {
    gate: Arc<Gate>,
    inner: Arc<dyn Plugins>,
}

impl Plugins for GatedPlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Gated {
            gate: self.gate.clone(),
            inner: self.inner.open_backend(name, config)?,
        }))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        self.inner.codec(name)
    }
}

fn gated() -> (Arc<Gate>, Arc<StateManager>) {
    let disk = SimDisk::new();
    let gate = Arc::new(Gate::default());
    let plugins = GatedPlugins {
        gate: gate.clone(),
        inner: TestPlugins::shared(disk.vfs()),
    };
    let mut options = OpenOptions::new("/s", "log");
    options.vfs = disk.vfs();
    // No flush comes by itself.
    options.flush_interval_ms = 3_600_000;
    let manager = StateManager::open(options, Arc::new(plugins)).unwrap();
    (gate, manager)
}

/// Runs a test on a runtime of one thread; one that stands still is a failure, not a hang.
fn on_one_thread<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (ended, watch) = channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(test());
        ended.send(()).unwrap();
    });
    match watch.recv_timeout(Duration::from_secs(120)) {
        Err(RecvTimeoutError::Timeout) => panic!("a call blocks the executor"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => thread.join().unwrap(),
    }
}

/// Other tasks get their turn a thousand times; none of `held` ends meanwhile.
async fn goes_on<T: 'static>(held: &mut JoinSet<T>) {
    let tasks = held.len();
    let ticker = tokio::spawn(async {
        for _ in 0..1_000 {
            yield_now().await;
        }
    });
    ticker.await.unwrap();
    assert!(held.try_join_next().is_none(), "a call ended at the gate");
    assert_eq!(held.len(), tasks);
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

fn global() -> Scope {
    Scope::global()
}

fn value(n: usize) -> Value {
    Value::bytes(n.to_string())
}

#[test]
fn tasks_go_on_while_a_commit_is_under_way() {
    on_one_thread(|| async {
        let (gate, manager) = gated();
        let tenant = manager.default_tenant();
        gate.order(|orders| orders.commits_held = true);
        let mut calls = JoinSet::new();
        for n in 0..32 {
            let tenant = tenant.clone();
            calls.spawn(async move {
                let name = key(&format!("k{n}"));
                let options = SetOptions::default();
                match n % 4 {
                    0 => {
                        let mut batch = Batch::new();
                        batch.set(&global(), &name, value(n));
                        batch.set(&global(), &key(&format!("l{n}")), value(n));
                        tenant.commit(batch).await.map(|_| ())
                    }
                    _ => tenant
                        .set(&global(), &name, value(n), options)
                        .await
                        .map(|_| ()),
                }
            });
        }
        let flush = manager.clone();
        calls.spawn(async move { flush.flush_async().await });
        until(|| gate.waiting() == 1).await;
        goes_on(&mut calls).await;
        assert_eq!(manager.head(), Sequence(0), "seen before it was committed");
        gate.order(|orders| orders.commits_held = false);
        while let Some(outcome) = calls.join_next().await {
            outcome.unwrap().unwrap();
        }
        assert_eq!(manager.head(), Sequence(32));
        for n in 0..32 {
            let found = tenant.get(&global(), &key(&format!("k{n}"))).await.unwrap();
            assert_eq!(found, Some(value(n)));
        }
    });
}

#[test]
fn tasks_go_on_while_a_backend_reads() {
    on_one_thread(|| async {
        let (gate, manager) = gated();
        let tenant = manager.tenant("acme").unwrap();
        let k = key("k");
        let options = SetOptions::default();
        tenant.set(&global(), &k, value(1), options).await.unwrap();
        gate.order(|orders| orders.reads_held = true);
        let mut calls = JoinSet::new();
        for n in 0..7 {
            let (tenant, k) = (tenant.clone(), k.clone());
            calls.spawn(async move { read(&tenant, &k, n).await });
        }
        until(|| gate.waiting() > 0).await;
        goes_on(&mut calls).await;
        gate.order(|orders| orders.reads_held = false);
        while let Some(found) = calls.join_next().await {
            assert!(found.unwrap());
        }
    });
}

/// One of the ways to read; whether it shows the key.
async fn read(tenant: &statekeep::Tenant, k: &Key, way: usize) -> bool {
    let all = ListOptions::default();
    match way {
        0 => tenant.get(&global(), k).await.unwrap() == Some(value(1)),
        1 => tenant.get_record(&global(), k).await.unwrap().is_some(),
        2 => tenant.exists(&global(), k).await.unwrap(),
        3 => {
            let keys = [k.clone(), key("other")];
            let found = tenant.get_many(&global(), &keys).await.unwrap();
            found == [Some(value(1)), None]
        }
        4 => tenant.list(&global(), &all).await.unwrap().keys == ["k"],
        5 => {
            tenant
                .scan_page(&global(), &all)
                .await
                .unwrap()
                .entries
                .len()
                == 1
        }
        _ => {
            let scopes = statekeep::ScopeListOptions::default();
            tenant.list_scopes(&scopes).await.unwrap().scopes == [global()]
        }
    }
}

/// On a real backend: many tasks of one thread, each commit synced; then every blocking call, from
/// within the runtime, as careless callers do.
async fn everything(host: Arc<Host>) {
    let tenant = host.manager.default_tenant();
    let mut calls = JoinSet::new();
    for n in 0..64 {
        let tenant = tenant.clone();
        calls.spawn(async move {
            let name = key(&format!("{n:02}"));
            tenant
                .set(&global(), &name, value(n), SetOptions::default())
                .await
        });
    }
    let mut sequences = Vec::new();
    while let Some(outcome) = calls.join_next().await {
        sequences.push(outcome.unwrap().unwrap().0);
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=64).collect::<Vec<u64>>());

    let blocking = tenant.blocking();
    let k = key("00");
    blocking
        .set(&global(), &k, value(100), SetOptions::default())
        .unwrap();
    assert_eq!(blocking.get(&global(), &k).unwrap(), Some(value(100)));
    let page = blocking.list(&global(), &ListOptions::default()).unwrap();
    assert_eq!(page.keys.len(), 64);
    host.manager.flush().unwrap();
    let options = CreateOptions::default();
    let id = host.backups.create(&options, &Progress::new()).unwrap().id;
    assert_eq!(blocking.clear_scope(&global()).unwrap(), 64);
    let options = RestoreOptions {
        safety_backup: false,
        ..RestoreOptions::default()
    };
    host.backups
        .restore(id, &options, &Progress::new())
        .unwrap();
    assert_eq!(tenant.get(&global(), &k).await.unwrap(), Some(value(100)));
    host.close().unwrap();
    let error = tenant.get(&global(), &k).await.unwrap_err();
    assert_eq!(error.kind(), statekeep::ErrorKind::Closed);
}

fn host(folder: &tempfile::TempDir) -> Arc<Host> {
    states::open(&states::config(&folder.path().join("state"), "fjall"))
}

#[test]
fn blocking_calls_work_within_a_runtime_of_one_thread() {
    let folder = fixtures::folder();
    let host = host(&folder);
    on_one_thread(|| everything(host));
}

#[test]
fn blocking_calls_work_within_a_runtime_of_many_threads() {
    let folder = fixtures::folder();
    let host = host(&folder);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
        .block_on(async { tokio::spawn(everything(host)).await.unwrap() });
}
