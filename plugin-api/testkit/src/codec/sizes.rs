//! Round trips over sizes, contents and levels, and destinations of every size.

use statekeep_plugin_api::Status;

use super::{RawCodec, Subject};
use crate::{Live, Outcome, Random, report::ensure};

/// Sizes around the borders that formats have.
const SIZES: &[usize] = &[
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    17,
    31,
    63,
    64,
    100,
    127,
    128,
    129,
    255,
    256,
    257,
    1000,
    4095,
    4096,
    4097,
    16383,
    16384,
    16385,
    65535,
    65536,
    65537,
    131_073,
    262_145,
    1 << 20,
];

/// Contents of one size: runs, text, counting, noise, and runs with noise between.
pub(super) fn contents(len: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut random = Random::new(len as u64);
    let text = br#"{"agent":"a-17","memory":["the user likes tea",{"step":42}],"score":0.25},"#;
    let noise = random.bytes(len);
    let mixed = noise
        .chunks(97)
        .enumerate()
        .flat_map(|(i, chunk)| match i % 2 {
            0 => vec![i as u8; chunk.len()],
            _ => chunk.to_vec(),
        });
    vec![
        ("zeros", vec![0; len]),
        ("text", text.iter().copied().cycle().take(len).collect()),
        ("counting", (0..len).map(|i| (i / 3) as u8).collect()),
        ("mixed", mixed.collect()),
        ("noise", noise),
    ]
}

fn round_trip_at(codec: &RawCodec, level: Option<i32>, name: &str, raw: &[u8]) -> Outcome {
    let frame = codec.compress(level, raw)?;
    let len = raw.len();
    let back = codec.decompress_into(&frame, len).map_err(|(failure, _)| {
        format!("decompress of {len} bytes of {name} at {level:?} into {len} bytes: {failure}")
    })?;
    ensure!(
        back == raw,
        "{len} bytes of {name} came back as {} other bytes",
        back.len()
    );
    Ok(())
}

/// What was compressed comes back, from nothing to 1 MiB, into a buffer of exactly its size.
pub fn round_trip(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    for len in SIZES {
        for (name, raw) in contents(*len) {
            round_trip_at(&codec, None, name, &raw)?;
        }
    }
    Ok(())
}

/// `bound` suffices for every content and level, does not shrink, and does not overflow.
pub fn bound_holds(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    let mut before = 0;
    for len in SIZES {
        let bound = codec.bound(*len);
        ensure!(
            bound >= before,
            "bound({len}) = {bound} is below that of a smaller size"
        );
        before = bound;
        for (_, raw) in contents(*len).into_iter().skip(3) {
            for level in [Some(0), Some(1), None] {
                codec.compress(level, &raw)?;
            }
        }
    }
    for len in [usize::MAX, usize::MAX / 2, isize::MAX as usize] {
        let bound = codec.bound(len);
        ensure!(bound >= len, "bound({len}) = {bound}: it wrapped around");
    }
    Ok(())
}

/// Levels below and above the codec's range are taken as its ends.
pub fn levels_are_clamped(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    let levels = [i32::MIN + 1, -1000, -1, 0, 1, 2, 5, 9, 10, 1000, i32::MAX];
    for level in levels.map(Some).into_iter().chain([None]) {
        for (name, raw) in contents(20_000) {
            round_trip_at(&codec, level, name, &raw)?;
        }
    }
    Ok(())
}

/// A destination that is too small is told so, is not overrun, and the size that is named suffices.
pub fn short_destination(subject: &Subject) -> Outcome {
    let codec = subject.open()?;
    for (name, raw) in contents(3000) {
        let frame = codec.compress(None, &raw)?;
        for cap in (0..frame.len()).step_by(1 + frame.len() / 40) {
            let Err((failure, needed)) = codec.compress_into(None, &raw, cap) else {
                return Err(format!("a frame of {} bytes fit into {cap}", frame.len()));
            };
            ensure!(
                failure.status == Status::BUFFER_TOO_SMALL,
                "compress of {name} into {cap} bytes: {failure}"
            );
            codec
                .compress_into(None, &raw, needed)
                .map_err(|(failure, _)| {
                    format!("the size {needed} that it asked for does not suffice: {failure}")
                })?;
        }
        for cap in (0..raw.len()).step_by(71).chain([raw.len() - 1]) {
            let Err((failure, needed)) = codec.decompress_into(&frame, cap) else {
                return Err(format!("3000 bytes of {name} fit into {cap}"));
            };
            ensure!(
                failure.status == Status::BUFFER_TOO_SMALL,
                "decompress of {name} into {cap} bytes: {failure}"
            );
            ensure!(
                needed == 0 || needed == raw.len(),
                "it asks for {needed} bytes where {} are right, or 0 when unknown",
                raw.len()
            );
        }
        // More room than needed is as good.
        let back = codec.decompress_into(&frame, raw.len() + 1000);
        ensure!(
            back.as_ref() == Ok(&raw),
            "with room to spare {name} does not come back"
        );
    }
    Ok(())
}

/// Two instances live at once, and the first goes without harm to the second.
pub fn two_instances(subject: &Subject) -> Outcome {
    let first = subject.open()?;
    let second = subject.open()?;
    let raw = &contents(1000)[1].1;
    let frame = first.compress(None, raw)?;
    drop(first);
    let back = second.decompress_into(&frame, raw.len());
    ensure!(
        back.as_ref() == Ok(raw),
        "the second instance cannot read the first one's frame"
    );
    Ok(())
}

/// A configuration that cannot be read makes no instance, or is ignored; it does no harm.
pub fn create_failure_leaves_nothing(subject: &Subject) -> Outcome {
    for config in ["{", "[]", "{\"options\": 5}", "\u{0}"] {
        if let Err(failure) = Live::open(subject.descriptor, config) {
            ensure!(
                failure.status.is_error() && failure.status != Status::PLUGIN,
                "create with the configuration {config:?}: {failure}"
            );
            ensure!(!failure.text.is_empty(), "create fails without a text");
        }
    }
    Ok(())
}
