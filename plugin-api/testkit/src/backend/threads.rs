//! Readers and scans beside a writer: nobody sees half a value or half a row.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use statekeep_plugin_api::{DURABILITY_RELAXED, DURABILITY_SYNC};

use super::raw::put_op;
use super::rows::short;
use super::{Range, RawBackend, Subject};
use crate::{Outcome, Random, report::ensure};

const KEYS: u32 = 64;
const COMMITS: u32 = 400;

fn value(stamp: u32, key: u32) -> Vec<u8> {
    // The length goes with the stamp, so that a mix of two values cannot be right.
    let head = [stamp.to_le_bytes(), key.to_le_bytes()].concat();
    let tail = vec![stamp as u8; (stamp as usize * 37) % 500];
    [head, tail].concat()
}

fn check(key: &[u8], found: &[u8]) -> Outcome {
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).unwrap_or(0);
    let stamp = number(found.get(..4).unwrap_or_default());
    let wanted = value(
        stamp,
        u32::from_be_bytes(key.try_into().unwrap_or_default()),
    );
    ensure!(
        found == wanted,
        "{} holds {}, which nobody wrote",
        short(Some(key)),
        short(Some(found))
    );
    Ok(())
}

/// Three readers, one of them scanning both ways, beside a writer of two spaces.
pub fn readers_beside_a_writer(subject: &Subject) -> Outcome {
    let backend = &*subject.fresh()?;
    write(backend, 0, &mut Random::new(1), DURABILITY_SYNC)?;
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|i| scope.spawn(move || read(backend, i, done)))
            .collect();
        let mut random = Random::new(2);
        let written = (1..=COMMITS)
            .try_for_each(|stamp| write(backend, stamp, &mut random, DURABILITY_RELAXED));
        done.store(true, Ordering::Release);
        for reader in readers {
            let outcome = reader.join();
            outcome.map_err(|_| "a thread of the check panicked".to_owned())??;
        }
        written
    })?;
    // What came last in each key is there.
    write(backend, COMMITS + 1, &mut Random::new(1), DURABILITY_SYNC)?;
    for space in [0, 1] {
        for (key, found) in backend.all(space)? {
            check(&key, &found)?;
        }
    }
    Ok(())
}

/// The first commit writes every key, later ones some.
fn write(backend: &RawBackend, stamp: u32, random: &mut Random, durability: u32) -> Outcome {
    let rows: Vec<_> = (0..KEYS)
        .filter(|_| stamp == 0 || random.below(8) == 0)
        .map(|key| (key.to_be_bytes(), value(stamp, key)))
        .collect();
    let ops: Vec<_> = rows
        .iter()
        .flat_map(|(key, value)| [put_op(0, key, value), put_op(1, key, value)])
        .collect();
    Ok(backend.commit(&ops, durability).map(drop)?)
}

fn read(backend: &RawBackend, reader: u32, done: &AtomicBool) -> Outcome {
    let mut random = Random::new(u64::from(reader));
    let mut rounds = 0;
    while !done.load(Ordering::Acquire) || rounds < 20 {
        rounds += 1;
        if reader == 0 {
            let range = Range {
                reverse: rounds % 2 == 0,
                ..Range::all(rounds % 3 % 2)
            };
            let rows = backend.rows(&range, 10)?;
            ensure!(
                rows.len() == KEYS as usize,
                "a scan beside a writer found {} of {KEYS} rows",
                rows.len()
            );
            for (key, found) in rows {
                check(&key, &found)?;
            }
        } else {
            let key = (random.below(KEYS as usize) as u32).to_be_bytes();
            match backend.get(random.below(2) as u32, &key)? {
                Some(found) => check(&key, &found)?,
                None => return Err(format!("{} is gone for a moment", short(Some(&key)))),
            }
        }
    }
    Ok(())
}
