//! The built-in backends beside each other and beside the disk itself, in one run.
//!
//! `engines [ENTRIES] [DIRECTORY]`: every engine gets the same rows, opened with its default
//! options and called through its raw table. Samples are interleaved, so that a busy machine is
//! busy for all; read the ratios. `raw` is one `write` and `fdatasync` of the same bytes at the end
//! of a growing file, `raw ahead` the same inside a file that was written before. Synced commits
//! are shown by their quickest tenth and their median: where other programs sync too, the median
//! is the file system's schedule and the same for all.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on must stop"
)]

mod disk;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use disk::Disk;
use statekeep_benches::Random;
use statekeep_benches::raw::Backend;
use statekeep_plugin_api::{DURABILITY_RELAXED, DURABILITY_SYNC, Descriptor};
use work::{Rows, bytes_on_disk, key, quantile};

const ROUNDS: usize = 7;
const SINGLES: usize = 100;
const GROUPS: usize = 20;
const GROUP: usize = 64;
const RELAXED: usize = 2000;
const GETS: u64 = 50_000;
const HOT: u64 = 10_000;
const AHEAD_BYTES: usize = 64 << 20;

/// Microseconds of synced commits, one sample each.
#[derive(Default)]
struct Synced {
    single: Vec<f64>,
    group: Vec<f64>,
}

/// The other figures, one per round but for the load.
#[derive(Default)]
struct Figures {
    relaxed_us: Vec<f64>,
    hot_k: Vec<f64>,
    any_k: Vec<f64>,
    scan_k: Vec<f64>,
    load_k: f64,
    disk_bytes: u64,
}

struct Engine {
    name: &'static str,
    directory: PathBuf,
    backend: Backend,
    synced: Synced,
    figures: Figures,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries = arguments
        .next()
        .map_or(200_000, |n| n.parse().expect("ENTRIES is a number"));
    let directory = arguments
        .next()
        .map_or_else(|| PathBuf::from("target/engines"), PathBuf::from);
    let _ = fs::remove_dir_all(&directory);
    let mut engines = open_all(&directory);
    let payload = load(&mut engines, entries);
    let mut disks = [("raw", 0), ("raw ahead", AHEAD_BYTES)].map(|(name, ahead_bytes)| {
        let disk = Disk::open(name, &directory, ahead_bytes);
        (disk, Synced::default())
    });
    let mut random = Random::new(7);
    for _ in 0..ROUNDS {
        synced(&mut engines, &mut disks, &mut random, entries);
        for engine in &mut engines {
            relaxed(engine, &mut random, entries);
            reads(engine, &mut random, entries);
        }
    }
    print(&engines, &disks, entries, payload);
}

fn open_all(directory: &Path) -> Vec<Engine> {
    let plugins: &[(&'static str, &'static Descriptor)] = &[
        ("memory", statekeep_backend_memory::descriptor()),
        ("fjall", statekeep_backend_fjall::descriptor()),
        ("sled", statekeep_backend_sled::descriptor()),
        ("redb", statekeep_backend_redb::descriptor()),
        ("lmdb", statekeep_backend_lmdb::descriptor()),
        ("sqlite", statekeep_backend_sqlite::descriptor()),
    ];
    let engines = plugins.iter().map(|&(name, descriptor)| {
        let directory = directory.join(name);
        fs::create_dir_all(&directory).expect("create a directory");
        Engine {
            name,
            backend: Backend::open(descriptor, &directory),
            directory,
            synced: Synced::default(),
            figures: Figures::default(),
        }
    });
    engines.collect()
}

/// Loads every engine with the same rows and answers their bytes.
fn load(engines: &mut [Engine], entries: u64) -> u64 {
    let mut payload = 0;
    for engine in engines {
        let mut random = Random::new(1);
        let (mut at, mut spent_us) = (0, 0.0);
        payload = 0;
        while at < entries {
            let to = entries.min(at + GROUP as u64);
            let rows = Rows::loaded(&mut random, at, to);
            payload += rows.joined().len() as u64;
            spent_us += micros(|| engine.backend.commit(&rows.views(), DURABILITY_RELAXED));
            at = to;
        }
        spent_us += micros(|| engine.backend.flush());
        engine.figures.load_k = entries as f64 * 1e3 / spent_us;
        engine.figures.disk_bytes = bytes_on_disk(&engine.directory);
    }
    payload
}

/// The same commits, synced, to every engine and to the disk alone, one after the other.
fn synced(engines: &mut [Engine], disks: &mut [(Disk, Synced)], random: &mut Random, entries: u64) {
    for at in 0..SINGLES + GROUPS {
        let alone = at < SINGLES;
        let rows = Rows::replaced(random, entries, if alone { 1 } else { GROUP });
        let all = rows.joined();
        for engine in &mut *engines {
            let spent = micros(|| engine.backend.commit(&rows.views(), DURABILITY_SYNC));
            engine.synced.add(alone, spent);
        }
        for (disk, synced) in &mut *disks {
            disk.make_room(all.len());
            synced.add(alone, micros(|| disk.write(&all)));
        }
    }
}

impl Synced {
    fn add(&mut self, alone: bool, spent_us: f64) {
        match alone {
            true => self.single.push(spent_us),
            false => self.group.push(spent_us),
        }
    }

    /// Quickest tenth and median of a single commit in microseconds, then of groups in thousand
    /// operations a second.
    fn shown(&self) -> [f64; 4] {
        let group = |q| GROUP as f64 * 1e3 / quantile(&self.group, q);
        [
            quantile(&self.single, 0.1),
            quantile(&self.single, 0.5),
            group(0.1),
            group(0.5),
        ]
    }
}

/// Relaxed commits of three rows: record, history, journal.
fn relaxed(engine: &mut Engine, random: &mut Random, entries: u64) {
    let each = (0..RELAXED).map(|_| {
        let sequence = random.number() >> 8;
        let rows = Rows::change(random, entries, sequence);
        micros(|| engine.backend.commit(&rows.views(), DURABILITY_RELAXED))
    });
    let each: Vec<f64> = each.collect();
    engine.figures.relaxed_us.push(quantile(&each, 0.5));
}

fn reads(engine: &mut Engine, random: &mut Random, entries: u64) {
    let mut value = Vec::new();
    for (below, figures) in [
        (HOT.min(entries), &mut engine.figures.hot_k),
        (entries, &mut engine.figures.any_k),
    ] {
        let keys: Vec<_> = (0..GETS).map(|_| key(random.below(below))).collect();
        let spent = micros(|| {
            for key in &keys {
                engine.backend.get(0, key, &mut value);
            }
        });
        figures.push(GETS as f64 * 1e3 / spent);
    }
    let mut rows = 0;
    let spent = micros(|| rows = engine.backend.scan(0).0);
    assert_eq!(rows, entries, "{} lost rows", engine.name);
    engine.figures.scan_k.push(rows as f64 * 1e3 / spent);
}

fn micros(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e6
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn print(engines: &[Engine], disks: &[(Disk, Synced)], entries: u64, payload: u64) {
    let megabytes = payload / 1_000_000;
    println!("{entries} entries, {megabytes} MB of keys and values, {ROUNDS} rounds");
    println!("synced: us of a commit of 1, k/s of operations in commits of {GROUP}; (x) times raw");
    println!("relaxed: us of a commit of 3 rows; load, get, scan: k/s; disk: MB after the load");
    println!(
        "{:9} {:>12} {:>13} {:>13} {:>14} | {:>7} {:>6} {:>8} {:>8} {:>6} {:>5}",
        "",
        "1 p10",
        "1 p50",
        "64 p10",
        "64 p50",
        "relaxed",
        "load",
        "get hot",
        "get any",
        "scan",
        "disk"
    );
    let base = disks.first().map_or([1.0; 4], |(_, synced)| synced.shown());
    let synced = |name: &str, synced: &Synced| {
        let [a, b, c, d] = synced.shown();
        let [e, f, g, h] = base;
        format!(
            "{name:9} {a:5.0} ({:4.2}) {b:6.0} ({:4.2}) {c:5.0} ({:5.2}) {d:6.0} ({:5.2})",
            a / e,
            b / f,
            c / g,
            d / h
        )
    };
    for (disk, figures) in disks {
        println!("{}", synced(disk.name, figures));
    }
    for engine in engines {
        let figures = &engine.figures;
        let middle = |figures: &[f64]| quantile(figures, 0.5);
        println!(
            "{} | {:7.1} {:6.1} {:8.0} {:8.0} {:6.0} {:5}",
            synced(engine.name, &engine.synced),
            middle(&figures.relaxed_us),
            figures.load_k,
            middle(&figures.hot_k),
            middle(&figures.any_k),
            middle(&figures.scan_k),
            figures.disk_bytes / 1_000_000
        );
    }
}
