//! The pause of a live swap, beside what a commit takes anyway, in one run.
//!
//! `swap [RECORDS] [ROUNDS] [DIRECTORY]`: a state of agent-like records, six threads that write and
//! two that read without a pause. Each round swaps to another backend. `pause` is the time for which
//! commits waited by the host's own clock, `worst` the longest call that any writer met while the
//! swap ran, `commit` the median of their calls outside of swaps.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on must stop"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use statekeep::{
    Batch, BlockingTenant, Config, Durability, Key, Progress, Scope, SetOptions, Value,
};
use statekeep_benches::{Random, median, message};

const WRITERS: u64 = 6;
const READERS: u64 = 2;
const BACKENDS: [&str; 4] = ["redb", "fjall", "sqlite", "lmdb"];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| {
        let argument = arguments.next();
        argument.map_or(default, |n| n.parse().expect("a number"))
    };
    let (records, rounds) = (number(100_000), number(12));
    let directory = std::env::args()
        .nth(3)
        .map_or_else(|| PathBuf::from("target/swap"), PathBuf::from);
    let _ = std::fs::remove_dir_all(&directory);
    let mut config = Config::new(directory.join("state"));
    config.set("backend", "fjall").expect("a backend");
    let host = statekeep::open(&config).expect("open");
    let tenant = host.manager.default_tenant().blocking();
    load(&tenant, records);
    println!("{records} records, {WRITERS} writers, {READERS} readers");
    println!(
        "{:>8} {:>8} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "from", "to", "pause ms", "worst ms", "commit ms", "swap s", "commits"
    );

    let (stop, swapping) = (AtomicBool::new(false), AtomicBool::new(false));
    // Milliseconds of calls: outside of swaps, and during the one under way.
    let calls = Mutex::new((Vec::new(), 0f64));
    let locked = || calls.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut pauses, mut commits) = (Vec::new(), Vec::new());
    std::thread::scope(|threads| {
        for thread in 0..WRITERS {
            let (tenant, stop, swapping, locked) = (tenant.clone(), &stop, &swapping, &locked);
            threads.spawn(move || {
                let mut random = Random::new(100 + thread);
                while !stop.load(Ordering::Relaxed) {
                    let item = random.below(records);
                    let value = Value::json(message(&mut random, item)).expect("JSON");
                    let began = Instant::now();
                    tenant
                        .set(&scope(item), &key(item), value, SetOptions::default())
                        .expect("set");
                    let ms = began.elapsed().as_secs_f64() * 1e3;
                    let mut calls = locked();
                    if swapping.load(Ordering::Relaxed) {
                        calls.1 = calls.1.max(ms);
                    } else {
                        calls.0.push(ms);
                    }
                }
            });
        }
        for thread in 0..READERS {
            let (tenant, stop) = (tenant.clone(), &stop);
            threads.spawn(move || {
                let mut random = Random::new(200 + thread);
                while !stop.load(Ordering::Relaxed) {
                    let item = random.below(records);
                    let found = tenant.get(&scope(item), &key(item)).expect("get");
                    assert!(found.is_some(), "item {item} is gone");
                }
            });
        }
        for round in 0..rounds {
            // Some calls outside of swaps.
            let so_far = locked().0.len();
            while locked().0.len() < so_far + 200 {
                std::thread::yield_now();
            }
            locked().1 = 0.0;
            swapping.store(true, Ordering::Relaxed);
            let to = BACKENDS[round as usize % BACKENDS.len()];
            let began = Instant::now();
            let options = serde_json::json!({});
            let swapped = host.manager.swap_backend(to, &options, &Progress::new());
            let report = swapped.expect("swap");
            let seconds = began.elapsed().as_secs_f64();
            swapping.store(false, Ordering::Relaxed);
            let worst = locked().1;
            let commit = median(&mut locked().0.clone());
            let pause = report.pause_us as f64 / 1e3;
            println!(
                "{:>8} {to:>8} {pause:>10.2} {worst:>10.2} {commit:>10.2} {seconds:>9.1} {:>9}",
                report.from, report.catch_up_commits
            );
            pauses.push(pause);
            commits.push(commit);
            // A reader may still be in it.
            let _ = host.manager.release_namespace(report.replaced);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (pause, commit) = (median(&mut pauses), median(&mut commits));
    println!(
        "median pause {pause:.2} ms, median commit {commit:.2} ms, ratio {:.1}",
        pause / commit
    );
    host.close().expect("close");
}

fn scope(item: u64) -> Scope {
    format!("agent:{}", item % 997).parse().expect("a scope")
}

fn key(item: u64) -> Key {
    Key::new(&format!("memory/item-{item:010}")).expect("a key")
}

fn load(tenant: &BlockingTenant, records: u64) {
    let mut random = Random::new(1);
    for from in (0..records).step_by(1_000) {
        let mut batch = Batch::new();
        batch.durability(Durability::Relaxed);
        for item in from..records.min(from + 1_000) {
            let value = Value::json(message(&mut random, item)).expect("JSON");
            batch.set(&scope(item), &key(item), value);
        }
        tenant.commit(batch).expect("load");
    }
}
