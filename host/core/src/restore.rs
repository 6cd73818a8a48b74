//! Restoring a whole state: a new namespace is filled beside the one in use and takes its place.
//!
//! Until `finish` the state is untouched and in use; dropped before, what was built is removed. The
//! old namespace stays in the directory as the undo. Handles and the state's id stay valid.

mod fill;
mod fresh;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value as Json};

use crate::commit::{Heritage, Restored, SwitchWork, Work};
use crate::meta::Fork;
use crate::state_dir::{NamespaceId, PendingNamespace, StateDir};
use crate::{
    Error, ErrorKind, KeyRange, RecordHeader, Result, Sequence, Space, StateDigest, StateManager,
    TenantNumber, Value,
};

use fill::Filling;
pub use fresh::{FreshState, RestoredState};

/// Rows that are asked of a backend at once when a namespace is read back.
const REHEARSE_ROWS: usize = 256;

/// Where restored records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreSource {
    /// The id of the state that they were taken from.
    pub state_id: String,
    /// The sequence at which they were taken; no record has a higher one.
    pub sequence: Sequence,
    /// Its named tenants.
    pub tenants: Vec<(TenantNumber, String)>,
}

/// A namespace that is being filled.
pub struct NamespaceBuilder {
    manager: Arc<StateManager>,
    dir: StateDir,
    filling: Filling,
    pending: PendingNamespace,
    /// The backend of the namespace and its settings.
    backend: (String, Json),
    /// The state's backend when it began.
    from: String,
    notes: Map<String, Json>,
    fork: Option<Fork>,
}

/// A restore that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreDone {
    /// The commit of the restore, higher than any before.
    pub sequence: Sequence,
    /// The namespace in use now.
    pub namespace: NamespaceId,
    /// The one that was in use, which is kept as the undo.
    pub replaced: NamespaceId,
}

impl StateManager {
    /// Starts a restore: a new namespace of the state's backend, to be filled with `put`.
    pub fn begin_restore(self: &Arc<Self>, source: RestoreSource) -> Result<NamespaceBuilder> {
        self.begin_restore_on(source, None)
    }

    /// As [`StateManager::begin_restore`], on another backend with its settings, which hold until
    /// the state is closed; later openings take the configuration's.
    pub fn begin_restore_on(
        self: &Arc<Self>,
        source: RestoreSource,
        backend: Option<(&str, &Json)>,
    ) -> Result<NamespaceBuilder> {
        self.committer.check_poison()?;
        let dir = self.committer.namespace_arc()?.dir.clone();
        let from = dir.current().backend;
        let (name, options) = match backend {
            Some((name, options)) => (name.to_owned(), options.clone()),
            None => (from.clone(), dir.backend_options(&from)),
        };
        let pending = dir.create_namespace(&name, &options, &|_, _| Ok(()))?;
        let filling = Filling::new(source, pending.backend().capabilities())?;
        Ok(NamespaceBuilder {
            manager: self.clone(),
            dir,
            filling,
            pending,
            backend: (name, options),
            from,
            notes: Map::new(),
            fork: None,
        })
    }
}

impl NamespaceBuilder {
    /// The number of a tenant, which gets the next one if the source does not name it. The empty name
    /// is the default tenant.
    pub fn tenant(&mut self, name: &str) -> Result<TenantNumber> {
        self.filling.tenant(name)
    }

    /// Adds to what the journal says about the restore.
    pub fn note(&mut self, name: &str, value: impl Into<Json>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    /// Says whose past the restored state has: that of this timeline up to the source's sequence. What
    /// is no timeline's id is not kept.
    pub fn fork_of(&mut self, timeline: &str) {
        self.fork = Fork::of(timeline, self.filling.source.sequence);
    }

    /// Adds a value under its name. Kind, codec and payload length of the header are those of the
    /// value; one of class `archive` is packed as the state packs it. Errors as of
    /// [`NamespaceBuilder::put`].
    pub fn put_value(&mut self, key: &[u8], header: RecordHeader, value: &Value) -> Result<()> {
        let record = fill::encode(&self.manager, header, value)?;
        self.put(key, &record)
    }

    /// Adds a record under its stored key. Keys come best in order, each once.
    ///
    /// # Errors
    /// `Corrupt` for a key or record that is none; `InvalidArgument` for a tombstone, a tenant that
    /// the source does not name, or a sequence beyond that of the source.
    pub fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        self.filling.put(&**self.pending.backend(), key, record)
    }

    /// Reads back what the backend of the new namespace holds, and answers the number and the digest
    /// of its records. The namespace is removed, whatever the answer; nobody ever saw it.
    pub fn rehearse(mut self) -> Result<(u64, StateDigest)> {
        let target = &**self.pending.backend();
        self.filling.flush(target)?;
        target.flush()?;
        let (mut records, mut digest) = (0, StateDigest::default());
        let mut rows = target.scan(Space::Data, KeyRange::default())?;
        let mut add = |key: &[u8], record: &[u8]| {
            digest.add(key, record);
            records += 1;
        };
        while rows.next_batch(REHEARSE_ROWS, &mut add)? > 0 {}
        Ok((records, digest))
    }

    /// As [`NamespaceBuilder::complete`], and answers the sequence of the restore.
    pub fn finish(self) -> Result<Sequence> {
        Ok(self.complete()?.sequence)
    }

    /// Makes the namespace durable and puts it in the place of the one in use between two commits.
    ///
    /// # Errors
    /// With any error but `Indeterminate` the state is as it was and the new namespace is removed.
    /// With `Indeterminate` the state takes no more writes; close and open it again, then look.
    pub fn complete(mut self) -> Result<RestoreDone> {
        let target = &**self.pending.backend();
        self.filling.flush(target)?;
        target.flush()?;
        // Held to the end, so that its backend is not closed while commits wait.
        let _old = self.manager.committer.namespace_arc()?;
        let (dir, (name, options)) = (self.dir.clone(), self.backend);
        let (id, backend) = self.pending.publish()?;
        let Filling {
            source, records, ..
        } = self.filling;
        let mut detail = self.notes;
        detail.insert("namespace".to_owned(), id.to_string().into());
        fill::describe(&mut detail, &source, records);
        let tenants = source
            .tenants
            .into_iter()
            .map(|(number, name)| (name, number));
        let restored = Restored {
            backend,
            sequence: source.sequence,
            tenants: tenants.collect(),
            fork: self.fork,
            detail: Json::Object(detail).to_string(),
        };
        let replaced = Arc::new(Mutex::new(None));
        let work = SwitchWork {
            from: None,
            to: id,
            complete: Box::new({
                let (dir, from, replaced) = (dir.clone(), self.from, replaced.clone());
                move |turn| {
                    check_backend(&dir.current().backend, &from)?;
                    *replaced.lock() = Some(turn.namespace.id);
                    restored.complete(turn)
                }
            }),
            heritage: Heritage::Nothing,
            dir: dir.clone(),
            replace: Box::new({
                let (dir, name) = (dir.clone(), name.clone());
                move || dir.replace_current(id, &name).map(drop)
            }),
        };
        match self
            .manager
            .committer
            .run_blocking(Work::Switch(Box::new(work)))
        {
            Ok(done) => {
                dir.set_backend_options(&name, options);
                self.manager.note_backend(&dir);
                // The new namespace has the indexes' definitions and no rows of them.
                if let Err(error) = self.manager.index_worker.start(&self.manager.committer) {
                    tracing::error!(%error, "indexes are built at the next opening");
                }
                let replaced = replaced.lock().take();
                Ok(RestoreDone {
                    sequence: done.head,
                    namespace: id,
                    replaced: replaced.ok_or(Error::Closed)?,
                })
            }
            Err(error) => {
                dir.give_up(id, &error);
                Err(error)
            }
        }
    }
}

fn check_backend(current: &str, of_restore: &str) -> Result<()> {
    if current == of_restore {
        return Ok(());
    }
    let message = format!(
        "the state was moved from {of_restore} to {current} while it was being restored; it is as it \
         was, restore it again"
    );
    Err(Error::other(ErrorKind::Conflict, message))
}
