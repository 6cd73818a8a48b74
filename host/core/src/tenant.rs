//! A tenant's handle for async callers.
//!
//! Commits wait for the committer without blocking; dropping such a future does not take the commit
//! back. Reads of a backend that may wait for a disk, and all scans, leave the executor's thread
//! when there is a tokio runtime.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::blocking::check_two;
use crate::commit::{Done, ScopeCommand, Work};
use crate::namespace::TenantSlot;
use crate::{
    Batch, BlockingTenant, DiffOptions, DiffPage, EntryPage, Error, ErrorKind, HistoryOptions,
    HistoryPage, Key, ListOptions, Page, Record, Result, Scope, ScopeListOptions, ScopePage,
    Sequence, SetOptions, StateManager, Value,
};

/// A tenant. It can only reach keys of its tenant; clones share it.
#[derive(Clone)]
pub struct Tenant {
    inner: BlockingTenant,
}

impl Tenant {
    pub(crate) fn new(manager: Arc<StateManager>, slot: Arc<TenantSlot>) -> Tenant {
        Tenant {
            inner: BlockingTenant {
                manager,
                slot,
                origin: Arc::default(),
            },
        }
    }

    /// The same tenant for one user and one piece of work; see [`BlockingTenant::with_origin`].
    pub fn with_origin(&self, principal: &str, correlation_id: &str) -> Result<Tenant> {
        let inner = self.inner.with_origin(principal, correlation_id)?;
        Ok(Tenant { inner })
    }

    /// The same tenant with calls that block.
    pub fn blocking(&self) -> BlockingTenant {
        self.inner.clone()
    }

    /// The tenant's name; empty for the default tenant.
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// The state that the tenant belongs to.
    pub fn manager(&self) -> &Arc<StateManager> {
        self.inner.manager()
    }

    /// The value of a key, if it is there.
    pub async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Value>> {
        if !self.reads_block()? {
            return self.inner.get(scope, key);
        }
        let (scope, key) = (scope.clone(), key.clone());
        self.aside(move |tenant| tenant.get(&scope, &key)).await
    }

    /// The value of a key with sequence, times and class, if it is there.
    pub async fn get_record(&self, scope: &Scope, key: &Key) -> Result<Option<Record>> {
        if !self.reads_block()? {
            return self.inner.get_record(scope, key);
        }
        let (scope, key) = (scope.clone(), key.clone());
        self.aside(move |tenant| tenant.get_record(&scope, &key))
            .await
    }

    /// Whether a key is there.
    pub async fn exists(&self, scope: &Scope, key: &Key) -> Result<bool> {
        if !self.reads_block()? {
            return self.inner.exists(scope, key);
        }
        let (scope, key) = (scope.clone(), key.clone());
        self.aside(move |tenant| tenant.exists(&scope, &key)).await
    }

    /// The values of several keys of a scope, in their order; at most `limits.page_keys_max`. Each
    /// is read for itself.
    pub async fn get_many(&self, scope: &Scope, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        let (scope, keys) = (scope.clone(), keys.to_vec());
        self.aside(move |tenant| tenant.get_many(&scope, &keys))
            .await
    }

    /// Sets a key and answers the commit's sequence.
    pub async fn set(
        &self,
        scope: &Scope,
        key: &Key,
        value: Value,
        options: SetOptions,
    ) -> Result<Sequence> {
        let changes = self
            .inner
            .encode(|encoder| encoder.single(scope, key, Some(value), options))?;
        let done = self.run(Work::Commit(changes)).await?;
        Ok(done.sequence.unwrap_or(done.head))
    }

    /// Deletes a key and answers the commit's sequence, or `None` when the key was not there.
    pub async fn delete(
        &self,
        scope: &Scope,
        key: &Key,
        options: SetOptions,
    ) -> Result<Option<Sequence>> {
        let changes = self
            .inner
            .encode(|encoder| encoder.single(scope, key, None, options))?;
        Ok(self.run(Work::Commit(changes)).await?.sequence)
    }

    /// Applies a batch as one commit and answers its sequence; when nothing was to change, that of
    /// the last commit.
    pub async fn commit(&self, batch: Batch) -> Result<Sequence> {
        let changes = self.inner.encode(|encoder| encoder.batch(batch))?;
        let done = self.run(Work::Commit(changes)).await?;
        Ok(done.sequence.unwrap_or(done.head))
    }

    /// A page of the keys of a scope, in order.
    pub async fn list(&self, scope: &Scope, options: &ListOptions) -> Result<Page> {
        let (scope, options) = (scope.clone(), options.clone());
        self.aside(move |tenant| tenant.list(&scope, &options))
            .await
    }

    /// A page of the keys and values of a scope, in order.
    pub async fn scan_page(&self, scope: &Scope, options: &ListOptions) -> Result<EntryPage> {
        let (scope, options) = (scope.clone(), options.clone());
        self.aside(move |tenant| tenant.scan_page(&scope, &options))
            .await
    }

    /// A page of the scopes that hold at least one key.
    pub async fn list_scopes(&self, options: &ScopeListOptions) -> Result<ScopePage> {
        let options = options.clone();
        self.aside(move |tenant| tenant.list_scopes(&options)).await
    }

    /// Removes all keys of a scope in one commit and answers how many there were. At most
    /// `limits.scope_keys_max` keys of `limits.scope_bytes_max` bytes.
    pub async fn clear_scope(&self, scope: &Scope) -> Result<u64> {
        self.scope_command(ScopeCommand::Clear(scope.clone())).await
    }

    /// Copies all keys of a scope into another in one commit and answers how many there were. Keys
    /// that the target has already are replaced, its other keys stay. Limits as for clearing.
    pub async fn copy_scope(&self, from: &Scope, to: &Scope) -> Result<u64> {
        check_two(from, to)?;
        self.scope_command(ScopeCommand::Copy {
            from: from.clone(),
            to: to.clone(),
        })
        .await
    }

    /// As [`Tenant::copy_scope`], and removes the keys from the first scope.
    pub async fn move_scope(&self, from: &Scope, to: &Scope) -> Result<u64> {
        check_two(from, to)?;
        self.scope_command(ScopeCommand::Move {
            from: from.clone(),
            to: to.clone(),
        })
        .await
    }

    /// What a key was over time; see [`BlockingTenant::history`].
    pub async fn history(
        &self,
        scope: &Scope,
        key: &Key,
        options: &HistoryOptions,
    ) -> Result<HistoryPage> {
        let (scope, key, options) = (scope.clone(), key.clone(), *options);
        self.aside(move |tenant| tenant.history(&scope, &key, &options))
            .await
    }

    /// What changed between two commits; see [`BlockingTenant::diff`].
    pub async fn diff(
        &self,
        before: Sequence,
        after: Sequence,
        options: &DiffOptions,
    ) -> Result<DiffPage> {
        let options = options.clone();
        self.aside(move |tenant| tenant.diff(before, after, &options))
            .await
    }

    /// Returns when every commit acknowledged before is on stable storage.
    pub async fn flush(&self) -> Result<()> {
        self.inner.manager.flush_async().await
    }

    async fn scope_command(&self, kind: ScopeCommand) -> Result<u64> {
        let work = self.inner.scope_work(kind);
        Ok(self.run(work).await?.count)
    }

    async fn run(&self, work: Work) -> Result<Done> {
        self.inner.manager.committer.run(work).await
    }

    fn reads_block(&self) -> Result<bool> {
        let guard = self.inner.manager.committer.namespace()?;
        Ok(guard
            .as_ref()
            .ok_or(Error::Closed)?
            .capabilities
            .blocking_reads)
    }

    /// Runs a read on a thread that may block, or here when there is no runtime.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&BlockingTenant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.inner.clone();
        aside(move || read(&inner)).await
    }
}

/// Runs a read on a thread that may block, or here when there is no runtime.
pub(crate) async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let Ok(runtime) = Handle::try_current() else {
        return read();
    };
    runtime.spawn_blocking(read).await.unwrap_or_else(|error| {
        Err(Error::other(
            ErrorKind::Internal,
            format!("a read was broken off: {error}"),
        ))
    })
}
