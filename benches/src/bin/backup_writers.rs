//! What a running backup costs writers: the 99th percentile of the time of a write, with a backup that
//! runs all the while, with one that is limited to 4 MiB a second, and without one. Beside these, what a
//! processor costs that is busy with something else: a thread that only compresses, with zstd.
//!
//! `backup_writers [RECORDS] [SECONDS] [DIRECTORY] [CORES_FREE]`: a state on fjall with agent-like messages;
//! one writer sets one value after the other, durable or relaxed. Each of 5 rounds takes all eight
//! in turn, for SECONDS each; printed are medians over the rounds and their ratio to no backup.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use statekeep::{
    Batch, BlockingTenant, Config, CreateOptions, Durability, ErrorKind, Key, Progress, Scope,
    SetOptions, Value,
};
use statekeep_benches::{Random, median, message};

const ROUNDS: usize = 5;
const LIMIT: u64 = 4 << 20;

/// What goes on beside the writer.
#[derive(Copy, Clone, PartialEq)]
enum Beside {
    Nothing,
    Backup,
    Limited,
    Zstd,
}

const BESIDES: [(Beside, &str); 4] = [
    (Beside::Nothing, "no backup"),
    (Beside::Zstd, "zstd on one core"),
    (Beside::Backup, "a backup"),
    (Beside::Limited, "a backup at 4 MiB/s"),
];

fn main() {
    let mut args = std::env::args().skip(1);
    let records: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let seconds: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(3);
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = base.join(format!("statekeep-writers-{}", std::process::id()));
    let mut config = Config::new(directory.join("state"));
    if let Some(free) = args.next() {
        config.set("backup.cores_free", &free).expect("cores");
    }
    let host = statekeep::open(&config).expect("open");
    let tenant = host.manager.default_tenant().blocking();
    fill(&tenant, records);

    let kinds = [
        (Durability::Sync, "durable"),
        (Durability::Relaxed, "relaxed"),
    ];
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); kinds.len() * BESIDES.len()];
    let mut backups = 0;
    for _ in 0..ROUNDS {
        let cases = kinds
            .iter()
            .flat_map(|kind| BESIDES.iter().map(move |beside| (kind, beside)));
        for (figures, ((durability, _), (beside, _))) in figures.iter_mut().zip(cases) {
            let (p99, made) = measure(&host, &tenant, *durability, *beside, seconds);
            figures.push(p99);
            backups += made;
        }
    }
    println!(
        "p99 of one write beside a backup of {records} records, medians of {ROUNDS} interleaved \
         rounds of {seconds} s; {backups} backups were begun"
    );
    for (kind, figures) in kinds.iter().zip(figures.chunks_mut(BESIDES.len())) {
        let mut base = f64::NAN;
        for ((beside, name), figures) in BESIDES.iter().zip(figures) {
            let p99 = median(figures);
            if *beside == Beside::Nothing {
                base = p99;
            }
            let ratio = p99 / base;
            println!("  {:<8} {name:<20} {p99:9.1} us  {ratio:5.2} x", kind.1);
        }
    }
    host.close().expect("close");
    std::fs::remove_dir_all(&directory).expect("remove the directory");
}

/// The 99th percentile in microseconds, and how many backups were begun.
fn measure(
    host: &statekeep::Host,
    tenant: &BlockingTenant,
    durability: Durability,
    beside: Beside,
    seconds: u64,
) -> (f64, u64) {
    let progress = Progress::new();
    std::thread::scope(|scope| {
        let backup = (beside != Beside::Nothing).then(|| {
            let progress = &progress;
            scope.spawn(move || {
                if beside == Beside::Zstd {
                    return compress(progress);
                }
                if beside == Beside::Limited {
                    progress.limit_rate(LIMIT);
                }
                let mut begun = 0;
                loop {
                    begun += 1;
                    match host.backups.create(&CreateOptions::default(), progress) {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::Cancelled => return begun,
                        Err(error) => panic!("create: {error}"),
                    }
                }
            })
        });
        let p99 = write(tenant, durability, Duration::from_secs(seconds));
        progress.cancel();
        let begun = backup.map_or(0, |backup| backup.join().expect("the backup"));
        (p99, begun)
    })
}

/// Compresses on the last processor, at a low priority, until it is cancelled.
fn compress(progress: &Progress) -> u64 {
    use rustix::{process, thread};
    let allowed = thread::sched_getaffinity(None).expect("processors");
    let mut last = thread::CpuSet::new();
    last.set(
        (0..thread::CpuSet::MAX_CPU)
            .rfind(|cpu| allowed.is_set(*cpu))
            .expect("one"),
    );
    thread::sched_setaffinity(None, &last).expect("the last one");
    process::setpriority_process(None, 10).expect("nice");
    let mut random = Random::new(5);
    let text: String = (0..2_000).map(|turn| message(&mut random, turn)).collect();
    while progress.check().is_ok() {
        std::hint::black_box(zstd::bulk::compress(text.as_bytes(), 3).expect("zstd"));
    }
    0
}

fn write(tenant: &BlockingTenant, durability: Durability, time: Duration) -> f64 {
    let scope: Scope = "session:writer".parse().expect("scope");
    let mut random = Random::new(7);
    let options = SetOptions {
        durability: Some(durability),
        ..SetOptions::default()
    };
    let (started, mut took, mut turn) = (Instant::now(), Vec::new(), 0);
    while started.elapsed() < time {
        let key = Key::new(&format!("message:{:08}", turn % 10_000)).expect("key");
        let value = Value::json(message(&mut random, turn)).expect("JSON");
        let before = Instant::now();
        tenant.set(&scope, &key, value, options).expect("set");
        took.push(before.elapsed().as_secs_f64() * 1e6);
        turn += 1;
        if durability == Durability::Relaxed {
            // An agent's pace, not a flood: a queue that is always full measures only itself.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    took.sort_by(f64::total_cmp);
    took.get(took.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

fn fill(tenant: &BlockingTenant, records: u64) {
    let mut random = Random::new(3);
    let mut turn = 0;
    while turn < records {
        let scope: Scope = format!("session:{:06}", turn / 60).parse().expect("scope");
        let mut batch = Batch::new();
        for _ in 0..60.min(records - turn) {
            let key = Key::new(&format!("message:{turn:08}")).expect("key");
            let value = Value::json(message(&mut random, turn)).expect("JSON");
            batch.set(&scope, &key, value);
            turn += 1;
        }
        batch.durability(Durability::Relaxed);
        tenant.commit(batch).expect("commit");
    }
}
