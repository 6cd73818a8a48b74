//! A tenant's handle whose calls block, for any thread, also those of an async runtime.

use std::sync::Arc;

use crate::batch::{Encoder, check};
use crate::commit::{Done, ScopeCommand, ScopeWork, Work};
use crate::journal::Origin;
use crate::list::{Lister, Rows};
use crate::namespace::TenantSlot;
use crate::read::Reader;
use crate::{
    Batch, EntryPage, EntryVisitor, Error, Key, ListOptions, Page, Record, Result, Scope,
    ScopeListOptions, ScopePage, Sequence, SetOptions, StateManager, Value, ValueKind,
};

/// A tenant whose calls block until they are done. It can only reach keys of its tenant.
#[derive(Clone)]
pub struct BlockingTenant {
    pub(crate) manager: Arc<StateManager>,
    pub(crate) slot: Arc<TenantSlot>,
    pub(crate) origin: Arc<Origin>,
}

impl BlockingTenant {
    /// The same tenant for one user and one piece of work: every commit through the handle says in
    /// the journal who made it (`principal`) and what it belongs to (`correlation_id`); either may
    /// be empty.
    ///
    /// # Errors
    /// `InvalidArgument` for texts of more than 256 bytes.
    pub fn with_origin(&self, principal: &str, correlation_id: &str) -> Result<BlockingTenant> {
        let origin = Arc::new(Origin::new(principal, correlation_id)?);
        Ok(BlockingTenant {
            origin,
            ..self.clone()
        })
    }

    /// The tenant's name; empty for the default tenant.
    pub fn name(&self) -> &str {
        self.slot.name()
    }

    /// The state that the tenant belongs to.
    pub fn manager(&self) -> &Arc<StateManager> {
        &self.manager
    }

    /// The value of a key, if it is there.
    pub fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Value>> {
        self.with_reader(|reader| reader.get(scope, key))
    }

    /// Lends the value of a key to `lend`, if it is there, and answers what that does. Scope and key
    /// are texts, as [`Scope`] and [`Key`] read them; of a hot key nothing is copied or allocated.
    /// `lend` must not take long: it may hold up memory of other readers.
    pub fn get_with<T>(
        &self,
        scope: &str,
        key: &str,
        lend: impl FnOnce(ValueKind, &[u8]) -> T,
    ) -> Result<Option<T>> {
        self.with_reader(|reader| reader.get_with(scope, key, lend))
    }

    /// The value of a key with sequence, times and class, if it is there.
    pub fn get_record(&self, scope: &Scope, key: &Key) -> Result<Option<Record>> {
        self.with_reader(|reader| reader.get_record(scope, key))
    }

    /// Whether a key is there.
    pub fn exists(&self, scope: &Scope, key: &Key) -> Result<bool> {
        let found = self.with_reader(|reader| reader.with_record(scope, key, |_| Ok(())))?;
        Ok(found.is_some())
    }

    /// The values of several keys of a scope, in their order; at most `limits.page_keys_max`. Each
    /// is read for itself.
    pub fn get_many(&self, scope: &Scope, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        let limit = self.manager.committer.limits().page_keys_max;
        check(
            "keys in a get",
            keys.len() as u64,
            "limits.page_keys_max",
            limit,
        )?;
        keys.iter().map(|key| self.get(scope, key)).collect()
    }

    /// Sets a key and answers the commit's sequence.
    pub fn set(
        &self,
        scope: &Scope,
        key: &Key,
        value: Value,
        options: SetOptions,
    ) -> Result<Sequence> {
        let changes = self.encode(|encoder| encoder.single(scope, key, Some(value), options))?;
        let done = self.manager.committer.run_blocking(Work::Commit(changes))?;
        Ok(done.sequence.unwrap_or(done.head))
    }

    /// Deletes a key and answers the commit's sequence, or `None` when the key was not there.
    pub fn delete(
        &self,
        scope: &Scope,
        key: &Key,
        options: SetOptions,
    ) -> Result<Option<Sequence>> {
        let changes = self.encode(|encoder| encoder.single(scope, key, None, options))?;
        Ok(self
            .manager
            .committer
            .run_blocking(Work::Commit(changes))?
            .sequence)
    }

    /// Applies a batch as one commit and answers its sequence; when nothing was to change, that of
    /// the last commit.
    pub fn commit(&self, batch: Batch) -> Result<Sequence> {
        let changes = self.encode(|encoder| encoder.batch(batch))?;
        let done = self.manager.committer.run_blocking(Work::Commit(changes))?;
        Ok(done.sequence.unwrap_or(done.head))
    }

    /// A page of the keys of a scope, in order.
    pub fn list(&self, scope: &Scope, options: &ListOptions) -> Result<Page> {
        self.with_lister(|lister| lister.keys(scope, options))
    }

    /// A page of the keys and values of a scope, in order.
    pub fn scan_page(&self, scope: &Scope, options: &ListOptions) -> Result<EntryPage> {
        self.with_lister(|lister| lister.entries(&**self.manager.plugins(), scope, options))
    }

    /// As `scan_page`, without a copy: lends each entry to `visit`, in order, and answers where the
    /// next page continues. `visit` is called while the backend is being read and must be quick; what
    /// it was lent before an error counts for nothing.
    pub fn scan_page_with(
        &self,
        scope: &Scope,
        options: &ListOptions,
        visit: &mut EntryVisitor<'_>,
    ) -> Result<Option<String>> {
        let plugins = &**self.manager.plugins();
        self.with_lister(|lister| lister.entries_with(plugins, scope, options, visit))
    }

    /// A page of the scopes that hold at least one key.
    pub fn list_scopes(&self, options: &ScopeListOptions) -> Result<ScopePage> {
        self.with_lister(|lister| lister.scopes(options))
    }

    /// Removes all keys of a scope in one commit and answers how many there were. At most
    /// `limits.scope_keys_max` keys of `limits.scope_bytes_max` bytes.
    pub fn clear_scope(&self, scope: &Scope) -> Result<u64> {
        self.scope_command(ScopeCommand::Clear(scope.clone()))
    }

    /// Copies all keys of a scope into another in one commit and answers how many there were. Keys
    /// that the target has already are replaced, its other keys stay. Limits as for clearing.
    pub fn copy_scope(&self, from: &Scope, to: &Scope) -> Result<u64> {
        check_two(from, to)?;
        self.scope_command(ScopeCommand::Copy {
            from: from.clone(),
            to: to.clone(),
        })
    }

    /// As [`BlockingTenant::copy_scope`], and removes the keys from the first scope.
    pub fn move_scope(&self, from: &Scope, to: &Scope) -> Result<u64> {
        check_two(from, to)?;
        self.scope_command(ScopeCommand::Move {
            from: from.clone(),
            to: to.clone(),
        })
    }

    /// Returns when every commit acknowledged before is on stable storage.
    pub fn flush(&self) -> Result<()> {
        self.manager.flush()
    }

    fn scope_command(&self, kind: ScopeCommand) -> Result<u64> {
        let done: Done = self.manager.committer.run_blocking(self.scope_work(kind))?;
        Ok(done.count)
    }

    pub(crate) fn scope_work(&self, kind: ScopeCommand) -> Work {
        let durability = self.manager.durability;
        Work::Scope(ScopeWork {
            tenant: self.slot.clone(),
            durability,
            origin: self.origin.clone(),
            kind,
        })
    }

    /// Checks and encodes changes on the caller's thread.
    pub(crate) fn encode<T>(&self, encode: impl FnOnce(&Encoder<'_>) -> Result<T>) -> Result<T> {
        let guard = self.manager.committer.namespace()?;
        let namespace = guard.as_ref().ok_or(Error::Closed)?;
        encode(&Encoder {
            limits: self.manager.committer.limits(),
            namespace,
            tenant: &self.slot,
            origin: &self.origin,
            rules: &self.manager.rules,
            plugins: &**self.manager.plugins(),
            archive_codec: &self.manager.archive_codec,
            clock: &*self.manager.committer.clock,
            durability: self.manager.durability,
        })
    }

    fn with_reader<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T>) -> Result<T> {
        let guard = self.manager.committer.namespace()?;
        read(&Reader {
            namespace: guard.as_ref().ok_or(Error::Closed)?,
            plugins: &**self.manager.plugins(),
            clock: &*self.manager.committer.clock,
            tenant: &self.slot,
        })
    }

    fn with_lister<T>(&self, list: impl FnOnce(&Lister<'_>) -> Result<T>) -> Result<T> {
        let namespace = self.manager.committer.namespace_arc()?;
        let limits = self.manager.committer.limits();
        list(&Lister {
            rows: Rows::Live(&namespace, namespace.now(&*self.manager.committer.clock)),
            limits,
            tenant: self.slot.number(&namespace),
            counts: &self.manager.committer.counts,
        })
    }
}

pub(crate) fn check_two(from: &Scope, to: &Scope) -> Result<()> {
    if from != to {
        return Ok(());
    }
    Err(Error::invalid(
        "scope",
        format!("source and target are both {from}"),
    ))
}
