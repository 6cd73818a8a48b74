//! The cache of hot records: the bytes of a stored record by its stored data key, bounded by bytes.
//!
//! It answers only what the backend would answer. A hit takes no lock and writes nothing that other
//! hits write; a miss, a fill and a commit take the lock of one shard for a moment.
//! The reader asks [`RecordCache::get`], then the backend, then offers what it read with the ticket
//! of the miss. The committer calls [`RecordCache::begin_commit`] before the backend can show
//! anything of the commit, and [`RecordCache::end_commit`] once the backend has answered.

mod entry;
mod queues;

use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use entry::{Entry, Map, Pinned, weight};
use queues::Queues;

use crate::counts::Lanes;

/// Shards of a cache; a small one has fewer, so that each holds [`SHARD_BYTES_MIN`].
const SHARDS_MAX: u64 = 64;
const SHARD_BYTES_MIN: u64 = 1 << 20;

/// Stripes of a shard.
const STRIPES: usize = 64;

/// A record above this part of its shard is not cached: it would displace too many.
const ENTRY_SHARE_MAX: u64 = 8;

/// Cached records by stored data key; see the module.
pub(crate) struct RecordCache {
    cache: Option<Arc<Cache>>,
    /// Reads while there is no cache.
    uncached: Lanes<1>,
}

/// The answer of [`RecordCache::get`].
#[derive(Debug)]
pub(crate) enum Lookup<T> {
    /// What the record was lent for.
    Hit(T),
    /// Not here: read the backend, then offer what it answers with [`RecordCache::fill`].
    Miss(FillTicket),
    /// There is no cache: read the backend.
    Off,
}

/// A record's bytes, shared with the cache and kept for as long as this is held.
///
/// Key and record lie in one allocation, so that the record comes with the line that the key was
/// compared in, and only one block is counted and freed. Reads do without it: [`RecordCache::get`]
/// lends.
#[derive(Clone, Debug)]
pub(crate) struct CachedRecord(Entry);

impl Deref for CachedRecord {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.record()
    }
}

/// What a miss is answered with: lets one fill of that key through, unless a commit touched it since.
#[derive(Debug)]
pub(crate) struct FillTicket {
    spot: Spot,
    version: u64,
}

/// A commit in flight. Until it is given to [`RecordCache::end_commit`] or dropped, the keys of the
/// commit are served by the backend only.
pub(crate) struct CommitTicket {
    cache: Option<Arc<Cache>>,
    /// The version that the touched stripes have for as long as nothing else touches them.
    version: u64,
    touched: Vec<Spot>,
}

/// What a cache did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheFacts {
    /// Reads answered by the cache.
    pub hits: u64,
    /// Reads that had to ask the backend.
    pub misses: u64,
    /// Records held.
    pub entries: u64,
    /// What they weigh: keys, records and a fixed sum for each.
    pub bytes: u64,
    /// What they may weigh; 0 when the cache is off.
    pub bytes_max: u64,
    /// Records that left to make room for others.
    pub evictions: u64,
}

struct Cache {
    entries: Map,
    /// The one of `entries`.
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    /// The last version given to a stripe. Versions are only compared for being the same.
    versions: AtomicU64,
    hits: Lanes<1>,
    bytes_max: u64,
    entry_bytes_max: u64,
}

struct Shard {
    stripes: [Stripe; STRIPES],
    queues: Queues,
    misses: u64,
}

/// The keys of a shard that share a verdict on fills.
///
/// The version changes when a commit of one of the keys begins and when it ends, each time under the
/// shard's lock. A fill is stored under the same lock, when the version is still that of its miss
/// and no commit is in flight: then no commit of the key was in flight at any time since the miss,
/// so what was read in between is what the backend holds. A commit stores under the same rule what
/// it wrote. Because the beginning also removes the keys, an old record is neither present nor able
/// to come back once the backend may show the one that replaces it.
#[derive(Clone, Copy, Default)]
struct Stripe {
    version: u64,
    commits_in_flight: u32,
}

/// Where a key's stripe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    shard: usize,
    stripe: usize,
}

impl RecordCache {
    /// A cache whose records weigh at most `bytes_max`, with their keys and a fixed sum for each; 0
    /// turns it off, and below 4 KiB it is too small to hold much. A record above an eighth of its
    /// shard is not held: 128 KiB or more when the cache has 1 MiB or more.
    pub(crate) fn new(bytes_max: u64) -> RecordCache {
        RecordCache {
            cache: (bytes_max > 0).then(|| Arc::new(Cache::new(bytes_max))),
            uncached: Lanes::default(),
        }
    }

    /// Looks a record up and lends it. What is evicted meanwhile is freed only after `lend` returns.
    /// What a miss leads to must be read from the backend's latest state, and after this call: a read
    /// of an older snapshot must not be offered.
    pub(crate) fn get<T>(&self, data_key: &[u8], lend: impl FnOnce(&[u8]) -> T) -> Lookup<T> {
        let Some(cache) = &self.cache else {
            self.uncached.add_one(0);
            return Lookup::Off;
        };
        if let Some((entry, mark)) = Pinned::new(&cache.entries).get(data_key) {
            mark.set_used();
            cache.hits.add_one(0);
            return Lookup::Hit(lend(entry.record()));
        }
        let spot = cache.spot(cache.hash(data_key));
        let mut shard = cache.shards[spot.shard].lock();
        shard.misses += 1;
        Lookup::Miss(FillTicket {
            spot,
            version: shard.stripes[spot.stripe].version,
        })
    }

    /// The record that is held of a key, without counting it as a read.
    pub(crate) fn peek(&self, data_key: &[u8]) -> Option<CachedRecord> {
        let cache = self.cache.as_ref()?;
        let pinned = Pinned::new(&cache.entries);
        pinned
            .get(data_key)
            .map(|(entry, _)| CachedRecord(entry.clone()))
    }

    /// Offers what the backend answered after the miss that gave `ticket`. Nothing is stored when a
    /// commit touched the key since, or when the record is too large for the cache.
    pub(crate) fn fill(
        &self,
        FillTicket { spot, version }: FillTicket,
        data_key: &[u8],
        record: &[u8],
    ) {
        let Some(cache) = &self.cache else {
            return;
        };
        cache.store(data_key, record, |at, stripe| {
            at == spot && stripe.version == version && stripe.commits_in_flight == 0
        });
    }

    /// Removes the keys that a commit is about to change and forbids fills of them until it ends.
    /// To be called before the backend can show anything of the commit.
    pub(crate) fn begin_commit<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> CommitTicket {
        let Some(cache) = &self.cache else {
            return CommitTicket {
                cache: None,
                version: 0,
                touched: Vec::new(),
            };
        };
        let mut ticket = CommitTicket {
            cache: Some(Arc::clone(cache)),
            version: cache.next_version(),
            touched: Vec::new(),
        };
        let entries = Pinned::new(&cache.entries);
        for key in keys {
            let spot = cache.spot(cache.hash(key));
            let mut shard = cache.shards[spot.shard].lock();
            let stripe = &mut shard.stripes[spot.stripe];
            // Once for all keys of the commit there, unless another commit came between.
            if stripe.version != ticket.version {
                stripe.version = ticket.version;
                stripe.commits_in_flight += 1;
                ticket.touched.push(spot);
            }
            shard.queues.remove(&entries, key);
        }
        ticket
    }

    /// Ends a commit, whatever became of it. `written` gives keys of the commit with the records
    /// that the backend now holds, `None` for one that is deleted or not to be cached; it is empty
    /// when the commit failed or its outcome is not known.
    pub(crate) fn end_commit<'a>(
        &self,
        ticket: CommitTicket,
        written: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) {
        let Some(cache) = &self.cache else {
            return;
        };
        for (key, record) in written {
            if let Some(record) = record {
                cache.store(key, record, |_, stripe| {
                    stripe.version == ticket.version && stripe.commits_in_flight == 1
                });
            }
        }
        drop(ticket);
    }

    /// What the cache did and holds; not one instant's picture while others use it.
    pub(crate) fn facts(&self) -> CacheFacts {
        let Some(cache) = &self.cache else {
            let [misses] = self.uncached.sums();
            return CacheFacts {
                misses,
                ..CacheFacts::default()
            };
        };
        let [hits] = cache.hits.sums();
        let mut facts = CacheFacts {
            hits,
            bytes_max: cache.bytes_max,
            ..CacheFacts::default()
        };
        for shard in &cache.shards {
            let shard = shard.lock();
            facts.misses += shard.misses;
            facts.entries += shard.queues.len() as u64;
            facts.bytes += shard.queues.bytes();
            facts.evictions += shard.queues.evictions();
        }
        facts
    }
}

impl Drop for CommitTicket {
    /// Lets fills through again; what was read while the commit was in flight stays refused.
    fn drop(&mut self) {
        let Some(cache) = &self.cache else {
            return;
        };
        let version = cache.next_version();
        for spot in &self.touched {
            let stripe = &mut cache.shards[spot.shard].lock().stripes[spot.stripe];
            stripe.version = version;
            stripe.commits_in_flight -= 1;
        }
    }
}

impl Cache {
    fn new(bytes_max: u64) -> Cache {
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        // The power of two at or below: a key's shard is a mask of its hash.
        let shards = 1 << shards.ilog2();
        let hasher = RandomState::default();
        Cache {
            entries: Map::with_hasher(hasher.clone()),
            hasher,
            shards: (0..shards)
                .map(|_| {
                    Mutex::new(Shard {
                        stripes: [Stripe::default(); STRIPES],
                        queues: Queues::new(bytes_max / shards),
                        misses: 0,
                    })
                })
                .collect(),
            versions: AtomicU64::new(0),
            hits: Lanes::default(),
            bytes_max,
            entry_bytes_max: bytes_max / shards / ENTRY_SHARE_MAX,
        }
    }

    fn hash(&self, data_key: &[u8]) -> u64 {
        self.hasher.hash_one(data_key)
    }

    /// Shard and stripe come from the upper half of the hash, a fingerprint from the lower.
    fn spot(&self, hash: u64) -> Spot {
        Spot {
            shard: (hash >> 32) as usize & (self.shards.len() - 1),
            stripe: (hash >> 48) as usize % STRIPES,
        }
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Stores a record if it fits, is absent, and its stripe `allows` it, all under one lock.
    fn store(&self, key: &[u8], record: &[u8], allows: impl FnOnce(Spot, Stripe) -> bool) {
        if weight(key.len().saturating_add(record.len())) > self.entry_bytes_max {
            return;
        }
        let hash = self.hash(key);
        let Some(entry) = Entry::new(key, record, hash) else {
            return;
        };
        let spot = self.spot(hash);
        let entries = Pinned::new(&self.entries);
        let mut shard = self.shards[spot.shard].lock();
        if allows(spot, shard.stripes[spot.stripe]) && entries.get(key).is_none() {
            shard.queues.insert(&entries, entry);
        }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod stress_tests;
#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
