//! The commits that a child makes, as a function of seed, thread and number, so that the parent
//! knows them without being told. Each thread has its own keys; no value is written twice.

use std::sync::Arc;

use statekeep::{Batch, Result, Sequence, SetOptions, StateManager, Value};
use statekeep_tests::states::{Name, Random, key, scope};

/// Threads that write at once.
pub const THREADS: u64 = 4;
/// Keys of a thread in one scope.
const KEYS: u64 = 12;

/// One commit.
pub enum Work {
    /// One set or delete.
    Single(Name, Option<String>),
    /// Several changes of one tenant, as one commit.
    Batch(Vec<(Name, Option<String>)>),
    /// A scope is emptied.
    Clear(String, String),
}

impl Work {
    /// The commit of that number of a thread.
    pub fn of(seed: u64, thread: u64, number: u64) -> Work {
        let mut random = Random(seed ^ (thread << 56) ^ (number << 20));
        random.number();
        let tenant = ["", "acme"][random.below(2) as usize].to_owned();
        let name = |random: &mut Random| {
            let scope = format!("user:{thread}-{}", random.below(3));
            (tenant.clone(), scope, format!("k{}", random.below(KEYS)))
        };
        let value = |random: &mut Random, part: u64| {
            let padding = match random.below(20) {
                0 => 40_000,
                _ => random.below(900) as usize,
            };
            let text = format!("{seed:x}/{thread}/{number}/{part}/");
            format!("{text}{}", ".".repeat(padding))
        };
        match random.below(12) {
            0..5 => Work::Single(name(&mut random), Some(value(&mut random, 0))),
            5..7 => Work::Single(name(&mut random), None),
            7 => Work::Clear(tenant.clone(), name(&mut random).1),
            // The last change is a set: a commit that changes nothing has no sequence of its own.
            _ => Work::Batch(
                (0..2 + random.below(8))
                    .rev()
                    .map(|part| {
                        let set = part == 0 || random.below(4) > 0;
                        let change = set.then(|| value(&mut random, part));
                        (name(&mut random), change)
                    })
                    .collect(),
            ),
        }
    }

    /// What it leaves: each key once, with its value or without one.
    pub fn writes(&self) -> Vec<(Name, Option<String>)> {
        match self {
            Work::Single(name, value) => vec![(name.clone(), value.clone())],
            // Collected into a map by the oracle: the last change of a key wins there too.
            Work::Batch(changes) => changes.clone(),
            Work::Clear(tenant, scope) => (0..KEYS)
                .map(|n| ((tenant.clone(), scope.clone(), format!("k{n}")), None))
                .collect(),
        }
    }

    /// Makes the commit; answers its sequence if it has one and says so.
    pub fn run(&self, manager: &Arc<StateManager>) -> Result<Option<Sequence>> {
        let options = SetOptions::default();
        match self {
            Work::Single((tenant, s, k), value) => {
                let tenant = manager.tenant(tenant)?.blocking();
                match value {
                    Some(value) => {
                        let value = Value::bytes(value.as_str());
                        tenant.set(&scope(s), &key(k), value, options).map(Some)
                    }
                    None => tenant.delete(&scope(s), &key(k), options),
                }
            }
            Work::Batch(changes) => {
                let mut batch = Batch::new();
                for ((_, s, k), value) in changes {
                    match value {
                        Some(value) => batch.set(&scope(s), &key(k), Value::bytes(value.as_str())),
                        None => batch.delete(&scope(s), &key(k)),
                    };
                }
                let tenant = changes.first().map_or("", |((tenant, _, _), _)| tenant);
                manager.tenant(tenant)?.blocking().commit(batch).map(Some)
            }
            Work::Clear(tenant, s) => {
                let tenant = manager.tenant(tenant)?.blocking();
                tenant.clear_scope(&scope(s)).map(|_| None)
            }
        }
    }
}
