//! A namespace in use: its backend, its head, its tenants, and who still needs its past.
//!
//! Readers and the committer share it as `Arc`; a restore puts another in its place, and whoever
//! still holds the old one goes on reading it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use ulid::Ulid;

use crate::cache::RecordCache;
use crate::commit::Heritage;
use crate::ephemeral::Ephemeral;
use crate::index::IndexSet;
use crate::merged::MergedCursor;
use crate::meta::{Fork, HeadRow, Meta, StateRow};
use crate::needs::{LeaseId, Needs};
use crate::state_dir::{NamespaceId, StateDir};
use crate::swap::{Lineage, SwapFeed};
use crate::watch::CursorRow;
use crate::{
    Backend, Capabilities, Clock, Cursor, Error, KeyRange, Plugins, Result, Sequence, Space,
    TenantNumber, UnixMs,
};

pub(crate) struct Namespace {
    /// Its folder.
    pub(crate) id: NamespaceId,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) capabilities: Capabilities,
    /// Rises with each namespace of a manager, from 1; what was looked up in one is not valid in
    /// another.
    pub(crate) generation: u32,
    pub(crate) state: StateRow,
    pub(crate) timeline: Ulid,
    pub(crate) fork: Option<Fork>,
    /// Records in memory only; a swap of the backend takes them along.
    pub(crate) ephemeral: Arc<Ephemeral>,
    /// Which index rows records have.
    pub(crate) index: IndexSet,
    /// Hot records; they are those of this namespace only.
    pub(crate) cache: RecordCache,
    floor: AtomicU64,
    head: Mutex<(Sequence, UnixMs)>,
    tenants: RwLock<Tenants>,
    /// Shared with the namespace that a swap replaced: who needed its past needs that of the new one.
    needs: Arc<Mutex<Needs>>,
    /// The namespaces of this process before it.
    pub(crate) lineage: Arc<Lineage>,
    /// What a swap that copies this namespace is told.
    pub(crate) swap_feed: SwapFeed,
    /// Holds the directory's lock as long as anybody may use the backend.
    pub(crate) dir: StateDir,
    /// Gone only once the backend is: fields are dropped in their order.
    pub(crate) open: Arc<()>,
}

/// No cursor was stored by then.
const NEVER: UnixMs = UnixMs(i64::MIN);

#[derive(Default)]
struct Tenants {
    numbers: HashMap<String, TenantNumber>,
    names: HashMap<TenantNumber, String>,
}

impl Tenants {
    fn add(&mut self, name: String, number: TenantNumber) {
        self.names.insert(number, name.clone());
        self.numbers.insert(name, number);
    }
}

impl Namespace {
    /// Reads the facts of an opened backend and checks that they agree.
    pub(crate) fn load(
        backend: Arc<dyn Backend>,
        generation: u32,
        dir: StateDir,
        plugins: Arc<dyn Plugins>,
        cache_bytes: u64,
    ) -> Result<(Namespace, TenantNumber)> {
        let meta = Meta::load(&*backend)?;
        check_cursors(&meta)?;
        let mut tenants = Tenants::default();
        for (name, number) in &meta.tenants {
            tenants.add(name.clone(), *number);
        }
        let namespace = Namespace {
            id: dir.current().namespace,
            capabilities: backend.capabilities(),
            backend,
            generation,
            state: meta.state,
            timeline: meta.head.timeline,
            fork: meta.fork,
            ephemeral: Arc::new(Ephemeral::default()),
            index: IndexSet::load(&meta, plugins)?,
            cache: RecordCache::new(cache_bytes),
            floor: AtomicU64::new(meta.floor.0),
            head: Mutex::new((meta.head.sequence, meta.head.time)),
            tenants: RwLock::new(tenants),
            needs: Arc::new(Mutex::new(Needs::new(meta.cursors))),
            lineage: Arc::default(),
            swap_feed: SwapFeed::default(),
            dir,
            open: Arc::default(),
        };
        Ok((namespace, meta.tenant_next))
    }

    /// The namespace as the one that takes the place of `old`.
    pub(crate) fn after(
        mut self,
        old: &Arc<Namespace>,
        id: NamespaceId,
        heritage: &Heritage,
    ) -> Namespace {
        self.id = id;
        self.lineage = old.lineage.clone();
        self.lineage.add(old);
        match heritage {
            Heritage::Nothing => {}
            Heritage::Continues => {
                self.ephemeral = old.ephemeral.clone();
                self.needs = old.needs.clone();
                self.floor.fetch_max(old.floor().0, Ordering::AcqRel);
            }
            Heritage::Returns(before) => {
                before.needs.lock().put_cursors(&self.needs.lock());
                self.needs = before.needs.clone();
            }
        }
        self
    }

    pub(crate) fn head(&self) -> (Sequence, UnixMs) {
        *self.head.lock()
    }

    pub(crate) fn head_row(&self) -> HeadRow {
        let (sequence, time) = self.head();
        HeadRow {
            sequence,
            time,
            timeline: self.timeline,
        }
    }

    /// Makes a commit that the backend has taken the head.
    pub(crate) fn publish(&self, sequence: Sequence, time: UnixMs) {
        *self.head.lock() = (sequence, time);
    }

    pub(crate) fn tenant(&self, name: &str) -> Option<TenantNumber> {
        self.tenants.read().numbers.get(name).copied()
    }

    /// The name of a tenant; empty for the default tenant.
    pub(crate) fn tenant_name(&self, number: TenantNumber) -> Result<String> {
        if number == TenantNumber(0) {
            return Ok(String::new());
        }
        let name = self.tenants.read().names.get(&number).cloned();
        name.ok_or_else(|| Error::corrupt("state", format!("tenant {} has no name", number.0)))
    }

    pub(crate) fn add_tenant(&self, name: String, number: TenantNumber) {
        self.tenants.write().add(name, number);
    }

    /// All named tenants, by number.
    pub(crate) fn tenants(&self) -> Vec<(TenantNumber, String)> {
        let tenants = self.tenants.read();
        let mut all: Vec<_> = (tenants.names.iter())
            .map(|(number, name)| (*number, name.clone()))
            .collect();
        all.sort();
        all
    }

    /// The time at which expiry is judged: a clock that steps back brings nothing back that commits
    /// have seen expire.
    pub(crate) fn now(&self, clock: &dyn Clock) -> UnixMs {
        clock.now().max(self.head().1)
    }

    /// The oldest sequence whose snapshot can be read.
    pub(crate) fn floor(&self) -> Sequence {
        Sequence(self.floor.load(Ordering::Acquire))
    }

    /// Appends the record of a key, from memory or from the backend, also one whose time has come.
    pub(crate) fn stored(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        loop {
            let version = self.ephemeral.version();
            if let Some(record) = self.ephemeral.get(key) {
                out.extend_from_slice(&record);
                return Ok(true);
            }
            if self.backend.get(Space::Data, key, out)? {
                return Ok(true);
            }
            if !self.ephemeral.may_have_moved(key, version) {
                return Ok(false);
            }
        }
    }

    /// Scans records, those in memory among them, also those whose time has come.
    pub(crate) fn live<'a>(&'a self, range: KeyRange<'_>) -> Result<Box<dyn Cursor + 'a>> {
        let stored = self.backend.scan(Space::Data, range)?;
        if self.ephemeral.is_empty() {
            return Ok(stored);
        }
        Ok(Box::new(MergedCursor::new(stored, &*self.ephemeral, range)))
    }

    /// Pins the head: its past is kept until `unpin`.
    pub(crate) fn pin_head(&self) -> (Sequence, UnixMs) {
        let mut needs = self.needs.lock();
        let head = self.head();
        needs.pin(head.0);
        head
    }

    /// Keeps the past of the head for a transaction that begins now, until `unlease` or
    /// [`Namespace::release`]; answers the lease and when the transaction began.
    pub(crate) fn lease_head(&self, now: UnixMs) -> ((Sequence, UnixMs), LeaseId, UnixMs) {
        let mut needs = self.needs.lock();
        let head = self.head();
        let began = now.max(head.1);
        (head, needs.lease(head.0, began), began)
    }

    pub(crate) fn unlease(&self, id: LeaseId) {
        self.needs.lock().unlease(id);
    }

    pub(crate) fn has_lease(&self, id: LeaseId) -> bool {
        self.needs.lock().has_lease(id)
    }

    /// Takes back the leases of transactions that began before a time, and answers how many.
    pub(crate) fn release(&self, before: UnixMs) -> usize {
        self.needs.lock().release(before)
    }

    /// Pins the oldest sequence that can be read, so that nothing is trimmed until `unpin`.
    pub(crate) fn pin_floor(&self) -> Sequence {
        let mut needs = self.needs.lock();
        let floor = self.floor();
        needs.pin(floor);
        floor
    }

    /// Pins a past sequence: its past is kept until `unpin`.
    ///
    /// # Errors
    /// `Compacted` when it has been trimmed.
    pub(crate) fn pin(&self, sequence: Sequence, what: &str) -> Result<()> {
        let mut needs = self.needs.lock();
        let oldest = self.floor();
        if sequence < oldest {
            let what = what.to_owned();
            return Err(Error::Compacted { what, oldest });
        }
        needs.pin(sequence);
        Ok(())
    }

    /// Raises the floor as far as it may be and answers where it is. Whoever pins after this finds
    /// the raised floor; the rows below it may go.
    pub(crate) fn raise_floor(&self, wanted: Sequence) -> Sequence {
        let needs = self.needs.lock();
        let floor = self
            .floor()
            .max(needs.allowed(wanted, self.head().0, NEVER));
        self.floor.store(floor.0, Ordering::Release);
        floor
    }

    /// Takes a raise back that the state did not take. Nothing below it has been removed.
    pub(crate) fn lower_floor(&self, floor: Sequence) {
        self.floor.store(floor.0, Ordering::Release);
    }

    /// How far the floor may be raised at this moment.
    pub(crate) fn allowed_floor(&self, wanted: Sequence) -> Sequence {
        self.needs.lock().allowed(wanted, self.head().0, NEVER)
    }

    /// How far the floor may be raised, and who keeps it below `wanted`, in words, once the cursors of
    /// backups that were last stored by `lapsed` are let go.
    pub(crate) fn floor_without(
        &self,
        wanted: Sequence,
        lapsed: UnixMs,
    ) -> (Sequence, Vec<String>) {
        let (needs, head) = (self.needs.lock(), self.head().0);
        (
            needs.allowed(wanted, head, lapsed),
            needs.held_below(wanted, lapsed),
        )
    }

    pub(crate) fn unpin(&self, sequence: Sequence) {
        self.needs.lock().unpin(sequence);
    }

    /// How many snapshots, backups, live watches and transactions hold on to a commit.
    pub(crate) fn pins(&self) -> u64 {
        self.needs.lock().pin_count()
    }

    /// The oldest sequence that a snapshot, a live watch or a transaction still needs.
    pub(crate) fn oldest_pin(&self) -> Option<Sequence> {
        self.needs.lock().oldest_pin()
    }

    /// A durable cursor.
    pub(crate) fn cursor(&self, name: &str) -> Option<CursorRow> {
        self.needs.lock().cursors().get(name).copied()
    }

    /// All durable cursors, by name.
    pub(crate) fn cursors(&self) -> Vec<(String, CursorRow)> {
        let needs = self.needs.lock();
        let all = needs.cursors().iter();
        all.map(|(name, row)| (name.clone(), *row)).collect()
    }

    /// Takes note of a cursor whose row has been written, or removed.
    pub(crate) fn put_cursor(&self, name: String, row: Option<CursorRow>) {
        self.needs.lock().put_cursor(name, row);
    }
}

/// A cursor stands between the floor and the head.
fn check_cursors(meta: &Meta) -> Result<()> {
    let kept = meta.floor..=meta.head.sequence;
    for (name, row) in &meta.cursors {
        let at = row.position.sequence;
        if !kept.contains(&at) {
            let reason = format!(
                "its cursor `{name}` stands at commit {} and commits {} to {} are kept",
                at.0,
                kept.start().0,
                kept.end().0
            );
            return Err(Error::corrupt("state", reason));
        }
    }
    Ok(())
}

/// A tenant by name, with its number in the current namespace.
pub(crate) struct TenantSlot {
    name: String,
    /// Generation of a namespace in the upper half, number in the lower; 0 is "not looked up".
    cached: AtomicU64,
}

impl TenantSlot {
    /// The slot of a checked name; the empty name is the default tenant.
    pub(crate) fn new(name: &str) -> TenantSlot {
        TenantSlot {
            name: name.to_owned(),
            cached: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The tenant's number, or nothing while it has never been written to.
    pub(crate) fn number(&self, namespace: &Namespace) -> Option<TenantNumber> {
        if self.name.is_empty() {
            return Some(TenantNumber(0));
        }
        let cached = self.cached.load(Ordering::Relaxed);
        if cached >> 32 == u64::from(namespace.generation) {
            return Some(TenantNumber(cached as u32));
        }
        let number = namespace.tenant(&self.name)?;
        let packed = u64::from(namespace.generation) << 32 | u64::from(number.0);
        self.cached.store(packed, Ordering::Relaxed);
        Some(number)
    }
}
