//! A tenant as it was at one commit. Records in memory only are not part of the past.

use std::sync::Arc;

use super::Snapshot;
use crate::counts::{Counts, Operation};
use crate::list::{Lister, Rows};
use crate::read::in_key;
use crate::record::read_value;
use crate::stored_key::data_key;
use crate::{
    BlockingTenant, EntryPage, EntryVisitor, Key, Limits, ListOptions, Page, Plugins, Record,
    Result, Scope, ScopeListOptions, ScopePage, Sequence, Tenant, TenantNumber, UnixMs, Value,
};

/// A tenant at one commit; clones share its snapshot. Reading may block.
#[derive(Clone)]
pub struct TenantSnapshot {
    snapshot: Arc<Snapshot>,
    plugins: Arc<dyn Plugins>,
    /// Missing while the tenant has never been written to.
    number: Option<TenantNumber>,
}

impl BlockingTenant {
    /// The tenant as it is now, to be read while writers go on.
    pub fn snapshot(&self) -> Result<TenantSnapshot> {
        self.manager.committer.counts.operation(Operation::Snapshot);
        Ok(self.view(self.manager.snapshot()?))
    }

    /// The tenant as it was right after a commit.
    ///
    /// # Errors
    /// `Compacted` when that past has been trimmed, `InvalidArgument` for a commit that has not
    /// been made, or was undone.
    pub fn at(&self, sequence: Sequence) -> Result<TenantSnapshot> {
        self.manager.committer.counts.operation(Operation::Snapshot);
        Ok(self.view(self.manager.snapshot_at(sequence)?))
    }

    /// The tenant as it was at a time.
    ///
    /// # Errors
    /// `Compacted` when that past has been trimmed, `InvalidArgument` for a time to come.
    pub fn at_time(&self, time: UnixMs) -> Result<TenantSnapshot> {
        self.manager.committer.counts.operation(Operation::Snapshot);
        Ok(self.view(self.manager.snapshot_at_time(time)?))
    }

    pub(crate) fn view(&self, snapshot: Snapshot) -> TenantSnapshot {
        TenantSnapshot {
            number: self.slot.number(&snapshot.namespace),
            plugins: self.manager.plugins().clone(),
            snapshot: Arc::new(snapshot),
        }
    }
}

impl Tenant {
    /// As [`BlockingTenant::snapshot`]; taking a snapshot does not block.
    pub fn snapshot(&self) -> Result<TenantSnapshot> {
        self.blocking().snapshot()
    }

    /// As [`BlockingTenant::at`], without blocking.
    pub async fn at(&self, sequence: Sequence) -> Result<TenantSnapshot> {
        self.aside(move |tenant| tenant.at(sequence)).await
    }

    /// As [`BlockingTenant::at_time`], without blocking.
    pub async fn at_time(&self, time: UnixMs) -> Result<TenantSnapshot> {
        self.aside(move |tenant| tenant.at_time(time)).await
    }
}

impl TenantSnapshot {
    /// The last commit that it holds.
    pub fn sequence(&self) -> Sequence {
        self.snapshot.sequence()
    }

    /// The time of that commit.
    pub fn time(&self) -> UnixMs {
        self.snapshot.time()
    }

    /// The snapshot of the whole state.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(crate) fn number(&self) -> Option<TenantNumber> {
        self.number
    }

    /// The value that a key had, if it was there.
    pub fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Value>> {
        self.read(scope, key, |bytes| read_value(bytes, &*self.plugins))
    }

    /// The value that a key had with sequence, times and class, if it was there.
    pub fn get_record(&self, scope: &Scope, key: &Key) -> Result<Option<Record>> {
        self.read(scope, key, |bytes| Record::read(bytes, &*self.plugins))
    }

    /// Whether a key was there.
    pub fn exists(&self, scope: &Scope, key: &Key) -> Result<bool> {
        Ok(self.read(scope, key, |_| Ok(()))?.is_some())
    }

    /// A page of the keys that a scope had, in order.
    pub fn list(&self, scope: &Scope, options: &ListOptions) -> Result<Page> {
        self.lister().keys(scope, options)
    }

    /// A page of the keys and values that a scope had, in order.
    pub fn scan_page(&self, scope: &Scope, options: &ListOptions) -> Result<EntryPage> {
        self.lister().entries(&*self.plugins, scope, options)
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
        self.lister()
            .entries_with(&*self.plugins, scope, options, visit)
    }

    /// A page of the scopes that held at least one key.
    pub fn list_scopes(&self, options: &ScopeListOptions) -> Result<ScopePage> {
        self.lister().scopes(options)
    }

    fn read<T>(
        &self,
        scope: &Scope,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        self.counts().operation(Operation::GetPast);
        let Some(number) = self.number else {
            return Ok(None);
        };
        let record = self.snapshot.record(&data_key(number, scope, key))?;
        record
            .map(|record| read(&record).map_err(|error| in_key(scope, key, error)))
            .transpose()
    }

    fn lister(&self) -> Lister<'_> {
        Lister {
            rows: Rows::Past(&self.snapshot),
            limits: self.limits(),
            tenant: self.number,
            counts: self.counts(),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.snapshot.committer.counts
    }

    pub(crate) fn plugins(&self) -> &dyn Plugins {
        &*self.plugins
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.snapshot.committer.limits()
    }
}
