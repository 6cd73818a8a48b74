//! Threads that read and commit at once: nobody who has seen a number, or who starts after somebody
//! saw it, is shown an older one.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::*;

/// What the threads of a stress test share: numbers that only grow.
struct Shared {
    cache: RecordCache,
    backend: Mutex<BTreeMap<Vec<u8>, u64>>,
    /// The highest number that any reader has seen or that a commit was acknowledged with, by key.
    seen: [AtomicU64; HOT_KEYS],
    done: AtomicBool,
}

const HOT_KEYS: usize = 4;

fn hot_key(number: usize) -> Vec<u8> {
    format!("hot {number}").into_bytes()
}

impl Shared {
    fn read(&self, key: &[u8], pause: u64) -> u64 {
        let number = |record: &[u8]| u64::from_le_bytes(record.try_into().unwrap());
        match self.cache.get(key, number) {
            Lookup::Hit(number) => number,
            Lookup::Miss(ticket) => {
                let number = self.backend.lock().get(key).copied().unwrap_or(0);
                for _ in 0..pause {
                    std::thread::yield_now();
                }
                self.cache.fill(ticket, key, &number.to_le_bytes());
                number
            }
            Lookup::Off => panic!("the cache is on"),
        }
    }

    fn read_until_done(&self, reader: u64) {
        let mut turn = reader;
        while !self.done.load(Ordering::SeqCst) {
            turn += 1;
            let number = turn as usize % HOT_KEYS;
            let key = hot_key(number);
            let seen = &self.seen[number];
            let floor = seen.load(Ordering::SeqCst);
            let found = self.read(&key, turn % 3);
            assert!(found >= floor, "reader went back from {floor} to {found}");
            seen.fetch_max(found, Ordering::SeqCst);
            // Other keys, so that entries leave and the map grows.
            self.read(format!("cold {}", turn % 5_000).as_bytes(), 0);
        }
    }

    fn commit(&self, round: u64) {
        let first = round as usize % HOT_KEYS;
        let numbers = [first, (first + 1 + round as usize / 7 % 3) % HOT_KEYS];
        let keys = numbers.map(hot_key);
        let record = round.to_le_bytes();
        let ticket = self.cache.begin_commit(keys.iter().map(Vec::as_slice));
        for key in &keys {
            self.backend.lock().insert(key.clone(), round);
            std::thread::yield_now();
        }
        let cached = |kept: bool| kept.then_some(&record[..]);
        match round % 5 {
            // The outcome was not known, and the commit did happen.
            0 => self.cache.end_commit(ticket, std::iter::empty()),
            1 => drop(ticket),
            _ => self.cache.end_commit(
                ticket,
                keys.iter()
                    .map(|key| (key.as_slice(), cached(round % 5 != 2))),
            ),
        }
        for number in numbers {
            self.seen[number].fetch_max(round, Ordering::SeqCst);
        }
    }
}

/// Sets `done` also when the test fails, so that the other threads end.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn no_reader_goes_back() {
    for bytes_max in [256 << 10, 8 << 20] {
        let shared = Shared {
            cache: RecordCache::new(bytes_max),
            backend: Mutex::default(),
            seen: Default::default(),
            done: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            for reader in 0..3 {
                let shared = &shared;
                scope.spawn(move || {
                    let _done = Done(&shared.done);
                    shared.read_until_done(reader);
                });
            }
            let _done = Done(&shared.done);
            for round in 1..=20_000 {
                if shared.done.load(Ordering::SeqCst) {
                    break;
                }
                shared.commit(round);
            }
        });
        let facts = shared.cache.facts();
        assert!(facts.hits > 0 && facts.misses > 0, "{facts:?}");
        assert!(facts.bytes <= bytes_max);
    }
}
