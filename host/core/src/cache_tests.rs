//! The cache against a model and under threads: what it answers is what the backend would answer,
//! it never takes a reader back, and it keeps its bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// A miss whose backend read is a step of its own.
struct Reading {
    ticket: FillTicket,
    key: u8,
    answer: Option<Option<Vec<u8>>>,
    /// No commit or clear was under way at any time since the miss.
    undisturbed: bool,
}

struct Committing {
    ticket: CommitTicket,
    writes: BTreeMap<u8, Option<Vec<u8>>>,
    applied: bool,
    undisturbed: bool,
}

#[derive(Clone, Debug)]
enum End {
    Written,
    Nothing,
    Dropped,
}

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    ReadBackend(usize),
    Fill(usize),
    /// Keys, and whether each is set or deleted.
    Begin(Vec<(u8, bool)>),
    Apply(usize),
    End(usize, End),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_u8..6;
    let end = prop_oneof![
        4 => Just(End::Written),
        1 => Just(End::Nothing),
        1 => Just(End::Dropped),
    ];
    let step = prop_oneof![
        8 => key.clone().prop_map(Step::Get),
        6 => (0_usize..4).prop_map(Step::ReadBackend),
        6 => (0_usize..4).prop_map(Step::Fill),
        3 => prop::collection::vec((key, prop::bool::weighted(0.8)), 1..4).prop_map(Step::Begin),
        3 => (0_usize..2).prop_map(Step::Apply),
        3 => (0_usize..2, end).prop_map(|(at, end)| Step::End(at, end)),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..200)
}

struct Model {
    cache: RecordCache,
    backend: BTreeMap<u8, Vec<u8>>,
    readings: Vec<Reading>,
    commits: Vec<Committing>,
    /// Keys that a cache with room must hold.
    held: BTreeSet<u8>,
    roomy: bool,
    counted: CacheFacts,
    values: usize,
}

impl Model {
    fn new(bytes_max: u64, roomy: bool) -> Model {
        Model {
            cache: RecordCache::new(bytes_max),
            backend: BTreeMap::new(),
            readings: Vec::new(),
            commits: Vec::new(),
            held: BTreeSet::new(),
            roomy,
            counted: CacheFacts::default(),
            values: 0,
        }
    }

    fn disturb(&mut self) {
        for reading in &mut self.readings {
            reading.undisturbed = false;
        }
        for commit in &mut self.commits {
            commit.undisturbed = false;
        }
    }

    fn get(&mut self, key: u8) {
        let in_flight = self.commits.iter().any(|c| c.writes.contains_key(&key));
        match self.cache.get(&[key]) {
            Lookup::Hit(record) => {
                assert!(!in_flight, "key {key} is being committed");
                assert_eq!(Some(&*record), self.backend.get(&key).map(Vec::as_slice));
                self.counted.hits += 1;
            }
            Lookup::Miss(ticket) => {
                assert!(!(self.roomy && self.held.contains(&key)), "lost {key}");
                self.counted.misses += 1;
                self.readings.push(Reading {
                    ticket,
                    key,
                    answer: None,
                    undisturbed: self.commits.is_empty(),
                });
            }
            Lookup::Off => panic!("the cache is on"),
        }
    }

    fn fill(&mut self, at: usize) {
        let answered = self
            .readings
            .get(at)
            .map(|reading| reading.answer.is_some());
        if answered != Some(true) {
            return;
        }
        let reading = self.readings.remove(at);
        if let Some(Some(record)) = reading.answer {
            self.cache.fill(reading.ticket, &[reading.key], &record);
            if reading.undisturbed {
                self.held.insert(reading.key);
            }
        }
    }

    fn begin(&mut self, keys: Vec<(u8, bool)>) {
        if self.commits.len() == 2 {
            return;
        }
        self.disturb();
        let undisturbed = self.commits.is_empty();
        let bytes: Vec<[u8; 1]> = keys.iter().map(|(key, _)| [*key]).collect();
        let ticket = self.cache.begin_commit(bytes.iter().map(|key| &key[..]));
        let mut writes = BTreeMap::new();
        for (key, set) in keys {
            self.held.remove(&key);
            self.values += 1;
            writes.insert(
                key,
                set.then(|| format!("{:1$}", self.values, self.values % 90).into()),
            );
        }
        self.commits.push(Committing {
            ticket,
            writes,
            applied: false,
            undisturbed,
        });
    }

    fn apply(&mut self, at: usize) {
        let Some(commit) = self.commits.get_mut(at) else {
            return;
        };
        if commit.applied {
            return;
        }
        commit.applied = true;
        for (key, record) in &commit.writes {
            match record {
                Some(record) => self.backend.insert(*key, record.clone()),
                None => self.backend.remove(key),
            };
        }
    }

    fn end(&mut self, at: usize, how: &End) {
        if at >= self.commits.len() {
            return;
        }
        let commit = self.commits.remove(at);
        self.disturb();
        match how {
            End::Dropped => drop(commit.ticket),
            End::Written if commit.applied => {
                let keys: Vec<_> = commit.writes.iter().map(|(k, r)| ([*k], r)).collect();
                let written = keys
                    .iter()
                    .map(|(key, record)| (&key[..], record.as_deref()));
                self.cache.end_commit(commit.ticket, written);
                if commit.undisturbed {
                    let set = commit.writes.iter().filter(|(_, record)| record.is_some());
                    self.held.extend(set.map(|(key, _)| *key));
                }
            }
            _ => self.cache.end_commit(commit.ticket, std::iter::empty()),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Get(key) => self.get(key),
            Step::ReadBackend(at) => {
                if let Some(reading) = self.readings.get_mut(at) {
                    reading.answer = Some(self.backend.get(&reading.key).cloned());
                }
            }
            Step::Fill(at) => self.fill(at),
            Step::Begin(keys) => self.begin(keys),
            Step::Apply(at) => self.apply(at),
            Step::End(at, how) => self.end(at, &how),
            Step::Clear => {
                self.disturb();
                self.held.clear();
                self.cache.clear();
            }
        }
        let facts = self.cache.facts();
        assert!(facts.bytes <= facts.bytes_max);
        assert_eq!(facts.hits, self.counted.hits);
        assert_eq!(facts.misses, self.counted.misses);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any order of the steps of readers and commits, two commits in flight at most.
    #[test]
    fn a_hit_is_what_the_backend_holds(steps in steps(), roomy: bool) {
        // Room for two records at the least in the smaller one, of one eighth each at the most.
        let mut model = Model::new(if roomy { 1 << 20 } else { 2_400 }, roomy);
        for step in steps {
            model.take(step);
        }
    }
}

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
        match self.cache.get(key) {
            Lookup::Hit(record) => u64::from_le_bytes((*record).try_into().unwrap()),
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

fn put(cache: &RecordCache, key: &[u8], record: &[u8]) {
    if let Lookup::Miss(ticket) = cache.get(key) {
        cache.fill(ticket, key, record);
    }
}

fn holds(cache: &RecordCache, key: &[u8]) -> bool {
    matches!(cache.get(key), Lookup::Hit(_))
}

#[test]
fn the_bound_holds_and_the_books_agree() {
    for bytes_max in [1 << 10, 1 << 20, (5 << 20) + 1] {
        let cache = RecordCache::new(bytes_max);
        let mut full = false;
        for number in 0..30_000_u64 {
            let key = (number * 7_919 % 20_000).to_le_bytes();
            put(&cache, &key, &vec![1; (number * 31 % 900) as usize]);
            if number % 3 == 0 {
                cache.get(&(number * 3 % 20_000).to_le_bytes());
            }
            if number % 11 == 0 {
                drop(cache.begin_commit([&key[..]].into_iter()));
                assert!(!holds(&cache, &key));
            }
            let facts = cache.facts();
            assert!(facts.bytes <= bytes_max, "{facts:?}");
            full |= facts.bytes > bytes_max / 2;
        }
        assert!(full, "the bound was never near");
        let facts = cache.facts();
        let inside = cache.0.as_ref().unwrap();
        assert_eq!(inside.entries.len() as u64, facts.entries);
        let all = inside.entries.guard();
        let weights = inside.entries.keys(&all).map(Entry::weight);
        assert_eq!(weights.sum::<u64>(), facts.bytes);
        cache.clear();
        assert_eq!((cache.facts().entries, cache.facts().bytes), (0, 0));
        assert!(inside.entries.is_empty());
    }
}

#[test]
fn a_record_that_would_displace_too_many_is_not_held() {
    let cache = RecordCache::new(1 << 20);
    put(&cache, b"large", &[1; 130 << 10]);
    put(&cache, b"fair", &[1; 120 << 10]);
    assert!(!holds(&cache, b"large"));
    assert!(holds(&cache, b"fair"));
}

#[test]
fn a_scan_displaces_no_record_that_is_read_again() {
    let cache = RecordCache::new(1 << 20);
    let hot = |number: u64| [&b"hot"[..], &number.to_le_bytes()].concat();
    for _ in 0..3 {
        for number in 0..1_000 {
            put(&cache, &hot(number), &[1; 100]);
        }
    }
    for number in 0..50_000_u64 {
        put(&cache, &number.to_le_bytes(), &[1; 100]);
        if number % 50 == 0 {
            // A hot record is written now and then; it keeps its place.
            let key = hot(number / 50);
            let ticket = cache.begin_commit([&key[..]].into_iter());
            cache.end_commit(ticket, [(&key[..], Some(&b"again"[..]))].into_iter());
        }
    }
    assert_eq!(
        (0..1_000)
            .filter(|number| holds(&cache, &hot(*number)))
            .count(),
        1_000
    );
    assert!(!holds(&cache, &0_u64.to_le_bytes()));
}

#[test]
fn a_record_that_returns_soon_after_it_left_stays() {
    let cache = RecordCache::new(1 << 20);
    put(&cache, b"back", b"1");
    let others = |range: std::ops::Range<u64>| {
        for number in range {
            put(&cache, &number.to_le_bytes(), &[1; 1_000]);
        }
    };
    others(0..1_200);
    assert!(!holds(&cache, b"back"));
    put(&cache, b"back", b"1");
    others(1_200..10_000);
    assert!(holds(&cache, b"back"));
}

#[test]
fn a_ticket_serves_its_key_only() {
    let cache = RecordCache::new(1 << 20);
    // As many keys as make it certain that two have different stripes.
    for number in 0..200_u8 {
        let Lookup::Miss(ticket) = cache.get(b"asked") else {
            panic!("nothing was filled");
        };
        let same = cache.0.as_ref().map(|c| c.spot(c.hash(&[number]))) == Some(ticket.spot);
        cache.fill(ticket, &[number], b"1");
        assert_eq!(holds(&cache, &[number]), same);
    }
}

#[test]
fn a_commit_that_panics_leaves_its_keys_open() {
    let cache = RecordCache::new(1 << 20);
    let keys = || std::iter::once(&b"key"[..]);
    catch_unwind(AssertUnwindSafe(|| {
        let _ticket = cache.begin_commit(keys());
        panic!("on purpose");
    }))
    .unwrap_err();
    catch_unwind(AssertUnwindSafe(|| {
        cache.begin_commit(keys().chain(std::iter::once_with(|| panic!("on purpose"))));
    }))
    .unwrap_err();
    put(&cache, b"key", b"1");
    assert!(holds(&cache, b"key"));
}

#[test]
fn off_is_off() {
    let cache = RecordCache::new(0);
    assert!(matches!(cache.get(b"key"), Lookup::Off));
    let ticket = cache.begin_commit([&b"key"[..]].into_iter());
    cache.end_commit(ticket, [(&b"key"[..], Some(&b"1"[..]))].into_iter());
    cache.clear();
    assert!(matches!(cache.get(b"key"), Lookup::Off));
    assert_eq!(cache.facts(), CacheFacts::default());
}

#[test]
fn hits_of_all_threads_are_counted() {
    fn shared<T: Send + Sync>(_: &T) {}
    let cache = RecordCache::new(1 << 20);
    shared(&cache);
    put(&cache, b"key", b"1");
    std::thread::scope(|scope| {
        for _ in 0..LANES + 3 {
            scope.spawn(|| (0..100).for_each(|_| assert!(holds(&cache, b"key"))));
        }
    });
    assert_eq!(cache.facts().hits, (LANES as u64 + 3) * 100);
    assert_eq!(cache.facts().misses, 1);
}

/// `cargo test --release -p statekeep-core cache_costs -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, run by hand"]
fn cache_costs() {
    const KEYS: usize = 10_000;
    const READS: usize = 5_000_000;
    let key =
        |number| format!("\0\0\0\x01\x02user-{number:08}\0preferences/{number:08}").into_bytes();
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let cache = RecordCache::new(64 << 20);
    let each = |name: &str, count: usize, started: Instant| {
        println!(
            "{name}: {} ns",
            started.elapsed().as_nanos() / count as u128
        );
    };
    let started = Instant::now();
    keys.iter().for_each(|key| put(&cache, key, &[1; 100]));
    each("miss and fill", KEYS, started);
    let read = || {
        let mut at = 0;
        for _ in 0..READS {
            at = (at + 7_919) % KEYS;
            assert!(holds(&cache, &keys[at]));
        }
    };
    for threads in [1, 2] {
        let started = Instant::now();
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(read))));
        each(&format!("hit, {threads} threads"), READS * threads, started);
    }
    let started = Instant::now();
    for key in &keys {
        let ticket = cache.begin_commit([&key[..]].into_iter());
        cache.end_commit(ticket, [(&key[..], Some(&[2; 100][..]))].into_iter());
    }
    each("commit of one key", KEYS, started);
    println!("{:?}", cache.facts());
}
