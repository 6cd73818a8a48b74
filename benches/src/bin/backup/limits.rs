//! What no backup of these records can go below: reading them, zstd -3 on two threads, SHA-256 of what
//! it gives, and writing that with a sync.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use sha2::{Digest, Sha256};
use statekeep::Config;

use crate::steps::cpu_seconds;

/// What each line stands for.
pub const NAMES: [&str; 4] = ["scan", "zstd -3", "SHA-256", "write, sync"];

const BLOCK_BYTES: usize = 1 << 20;
const THREADS: usize = 2;

/// Prints a line for each limit: wall and CPU seconds, and bytes.
pub fn run(directory: &Path, records: u64) {
    {
        let host = statekeep::open(&Config::new(directory.join("state"))).expect("open");
        measured(|| scan(&host, records));
        host.close().expect("close");
    }
    let raw = fs::read(directory.join("raw")).expect("raw");
    let mut packed = Vec::new();
    measured(|| {
        packed = pack(&raw);
        packed.iter().map(Vec::len).sum()
    });
    let bytes = packed.iter().map(Vec::len).sum();
    measured(|| {
        let mut hash = Sha256::new();
        packed.iter().for_each(|block| hash.update(block));
        std::hint::black_box(hash.finalize());
        bytes
    });
    let path = directory.join("written");
    measured(|| {
        let mut file = File::create(&path).expect("file");
        for block in &packed {
            file.write_all(block).expect("write");
        }
        file.sync_all().expect("sync");
        bytes
    });
    fs::remove_file(path).expect("remove");
}

fn measured(work: impl FnOnce() -> usize) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let bytes = work();
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{wall} {cpu} {bytes}");
}

fn scan(host: &statekeep::Host, records: u64) -> usize {
    let snapshot = host.manager.snapshot().expect("snapshot");
    let mut scan = snapshot.scan().expect("scan");
    let (mut seen, mut bytes) = (0, 0);
    let mut visit = |key: &[u8], record: &[u8]| bytes += key.len() + record.len();
    loop {
        match scan.next_batch(64, &mut visit).expect("scan") {
            0 => break,
            read => seen += read as u64,
        }
    }
    assert_eq!(seen, records);
    bytes
}

fn pack(raw: &[u8]) -> Vec<Vec<u8>> {
    let blocks: Vec<&[u8]> = raw.chunks(BLOCK_BYTES).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut packer = zstd::bulk::Compressor::new(3).expect("zstd");
                    let mut packed = Vec::new();
                    while let Some(block) = blocks.get(next.fetch_add(1, Relaxed)) {
                        packed.push(packer.compress(block).expect("zstd"));
                    }
                    packed
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker"))
            .collect()
    })
}
