//! The engine as a user sees it, on the log backend over a simulated disk.

mod atomic;
mod basics;
mod caching;
mod counting;
mod crash;
mod cursors;
mod gate;
mod groups;
mod history;
mod hooked;
mod index_builds;
mod indexes;
mod limits;
mod model;
mod past;
mod poison;
mod query_model;
mod restores;
mod since;
mod snapshots;
mod spine;
mod swap_faults;
mod swap_plugins;
mod swap_proofs;
mod swaps;
mod transaction_ends;
mod transactions;
mod undo;
mod upkeep;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::testing::TestPlugins;
use crate::vfs::Vfs;
use crate::vfs::sim::SimDisk;
use crate::{
    BlockingTenant, Clock, Key, OpenOptions, Result, Scope, SetOptions, StateManager, UnixMs, Value,
};

/// A clock that a test sets.
pub(super) struct TestClock(AtomicI64);

impl TestClock {
    pub(super) fn set(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

pub(super) fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicI64::new(1_000)))
}

/// Options for the state `/s` on the log backend.
pub(super) fn options(vfs: Arc<dyn Vfs>) -> OpenOptions {
    let mut options = OpenOptions::new("/s", "log");
    options.vfs = vfs;
    options.clock = clock();
    options.archive_codec = "store".to_owned();
    options
}

pub(super) fn open_with(options: OpenOptions) -> Result<Arc<StateManager>> {
    let plugins = TestPlugins::shared(options.vfs.clone());
    StateManager::open(options, plugins)
}

pub(super) fn open(disk: &SimDisk) -> Arc<StateManager> {
    open_with(options(disk.vfs())).unwrap()
}

pub(super) fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(super) fn text(value: Option<Value>) -> Option<String> {
    value.map(|value| String::from_utf8(value.into_bytes()).unwrap())
}

/// Short forms for tests.
pub(super) trait Short {
    fn put(&self, scope: &str, key: &str, value: &str) -> u64;
    fn read(&self, scope: &str, key: &str) -> Option<String>;
    fn remove(&self, scope: &str, key: &str) -> Option<u64>;
}

impl Short for BlockingTenant {
    fn put(&self, s: &str, k: &str, value: &str) -> u64 {
        let value = Value::bytes(value);
        self.set(&scope(s), &key(k), value, SetOptions::default())
            .unwrap()
            .0
    }

    fn read(&self, s: &str, k: &str) -> Option<String> {
        text(self.get(&scope(s), &key(k)).unwrap())
    }

    fn remove(&self, s: &str, k: &str) -> Option<u64> {
        self.delete(&scope(s), &key(k), SetOptions::default())
            .unwrap()
            .map(|s| s.0)
    }
}
