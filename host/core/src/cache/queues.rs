//! Which records of a shard stay: the S3-FIFO policy (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO Queues
//! are All You Need for Cache Eviction", SOSP 2023), weighed in bytes.
//!
//! A record enters the small queue and moves to the main one when it was read before its turn to
//! leave came; one that left unread is remembered by a fingerprint and enters the main queue when it
//! returns. So records that are read once, by a scan or a bulk load, displace only each other.
//! The caller holds the shard's lock; a read only sets the mark.

use std::collections::BTreeMap;

use super::entry::{Entry, Mark, Pinned};

/// The part of a shard above which the small queue is the one that gives way.
const SMALL_QUEUE_SHARE: u64 = 10;

/// One fingerprint of four bytes is kept for this many bytes of a shard.
const BYTES_PER_FINGERPRINT: u64 = 256;

/// An insertion moves at most this many records on because they were read; the next one leaves, read
/// or not. So neither a long queue of such records nor busy readers hold an insertion up.
const SECOND_CHANCES_MAX: usize = 128;

#[derive(Default)]
struct Queue {
    entries: BTreeMap<u64, Entry>,
    bytes: u64,
}

impl Queue {
    fn push(&mut self, place: u64, entry: Entry) {
        self.bytes += entry.weight();
        self.entries.insert(place, entry);
    }

    fn pop(&mut self) -> Option<Entry> {
        let (_, entry) = self.entries.pop_first()?;
        self.bytes -= entry.weight();
        Some(entry)
    }

    fn remove(&mut self, place: u64) -> Option<Entry> {
        let entry = self.entries.remove(&place)?;
        self.bytes -= entry.weight();
        Some(entry)
    }
}

/// The queues of one shard. Together they hold exactly the shard's entries of the map.
pub(super) struct Queues {
    small: Queue,
    main: Queue,
    next_place: u64,
    left_unread: Box<[u32]>,
    bytes_max: u64,
    evictions: u64,
}

impl Queues {
    /// Queues whose entries weigh at most `bytes_max` together.
    pub(super) fn new(bytes_max: u64) -> Queues {
        let fingerprints = (bytes_max / BYTES_PER_FINGERPRINT).max(1);
        Queues {
            small: Queue::default(),
            main: Queue::default(),
            next_place: 0,
            left_unread: vec![0; fingerprints as usize].into(),
            bytes_max,
            evictions: 0,
        }
    }

    /// Entries that left to make room for others.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions
    }

    pub(super) fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.small.entries.len() + self.main.entries.len()
    }

    /// Makes room for an entry and adds it. Its key must be absent, its weight at most `bytes_max`.
    pub(super) fn insert(&mut self, entries: &Pinned<'_>, entry: Entry) {
        let mut chances = SECOND_CHANCES_MAX;
        while self.bytes() + entry.weight() > self.bytes_max && self.evict(entries, &mut chances) {}
        let place = self.next_place();
        let queue = match self.recall(entry.fingerprint()) {
            true => &mut self.main,
            false => &mut self.small,
        };
        queue.push(place, entry.clone());
        entries.insert(entry, Mark::new(place));
    }

    /// Removes a key whose record is about to change. One that earned its place in the main queue
    /// gets it again when it returns.
    pub(super) fn remove(&mut self, entries: &Pinned<'_>, key: &[u8]) {
        let Some(mark) = entries.remove(key) else {
            return;
        };
        if let Some(entry) = self.small.remove(mark.place()) {
            if mark.is_used() {
                self.remember(entry.fingerprint());
            }
        } else if let Some(entry) = self.main.remove(mark.place()) {
            self.remember(entry.fingerprint());
        }
    }

    /// One step towards room: an entry leaves, or moves on because it was read. False when there is
    /// none.
    fn evict(&mut self, entries: &Pinned<'_>, chances: &mut usize) -> bool {
        let from_small =
            self.small.bytes > self.bytes_max / SMALL_QUEUE_SHARE || self.main.entries.is_empty();
        let popped = match from_small {
            true => self.small.pop(),
            false => self.main.pop(),
        };
        let Some(entry) = popped else {
            return false;
        };
        let place = self.next_place();
        if *chances > 0
            && let Some((_, mark)) = entries.get(entry.key())
            && mark.take_used()
        {
            *chances -= 1;
            mark.set_place(place);
            self.main.push(place, entry);
            return true;
        }
        entries.remove(entry.key());
        self.evictions += 1;
        if from_small {
            self.remember(entry.fingerprint());
        }
        true
    }

    fn next_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    fn slot(&mut self, fingerprint: u32) -> Option<&mut u32> {
        let slot = fingerprint as usize % self.left_unread.len();
        self.left_unread.get_mut(slot)
    }

    fn remember(&mut self, fingerprint: u32) {
        if let Some(slot) = self.slot(fingerprint) {
            *slot = fingerprint;
        }
    }

    /// Whether a record left not long ago; forgets it.
    fn recall(&mut self, fingerprint: u32) -> bool {
        self.slot(fingerprint)
            .filter(|slot| **slot == fingerprint)
            .map(|slot| *slot = 0)
            .is_some()
    }
}
