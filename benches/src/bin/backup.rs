//! Full backup, verify and restore against `tar | zstd -3 -T2` of the same bytes, in one run.
//!
//! `backup [RECORDS] [DIRECTORY]`: a state on fjall is filled with agent-like messages; the same
//! values stand in files, one a session. Printed are wall and CPU seconds, MB/s of the values' bytes,
//! stored bytes and, last, this process's peak memory. Rounds are interleaved; medians.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use statekeep::{
    Batch, Config, CreateOptions, Key, Progress, RestoreOptions, Scope, Value, VerifyLevel,
};
use statekeep_benches::{Random, median, message};

const ROUNDS: usize = 3;
const SESSION_MESSAGES: u64 = 60;

#[derive(Default)]
struct Figures {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    bytes: u64,
}

impl Figures {
    fn add(&mut self, (wall, cpu): (f64, f64), bytes: u64) {
        self.wall.push(wall);
        self.cpu.push(cpu);
        self.bytes = bytes;
    }

    fn line(&mut self, name: &str, raw_bytes: u64, base: Option<f64>) -> f64 {
        let (wall, cpu) = (median(&mut self.wall), median(&mut self.cpu));
        let ratio = base.map_or(String::new(), |base| {
            format!("   {:.2} x tar|zstd wall", wall / base)
        });
        println!(
            "  {name:<22} {wall:6.2} s wall  {cpu:6.2} s CPU  {:6.0} MB/s  {:6.1} MB{ratio}",
            raw_bytes as f64 / 1e6 / wall,
            self.bytes as f64 / 1e6
        );
        wall
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let records: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(300_000);
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = base.join(format!("statekeep-backup-{}", std::process::id()));
    let files = directory.join("files");
    fs::create_dir_all(&files).expect("create a directory");

    let mut config = Config::default();
    let state = directory.join("state");
    config
        .set("path", state.to_str().expect("UTF-8"))
        .expect("path");
    let host = statekeep::open(&config).expect("open");
    let raw_bytes = fill(&host, &files, records);

    let (mut tar, mut full, mut verify, mut restore): (Figures, Figures, Figures, Figures) =
        Default::default();
    let archive = directory.join("files.tar.zst");
    for _ in 0..ROUNDS {
        let script = format!(
            "tar -C {} -cf - files | zstd -3 -T2 -q -f -o {} && sync {}",
            directory.display(),
            archive.display(),
            archive.display()
        );
        let took = timed(|| {
            assert!(
                Command::new("sh")
                    .args(["-c", &script])
                    .status()
                    .expect("sh")
                    .success()
            );
        });
        tar.add(took, fs::metadata(&archive).expect("archive").len());

        let mut made = None;
        let took = timed(|| {
            made = Some(
                host.backups
                    .create(&CreateOptions::default(), &Progress::new())
                    .expect("create"),
            );
        });
        let made = made.expect("a backup");
        full.add(took, made.stored_bytes);
        let took = timed(|| {
            let report = host
                .backups
                .verify(made.id, VerifyLevel::Full, &Progress::new());
            assert!(report.expect("verify").is_valid);
        });
        verify.add(took, made.stored_bytes);
        let took = timed(|| {
            host.backups
                .restore(
                    made.id,
                    &RestoreOptions {
                        safety_backup: false,
                        ..RestoreOptions::default()
                    },
                    &Progress::new(),
                )
                .expect("restore");
        });
        restore.add(took, made.stored_bytes);
    }
    println!(
        "backup of {records} records, {:.0} MB of values, medians of {ROUNDS} interleaved rounds",
        raw_bytes as f64 / 1e6
    );
    let base = tar.line("tar | zstd -3 -T2", raw_bytes, None);
    full.line("full backup, zstd -3", raw_bytes, Some(base));
    verify.line("verify, every byte", raw_bytes, Some(base));
    restore.line("restore into fjall", raw_bytes, Some(base));
    println!(
        "  peak memory of this process, engine and fill included: {} MB",
        peak_mb()
    );
    drop(host);
    fs::remove_dir_all(&directory).expect("remove the directory");
}

/// Fills state and files with the same messages; answers the bytes of the values.
fn fill(host: &statekeep::Host, files: &Path, records: u64) -> u64 {
    let tenant = host.manager.default_tenant();
    let tenant = tenant.blocking();
    let mut random = Random::new(3);
    let (mut bytes, mut turn) = (0, 0);
    for session in 0..records.div_ceil(SESSION_MESSAGES) {
        let name = format!("session:{session:06}");
        let scope: Scope = name.parse().expect("scope");
        let mut file = BufWriter::new(File::create(files.join(&name)).expect("file"));
        let mut batch = Batch::new();
        for _ in 0..SESSION_MESSAGES.min(records - turn) {
            let text = message(&mut random, turn);
            bytes += text.len() as u64;
            writeln!(file, "{text}").expect("write");
            let key = Key::new(&format!("message:{turn:08}")).expect("key");
            batch.set(&scope, &key, Value::json(text).expect("JSON"));
            turn += 1;
        }
        batch.durability(statekeep::Durability::Relaxed);
        tenant.commit(batch).expect("commit");
    }
    bytes
}

/// Wall and CPU seconds of this process and the children it waited for.
fn timed(work: impl FnOnce()) -> (f64, f64) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    work();
    (start.elapsed().as_secs_f64(), cpu_seconds() - cpu)
}

/// User and system time of this process and its ended children, from `/proc/self/stat`.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("stat");
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks: f64 = fields[11..15]
        .iter()
        .map(|field| field.parse::<f64>().unwrap_or(0.0))
        .sum();
    ticks / 100.0
}

fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
