//! Frames that are damaged, cut, followed by something or made to do harm.

use std::thread;

use statekeep_plugin_api::Status;

use super::raw::is_fatal;
use super::sizes::contents;
use super::{RawCodec, Subject};
use crate::{Outcome, Random, report::ensure};

/// The bytes that a bomb expands to.
const BOMB_BYTES: usize = 64 << 20;
/// Most memory that unpacking a bomb into 1 KiB may take: what windows of common formats need.
const BOMB_MEMORY_BYTES_MAX: u64 = 32 << 20;

/// A frame that ends too early is CORRUPT at every length.
pub fn truncated(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    for (len, samples) in [(0, 200), (1, 200), (300, 2000), (200_000, 300)] {
        for (name, raw) in contents(len) {
            let frame = codec.compress(None, &raw)?;
            for end in (0..frame.len()).step_by(1 + frame.len() / samples) {
                let what = format!(
                    "{len} bytes of {name}, {end} of {} bytes of frame",
                    frame.len()
                );
                match codec.decompress_into(&frame[..end], len + 100) {
                    Ok(back) => return Err(format!("{what}: OK with {} bytes", back.len())),
                    Err((failure, _)) => {
                        ensure!(failure.status == Status::CORRUPT, "{what}: {failure}");
                    }
                }
            }
        }
    }
    Ok(())
}

/// A frame with a changed byte is refused; without a checksum it may decode, but does no harm.
pub fn corrupted(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    let mut random = Random::new(7);
    for len in [0, 1, 500, 70_000] {
        for (name, raw) in contents(len) {
            let frame = codec.compress(None, &raw)?;
            for _ in 0..400 {
                let mut damaged = frame.clone();
                for _ in 0..1 + random.below(3) {
                    let at = random.below(damaged.len());
                    damaged[at] ^= 1 << random.below(8);
                }
                check_damaged(&codec, subject, name, &raw, &damaged)?;
            }
        }
    }
    Ok(())
}

fn check_damaged(
    codec: &RawCodec,
    subject: &Subject,
    name: &str,
    raw: &[u8],
    damaged: &[u8],
) -> Outcome {
    let what = || format!("{} bytes of {name}, damaged", raw.len());
    match codec.decompress_into(damaged, raw.len()) {
        // A bit that means nothing, such as a file time, may change.
        Ok(back) => ensure!(
            back == raw || !subject.has_checksum,
            "{}: OK with other bytes",
            what()
        ),
        Err((failure, _)) => ensure!(
            failure.status.0 != 0 && !is_fatal(&failure),
            "{}: {failure}",
            what()
        ),
    }
    Ok(())
}

/// Bytes that are no frame do no harm.
pub fn random_input(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    let mut random = Random::new(11);
    let frame = codec.compress(None, &contents(1000)[1].1)?;
    for round in 0..2000 {
        let len = random.below(300);
        let mut input = random.bytes(len);
        if round % 2 == 0 {
            // Behind a header that is right, more of the decoder is reached.
            let head = frame.len().min(1 + random.below(24));
            input.splice(..0, frame[..head].iter().copied());
        }
        if let Err((failure, _)) = codec.decompress_into(&input, 5000) {
            ensure!(!is_fatal(&failure), "{len} random bytes: {failure}");
        } else if subject.has_checksum {
            return Err(format!("{} random bytes decode", input.len()));
        }
    }
    Ok(())
}

/// Bytes behind a frame are CORRUPT, a second frame too.
pub fn trailing_garbage(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    for (name, raw) in contents(2000) {
        let frame = codec.compress(None, &raw)?;
        let tails = [
            vec![0],
            vec![0; 4],
            vec![0xff; 9],
            b"garbage".to_vec(),
            frame.clone(),
        ];
        for tail in tails {
            let long = [&frame[..], &tail].concat();
            for cap in [raw.len(), raw.len() * 3] {
                let what = format!("{name} with {} bytes behind it, into {cap}", tail.len());
                match codec.decompress_into(&long, cap) {
                    Ok(_) => return Err(format!("{what}: OK")),
                    Err((failure, _)) => {
                        ensure!(failure.status == Status::CORRUPT, "{what}: {failure}");
                    }
                }
            }
        }
    }
    Ok(())
}

/// A small frame of 64 MiB into 1 KiB: an error, without the memory of the whole.
pub fn bomb(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    let frame = codec.compress(None, &vec![0; BOMB_BYTES])?;
    let mut grown_least = u64::MAX;
    // Other threads of the process take memory too: the least of some tries is the codec's.
    for _ in 0..5 {
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
        if let (Some(before), Some(after)) = (before, after) {
            grown_least = grown_least.min(after.saturating_sub(before));
        }
    }
    ensure!(
        grown_least == u64::MAX || grown_least <= BOMB_MEMORY_BYTES_MAX,
        "unpacking into 1 KiB took {grown_least} bytes of memory"
    );
    Ok(())
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

/// One instance, several threads, at the same time.
pub fn concurrent_use(subject: &Subject) -> Outcome {
    let codec = &subject.open()?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                scope.spawn(move || -> Outcome {
                    for round in 0..30 {
                        for (name, raw) in contents(i * 1000 + round * 37) {
                            let frame = codec.compress(Some(round as i32 % 4), &raw)?;
                            let back = codec.decompress_into(&frame, raw.len());
                            ensure!(back.as_ref() == Ok(&raw), "thread {i}: {name} is lost");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(_) => Err("a thread of the check panicked".to_owned()),
            })
    })
}
