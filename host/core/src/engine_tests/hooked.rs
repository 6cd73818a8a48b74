//! A backend for tests whose cursors deliver few rows at once and let a test act in between.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::testing::TestPlugins;
use crate::vfs::Vfs;
use crate::{
    Backend, BackendConfig, Capabilities, Codec, CommitError, Cursor, Durability, KeyRange,
    Plugins, Result, RowOp, Space,
};

/// Called before rows of a space are read, on the thread that reads them.
type Act = dyn FnMut(Space) + Send;

#[derive(Default)]
pub(super) struct Hook {
    act: Mutex<Option<Box<Act>>>,
}

impl Hook {
    /// From now on this is called before each batch; not for what it reads itself.
    pub(super) fn set(&self, act: impl FnMut(Space) + Send + 'static) {
        *self.act.lock() = Some(Box::new(act));
    }

    pub(super) fn clear(&self) {
        *self.act.lock() = None;
    }

    fn call(&self, space: Space) {
        let taken = self.act.lock().take();
        if let Some(mut act) = taken {
            act(space);
            self.act.lock().get_or_insert(act);
        }
    }
}

pub(super) struct HookPlugins {
    hook: Arc<Hook>,
    inner: Arc<dyn Plugins>,
}

impl HookPlugins {
    pub(super) fn over(vfs: Arc<dyn Vfs>) -> (Arc<Hook>, Arc<dyn Plugins>) {
        let hook = Arc::new(Hook::default());
        let plugins = HookPlugins {
            hook: hook.clone(),
            inner: TestPlugins::shared(vfs),
        };
        (hook, Arc::new(plugins))
    }
}

impl Plugins for HookPlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Hooked {
            hook: self.hook.clone(),
            inner: self.inner.open_backend(name, config)?,
        }))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        self.inner.codec(name)
    }
}

struct Hooked {
    hook: Arc<Hook>,
    inner: Arc<dyn Backend>,
}

impl Backend for Hooked {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.inner.get(space, key, out)
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        self.inner.commit(ops, durability)
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        Ok(Box::new(HookedCursor {
            hook: &self.hook,
            space,
            inner: self.inner.scan(space, range)?,
        }))
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }
}

struct HookedCursor<'a> {
    hook: &'a Hook,
    space: Space,
    inner: Box<dyn Cursor + 'a>,
}

impl Cursor for HookedCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        self.hook.call(self.space);
        self.inner.next_batch(rows_max.min(2), visit)
    }
}
