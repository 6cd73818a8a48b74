//! A small frame that expands to much: refused, and without the memory of the whole.
//!
//! The kernel knows the peak of memory only of a whole process, and other tests of a test executable
//! take memory, free it and set the peak back at the same time. So a child measures: this very
//! executable, started again for the one test, in which nothing else runs. It finds [`BOMB_CHILD`] in its
//! environment and ends once it has measured.

use std::cell::Cell;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use statekeep_plugin_api::Status;

use super::Subject;
use crate::{Outcome, report::ensure};

/// Name of the variable that tells a test that it is the child: which bomb of the test it measures,
/// counted from 0.
pub const BOMB_CHILD: &str = "STATEKEEP_BOMB_CHILD";
/// What stands before the child's answer.
const ANSWER: &str = "bomb grows ";
/// The bytes that a bomb expands to.
const BOMB_BYTES: usize = 64 << 20;
/// Most memory that unpacking a bomb into 1 KiB may take: what windows of common formats need.
const MEMORY_BYTES_MAX: u64 = 32 << 20;

thread_local! {
    /// Bombs of this thread, and so of this test, up to now.
    static BOMBS: Cell<u64> = const { Cell::new(0) };
}

/// A small frame of 64 MiB into 1 KiB: an error, without the memory of the whole.
///
/// Call it on the test's own thread, whose name tells the child which test to run. Memory is measured
/// where the system has `/proc/self/clear_refs`.
pub fn bomb(subject: &Subject) -> Outcome {
    let number = BOMBS.replace(BOMBS.get() + 1);
    let thread = thread::current();
    let grown = match (std::env::var(BOMB_CHILD), thread.name()) {
        (Ok(wanted), _) if wanted == number.to_string() => answer_and_exit(&unpack(subject)),
        // An earlier bomb of the same test; and a program of its own main has no other tests.
        (Ok(_), _) | (Err(_), Some("main")) => unpack(subject)?,
        (Err(_), Some(test_name)) => in_child(test_name, number)?,
        (Err(_), None) => return Err("call the check on the test's own thread".to_owned()),
    };
    if let Some(grown) = grown {
        ensure!(
            grown <= MEMORY_BYTES_MAX,
            "unpacking into 1 KiB took {grown} bytes of memory"
        );
    }
    Ok(())
}

/// Whether this process is there for a bomb alone, so that other checks have nothing to do.
pub(super) fn is_child() -> bool {
    std::env::var_os(BOMB_CHILD).is_some()
}

/// Unpacks the bomb; by how many bytes the process's memory grew, where that can be measured.
fn unpack(subject: &Subject) -> Result<Option<u64>, String> {
    let frame = subject.open()?.compress(None, &vec![0; BOMB_BYTES])?;
    // A new instance: one that has packed 64 MiB may have kept memory to unpack them into.
    let codec = subject.open()?;
    let before = reset_peak();
    let answer = codec.decompress_borrowed(&frame, 1024);
    let after = peak();
    match answer {
        Ok(back) => return Err(format!("OK with {} bytes", back.len())),
        Err((failure, _)) => ensure!(
            matches!(failure.status, Status::BUFFER_TOO_SMALL | Status::CORRUPT),
            "64 MiB into 1 KiB: {failure}"
        ),
    }
    let measured = before.zip(after);
    Ok(measured.map(|(before, after)| after.saturating_sub(before)))
}

/// What [`unpack`] finds in a process of its own.
fn in_child(test_name: &str, number: u64) -> Result<Option<u64>, String> {
    let failed = |error: std::io::Error| format!("no child can measure memory: {error}");
    let output = std::env::current_exe()
        .and_then(|executable| {
            Command::new(executable)
                .args([test_name, "--exact", "--include-ignored"])
                .args(["--nocapture", "--test-threads=1"])
                .env(BOMB_CHILD, number.to_string())
                .stdin(Stdio::null())
                .output()
        })
        .map_err(failed)?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let answer = stdout.lines().find_map(|line| line.strip_prefix(ANSWER));
    match answer.map(|text| text.split_once(' ').unwrap_or((text, ""))) {
        Some(("ok", grown)) => Ok(grown.parse().ok()),
        Some(("failed", text)) => Err(text.to_owned()),
        _ => Err(format!(
            "the child that measures memory ended ({}) before the check; call the check on the test's \
             own thread, or run the test `{test_name}` with {BOMB_CHILD}={number} to see why: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Says what was found on a line of its own: `ok BYTES`, `ok unknown` or `failed TEXT`.
fn answer_and_exit(found: &Result<Option<u64>, String>) -> ! {
    let text = match found {
        Ok(Some(grown)) => format!("ok {grown}"),
        Ok(None) => "ok unknown".to_owned(),
        Err(text) => format!("failed {}", text.replace('\n', " ")),
    };
    let mut stdout = std::io::stdout().lock();
    let said = writeln!(stdout, "\n{ANSWER}{text}").and_then(|()| stdout.flush());
    std::process::exit(i32::from(said.is_err()));
}

/// Sets the process's peak of memory to what it uses now; the peak in bytes where that is possible.
fn reset_peak() -> Option<u64> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    peak()
}

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
