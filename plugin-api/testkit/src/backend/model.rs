//! A random run beside a `BTreeMap` that cannot be wrong.

use std::collections::BTreeMap;

use statekeep_plugin_api::{CAPABILITY_PERSISTENT, DURABILITY_RELAXED, DURABILITY_SYNC};

use super::raw::{delete_op, put_op};
use super::rows::{expect, short};
use super::{Range, RawBackend, Row, Subject};
use crate::{Outcome, Random, report::ensure};

const SPACES: usize = 3;
const STEPS: usize = 250;

type Model = [BTreeMap<Vec<u8>, Vec<u8>>; SPACES];

/// Random commits, reads, scans and reopenings, from fixed seeds; each answer is the model's.
pub fn random_model(subject: &Subject) -> Outcome {
    for seed in 1..=4 {
        play(subject, seed).map_err(|text| format!("seed {seed}: {text}"))?;
    }
    Ok(())
}

fn play(subject: &Subject, seed: u64) -> Outcome {
    let fresh = subject.fresh()?;
    let (mut backend, folder) = (fresh.backend, fresh.folder);
    let mut random = Random::new(seed);
    let mut model = Model::default();
    for step in 0..STEPS {
        let outcome = match random.below(10) {
            0..5 => commit(&backend, &mut model, &mut random),
            5 | 6 => {
                let (space, key) = (random.below(SPACES), key(&mut random));
                expect(
                    &backend,
                    space as u32,
                    &key,
                    model[space].get(&key).map(Vec::as_slice),
                )
            }
            7 | 8 => scan(&backend, &model, &mut random),
            _ if step % 4 == 0 && backend.can(CAPABILITY_PERSISTENT) => {
                drop(backend);
                backend = subject.open(folder.path())?;
                Ok(())
            }
            _ => Ok(backend.flush()?),
        };
        outcome.map_err(|text| format!("step {step}: {text}"))?;
    }
    for (space, rows) in model.iter().enumerate() {
        let found = backend.all(space as u32)?;
        let wanted: Vec<Row> = rows.clone().into_iter().collect();
        ensure!(found == wanted, "space {space} holds other rows at the end");
    }
    Ok(())
}

/// Few letters, so that keys meet and prefix one another.
fn key(random: &mut Random) -> Vec<u8> {
    let len = 1 + random.below(4);
    let letters = [0x00, b'a', b'b', 0xff];
    (0..len).map(|_| letters[random.below(4)]).collect()
}

fn commit(backend: &RawBackend, model: &mut Model, random: &mut Random) -> Outcome {
    let rows: Vec<(usize, Vec<u8>, Option<Vec<u8>>)> = (0..1 + random.below(8))
        .map(|_| {
            let space = random.below(SPACES);
            let key = key(random);
            let len = random.below(200);
            let value = (random.below(3) > 0).then(|| random.bytes(len));
            (space, key, value)
        })
        .collect();
    let ops: Vec<_> = rows
        .iter()
        .map(|(space, key, value)| match value {
            Some(value) => put_op(*space as u32, key, value),
            None => delete_op(*space as u32, key),
        })
        .collect();
    // One in four synced: the others test what is not yet on the disk.
    let durability = match random.below(4) {
        0 => DURABILITY_SYNC,
        _ => DURABILITY_RELAXED,
    };
    backend.commit(&ops, durability)?;
    for (space, key, value) in rows {
        match value {
            Some(value) => model[space].insert(key, value),
            None => model[space].remove(&key),
        };
    }
    Ok(())
}

fn scan(backend: &RawBackend, model: &Model, random: &mut Random) -> Outcome {
    let space = random.below(SPACES);
    let (lo, hi) = (key(random), key(random));
    let range = Range {
        space: space as u32,
        lo: if random.below(4) == 0 { b"" } else { &lo },
        hi: (random.below(4) > 0).then_some(&hi),
        reverse: random.below(2) == 0,
        extra_flags: 0,
    };
    let belongs = |key: &[u8]| key >= range.lo && range.hi.is_none_or(|hi| key < hi);
    let rows = model[space].iter().filter(|(key, _)| belongs(key));
    let mut wanted: Vec<Row> = rows
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if range.reverse {
        wanted.reverse();
    }
    let cap = [1, 3, 64][random.below(3)];
    let found = backend.rows(&range, cap)?;
    ensure!(
        found == wanted,
        "scan of space {space} from {} to {}, reverse {}: {} rows, {} are right",
        short(Some(range.lo)),
        short(range.hi),
        range.reverse,
        found.len(),
        wanted.len()
    );
    Ok(())
}
