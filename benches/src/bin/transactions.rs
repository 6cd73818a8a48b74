//! Transactions per second against the same changes as batches, which read and check nothing, and
//! transactions that read a range against those that read keys.
//!
//! `transactions [SECONDS]`: on memory and fjall, synced and relaxed, with 1 and 8 threads. A
//! transaction reads two of 10,000 keys and writes two, 200 B each. Rounds are interleaved; medians.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use statekeep::engine::{TransactOptions, Transaction};
use statekeep::{
    Batch, BlockingTenant, Config, Durability, Key, ListOptions, Scope, SetOptions, Value,
};
use statekeep_benches::{Random, median};

const KEYS: u64 = 10_000;
const ROUNDS: usize = 3;
const WAYS: [&str; 3] = ["batch", "keys", "range"];

fn place(n: u64) -> (Scope, Key) {
    let scope: Scope = format!("user:{}", n % 100).parse().expect("a scope");
    (scope, Key::new(&format!("item/{n:06}")).expect("a key"))
}

fn value(random: &mut Random) -> Value {
    Value::bytes(random.number().to_le_bytes().repeat(25))
}

fn main() {
    let seconds: f64 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1.0);
    let directory = std::env::temp_dir().join(format!("statekeep-txn-{}", std::process::id()));
    println!("commits/s as batches of 2 sets; as transactions of 2 reads and 2 sets; of a page of");
    println!("10 keys and 2 sets; conflicts tried again");
    for backend in ["memory", "fjall"] {
        for durability in [Durability::Sync, Durability::Relaxed] {
            for threads in [1, 8] {
                let folder = directory.join(format!("{backend}-{durability:?}-{threads}"));
                measure(&folder, backend, durability, threads, seconds);
            }
        }
    }
    std::fs::remove_dir_all(&directory).expect("remove the directory");
}

fn measure(folder: &Path, backend: &str, durability: Durability, threads: u64, seconds: f64) {
    std::fs::create_dir_all(folder).expect("create a directory");
    let mut config = Config::new(folder.join("state"));
    config.set("backend", backend).expect("a backend");
    let host = statekeep::open(&config).expect("open");
    let tenant = host.manager.default_tenant().blocking();
    let mut random = Random::new(1);
    let mut batch = Batch::new();
    for n in 0..KEYS {
        let (scope, key) = place(n);
        batch.set(&scope, &key, value(&mut random));
    }
    tenant.commit(batch).expect("fill");
    let mut rates = vec![Vec::new(); WAYS.len()];
    let mut conflicts = 0;
    for _ in 0..ROUNDS {
        for (way, rates) in rates.iter_mut().enumerate() {
            let (rate, refused) = round(&tenant, WAYS[way], durability, threads, seconds);
            rates.push(rate);
            conflicts += refused;
        }
    }
    let [batch, keys, range] = [0, 1, 2].map(|way: usize| median(&mut rates[way]));
    println!(
        "  {backend:<7} {:<8} {threads} threads {batch:8.0}/s  {keys:8.0}/s ({:.2} x)  {range:8.0}/s ({:.2} x)  {conflicts}",
        format!("{durability:?}").to_lowercase(),
        keys / batch,
        range / batch
    );
    drop(tenant);
    host.close().expect("close");
}

fn round(
    tenant: &BlockingTenant,
    way: &str,
    durability: Durability,
    threads: u64,
    seconds: f64,
) -> (f64, u64) {
    let (ended, commits, runs) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (ended, commits, runs) = (&ended, &commits, &runs);
            scope.spawn(move || {
                let mut random = Random::new(thread + 2);
                while !ended.load(Ordering::Relaxed) {
                    one(tenant, way, durability, &mut random, runs);
                    commits.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs_f64(seconds));
        ended.store(true, Ordering::Relaxed);
    });
    let commits = commits.load(Ordering::Relaxed);
    let refused = runs.load(Ordering::Relaxed).saturating_sub(commits);
    (commits as f64 / started.elapsed().as_secs_f64(), refused)
}

fn one(
    tenant: &BlockingTenant,
    way: &str,
    durability: Durability,
    random: &mut Random,
    runs: &AtomicU64,
) {
    let (a, b) = (random.below(KEYS), random.below(KEYS));
    let options = SetOptions::with_durability(durability);
    if way == "batch" {
        let mut batch = Batch::new();
        batch.durability(durability);
        for n in [a, b] {
            let (scope, key) = place(n);
            batch.set(&scope, &key, value(random));
        }
        tenant.commit(batch).expect("commit");
        return;
    }
    let set = |txn: &mut Transaction, n: u64, value: Value| {
        let (scope, key) = place(n);
        txn.set(&scope, &key, value, options)
    };
    let transact = TransactOptions {
        durability: Some(durability),
        ..TransactOptions::default()
    };
    let done = tenant.transact(&transact, |txn| {
        runs.fetch_add(1, Ordering::Relaxed);
        if way == "keys" {
            for n in [a, b] {
                let (scope, key) = place(n);
                txn.get(&scope, &key)?;
            }
        } else {
            let (scope, key) = place(a);
            let page = ListOptions {
                after: Some(key.as_str().to_owned()),
                limit: 10,
                ..ListOptions::default()
            };
            txn.scan_page(&scope, &page)?;
        }
        let (first, second) = (value(random), value(random));
        set(txn, a, first)?;
        set(txn, b, second)
    });
    done.expect("transact");
}
