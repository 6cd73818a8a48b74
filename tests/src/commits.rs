//! The commits of the crash tests and the verdict on what is left of them.
//!
//! A commit is a function of seed, thread and number, so that the judge knows it without being told.
//! Each thread has its own keys; no value is written twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use statekeep::{
    Batch, Class, Durability, Expiry, IndexDefinition, Result, Sequence, SetOptions, StateManager,
    TransactionOptions, Value,
};
use statekeep_oracle::Oracle;

use crate::states::{self, Name, Random, Rows, key, scope};

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
            // A document, so that an index has rows to keep in step.
            let text = format!("{seed:x}/{thread}/{number}/{part}/{}", ".".repeat(padding));
            format!("{{\"number\":{number},\"text\":\"{text}\"}}")
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

    /// Makes the commit, at the state's durability unless another is asked for; answers its sequence
    /// if it has one and says so. Emptying a scope always has the state's durability.
    pub fn run(
        &self,
        manager: &Arc<StateManager>,
        durability: Option<Durability>,
    ) -> Result<Option<Sequence>> {
        let options = SetOptions {
            durability,
            ..SetOptions::default()
        };
        match self {
            Work::Single((tenant, s, k), value) => {
                let tenant = manager.tenant(tenant)?.blocking();
                let (s, k) = (scope(s), key(k));
                match value {
                    // Some as a transaction that has read the key: nobody else writes it.
                    Some(value) if value.len().is_multiple_of(3) => {
                        let mut txn = tenant.begin(&TransactionOptions { durability })?;
                        txn.get(&s, &k)?;
                        txn.set(&s, &k, document(value)?, kept(value))?;
                        txn.commit().map(Some)
                    }
                    Some(value) => {
                        let options = SetOptions {
                            durability,
                            ..kept(value)
                        };
                        tenant.set(&s, &k, document(value)?, options).map(Some)
                    }
                    None => tenant.delete(&s, &k, options),
                }
            }
            Work::Batch(changes) => {
                let mut batch = Batch::new();
                if let Some(durability) = durability {
                    batch.durability(durability);
                }
                for ((_, s, k), value) in changes {
                    match value {
                        Some(value) => batch.set(&scope(s), &key(k), document(value)?),
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

fn document(text: &str) -> Result<Value> {
    Value::json(text)
}

/// Some values have a class, and some an end that no test lives to see, which has rows of its own.
fn kept(value: &str) -> SetOptions {
    SetOptions {
        class: (value.len().is_multiple_of(7)).then_some(Class::Archive),
        expires: (value.len().is_multiple_of(5)).then_some(Expiry::After(86_400_000)),
        ..SetOptions::default()
    }
}

/// Declares indexes over the documents of both tenants; what is there already is filled in while the
/// commits go on. Declaring them again is harmless.
pub fn declare_indexes(manager: &Arc<StateManager>) -> Result<()> {
    for tenant in ["", "acme"] {
        for path in ["$.number", "$.text"] {
            drop(manager.create_index(IndexDefinition {
                name: format!("{tenant}.{}", &path[2..]),
                tenant: tenant.to_owned(),
                scope: "user:*".to_owned(),
                path: path.to_owned(),
            })?);
        }
    }
    Ok(())
}

/// Per thread, the sequences of its acknowledged commits; 0 where it was not told.
pub type Acks = BTreeMap<u64, Vec<u64>>;

/// The commits of a round over what was there before. Of a thread for which `until` answers a
/// sequence, the verdict is about the state at that sequence: what came later must not show.
pub fn judge(
    before: &Rows,
    seed: u64,
    acks: &Acks,
    until: &dyn Fn(u64) -> Option<u64>,
) -> Oracle<Name, String> {
    let mut oracle = Oracle::new();
    let base = oracle.begin(before.iter().map(|(k, v)| (k.clone(), Some(v.clone()))));
    oracle.acknowledge(base);
    for thread in 0..THREADS {
        let acks = acks.get(&thread).map_or(&[][..], Vec::as_slice);
        for (number, sequence) in acks.iter().enumerate() {
            let id = oracle.begin(Work::of(seed, thread, number as u64).writes());
            match until(thread) {
                // Where it stands is not known.
                Some(_) if *sequence == 0 => {}
                Some(until) if *sequence > until => oracle.refuse(id),
                _ => oracle.acknowledge(id),
            }
        }
        // The one in flight.
        oracle.begin(Work::of(seed, thread, acks.len() as u64).writes());
    }
    oracle
}

/// Checks an open state against the judge, key by key and by scan; answers its content.
pub fn check_rows(manager: &Arc<StateManager>, oracle: &Oracle<Name, String>, what: &str) -> Rows {
    let rows = states::rows(manager);
    let mut asked = BTreeSet::new();
    let verdict = oracle.check(|name| {
        asked.insert(name.clone());
        let tenant = manager.tenant(&name.0).expect("a tenant").blocking();
        let value = tenant.get(&scope(&name.1), &key(&name.2)).expect("get");
        value.map(|value| String::from_utf8(value.into_bytes()).expect("text"))
    });
    if let Err(faults) = verdict {
        panic!("{what}:\n{faults}");
    }
    // What a scan shows is what single reads show, and nothing that nobody wrote.
    let verdict = oracle.check(|name| rows.get(name).cloned());
    assert_eq!(verdict, Ok(()), "{what}: by scan");
    let stranger = rows.keys().find(|name| !asked.contains(*name));
    assert_eq!(stranger, None, "{what}");
    rows
}

/// Checks that sequences were given once, rise for each writer and are above `before`; answers the
/// last one of each thread.
pub fn check_sequences(acks: &Acks, before: Sequence, what: &str) -> BTreeMap<u64, Sequence> {
    let mut seen = BTreeSet::new();
    let mut last = BTreeMap::new();
    for (thread, acks) in acks {
        let mut above = before;
        for sequence in acks.iter().copied().filter(|sequence| *sequence > 0) {
            assert!(sequence > above.0, "{what}: {sequence} follows {above:?}");
            assert!(
                seen.insert(sequence),
                "{what}: {sequence} was given to two commits"
            );
            above = Sequence(sequence);
        }
        last.insert(*thread, above);
    }
    last
}

/// Checks that nothing unfinished is left in the folder of a state that has been opened.
pub fn check_leftovers(folder: &Path, what: &str) {
    for entry in std::fs::read_dir(folder).expect("list a folder") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy();
        let unfinished = [".creating-", ".removing-", ".tmp-"]
            .iter()
            .any(|mark| name.contains(mark));
        assert!(!unfinished, "{what}: {name} was not swept");
    }
}
