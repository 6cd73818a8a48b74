//! Restoring a whole state: a new namespace is filled beside the one in use and takes its place.
//!
//! Until `finish` the state is untouched and in use; dropped before, what was built is removed. The
//! old namespace stays in the directory as the undo. Handles and the state's id stay valid.

use std::collections::HashSet;
use std::sync::Arc;

use crate::batch::{check_stored, pack};
use crate::bulk::Bulk;
use crate::commit::{Heritage, Restored, SwitchWork, Work};
use crate::index::expiry_key;
use crate::record::RecordView;
use crate::state_dir::{PendingNamespace, StateDir};
use crate::{
    Backend, Class, Durability, Error, ErrorKind, KeyRange, RecordHeader, RecordKind, Result,
    Sequence, Space, StateDigest, StateManager, TenantNumber, Value, ValueKind, check_tenant,
    encode_record, split_key,
};

/// Rows that are asked of a backend at once when a namespace is read back.
const REHEARSE_ROWS: usize = 256;
/// Highest sequence of a source. A state goes on behind it, and no clock lets it come to the end.
const SEQUENCE_MAX: Sequence = Sequence(1 << 62);

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
    source: RestoreSource,
    tenants: HashSet<TenantNumber>,
    pending: PendingNamespace,
    backend: String,
    bulk: Bulk,
    records: u64,
}

impl StateManager {
    /// Starts a restore: a new namespace of the state's backend, to be filled with `put`.
    pub fn begin_restore(self: &Arc<Self>, source: RestoreSource) -> Result<NamespaceBuilder> {
        self.committer.check_poison()?;
        let dir = self.committer.namespace_arc()?.dir.clone();
        if source.sequence > SEQUENCE_MAX {
            let reason = format!("{} is beyond any that a state comes to", source.sequence.0);
            return Err(Error::invalid("sequence of a restore source", reason));
        }
        let mut tenants = HashSet::from([TenantNumber(0)]);
        let mut names = HashSet::new();
        for (number, name) in &source.tenants {
            check_tenant(name)?;
            if !tenants.insert(*number) || !names.insert(name) {
                let reason = format!(
                    "tenant {} `{name}` is there twice or is the default",
                    number.0
                );
                return Err(Error::invalid("restore source", reason));
            }
        }
        let nothing = |_: &dyn Backend, _: &_| Ok(());
        let backend = dir.current().backend;
        let options = dir.backend_options(&backend);
        let pending = dir.create_namespace(&backend, &options, &nothing)?;
        let capabilities = pending.backend().capabilities();
        Ok(NamespaceBuilder {
            manager: self.clone(),
            dir,
            source,
            tenants,
            pending,
            backend,
            bulk: Bulk::new(capabilities),
            records: 0,
        })
    }
}

impl NamespaceBuilder {
    /// The number of a tenant, which gets the next one if the source does not name it. The empty name
    /// is the default tenant.
    pub fn tenant(&mut self, name: &str) -> Result<TenantNumber> {
        if name.is_empty() {
            return Ok(TenantNumber(0));
        }
        if let Some((number, _)) = self.source.tenants.iter().find(|(_, known)| known == name) {
            return Ok(*number);
        }
        check_tenant(name)?;
        let last = self
            .tenants
            .iter()
            .map(|tenant| tenant.0)
            .max()
            .unwrap_or(0);
        let number = TenantNumber(last.checked_add(1).ok_or_else(|| {
            let message = "all tenant numbers of this state are used up";
            Error::other(ErrorKind::TooLarge, message)
        })?);
        self.tenants.insert(number);
        self.source.tenants.push((number, name.to_owned()));
        Ok(number)
    }

    /// Adds a value under its name. Kind, codec and payload length of the header are those of the
    /// value; one of class `archive` is packed as the state packs it. Errors as of
    /// [`NamespaceBuilder::put`].
    pub fn put_value(&mut self, key: &[u8], mut header: RecordHeader, value: &Value) -> Result<()> {
        header.kind = match value.kind() {
            ValueKind::Json => RecordKind::Json,
            ValueKind::Bytes => RecordKind::Bytes,
        };
        header.codec = None;
        let mut payload = std::borrow::Cow::Borrowed(value.as_bytes());
        if header.class == Class::Archive {
            let codec = self.manager.plugins().codec(&self.manager.archive_codec)?;
            if let Some((codec, packed)) = pack(&*codec, &payload)? {
                header.codec = Some(codec);
                payload = packed.into();
            }
        }
        self.put(key, &encode_record(&header, &payload)?)
    }

    /// Adds a record under its stored key. Keys come best in order, each once.
    ///
    /// # Errors
    /// `Corrupt` for a key or record that is none; `InvalidArgument` for a tombstone, a tenant that
    /// the source does not name, or a sequence beyond that of the source.
    pub fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        let (tenant, scope, name) = split_key(key)?;
        let view =
            RecordView::read(record).map_err(|error| crate::read::in_key(&scope, &name, error))?;
        let refuse = |reason: String| {
            Err(Error::invalid(
                "restored record",
                format!("`{name}` in {scope}: {reason}"),
            ))
        };
        if view.header.kind == RecordKind::Tombstone {
            return refuse("it is a tombstone".to_owned());
        }
        if view.header.class == Class::Ephemeral {
            return refuse("it is of class `ephemeral`, which is in no backup".to_owned());
        }
        if !self.tenants.contains(&tenant) {
            return refuse(format!("the source names no tenant {}", tenant.0));
        }
        let sequence = view.header.sequence;
        if sequence == Sequence(0) || sequence > self.source.sequence {
            let last = self.source.sequence.0;
            return refuse(format!("its commit {} is not of 1 to {last}", sequence.0));
        }
        check_stored(record, self.bulk.value_bytes_max())?;

        let target = &**self.pending.backend();
        self.bulk.put(target, Space::Data, key, record)?;
        if let Some(expires) = view.header.expires {
            let row = expiry_key(expires, key);
            self.bulk.put(target, Space::Index, &row, &[])?;
        }
        self.records += 1;
        Ok(())
    }

    /// Reads back what the backend of the new namespace holds, and answers the number and the digest
    /// of its records. The namespace is removed, whatever the answer; nobody ever saw it.
    pub fn rehearse(mut self) -> Result<(u64, StateDigest)> {
        let target = &**self.pending.backend();
        self.bulk.flush(target, Durability::Relaxed)?;
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

    /// Makes the namespace durable, puts it in the place of the one in use between two commits, and
    /// answers the sequence of the restore, which is higher than any before.
    ///
    /// # Errors
    /// With any error but `Indeterminate` the state is as it was and the new namespace is removed.
    /// With `Indeterminate` the state takes no more writes; close and open it again, then look.
    pub fn finish(mut self) -> Result<Sequence> {
        let target = &**self.pending.backend();
        self.bulk.flush(target, Durability::Relaxed)?;
        target.flush()?;
        // Held to the end, so that its backend is not closed while commits wait.
        let _old = self.manager.committer.namespace_arc()?;
        let (dir, name) = (self.dir.clone(), self.backend);
        let (id, backend) = self.pending.publish()?;
        let detail = serde_json::json!({
            "source_state": self.source.state_id,
            "source_sequence": self.source.sequence.0,
            "records": self.records,
            "namespace": id.to_string(),
        });
        let tenants = self
            .source
            .tenants
            .into_iter()
            .map(|(number, name)| (name, number));
        let restored = Restored {
            backend,
            sequence: self.source.sequence,
            tenants: tenants.collect(),
            detail: detail.to_string(),
        };
        let work = SwitchWork {
            from: None,
            to: id,
            complete: Box::new({
                let (dir, name) = (dir.clone(), name.clone());
                move |turn| {
                    check_backend(&dir.current().backend, &name)?;
                    restored.complete(turn)
                }
            }),
            heritage: Heritage::Nothing,
            dir: dir.clone(),
            replace: Box::new({
                let dir = dir.clone();
                move || dir.replace_current(id, &name).map(drop)
            }),
        };
        match self
            .manager
            .committer
            .run_blocking(Work::Switch(Box::new(work)))
        {
            Ok(done) => {
                self.manager.note_backend(&dir);
                // The new namespace has the indexes' definitions and no rows of them.
                if let Err(error) = self.manager.index_worker.start(&self.manager.committer) {
                    tracing::error!(%error, "indexes are built at the next opening");
                }
                Ok(done.head)
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
