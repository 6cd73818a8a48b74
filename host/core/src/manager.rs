//! The state manager: one open state, shared as `Arc` by everybody who uses it.
//!
//! It owns the committer and, through the namespace in use, the directory's lock. All locks are
//! inside; nothing needs to wrap it in another. After `close` every call answers `Closed`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ulid::Ulid;

use crate::cache::CacheFacts;
use crate::commit::{Committer, Done, Work};
use crate::events::EventBus;
use crate::index::IndexWorker;
use crate::meta::{Meta, STATE_FORMAT, meta_ops};
use crate::namespace::{Namespace, TenantSlot};
use crate::rules::Rules;
use crate::snapshot::DiffAhead;
use crate::state_dir::{CreateOptions, StateDir, StateId};
use crate::tenant::Tenant;
use crate::upkeep::Upkeep;
use crate::vfs::Vfs;
use crate::{
    Backend, CommitError, Durability, Error, Limits, OpenOptions, Plugins, Result, Sequence,
    UnixMs, check_tenant,
};

/// One open state.
pub struct StateManager {
    path: PathBuf,
    /// The backend in use; a swap or an undo changes it.
    pub(crate) backend_name: Mutex<String>,
    state_id: Ulid,
    pub(crate) durability: Durability,
    pub(crate) rules: Arc<Rules>,
    pub(crate) archive_codec: String,
    pub(crate) committer: Arc<Committer>,
    pub(crate) index_worker: Arc<IndexWorker>,
    pub(crate) upkeep: Arc<Upkeep>,
    plugins: Arc<dyn Plugins>,
    vfs: Arc<dyn Vfs>,
    pub(crate) diff_ahead: DiffAhead,
    events: EventBus,
}

/// What there is to know about an open state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StateInfo {
    /// The state directory.
    #[serde(serialize_with = "crate::json::path")]
    pub path: PathBuf,
    /// Short name of the backend.
    pub backend: String,
    /// Format number of the state.
    pub format: u32,
    /// The state's id, a ULID.
    pub state_id: String,
    /// The timeline's id, a ULID; a restore starts a new one.
    pub timeline: String,
    /// When the state was created.
    #[serde(rename = "created_unix_ms")]
    pub created: UnixMs,
    /// The last commit.
    pub head: Sequence,
    /// The time of the last commit.
    #[serde(rename = "head_unix_ms")]
    pub head_time: UnixMs,
    /// The oldest sequence whose snapshot can be read.
    pub floor: Sequence,
    /// The oldest sequence that an open snapshot needs.
    pub oldest_snapshot: Option<Sequence>,
    /// Named tenants that have been written to.
    pub tenants: u64,
    /// What the cache of hot records did and holds.
    pub cache: CacheFacts,
    /// Bytes of values of class `ephemeral`, with what keeping them takes.
    pub ephemeral_bytes: u64,
    /// Why no more writes are taken, after a failure.
    pub poisoned: Option<String>,
}

impl StateManager {
    /// The clock that the state was opened with.
    pub fn clock(&self) -> &Arc<dyn crate::Clock> {
        &self.committer.clock
    }

    /// Opens the state at `options.path`, or creates it there when it may. Takes the directory's
    /// lock.
    ///
    /// # Errors
    /// `NotFound` when there is no state and none may be created, `Busy` when another process has
    /// it open, `Conflict` when it uses another backend, `Corrupt` and `Incompatible` for what
    /// cannot be read.
    pub fn open(options: OpenOptions, plugins: Arc<dyn Plugins>) -> Result<Arc<StateManager>> {
        let rules = Arc::new(Rules::new(&options.rules)?);
        let create = CreateOptions {
            create: options.create,
            backend: options.backend,
            backend_options: options.backend_options,
        };
        let clock = options.clock;
        let init = |backend: &dyn Backend, id: &StateId| {
            let meta = Meta::new_state(ulid_of(id)?, clock.now());
            let rows = meta.rows();
            backend
                .commit(&meta_ops(&rows), Durability::Sync)
                .map_err(|error| match error {
                    CommitError::Refused(error) | CommitError::Unknown(error) => error,
                })
        };
        let opened = StateDir::open(
            options.vfs.clone(),
            &options.path,
            &create,
            plugins.clone(),
            &init,
        )?;
        let path = opened.dir.path().to_owned();
        let (namespace, tenant_next) = Namespace::load(
            opened.backend,
            1,
            opened.dir,
            plugins.clone(),
            options.cache_bytes,
        )?;
        let state_id = namespace.state.id;
        if state_id != ulid_of(&opened.current.state)? {
            let reason = format!(
                "CURRENT names the state {} and the namespace belongs to {state_id}; was a folder \
                 copied by hand?",
                opened.current.state
            );
            return Err(Error::corrupt(path.display().to_string(), reason));
        }
        let events = EventBus::new(Arc::clone(&clock));
        let flush_interval = Duration::from_millis(options.flush_interval_ms);
        let committer = Committer::start(
            namespace,
            tenant_next,
            clock,
            options.limits,
            flush_interval,
        )?;
        let index_worker = Arc::new(IndexWorker::default());
        let upkeep = Upkeep::new(
            committer.clone(),
            index_worker.clone(),
            rules.clone(),
            (options.keep, options.backup_hold_ms),
            options.upkeep_interval_ms,
        );
        // Dropped from here on, as by an error, it is closed.
        let manager = Arc::new(StateManager {
            path,
            backend_name: Mutex::new(opened.current.backend),
            state_id,
            durability: options.durability,
            rules,
            archive_codec: options.archive_codec,
            committer,
            index_worker,
            upkeep,
            plugins,
            vfs: options.vfs,
            diff_ahead: DiffAhead::default(),
            events,
        });
        manager.index_worker.start(&manager.committer)?;
        manager.upkeep.start()?;
        Ok(manager)
    }

    /// Ends the use of the state: commits that wait are done, everything is flushed, and the lock is
    /// released as soon as the last snapshot and read in progress is gone. Later calls answer
    /// `Closed`; closing again does nothing.
    ///
    /// # Errors
    /// `Poisoned` when writing had failed or the last flush does; the state is closed even so.
    pub fn close(&self) -> Result<()> {
        self.events.close();
        self.index_worker.stop(&self.committer);
        self.upkeep.close();
        self.committer.close()
    }

    /// The state directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Short name of the backend.
    pub fn backend_name(&self) -> String {
        self.backend_name.lock().clone()
    }

    /// The state's id, a ULID.
    pub fn state_id(&self) -> String {
        self.state_id.to_string()
    }

    /// The last commit; 0 before the first, and after `close`.
    pub fn head(&self) -> Sequence {
        self.committer
            .namespace_arc()
            .map_or(Sequence(0), |namespace| namespace.head().0)
    }

    /// What there is to know about the state.
    pub fn info(&self) -> Result<StateInfo> {
        let namespace = self.committer.namespace_arc()?;
        let (head, head_time) = namespace.head();
        Ok(StateInfo {
            path: self.path.clone(),
            backend: self.backend_name(),
            format: STATE_FORMAT,
            state_id: self.state_id.to_string(),
            timeline: namespace.timeline.to_string(),
            created: namespace.state.created,
            head,
            head_time,
            floor: namespace.floor(),
            oldest_snapshot: namespace.oldest_pin(),
            tenants: namespace.tenants().len() as u64,
            cache: namespace.cache.facts(),
            ephemeral_bytes: namespace.ephemeral.bytes(),
            poisoned: self
                .committer
                .check_poison()
                .err()
                .map(|error| error.to_string()),
        })
    }

    /// A tenant by name. The empty name is the default tenant. A new name takes no room until the
    /// first write.
    pub fn tenant(self: &Arc<Self>, name: &str) -> Result<Tenant> {
        if !name.is_empty() {
            check_tenant(name)?;
        }
        Ok(Tenant::new(self.clone(), Arc::new(TenantSlot::new(name))))
    }

    /// The tenant without a name.
    pub fn default_tenant(self: &Arc<Self>) -> Tenant {
        Tenant::new(self.clone(), Arc::new(TenantSlot::new("")))
    }

    /// Returns when every commit acknowledged before is on stable storage.
    pub fn flush(&self) -> Result<()> {
        self.committer.run_blocking(Work::Flush).map(|_: Done| ())
    }

    /// As [`StateManager::flush`], without blocking.
    pub async fn flush_async(&self) -> Result<()> {
        self.committer.run(Work::Flush).await.map(|_: Done| ())
    }

    /// What happens to the state as a whole, for whoever subscribes.
    pub fn events(&self) -> &EventBus {
        &self.events
    }

    /// Where backends and codecs come from.
    pub fn plugins(&self) -> &Arc<dyn Plugins> {
        &self.plugins
    }

    /// The limits that it was opened with.
    pub fn limits(&self) -> &Limits {
        self.committer.limits()
    }

    /// The file layer.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }
}

impl Drop for StateManager {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(path = %self.path.display(), %error, "closing the state failed");
        }
    }
}

pub(crate) fn ulid_of(id: &StateId) -> Result<Ulid> {
    Ulid::from_string(&id.to_string())
        .map_err(|error| Error::corrupt("state id", error.to_string()))
}
