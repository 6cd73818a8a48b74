//! Frames that are damaged, cut or followed by something, and several frames at the same time.

use std::thread;

use statekeep_plugin_api::Status;

use super::raw::is_fatal;
use super::sizes::contents;
use super::{RawCodec, Subject};
use crate::{Outcome, Random, report::ensure};

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
