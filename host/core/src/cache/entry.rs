//! What the map of the cache holds: a key with its record in one shared block, and a mark that tells
//! whether it was read and where in the queues it is.
//!
//! Entries change under the lock of their shard only; readers look at them without one.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhash::quality::RandomState;
use papaya::{Guard, LocalGuard};

/// What an entry costs beside its key and record: the shared block, its node and slot in the map,
/// its place in a queue, and what the allocator adds.
const OVERHEAD_BYTES: u64 = 192;

/// The map frees what is removed from it in batches, by thread. An entry above this size asks for
/// its batch to be freed at once, so that what waits stays small beside the cache.
const WAITING_BYTES_MAX: usize = 16 << 10;

/// The entries of all shards.
pub(super) type Map = papaya::HashMap<Entry, Mark, RandomState>;

/// A stored key and its record in one shared block; in the map it stands for its key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    bytes: Arc<[u8]>,
    key_bytes: u32,
    fingerprint: u32,
}

impl Entry {
    /// Copies key and record; `None` when the key is too long to be cached. `hash` is the key's.
    pub(super) fn new(key: &[u8], record: &[u8], hash: u64) -> Option<Entry> {
        Some(Entry {
            key_bytes: u32::try_from(key.len()).ok()?,
            bytes: Arc::from([key, record].concat()),
            fingerprint: (hash as u32).max(1),
        })
    }

    pub(super) fn key(&self) -> &[u8] {
        self.parts().0
    }

    pub(super) fn record(&self) -> &[u8] {
        self.parts().1
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes
            .split_at_checked(self.key_bytes as usize)
            .unwrap_or_default()
    }

    /// Tells keys of a shard apart, nearly always; never 0. The half of the hash that neither shard
    /// nor stripe is taken from.
    pub(super) fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    pub(super) fn weight(&self) -> u64 {
        weight(self.bytes.len())
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

/// What the cache counts for a key and record of `bytes` together.
pub(super) fn weight(bytes: usize) -> u64 {
    OVERHEAD_BYTES.saturating_add(bytes as u64)
}

/// What the map holds beside an entry.
#[derive(Debug)]
pub(super) struct Mark {
    used: AtomicBool,
    place: AtomicU64,
}

impl Mark {
    /// A mark of an entry that was not read.
    pub(super) fn new(place: u64) -> Mark {
        Mark {
            used: AtomicBool::new(false),
            place: AtomicU64::new(place),
        }
    }

    /// Notes a read. Not written again until the queue asks, so that readers share the line.
    pub(super) fn set_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it was read since the last time this was asked.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Its number in a queue. Asked and changed under the shard's lock, which orders it.
    pub(super) fn place(&self) -> u64 {
        self.place.load(Ordering::Relaxed)
    }

    pub(super) fn set_place(&self, place: u64) {
        self.place.store(place, Ordering::Relaxed);
    }
}

/// The map, with what it hands out protected from being freed.
pub(super) struct Pinned<'a> {
    map: &'a Map,
    guard: LocalGuard<'a>,
}

impl<'a> Pinned<'a> {
    pub(super) fn new(map: &'a Map) -> Pinned<'a> {
        Pinned {
            guard: map.guard(),
            map,
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<(&Entry, &Mark)> {
        self.map.get_key_value(key, &self.guard)
    }

    pub(super) fn insert(&self, entry: Entry, mark: Mark) {
        self.map.insert(entry, mark, &self.guard);
    }

    pub(super) fn remove(&self, key: &[u8]) -> Option<&Mark> {
        let (entry, mark) = self.map.remove_entry(key, &self.guard)?;
        if entry.bytes.len() > WAITING_BYTES_MAX {
            self.guard.flush();
        }
        Some(mark)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    fn removed(record_bytes: usize) -> Weak<[u8]> {
        let map = Box::leak(Box::new(Map::default()));
        let entry = Entry::new(b"key", &vec![1; record_bytes], 1).unwrap();
        let weak = Arc::downgrade(&entry.bytes);
        Pinned::new(map).insert(entry, Mark::new(1));
        assert!(weak.strong_count() > 0);
        Pinned::new(map).remove(b"key").unwrap();
        weak
    }

    #[test]
    fn a_large_entry_is_freed_when_it_is_removed() {
        assert_eq!(removed(WAITING_BYTES_MAX).strong_count(), 0);
        assert_eq!(
            removed(1).strong_count(),
            1,
            "small ones are freed in batches"
        );
    }
}
