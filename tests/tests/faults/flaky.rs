//! A backend over another one that fails, tears or delays one call, counted from when it is armed.

use std::sync::Arc;

use parking_lot::Mutex;
use statekeep::engine::{
    Backend, BackendConfig, Capabilities, Codec, CommitError, Cursor, KeyRange, Plugins, RowOp,
    Space,
};
use statekeep::{Durability, Error, ErrorKind, Result};

/// What every planted error says.
pub const PLANTED: &str = "a planted fault";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A commit is refused; the next one is made.
    Refused,
    /// A commit and the one after it are refused.
    RefusedTwice,
    /// The outcome of a commit is unknown: nothing was applied, everything was, or, by a backend
    /// that breaks its promise, the first half of the rows.
    UnknownNothing,
    UnknownAll,
    UnknownTorn,
    Get,
    Scan,
    /// A scan that has begun breaks off.
    Next,
    Flush,
    /// A commit takes its time; meanwhile others read.
    Delay,
}

impl Mode {
    pub const ALL: [Mode; 10] = [
        Mode::Refused,
        Mode::RefusedTwice,
        Mode::UnknownNothing,
        Mode::UnknownAll,
        Mode::UnknownTorn,
        Mode::Get,
        Mode::Scan,
        Mode::Next,
        Mode::Flush,
        Mode::Delay,
    ];

    /// Whether nothing may be written any more when it goes wrong in the store that is in use.
    pub fn poisons(self) -> bool {
        use Mode::{Flush, UnknownAll, UnknownNothing, UnknownTorn};
        matches!(self, UnknownNothing | UnknownAll | UnknownTorn | Flush)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Commit,
    Get,
    Scan,
    Next,
    Flush,
}

impl Mode {
    fn call(self) -> Call {
        match self {
            Mode::Get => Call::Get,
            Mode::Scan => Call::Scan,
            Mode::Next => Call::Next,
            Mode::Flush => Call::Flush,
            _ => Call::Commit,
        }
    }
}

type Meanwhile = dyn Fn() + Send + Sync;

#[derive(Default)]
struct Orders {
    armed: Option<Mode>,
    /// Calls before the one that fails, and how many fail.
    before: u64,
    failing: u64,
    has_struck: bool,
    /// It went wrong in the store that was in use.
    struck_in_use: bool,
    /// Stores that were opened, and the one that is in use.
    opened: u64,
    in_use: u64,
    meanwhile: Option<Arc<Meanwhile>>,
    on_open: Option<Arc<Meanwhile>>,
}

/// Says what goes wrong, and whether it did.
#[derive(Default)]
pub struct Fault(Mutex<Orders>);

impl Fault {
    /// Plants a fault in the n-th call of its kind, from 1.
    pub fn arm(&self, mode: Mode, nth: u64) {
        let mut orders = self.0.lock();
        *orders = Orders {
            armed: Some(mode),
            before: nth - 1,
            failing: 1 + u64::from(mode == Mode::RefusedTwice),
            opened: orders.opened,
            in_use: orders.in_use,
            ..Orders::default()
        };
    }

    /// What others do while a commit takes its time.
    pub fn meanwhile(&self, work: impl Fn() + Send + Sync + 'static) {
        self.0.lock().meanwhile = Some(Arc::new(work));
    }

    /// Takes the fault back.
    pub fn disarm(&self) {
        let mut orders = self.0.lock();
        orders.armed = None;
        orders.meanwhile = None;
    }

    /// The store that was opened last is the one in use from here on.
    pub fn uses_last(&self) {
        let mut orders = self.0.lock();
        orders.in_use = orders.opened;
    }

    /// Whether it came to anything.
    pub fn has_struck(&self) -> bool {
        self.0.lock().has_struck
    }

    /// Whether it came to anything in the store that was in use then.
    pub fn has_struck_in_use(&self) -> bool {
        self.0.lock().struck_in_use
    }

    /// What others do before another store is opened.
    pub fn on_open(&self, work: impl Fn() + Send + Sync + 'static) {
        self.0.lock().on_open = Some(Arc::new(work));
    }

    fn open(&self) -> u64 {
        let on_open = self.0.lock().on_open.clone();
        if let Some(work) = on_open {
            work();
        }
        let mut orders = self.0.lock();
        orders.opened += 1;
        orders.opened
    }

    fn strikes(&self, store: u64, call: Call) -> Option<Mode> {
        let mut orders = self.0.lock();
        let mode = orders.armed.filter(|mode| mode.call() == call)?;
        if orders.before > 0 {
            orders.before -= 1;
            return None;
        }
        if orders.failing == 0 {
            return None;
        }
        orders.failing -= 1;
        orders.has_struck = true;
        orders.struck_in_use = store == orders.in_use;
        Some(mode)
    }

    fn fail(&self, store: u64, call: Call) -> Result<()> {
        self.strikes(store, call).map_or(Ok(()), |_| Err(planted()))
    }
}

fn planted() -> Error {
    Error::other(ErrorKind::Io, PLANTED)
}

/// Plugins whose backends have the fault.
pub struct FlakyPlugins {
    pub fault: Arc<Fault>,
    pub inner: Arc<dyn Plugins>,
}

impl Plugins for FlakyPlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Flaky {
            inner: self.inner.open_backend(name, config)?,
            store: self.fault.open(),
            fault: self.fault.clone(),
        }))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        self.inner.codec(name)
    }
}

struct Flaky {
    fault: Arc<Fault>,
    store: u64,
    inner: Arc<dyn Backend>,
}

impl Backend for Flaky {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.fault.fail(self.store, Call::Get)?;
        self.inner.get(space, key, out)
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        let applied = match self.fault.strikes(self.store, Call::Commit) {
            None => return self.inner.commit(ops, durability),
            Some(Mode::Delay) => {
                let meanwhile = self.fault.0.lock().meanwhile.clone();
                if let Some(meanwhile) = meanwhile {
                    std::thread::spawn(move || meanwhile()).join().unwrap();
                }
                return self.inner.commit(ops, durability);
            }
            Some(Mode::Refused | Mode::RefusedTwice) => {
                return Err(CommitError::Refused(planted()));
            }
            Some(Mode::UnknownAll) => ops,
            Some(Mode::UnknownTorn) => &ops[..ops.len() / 2],
            Some(_) => &[],
        };
        if !applied.is_empty() {
            self.inner.commit(applied, durability)?;
        }
        Err(CommitError::Unknown(planted()))
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        self.fault.fail(self.store, Call::Scan)?;
        let inner = self.inner.scan(space, range)?;
        Ok(Box::new(FlakyCursor {
            fault: &self.fault,
            store: self.store,
            inner,
        }))
    }

    fn flush(&self) -> Result<()> {
        self.fault.fail(self.store, Call::Flush)?;
        self.inner.flush()
    }
}

struct FlakyCursor<'a> {
    fault: &'a Fault,
    store: u64,
    inner: Box<dyn Cursor + 'a>,
}

impl Cursor for FlakyCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        self.fault.fail(self.store, Call::Next)?;
        self.inner.next_batch(rows_max, visit)
    }
}
