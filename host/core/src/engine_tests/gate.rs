//! A backend for tests that can be held, refused and broken, over any other.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::testing::TestPlugins;
use crate::vfs::Vfs;
use crate::{
    Backend, BackendConfig, Capabilities, Codec, CommitError, Cursor, Durability, Error, ErrorKind,
    KeyRange, Plugins, Result, RowOp, Space,
};

/// What the gate does, and what it has seen.
#[derive(Default)]
pub(super) struct Orders {
    /// Commits wait as long as this holds.
    pub(super) held: bool,
    /// Commits that contain this text in a value are refused.
    pub(super) refuse: Option<&'static str>,
    /// Commits with a row of this space are refused.
    pub(super) refuse_in: Option<Space>,
    /// The next commit is applied and answered with "unknown".
    pub(super) lie_once: bool,
    pub(super) fail_flush: bool,
    /// Commits become visible in two parts: `data` first, the rest a moment later.
    pub(super) torn: bool,
    pub(super) panic_once: bool,
    pub(super) commits: Vec<(usize, Durability)>,
    pub(super) flushes: usize,
    /// How often the journal was read from some commit to its end.
    pub(super) journal_passes: usize,
    /// Commits that wait at the gate.
    pub(super) waiting: usize,
    pub(super) ops_max: Option<u64>,
    pub(super) blocking_reads: bool,
}

#[derive(Default)]
pub(super) struct Gate {
    pub(super) orders: Mutex<Orders>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock());
        self.changed.notify_all();
    }

    /// Waits until the orders are as a test wants them.
    pub(super) fn wait(&self, until: impl Fn(&Orders) -> bool) {
        let mut orders = self.orders.lock();
        while !until(&orders) {
            self.changed.wait(&mut orders);
        }
    }
}

pub(super) struct GatePlugins {
    pub(super) gate: Arc<Gate>,
    inner: Arc<dyn Plugins>,
}

impl GatePlugins {
    pub(super) fn over(vfs: Arc<dyn Vfs>) -> (Arc<Gate>, Arc<dyn Plugins>) {
        let gate = Arc::new(Gate::default());
        (
            gate.clone(),
            Arc::new(GatePlugins {
                gate,
                inner: TestPlugins::shared(vfs),
            }),
        )
    }
}

impl Plugins for GatePlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        let inner = self.inner.open_backend(name, config)?;
        Ok(Arc::new(Gated {
            gate: self.gate.clone(),
            inner,
        }))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        self.inner.codec(name)
    }
}

struct Gated {
    gate: Arc<Gate>,
    inner: Arc<dyn Backend>,
}

fn contains(op: &RowOp<'_>, text: &str) -> bool {
    match op {
        RowOp::Put {
            space: Space::Data,
            value,
            ..
        } => value
            .windows(text.len())
            .any(|window| window == text.as_bytes()),
        _ => false,
    }
}

fn space_of(op: &RowOp<'_>) -> Space {
    match op {
        RowOp::Put { space, .. } | RowOp::Delete { space, .. } => *space,
    }
}

impl Backend for Gated {
    fn capabilities(&self) -> Capabilities {
        let orders = self.gate.orders.lock();
        let mut capabilities = self.inner.capabilities();
        capabilities.commit_ops_max = orders.ops_max.unwrap_or(capabilities.commit_ops_max);
        capabilities.blocking_reads = orders.blocking_reads;
        capabilities
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.inner.get(space, key, out)
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        let mut orders = self.gate.orders.lock();
        orders.waiting += 1;
        self.gate.changed.notify_all();
        while orders.held {
            self.gate.changed.wait(&mut orders);
        }
        orders.waiting -= 1;
        if std::mem::take(&mut orders.panic_once) {
            drop(orders);
            panic!("planted");
        }
        let planted = |op: &RowOp<'_>| orders.refuse.is_some_and(|text| contains(op, text));
        let in_space = |op: &RowOp<'_>| orders.refuse_in == Some(space_of(op));
        if ops.iter().any(|op| planted(op) || in_space(op)) {
            let message = "the disk is full";
            return Err(CommitError::Refused(Error::other(
                ErrorKind::NoSpace,
                message,
            )));
        }
        orders.commits.push((ops.len(), durability));
        let lie = std::mem::take(&mut orders.lie_once);
        let torn = orders.torn;
        drop(orders);
        if torn {
            let is_data = |op: &&RowOp<'_>| {
                matches!(
                    op,
                    RowOp::Put {
                        space: Space::Data,
                        ..
                    } | RowOp::Delete {
                        space: Space::Data,
                        ..
                    }
                )
            };
            let (data, rest): (Vec<_>, Vec<_>) = ops.iter().partition(is_data);
            self.inner.commit(&data, durability)?;
            for _ in 0..3 {
                std::thread::yield_now();
            }
            self.inner.commit(&rest, durability)?;
        } else {
            self.inner.commit(ops, durability)?;
        }
        if lie {
            return Err(CommitError::Unknown(Error::other(
                ErrorKind::Io,
                "the wire broke",
            )));
        }
        Ok(())
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        if space == Space::Journal && range.hi.is_none() && !range.reverse {
            self.gate.orders.lock().journal_passes += 1;
        }
        self.inner.scan(space, range)
    }

    fn flush(&self) -> Result<()> {
        let fails = {
            let mut orders = self.gate.orders.lock();
            orders.flushes += 1;
            orders.fail_flush
        };
        self.gate.changed.notify_all();
        if fails {
            Err(Error::other(ErrorKind::Io, "flush: input/output error"))
        } else {
            self.inner.flush()
        }
    }
}
