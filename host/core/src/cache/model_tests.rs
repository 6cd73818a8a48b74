//! The cache against a model: whatever the order of the steps of readers and commits, it answers what
//! the backend would answer, nothing of a key that is being committed, and loses nothing needlessly.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A miss whose backend read is a step of its own.
struct Reading {
    ticket: FillTicket,
    key: u8,
    answer: Option<Option<Vec<u8>>>,
    /// No commit was under way at any time since the miss.
    undisturbed: bool,
}

struct Committing {
    ticket: CommitTicket,
    writes: BTreeMap<u8, Option<Vec<u8>>>,
    applied: bool,
    undisturbed: bool,
}

#[derive(Clone, Debug)]
enum End {
    Written,
    Nothing,
    Dropped,
}

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    ReadBackend(usize),
    Fill(usize),
    /// Keys, and whether each is set or deleted.
    Begin(Vec<(u8, bool)>),
    Apply(usize),
    End(usize, End),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_u8..6;
    let end = prop_oneof![
        4 => Just(End::Written),
        1 => Just(End::Nothing),
        1 => Just(End::Dropped),
    ];
    let step = prop_oneof![
        8 => key.clone().prop_map(Step::Get),
        6 => (0_usize..4).prop_map(Step::ReadBackend),
        6 => (0_usize..4).prop_map(Step::Fill),
        3 => prop::collection::vec((key, prop::bool::weighted(0.8)), 1..4).prop_map(Step::Begin),
        3 => (0_usize..2).prop_map(Step::Apply),
        3 => (0_usize..2, end).prop_map(|(at, end)| Step::End(at, end)),
    ];
    prop::collection::vec(step, 1..200)
}

struct Model {
    cache: RecordCache,
    backend: BTreeMap<u8, Vec<u8>>,
    readings: Vec<Reading>,
    commits: Vec<Committing>,
    /// Keys that a cache with room must hold.
    held: BTreeSet<u8>,
    roomy: bool,
    counted: CacheFacts,
    values: usize,
}

impl Model {
    fn new(bytes_max: u64, roomy: bool) -> Model {
        Model {
            cache: RecordCache::new(bytes_max),
            backend: BTreeMap::new(),
            readings: Vec::new(),
            commits: Vec::new(),
            held: BTreeSet::new(),
            roomy,
            counted: CacheFacts::default(),
            values: 0,
        }
    }

    fn disturb(&mut self) {
        for reading in &mut self.readings {
            reading.undisturbed = false;
        }
        for commit in &mut self.commits {
            commit.undisturbed = false;
        }
    }

    fn get(&mut self, key: u8) {
        let in_flight = self.commits.iter().any(|c| c.writes.contains_key(&key));
        match self.cache.get(&[key], <[u8]>::to_vec) {
            Lookup::Hit(record) => {
                assert!(!in_flight, "key {key} is being committed");
                assert_eq!(Some(&*record), self.backend.get(&key).map(Vec::as_slice));
                self.counted.hits += 1;
            }
            Lookup::Miss(ticket) => {
                assert!(!(self.roomy && self.held.contains(&key)), "lost {key}");
                self.counted.misses += 1;
                self.readings.push(Reading {
                    ticket,
                    key,
                    answer: None,
                    undisturbed: self.commits.is_empty(),
                });
            }
            Lookup::Off => panic!("the cache is on"),
        }
    }

    fn fill(&mut self, at: usize) {
        let answered = self
            .readings
            .get(at)
            .map(|reading| reading.answer.is_some());
        if answered != Some(true) {
            return;
        }
        let reading = self.readings.remove(at);
        if let Some(Some(record)) = reading.answer {
            self.cache.fill(reading.ticket, &[reading.key], &record);
            if reading.undisturbed {
                self.held.insert(reading.key);
            }
        }
    }

    fn begin(&mut self, keys: Vec<(u8, bool)>) {
        if self.commits.len() == 2 {
            return;
        }
        self.disturb();
        let undisturbed = self.commits.is_empty();
        let bytes: Vec<[u8; 1]> = keys.iter().map(|(key, _)| [*key]).collect();
        let ticket = self.cache.begin_commit(bytes.iter().map(|key| &key[..]));
        let mut writes = BTreeMap::new();
        for (key, set) in keys {
            self.held.remove(&key);
            self.values += 1;
            writes.insert(
                key,
                set.then(|| format!("{:1$}", self.values, self.values % 90).into()),
            );
        }
        self.commits.push(Committing {
            ticket,
            writes,
            applied: false,
            undisturbed,
        });
    }

    fn apply(&mut self, at: usize) {
        let Some(commit) = self.commits.get_mut(at) else {
            return;
        };
        if commit.applied {
            return;
        }
        commit.applied = true;
        for (key, record) in &commit.writes {
            match record {
                Some(record) => self.backend.insert(*key, record.clone()),
                None => self.backend.remove(key),
            };
        }
    }

    fn end(&mut self, at: usize, how: &End) {
        if at >= self.commits.len() {
            return;
        }
        let commit = self.commits.remove(at);
        self.disturb();
        match how {
            End::Dropped => drop(commit.ticket),
            End::Written if commit.applied => {
                let keys: Vec<_> = commit.writes.iter().map(|(k, r)| ([*k], r)).collect();
                let written = keys
                    .iter()
                    .map(|(key, record)| (&key[..], record.as_deref()));
                self.cache.end_commit(commit.ticket, written);
                if commit.undisturbed {
                    let set = commit.writes.iter().filter(|(_, record)| record.is_some());
                    self.held.extend(set.map(|(key, _)| *key));
                }
            }
            _ => self.cache.end_commit(commit.ticket, std::iter::empty()),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Get(key) => self.get(key),
            Step::ReadBackend(at) => {
                if let Some(reading) = self.readings.get_mut(at) {
                    reading.answer = Some(self.backend.get(&reading.key).cloned());
                }
            }
            Step::Fill(at) => self.fill(at),
            Step::Begin(keys) => self.begin(keys),
            Step::Apply(at) => self.apply(at),
            Step::End(at, how) => self.end(at, &how),
        }
        let facts = self.cache.facts();
        assert!(facts.bytes <= facts.bytes_max);
        assert_eq!(facts.hits, self.counted.hits);
        assert_eq!(facts.misses, self.counted.misses);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any order of the steps of readers and commits, two commits in flight at most.
    #[test]
    fn a_hit_is_what_the_backend_holds(steps in steps(), roomy: bool) {
        // Room for two records at the least in the smaller one, of one eighth each at the most.
        let mut model = Model::new(if roomy { 1 << 20 } else { 2_400 }, roomy);
        for step in steps {
            model.take(step);
        }
    }
}
