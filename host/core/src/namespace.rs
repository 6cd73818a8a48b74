//! A namespace in use: its backend, its head, its tenants, and who still needs its past.
//!
//! Readers and the committer share it as `Arc`; a restore puts another in its place, and whoever
//! still holds the old one goes on reading it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use ulid::Ulid;

<<<<<<< host/core/src/namespace.rs
use crate::ephemeral::Ephemeral;
=======
use crate::cache::RecordCache;
use crate::ephemeral::{Ephemeral, MergedCursor};
>>>>>>> /tmp/sk/pub.new
use crate::index::IndexSet;
use crate::journal::read_journal;
use crate::merged::MergedCursor;
use crate::meta::{HeadRow, Meta, StateRow};
use crate::state_dir::StateDir;
use crate::stored_key::split_journal_key;
use crate::{
    Backend, Capabilities, Cursor, Error, KeyRange, Plugins, Result, Sequence, Space, TenantNumber,
    UnixMs,
};

pub(crate) struct Namespace {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) capabilities: Capabilities,
    /// Rises with each namespace of a manager, from 1; what was looked up in one is not valid in
    /// another.
    pub(crate) generation: u32,
    pub(crate) state: StateRow,
    pub(crate) timeline: Ulid,
    /// Records in memory only; a swap of the backend takes them along.
    pub(crate) ephemeral: Arc<Ephemeral>,
    /// Which index rows records have.
    pub(crate) index: IndexSet,
    /// Hot records; they are those of this namespace only.
    pub(crate) cache: RecordCache,
    floor: AtomicU64,
    head: Mutex<(Sequence, UnixMs)>,
    tenants: RwLock<HashMap<String, TenantNumber>>,
    pins: Mutex<BTreeMap<Sequence, usize>>,
    /// Holds the directory's lock as long as anybody may use the backend.
    pub(crate) dir: StateDir,
}

impl Namespace {
    /// Reads the facts of an opened backend and checks that head and journal agree.
    pub(crate) fn load(
        backend: Arc<dyn Backend>,
        generation: u32,
        dir: StateDir,
        plugins: Arc<dyn Plugins>,
        cache_bytes: u64,
    ) -> Result<(Namespace, TenantNumber)> {
        let meta = Meta::load(&*backend)?;
        check_head(&*backend, &meta)?;
        let namespace = Namespace {
            capabilities: backend.capabilities(),
            backend,
            generation,
            state: meta.state,
            timeline: meta.head.timeline,
            ephemeral: Arc::new(Ephemeral::default()),
            index: IndexSet::load(&meta, plugins)?,
            cache: RecordCache::new(cache_bytes),
            floor: AtomicU64::new(meta.floor.0),
            head: Mutex::new((meta.head.sequence, meta.head.time)),
            tenants: RwLock::new(meta.tenants.into_iter().collect()),
            pins: Mutex::new(BTreeMap::new()),
            dir,
        };
        Ok((namespace, meta.tenant_next))
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
        self.tenants.read().get(name).copied()
    }

    pub(crate) fn add_tenant(&self, name: String, number: TenantNumber) {
        self.tenants.write().insert(name, number);
    }

    /// All named tenants, by number.
    pub(crate) fn tenants(&self) -> Vec<(TenantNumber, String)> {
        let mut all: Vec<_> = self
            .tenants
            .read()
            .iter()
            .map(|(n, t)| (*t, n.clone()))
            .collect();
        all.sort();
        all
    }

    /// The oldest sequence whose snapshot can be read.
    pub(crate) fn floor(&self) -> Sequence {
        Sequence(self.floor.load(Ordering::Acquire))
    }

    /// Appends the record of a key, from memory or from the backend, also one whose time has come.
    pub(crate) fn stored(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        loop {
            let version = self.ephemeral.settled_version();
            if let Some(record) = self.ephemeral.get(key) {
                out.extend_from_slice(&record);
                return Ok(true);
            }
            if self.backend.get(Space::Data, key, out)? {
                return Ok(true);
            }
            if self.ephemeral.settled_version() == version {
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
        let mut pins = self.pins.lock();
        let head = self.head();
        *pins.entry(head.0).or_insert(0) += 1;
        head
    }

    /// Pins a past sequence: its past is kept until `unpin`.
    ///
    /// # Errors
    /// `Compacted` when it has been trimmed.
    pub(crate) fn pin(&self, sequence: Sequence, what: &str) -> Result<()> {
        let mut pins = self.pins.lock();
        let oldest = self.floor();
        if sequence < oldest {
            let what = what.to_owned();
            return Err(Error::Compacted { what, oldest });
        }
        *pins.entry(sequence).or_insert(0) += 1;
        Ok(())
    }

    /// Raises the floor as far as it may be and answers where it is. Whoever pins after this finds
    /// the raised floor; the rows below it may go.
    pub(crate) fn raise_floor(&self, wanted: Sequence) -> Sequence {
        let pins = self.pins.lock();
        let floor = self.floor().max(self.allowed(&pins, wanted));
        self.floor.store(floor.0, Ordering::Release);
        floor
    }

    /// How far the floor may be raised at this moment.
    pub(crate) fn allowed_floor(&self, wanted: Sequence) -> Sequence {
        self.allowed(&self.pins.lock(), wanted)
    }

    fn allowed(&self, pins: &BTreeMap<Sequence, usize>, wanted: Sequence) -> Sequence {
        let pinned = pins.keys().next().copied();
        wanted.min(self.head().0).min(pinned.unwrap_or(wanted))
    }

    /// Who keeps the floor below a sequence, in words.
    pub(crate) fn held_below(&self, wanted: Sequence) -> Vec<String> {
        let pins = self.pins.lock();
        let below = pins.iter().filter(|(sequence, _)| **sequence < wanted);
        below
            .map(|(sequence, count)| match count {
                1 => format!("a snapshot, backup or watch at commit {}", sequence.0),
                count => format!(
                    "{count} snapshots, backups or watches at commit {}",
                    sequence.0
                ),
            })
            .collect()
    }

    pub(crate) fn unpin(&self, sequence: Sequence) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&sequence);
            }
        }
    }

    /// The oldest sequence that a snapshot still needs.
    pub(crate) fn oldest_pin(&self) -> Option<Sequence> {
        self.pins.lock().keys().next().copied()
    }
}

/// The last row of the journal is the head; a backend that lost or invented commits is refused.
fn check_head(backend: &dyn Backend, meta: &Meta) -> Result<()> {
    let mut last = None;
    let range = KeyRange {
        reverse: true,
        ..KeyRange::default()
    };
    backend
        .scan(Space::Journal, range)?
        .next_batch(1, &mut |key, row| {
            last = Some(split_journal_key(key).and_then(|sequence| {
                let time = read_journal(row)?.time;
                Ok((sequence, time))
            }));
        })?;
    let head = meta.head.sequence;
    match last.transpose()? {
        None if head == meta.floor => Ok(()),
        Some((sequence, time)) if sequence == head && time == meta.head.time => Ok(()),
        found => {
            let found = found.map_or(0, |(sequence, _)| sequence.0);
            let reason = format!(
                "the head is commit {} and the journal ends with {found}; restore a backup",
                head.0
            );
            Err(Error::corrupt("state", reason))
        }
    }
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
