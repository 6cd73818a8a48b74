//! kill -9 between and during commits: what was acknowledged is there, whole, and at most the one
//! commit in flight beyond it.
//!
//! The child is this very test executable, started again for the one test, which then finds
//! [`KILL_CHILD`] in its environment. This proves nothing about power loss.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use statekeep_plugin_api::{CAPABILITY_PERSISTENT, DURABILITY_RELAXED, DURABILITY_SYNC};

use super::raw::put_op;
use statekeep_oracle::Oracle;

use super::{RawBackend, Subject};
use crate::{Failure, Outcome, Random, report::ensure};

/// Name of the variable that tells a test that it is the child: the folder to commit into.
pub const KILL_CHILD: &str = "STATEKEEP_KILL_CHILD";
const KILL_DURABILITY: &str = "STATEKEEP_KILL_DURABILITY";

const ROUNDS: u64 = 8;
/// A child that nobody kills stops by itself.
const CHILD_COMMITS_MAX: u64 = 20_000;
const LAST: &[u8] = b"last";

/// Kills a child of this test executable again and again on one folder; panics with what was lost.
///
/// `test_name` is the full name of the calling test, as `--exact` takes it. Both durabilities are
/// tried, since both must survive the process. Does nothing for a backend that does not persist.
#[track_caller]
pub fn kill_rounds(subject: &Subject, test_name: &str) {
    let outcome = match std::env::var_os(KILL_CHILD) {
        Some(directory) => child(subject, Path::new(&directory)),
        None => parent(subject, test_name),
    };
    assert!(outcome.is_ok(), "{}", outcome.err().unwrap_or_default());
}

fn parent(subject: &Subject, test_name: &str) -> Outcome {
    let fresh = subject.fresh()?;
    if !fresh.can(CAPABILITY_PERSISTENT) {
        return Ok(());
    }
    let (mut backend, folder) = (fresh.backend, fresh.folder);
    let mut random = Random::new(9);
    let mut last = 0;
    for round in 0..ROUNDS {
        drop(backend);
        let durability = match round % 2 {
            0 => DURABILITY_SYNC,
            _ => DURABILITY_RELAXED,
        };
        let kill_after = 1 + random.below(60);
        let acknowledged = run_child(test_name, folder.path(), durability, kill_after)?;
        backend = subject.open(folder.path())?;
        let what = format!("round {round}, durability {durability}, killed after {kill_after}");
        last = check(&backend, last.max(acknowledged)).map_err(|text| format!("{what}: {text}"))?;
    }
    Ok(())
}

/// Starts the child, kills it after so many acknowledgements, and answers the last one it gave.
fn run_child(
    test_name: &str,
    directory: &Path,
    durability: u32,
    kill_after: usize,
) -> Result<u64, String> {
    let failed = |what: &str, error: &std::io::Error| format!("{what}: {error}");
    let executable = std::env::current_exe().map_err(|e| failed("no own path", &e))?;
    let mut child = Command::new(executable)
        .args([test_name, "--exact", "--nocapture", "--test-threads=1"])
        .env(KILL_CHILD, directory)
        .env(KILL_DURABILITY, durability.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed("the child does not start", &e))?;
    let Some(stdout) = child.stdout.take() else {
        return Err("the child has no output".to_owned());
    };
    let mut lines = BufReader::new(stdout);
    let (mut last, mut count) = (0, 0);
    let mut line = String::new();
    let mut read = |line: &mut String| -> bool {
        line.clear();
        matches!(lines.by_ref().read_line(line), Ok(n) if n > 0)
    };
    while read(&mut line) {
        if let Some(number) = acknowledged(&line) {
            last = number;
            count += 1;
            if count == kill_after {
                child
                    .kill()
                    .map_err(|e| failed("the child cannot be killed", &e))?;
            }
        }
    }
    let status = child.wait().map_err(|e| failed("the child is lost", &e))?;
    match count < kill_after {
        true => Err(ended_early(status, count, kill_after, test_name)),
        false => Ok(last),
    }
}

fn ended_early(status: ExitStatus, count: usize, wanted: usize, test_name: &str) -> String {
    format!(
        "the child ended by itself ({status}) after {count} of {wanted} commits; run it with \
         {KILL_CHILD}=FOLDER and the test name {test_name} to see why"
    )
}

/// The number in a whole line `ack N`; a line that was cut by the kill has no end.
fn acknowledged(line: &str) -> Option<u64> {
    let number = line.strip_prefix("ack ")?.strip_suffix(" ok\n")?;
    number.parse().ok()
}

/// Commits and says so until it is killed.
fn child(subject: &Subject, directory: &Path) -> Outcome {
    let durability = std::env::var(KILL_DURABILITY).unwrap_or_default();
    let durability = durability.parse().unwrap_or(DURABILITY_SYNC);
    let backend = subject.open(directory)?;
    let first = last_of(&backend)? + 1;
    let mut stdout = std::io::stdout().lock();
    for number in first..first + CHILD_COMMITS_MAX {
        let (key, value) = row(number);
        let last = number.to_be_bytes();
        let ops = [
            put_op(0, &key, &value),
            put_op(1, &key, &value),
            put_op(0, b"hot", &value),
            put_op(4, LAST, &last),
            put_op(1, b"hot", &value),
        ];
        backend.commit(&ops, durability)?;
        let said = write!(stdout, "\nack {number} ok\n").and_then(|()| stdout.flush());
        if said.is_err() {
            break;
        }
    }
    Err("nobody killed the child".to_owned())
}

fn row(number: u64) -> (Vec<u8>, Vec<u8>) {
    let len = (number as usize * 131) % 3000;
    let value = Random::new(number).bytes(len);
    (format!("row-{number:08}").into_bytes(), value)
}

fn last_of(backend: &RawBackend) -> Result<u64, Failure> {
    let last = backend.get(4, LAST)?;
    Ok(last
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes))
}

/// Every commit up to the last is whole, and the last is the acknowledged one or the next.
fn check(backend: &RawBackend, acknowledged: u64) -> Result<u64, String> {
    let last = last_of(backend)?;
    ensure!(
        last >= acknowledged,
        "commit {acknowledged} was acknowledged, {last} is the last that is there"
    );
    ensure!(
        last <= acknowledged + 1,
        "commit {acknowledged} was acknowledged, and {last} is there"
    );
    judge(backend, acknowledged)?;
    for space in [0, 1] {
        let mut wanted: Vec<_> = (1..=last).map(row).collect();
        if last > 0 {
            wanted.insert(0, (b"hot".to_vec(), row(last).1));
        }
        let rows = backend.all(space)?;
        ensure!(
            rows == wanted,
            "space {space} has {} rows, not the {} rows of {last} whole commits",
            rows.len(),
            wanted.len()
        );
    }
    Ok(last)
}

/// The oracle's verdict: all acknowledged commits are there, the one in flight is whole or absent.
fn judge(backend: &RawBackend, acknowledged: u64) -> Result<(), String> {
    let mut oracle = Oracle::new();
    for number in 1..=acknowledged + 1 {
        let (key, value) = row(number);
        let id = oracle.begin([
            ((0, key.clone()), Some(value.clone())),
            ((1, key), Some(value.clone())),
            ((0, b"hot".to_vec()), Some(value.clone())),
            ((1, b"hot".to_vec()), Some(value)),
            ((4, LAST.to_vec()), Some(number.to_be_bytes().to_vec())),
        ]);
        if number <= acknowledged {
            oracle.acknowledge(id);
        }
    }
    let rows: Vec<BTreeMap<_, _>> = (0..5)
        .map(|space| Ok(backend.all(space)?.into_iter().collect()))
        .collect::<Result<_, Failure>>()?;
    oracle.check(|(space, key)| rows.get(*space).and_then(|rows| rows.get(key)).cloned())
}
