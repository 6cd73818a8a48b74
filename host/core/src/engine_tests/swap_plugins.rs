//! Backends for tests of swaps: a hook before each write of one, limits, and what was opened how.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::namespace::Namespace;
use crate::testing::TestPlugins;
use crate::vfs::Vfs;
use crate::{
    Backend, BackendConfig, Capabilities, Codec, CommitError, Cursor, Durability, KeyRange,
    Plugins, Result, RowOp, Space,
};

type Hook = Arc<dyn Fn() + Send + Sync>;
/// Space, key and value.
pub(super) type Row = (Space, Vec<u8>, Vec<u8>);

pub(super) struct SwapPlugins {
    inner: Arc<dyn Plugins>,
    orders: Arc<Mutex<Orders>>,
}

struct Orders {
    hook: Option<(&'static str, Hook)>,
    value_bytes_max: u64,
    opened: Vec<(String, serde_json::Value)>,
    loses: Option<(&'static str, Space)>,
}

impl SwapPlugins {
    pub(super) fn over(vfs: Arc<dyn Vfs>) -> Arc<SwapPlugins> {
        Arc::new(SwapPlugins {
            inner: TestPlugins::shared(vfs),
            orders: Arc::new(Mutex::new(Orders {
                hook: None,
                value_bytes_max: u64::MAX,
                opened: Vec::new(),
                loses: None,
            })),
        })
    }

    /// Calls a function before each commit, flush and scan of a backend.
    pub(super) fn on_write(&self, backend: &'static str, hook: impl Fn() + Send + Sync + 'static) {
        self.orders.lock().hook = Some((backend, Arc::new(hook)));
    }

    /// Backends that are opened from now on take no longer values.
    pub(super) fn limit_values(&self, bytes_max: u64) {
        self.orders.lock().value_bytes_max = bytes_max;
    }

    /// A backend loses one row of a space in each commit, without a word.
    pub(super) fn lose(&self, rows: Option<(&'static str, Space)>) {
        self.orders.lock().loses = rows;
    }

    /// Every backend that was opened, with its options.
    pub(super) fn opened(&self) -> Vec<(String, serde_json::Value)> {
        self.orders.lock().opened.clone()
    }
}

impl Plugins for SwapPlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        let inner = self.inner.open_backend(name, config)?;
        let mut orders = self.orders.lock();
        let opened = (name.to_owned(), config.options.clone());
        orders.opened.push(opened);
        Ok(Arc::new(Watched {
            name: name.to_owned(),
            value_bytes_max: orders.value_bytes_max,
            orders: self.orders.clone(),
            inner,
        }))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        self.inner.codec(name)
    }
}

struct Watched {
    name: String,
    value_bytes_max: u64,
    orders: Arc<Mutex<Orders>>,
    inner: Arc<dyn Backend>,
}

impl Watched {
    fn call(&self) {
        let hook = self.orders.lock().hook.clone();
        if let Some((_, hook)) = hook.filter(|(name, _)| *name == self.name) {
            hook();
        }
    }
}

impl Backend for Watched {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            value_bytes_max: self.value_bytes_max,
            // So that a small state takes many commits.
            commit_ops_max: 40,
            ..self.inner.capabilities()
        }
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.inner.get(space, key, out)
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        self.call();
        let loses = self.orders.lock().loses;
        let lost = loses.filter(|(name, _)| *name == self.name);
        let is_lost = |op: &&RowOp<'_>| matches!(op, RowOp::Put { space, .. } if lost.is_some_and(|(_, lost)| lost == *space));
        let lost = ops.iter().position(|op| is_lost(&op));
        let kept = ops.iter().enumerate().filter(|(at, _)| Some(*at) != lost);
        let kept: Vec<_> = kept.map(|(_, op)| *op).collect();
        self.inner.commit(&kept, durability)
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        self.call();
        self.inner.scan(space, range)
    }

    fn flush(&self) -> Result<()> {
        self.call();
        self.inner.flush()
    }
}

/// Every row of a backend.
pub(super) fn dump(backend: &dyn Backend) -> Vec<Row> {
    let mut rows = Vec::new();
    let spaces = [
        Space::Data,
        Space::History,
        Space::Journal,
        Space::Index,
        Space::Meta,
    ];
    for space in spaces {
        let mut cursor = backend.scan(space, KeyRange::default()).unwrap();
        let mut visit = |key: &[u8], value: &[u8]| rows.push((space, key.to_vec(), value.to_vec()));
        while cursor.next_batch(100, &mut visit).unwrap() > 0 {}
    }
    rows
}

impl Namespace {
    /// Every row, in words.
    pub(super) fn backend_rows(&self) -> Vec<String> {
        let text = |(space, key, value): Row| {
            let value = value.escape_ascii().to_string();
            format!("{space:?} {} {value:.120}", key.escape_ascii())
        };
        dump(&*self.backend).into_iter().map(text).collect()
    }
}
