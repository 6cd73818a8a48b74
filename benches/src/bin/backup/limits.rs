//! What no backup of these records can go below: reading them, a hash of them, zstd -3 on two threads,
//! and writing what that gives with a sync.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use sha2::{Digest, Sha256};
use statekeep::Config;

use crate::steps::cpu_seconds;

/// What each line stands for.
pub const NAMES: [&str; 4] = ["scan", "SHA-256", "zstd -3", "write, sync"];

const BLOCK_BYTES: usize = 1 << 20;
const THREADS: usize = 2;

/// Prints a line for each limit: wall and CPU seconds, and bytes.
pub fn run(directory: &Path, records: u64) {
    let mut raw = Vec::new();
    {
        let host = statekeep::open(&Config::new(directory.join("state"))).expect("open");
        let mut bytes = 0;
        measured(|| {
            let seen = scan(&host, &mut |row| bytes += row.len());
            assert_eq!(seen, records);
            bytes
        });
        raw.reserve_exact(bytes);
        scan(&host, &mut |row| raw.extend_from_slice(row));
        host.close().expect("close");
    }
    measured(|| {
        std::hint::black_box(Sha256::digest(&raw));
        raw.len()
    });
    let mut packed = Vec::new();
    measured(|| {
        packed = pack(&raw);
        packed.iter().map(Vec::len).sum()
    });
    let path = directory.join("written");
    measured(|| {
        let mut file = File::create(&path).expect("file");
        for block in &packed {
            file.write_all(block).expect("write");
        }
        file.sync_all().expect("sync");
        packed.iter().map(Vec::len).sum()
    });
    fs::remove_file(path).expect("remove");
}

fn measured(work: impl FnOnce() -> usize) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let bytes = work();
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{wall} {cpu} {bytes}");
}

/// Hands keys and records to `visit`, and answers how many records there are.
fn scan(host: &statekeep::Host, visit: &mut dyn FnMut(&[u8])) -> u64 {
    let snapshot = host.manager.snapshot().expect("snapshot");
    let mut scan = snapshot.scan().expect("scan");
    let mut seen = 0;
    loop {
        let read = scan.next_batch(64, &mut |key, record| {
            visit(key);
            visit(record);
        });
        match read.expect("scan") {
            0 => return seen,
            read => seen += read as u64,
        }
    }
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
