//! The moment a restored namespace takes the place of the one in use, between two commits.
//!
//! Until CURRENT is replaced the old namespace is untouched and in use; its folder stays as the
//! undo. Sequences go on rising over the change, and the timeline is a new one.

use std::sync::Arc;

use ulid::Ulid;

use super::Committer;
use super::core::{Core, Position};
use super::request::Done;
use crate::journal::{CommitKind, JournalWriter, Origin};
use crate::meta::{HeadRow, Meta, meta_ops};
use crate::namespace::Namespace;
use crate::state_dir::StateDir;
use crate::stored_key::journal_key;
use crate::{
    Backend, CommitError, Durability, Error, ErrorKind, Result, RowOp, Sequence, Space,
    TenantNumber,
};

/// A filled namespace on stable storage, not yet in use.
pub(crate) struct RestoreWork {
    pub(crate) backend: Arc<dyn Backend>,
    /// The highest sequence in it.
    pub(crate) sequence: Sequence,
    pub(crate) tenants: Vec<(String, TenantNumber)>,
    /// What the journal says about where it came from, JSON.
    pub(crate) detail: String,
    pub(crate) dir: StateDir,
    /// Replaces CURRENT; `Indeterminate` when a power cut may bring the old one back.
    pub(crate) replace: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Core {
    pub(crate) fn switch(&mut self, committer: &Committer, work: RestoreWork) -> Result<Done> {
        // The old namespace is the undo, so it must be whole on stable storage too.
        self.flush(committer)?;
        let old = self.position.head;
        let sequence = Sequence(old.sequence.max(work.sequence).0 + 1);
        let time = committer.clock.now().max(old.time);
        let mut tenants = work.tenants;
        let tenant_next = self.namespace.index.tenants_needed(&mut tenants)?;
        let meta = Meta {
            state: self.namespace.state,
            head: HeadRow {
                sequence,
                time,
                timeline: Ulid::new(),
            },
            floor: sequence,
            tenant_next,
            tenants,
            indexes: self.namespace.index.to_be_built(),
            cursors: (self.namespace.cursors().into_iter())
                .map(|(name, row)| (name, row.carried(sequence, time)))
                .collect(),
        };
        write_facts(&*work.backend, &meta, &work.detail)?;
        let generation = self.namespace.generation + 1;
        let (namespace, tenant_next) = Namespace::load(
            work.backend,
            generation,
            work.dir,
            self.namespace.index.plugins().clone(),
            self.namespace.cache.facts().bytes_max,
        )?;
        if let Err(error) = (work.replace)() {
            if error.kind() == ErrorKind::Indeterminate {
                let _ = committer.poison(error.to_string());
            }
            return Err(error);
        }
        let namespace = Arc::new(namespace);
        self.position = Position {
            head: namespace.head_row(),
            tenant_next,
        };
        self.namespace = namespace.clone();
        self.dirty = false;
        committer.put_in_use(Some(&namespace));
        Ok(Done {
            sequence: Some(sequence),
            count: 0,
            head: sequence,
        })
    }
}

/// Writes the meta rows and the first journal row of a restored namespace, durably.
fn write_facts(backend: &dyn Backend, meta: &Meta, detail: &str) -> Result<()> {
    let mut journal = Vec::new();
    let origin = Origin::default();
    let (kind, time) = (CommitKind::Restore, meta.head.time);
    JournalWriter::begin(&mut journal, kind, time, &origin, Some(detail), 0).finish(&mut journal);
    let rows = meta.rows();
    let mut ops = meta_ops(&rows);
    let key = journal_key(meta.head.sequence);
    ops.push(RowOp::Put {
        space: Space::Journal,
        key: &key,
        value: &journal,
    });
    backend
        .commit(&ops, Durability::Sync)
        .map_err(|error| match error {
            CommitError::Refused(error) | CommitError::Unknown(error) => Error::other(
                error.kind(),
                format!(
                    "the restored namespace could not be completed, the state is as it was: {error}"
                ),
            ),
        })
}
