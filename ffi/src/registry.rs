//! The process-wide registry of open managers: one state, one manager, whoever opens it.
//!
//! A state is known by its canonical path. Its first lease opens it, later ones share it, the last
//! one closes it, and only then is the entry removed; opening and closing the same state take turns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use statekeep_plugin_api::Status;

use crate::engine::{self, Config, Host};
use crate::error::Failure;

static STATES: Mutex<BTreeMap<PathBuf, Arc<State>>> = Mutex::new(BTreeMap::new());

/// One state directory: who has it open, and with what configuration.
struct State {
    health: Arc<Health>,
    inner: Mutex<Inner>,
}

/// Whether a panic was stopped while a call used the manager: it takes no more writes then.
pub(crate) struct Health {
    path: PathBuf,
    poisoned: AtomicBool,
}

impl Health {
    /// Takes no more writes from now on.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Relaxed);
    }

    /// Whether a panic has poisoned the manager.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Fails when a panic has poisoned the manager, and inside a retention policy.
    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        crate::policy::refuse_inside()?;
        if !self.is_poisoned() {
            return Ok(());
        }
        let path = self.path.display();
        let message = format!("{path} takes no more writes after a panic; close and open it again");
        Err(Failure::new(Status::POISONED, message))
    }
}

struct Inner {
    open: Option<(Arc<Host>, Config)>,
    leases: usize,
    dependents: Vec<Weak<dyn Dependent>>,
}

/// What has no lease of its own and is ended when the state is closed.
pub(crate) trait Dependent: Send + Sync {
    /// Lets go of the state. Called with the state's lock held: it must not ask for a lease.
    fn end(&self);
}

/// One reference to an open manager.
pub(crate) struct Lease {
    state: Arc<State>,
    host: Arc<Host>,
    is_live: bool,
}

/// Opens a state, or shares the manager that has it open with the same configuration.
pub(crate) fn lease(mut config: Config) -> Result<Lease, Failure> {
    config.check()?;
    let given = config.path().unwrap_or_default();
    let path = canonical(&given)?;
    let text = path
        .to_str()
        .ok_or_else(|| Failure::invalid("path", "it is not UTF-8"))?;
    // Every other path that depends on it, such as `backup.dir`, follows the canonical one.
    config.set("path", text)?;
    let state = Arc::clone(STATES.lock().entry(path.clone()).or_insert_with(|| {
        let inner = Mutex::new(Inner {
            open: None,
            leases: 0,
            dependents: Vec::new(),
        });
        let poisoned = AtomicBool::new(false);
        let health = Arc::new(Health { path, poisoned });
        Arc::new(State { health, inner })
    }));
    let leased = enter(&state, config);
    if leased.is_err() {
        forget(&state);
    }
    leased
}

fn enter(state: &Arc<State>, config: Config) -> Result<Lease, Failure> {
    let mut inner = state.inner.lock();
    let host = match &inner.open {
        Some((host, current)) => {
            if let Some(key) = difference(current, &config) {
                let message = format!(
                    "{} is open in this process with another configuration (`{key}` differs); use \
                     the same configuration, or close it everywhere first",
                    state.health.path.display(),
                );
                return Err(Failure::new(Status::CONFLICT, message).with("key", key));
            }
            Arc::clone(host)
        }
        None => {
            let host = engine::open(&config)?;
            state.health.poisoned.store(false, Ordering::Relaxed);
            inner.open = Some((Arc::clone(&host), config));
            host
        }
    };
    inner.leases += 1;
    Ok(Lease {
        state: Arc::clone(state),
        host,
        is_live: true,
    })
}

/// The first key whose value differs; `create` only matters to the one who creates.
fn difference(ours: &Config, theirs: &Config) -> Option<&'static str> {
    let keys = Config::keys()
        .iter()
        .map(|key| key.name)
        .filter(|name| *name != "create");
    let mut keys = keys.filter(|name| match (ours.get(name), theirs.get(name)) {
        (Ok(ours), Ok(theirs)) => ours != theirs,
        _ => true,
    });
    keys.next()
}

/// The canonical form of a path of which the last parts may not exist yet.
fn canonical(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |source| engine::Error::File {
        action: "resolve",
        path: path.to_path_buf(),
        source,
    };
    let whole = std::path::absolute(path).map_err(failed)?;
    let mut missing = Vec::new();
    let mut known = whole.as_path();
    loop {
        match known.canonicalize() {
            Ok(found) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(found, |path, name| path.join(name)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (known.parent(), known.file_name()) else {
                    return Err(failed(error).into());
                };
                missing.push(name);
                known = parent;
            }
            Err(error) => return Err(failed(error).into()),
        }
    }
}

/// Removes the entry of a state that nobody has, opens or waits for.
fn forget(state: &Arc<State>) {
    let mut states = STATES.lock();
    // References are taken from the map only under its lock: two mean the map's and ours.
    let is_idle = Arc::strong_count(state) == 2 && state.inner.lock().open.is_none();
    if is_idle
        && states
            .get(&state.health.path)
            .is_some_and(|found| Arc::ptr_eq(found, state))
    {
        states.remove(&state.health.path);
    }
}

impl Lease {
    /// The open state.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// One more reference.
    pub(crate) fn share(&self) -> Lease {
        self.state.inner.lock().leases += 1;
        Lease {
            state: Arc::clone(&self.state),
            host: Arc::clone(&self.host),
            is_live: true,
        }
    }

    /// Has something ended when the state is closed, unless it is gone by then.
    pub(crate) fn attach(&self, dependent: &Arc<impl Dependent + 'static>) {
        let dependents = &mut self.state.inner.lock().dependents;
        if dependents.len() == dependents.capacity() {
            dependents.retain(|other| other.strong_count() > 0);
        }
        let dependent: Weak<dyn Dependent> = Arc::downgrade(dependent) as _;
        dependents.push(dependent);
    }

    /// How many references there are.
    pub(crate) fn count(&self) -> usize {
        self.state.inner.lock().leases
    }

    /// Whether it takes writes, for those who have no lease.
    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.state.health
    }

    /// Gives the reference back; the last one closes the manager and says how that went.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.leave()
    }

    fn leave(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_live) {
            return Ok(());
        }
        let mut outcome = Ok(());
        {
            let mut inner = self.state.inner.lock();
            inner.leases -= 1;
            if inner.leases == 0 {
                // Closed under the state's lock: whoever opens it now waits and opens it anew.
                inner.open = None;
                outcome = self.host.close().map_err(Failure::from);
                for dependent in inner.dependents.drain(..) {
                    if let Some(dependent) = dependent.upgrade() {
                        dependent.end();
                    }
                }
            }
        }
        forget(&self.state);
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(failure) = self.leave() {
            crate::log::emit(
                crate::log::LOG_ERROR,
                &format!("closing a state: {}", failure.message()),
            );
        }
    }
}
