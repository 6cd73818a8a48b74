//! Statekeep's steps, each a process of its own that prints what the operation alone took.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use statekeep::{
    Batch, BlockingTenant, Config, CreateOptions, Durability, Host, Key, Manifest, Progress,
    RestoreOptions, RestoreTo, Scope, Value, VerifyLevel,
};
use statekeep_benches::{Random, message};

use crate::limits;

const SESSION_MESSAGES: u64 = 60;
/// One record in so many is changed before an incremental.
const CHANGED: u64 = 100;

/// CPU seconds of this process so far.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Runs a step and prints its figures: wall and CPU seconds, and bytes stored or read.
pub fn run(step: &str, directory: &Path, records: u64, round: u64) {
    if step == "limits" {
        return limits::run(directory, records);
    }
    let state = directory.join("state");
    let mut config = Config::new(&state);
    // Nobody commits beside it, as nobody does beside the peers.
    config.set("backup.cores_free", "0").expect("cores");
    let host = statekeep::open(&config).expect("open");
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let bytes = match step {
        "fill" => fill(&host, directory, records),
        "change" => change(&host, directory, records, round),
        "full" => create(&host, false).stored_bytes,
        "incremental" => create(&host, true).stored_bytes,
        "verify" => verify(&host),
        "restore" => restore(&host, directory),
        other => panic!("there is no step {other}"),
    };
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{wall} {cpu} {bytes}");
    host.close().expect("close");
    let _absent = fs::remove_dir_all(directory.join("restored"));
}

fn create(host: &Host, incremental: bool) -> Manifest {
    let options = CreateOptions {
        incremental: Some(incremental),
        ..CreateOptions::default()
    };
    let made = host.backups.create(&options, &Progress::new());
    let made = made.expect("create");
    assert_eq!(made.full_reason, None);
    made
}

/// Of the newest backup, with all that it stands on.
fn verify(host: &Host) -> u64 {
    let id = newest(host);
    let report = host
        .backups
        .verify(id, VerifyLevel::Full, &Progress::new())
        .expect("verify");
    assert!(report.is_valid, "{report:?}");
    report.bytes
}

fn restore(host: &Host, directory: &Path) -> u64 {
    let options = RestoreOptions {
        to: RestoreTo::Dir {
            path: directory.join("restored"),
            backend: None,
            options: serde_json::json!({}),
        },
        ..RestoreOptions::default()
    };
    let report = host
        .backups
        .restore(newest(host), &options, &Progress::new())
        .expect("restore");
    report.bytes
}

fn newest(host: &Host) -> statekeep::BackupId {
    let list = host.backups.list().expect("list");
    list.backups.last().expect("a backup").id
}

/// Messages of sessions, and the same as SQL for the peers.
fn fill(host: &Host, directory: &Path, records: u64) -> u64 {
    let tenant = host.manager.default_tenant().blocking();
    let mut random = Random::new(3);
    let mut sql = BufWriter::new(File::create(directory.join("fill.sql")).expect("file"));
    let mut bytes = 0;
    writeln!(
        sql,
        "PRAGMA journal_mode=OFF; CREATE TABLE record(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID; \
         BEGIN;"
    )
    .expect("write");
    let turns: Vec<u64> = (0..records).collect();
    for turns in turns.chunks(SESSION_MESSAGES as usize) {
        put(&tenant, turns, &mut random, &mut |key, text| {
            bytes += text.len() as u64;
            writeln!(sql, "INSERT INTO record VALUES('{key}','{text}');").expect("write");
        });
    }
    writeln!(sql, "COMMIT;").expect("write");
    bytes
}

/// Changes one record in a hundred, at random.
fn change(host: &Host, directory: &Path, records: u64, round: u64) -> u64 {
    let tenant = host.manager.default_tenant().blocking();
    let mut random = Random::new(100 + round);
    let mut sql = BufWriter::new(File::create(directory.join("change.sql")).expect("file"));
    let mut bytes = 0;
    writeln!(sql, "BEGIN;").expect("write");
    let changed: Vec<u64> = (0..records / CHANGED)
        .map(|_| random.below(records))
        .collect();
    for turns in changed.chunks(SESSION_MESSAGES as usize) {
        put(&tenant, turns, &mut random, &mut |key, text| {
            bytes += text.len() as u64;
            writeln!(sql, "UPDATE record SET value='{text}' WHERE key='{key}';").expect("write");
        });
    }
    writeln!(sql, "COMMIT;").expect("write");
    bytes
}

/// Sets messages by one commit, and hands each to `note`.
fn put(
    tenant: &BlockingTenant,
    turns: &[u64],
    random: &mut Random,
    note: &mut dyn FnMut(&str, &str),
) {
    let mut batch = Batch::new();
    for turn in turns {
        let session = format!("session:{:06}", turn / SESSION_MESSAGES);
        let name = format!("message:{turn:08}");
        let text = message(random, *turn);
        note(&format!("{session}/{name}"), &text);
        let scope: Scope = session.parse().expect("scope");
        let key = Key::new(&name).expect("key");
        batch.set(&scope, &key, Value::json(text).expect("JSON"));
    }
    batch.durability(Durability::Relaxed);
    tenant.commit(batch).expect("commit");
}
