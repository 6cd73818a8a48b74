//! A codec that stores, with a bug to choose.

use statekeep_plugin_sdk::*;
use statekeep_plugin_testkit::codec::{self, Subject};

type Check = fn(&Subject) -> Result<(), String>;

/// A frame: length (8 bytes), sum of the bytes (4 bytes), bytes.
struct Faulty(String);

impl Plugin for Faulty {
    const ID: &'static str = "test.faulty-codec";
    const VERSION: &'static str = "0.0.0";
    const LICENSE: &'static str = "MIT";
    const DESCRIPTION: &'static str = "A codec with a bug to choose";

    fn create(_: Host, config: &Config) -> Result<Faulty> {
        Ok(Faulty(config.option("bug")?.unwrap_or_default()))
    }
}

/// Every bit counts, and where it stands.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

impl Compression for Faulty {
    fn bound(&self, len: usize) -> usize {
        match self.0.as_str() {
            "tight_bound" => len,
            "wrapping_bound" => len.wrapping_add(12),
            _ => len.saturating_add(12),
        }
    }

    fn compress(&self, level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        if self.0 == "strict_levels" && level.is_some_and(|level| !(0..10).contains(&level)) {
            return Err(Error::invalid("no such level"));
        }
        if self.0 == "short_says_io" && dst.capacity() < src.len() + 12 {
            return Err(Error::io("no room"));
        }
        dst.put(&(src.len() as u64).to_le_bytes())?;
        dst.put(&sum(src).to_le_bytes())?;
        dst.put(src)
    }

    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        let bad = || Error::corrupt("damaged");
        let (len, rest) = src.split_first_chunk::<8>().ok_or_else(bad)?;
        let (check, rest) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| bad())?;
        let rest = match self.0.as_str() {
            "any_tail" if rest.len() > len => &rest[..len],
            _ if rest.len() != len => return Err(bad()),
            _ => rest,
        };
        if self.0 != "any_content" && sum(rest) != u32::from_le_bytes(*check) {
            return Err(bad());
        }
        if self.0 == "trusts_length" {
            // What a frame claims must not become memory.
            let claimed = vec![1u8; rest.len()];
            std::hint::black_box(claimed.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
        if self.0 == "panics_when_short" {
            dst.remaining()[..rest.len()].copy_from_slice(rest);
            return dst.advance(rest.len());
        }
        dst.put(rest)
    }
}

statekeep_plugin_sdk::export_plugin!(Faulty: compression);

fn subject(bug: &str) -> Subject {
    Subject::new(descriptor()).options(&format!("{{\"bug\": \"{bug}\"}}"))
}

#[test]
fn without_a_bug_everything_passes() {
    codec::run(&subject(""));
}

#[test]
fn every_bug_is_found_by_its_check() {
    let bugs: &[(&str, Check)] = &[
        ("tight_bound", codec::bound_holds),
        ("wrapping_bound", codec::bound_holds),
        ("strict_levels", codec::levels_are_clamped),
        ("short_says_io", codec::short_destination),
        ("panics_when_short", codec::short_destination),
        ("any_tail", codec::trailing_garbage),
        ("any_content", codec::corrupted),
    ];
    for (bug, check) in bugs {
        assert!(check(&subject(bug)).is_err(), "{bug} was not found");
    }
}

/// The story: memory was measured in the process that ran the other tests as well. What they freed
/// meanwhile hid the 64 MiB of this bug, and so it was found in some runs only.
#[test]
fn memory_for_what_a_frame_claims_is_found_beside_other_tests() {
    std::thread::scope(|scope| {
        let (done, ended) = std::sync::mpsc::channel::<()>();
        // Another test: it takes more than the bug does, frees it and sets the peak back.
        scope.spawn(move || {
            use std::sync::mpsc::TryRecvError;
            let is_child = std::env::var_os(codec::BOMB_CHILD).is_some();
            while !is_child && ended.try_recv() == Err(TryRecvError::Empty) {
                drop(std::hint::black_box(vec![1u8; 128 << 20]));
                let _ = std::fs::write("/proc/self/clear_refs", "5");
            }
        });
        let found = codec::bomb(&subject("trusts_length"));
        drop(done);
        let text = found.unwrap_err();
        assert!(text.contains("bytes of memory"), "{text}");
    });
}

/// Each bomb of a test is measured for the codec that it was made for.
#[test]
fn several_bombs_of_a_test_are_told_apart() {
    for _ in 0..2 {
        assert_eq!(codec::bomb(&subject("")), Ok(()));
        assert!(codec::bomb(&subject("trusts_length")).is_err());
    }
}
