//! The cache by itself: its bounds, what stays and what leaves, its counts, a commit that panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::*;
use crate::counts::LANES;

fn put(cache: &RecordCache, key: &[u8], record: &[u8]) {
    if let Lookup::Miss(ticket) = cache.get(key, |_| ()) {
        cache.fill(ticket, key, record);
    }
}

fn holds(cache: &RecordCache, key: &[u8]) -> bool {
    matches!(cache.get(key, |_| ()), Lookup::Hit(_))
}

#[test]
fn the_bound_holds_and_the_books_agree() {
    for bytes_max in [8 << 10, 1 << 20, (5 << 20) + 1] {
        let cache = RecordCache::new(bytes_max);
        let mut full = false;
        for number in 0..30_000_u64 {
            let key = (number * 7_919 % 20_000).to_le_bytes();
            put(&cache, &key, &vec![1; (number * 31 % 900) as usize]);
            if number % 3 == 0 {
                cache.get(&(number * 3 % 20_000).to_le_bytes(), |_| ());
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
        let inside = cache.cache.as_ref().unwrap();
        assert_eq!(inside.entries.len() as u64, facts.entries);
        let all = inside.entries.guard();
        let weights = inside.entries.keys(&all).map(Entry::weight);
        assert_eq!(weights.sum::<u64>(), facts.bytes);
        assert!(
            facts.evictions > 0 && facts.evictions < facts.misses,
            "{facts:?}"
        );
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
    let held = (0..1_000).filter(|number| holds(&cache, &hot(*number)));
    // One in SECOND_CHANCES_MAX may leave when all have to move on at once.
    assert!(held.count() >= 990);
    assert!(!holds(&cache, &0_u64.to_le_bytes()));
}

#[test]
fn a_record_that_returns_soon_after_it_left_stays() {
    let cache = RecordCache::new(1 << 20);
    let mut others = (0..10_000_u64).map(|number| put(&cache, &number.to_le_bytes(), &[1; 1_000]));
    put(&cache, b"back", b"1");
    // Looked at without being read.
    let inside = &cache.cache.as_ref().unwrap().entries;
    while Pinned::new(inside).get(b"back").is_some() {
        others.next().unwrap();
    }
    put(&cache, b"back", b"1");
    assert!(others.count() > 5_000);
    assert!(holds(&cache, b"back"));
}

#[test]
fn a_record_gets_its_time_in_a_cache_full_of_others_that_were_read() {
    let cache = RecordCache::new(1 << 20);
    let put_all = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            put(&cache, &number.to_le_bytes(), &[1; 100]);
        }
    };
    // These nearly fill it, are read, and have moved on when the thousand after them came.
    put_all(0..3_400);
    put_all(0..3_400);
    put_all(10_000..11_000);
    put(&cache, b"fresh", b"1");
    put_all(20_000..20_200);
    assert!(holds(&cache, b"fresh"));
}

#[test]
fn a_ticket_serves_its_key_only() {
    let cache = RecordCache::new(1 << 20);
    // As many keys as make it certain that two have different stripes.
    for number in 0..200_u8 {
        let Lookup::Miss(ticket) = cache.get(b"asked", |_| ()) else {
            panic!("nothing was filled");
        };
        let same = cache.cache.as_ref().map(|c| c.spot(c.hash(&[number]))) == Some(ticket.spot);
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
    assert!(matches!(cache.get(b"key", |_| ()), Lookup::Off));
    let ticket = cache.begin_commit([&b"key"[..]].into_iter());
    cache.end_commit(ticket, [(&b"key"[..], Some(&b"1"[..]))].into_iter());
    assert!(matches!(cache.get(b"key", |_| ()), Lookup::Off));
    let facts = CacheFacts {
        misses: 2,
        ..CacheFacts::default()
    };
    assert_eq!(cache.facts(), facts, "every read asked the backend");
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
