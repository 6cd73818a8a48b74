//! Clients at once, each doing transactions, swaps and patches on few keys; all that they saw goes
//! to the judge.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use statekeep::engine::{Expected, TransactOptions, Transaction, TransactionOptions};
use statekeep::{
    BlockingTenant, Durability, EntryPage, Error, ErrorKind, Key, ListOptions, Result, Scope,
    SetOptions, Value,
};
use statekeep_tests::isolation::{History, Op, Txn, check};
use statekeep_tests::states::{Random, key, scope};

use super::State;

const CLIENTS: u64 = 8;
const TXNS: u64 = 500;
/// Keys that are in use at a time; all of one scope.
const KEYS: u64 = 6;
/// After so many ticks the next keys come into use, so that lists stay short.
const WINDOW_TICKS: u64 = 400;
const RELAXED: SetOptions = SetOptions::with_durability(Durability::Relaxed);

fn place(k: u64) -> (Scope, Key) {
    (
        scope(&format!("agent:{}", k / KEYS)),
        key(&format!("k{}", k % KEYS)),
    )
}

fn list_of(value: Option<Value>) -> Vec<u64> {
    value.map_or_else(Vec::new, |value| {
        serde_json::from_slice(value.as_bytes()).unwrap()
    })
}

fn value_of(list: &[u64]) -> Value {
    Value::json(serde_json::to_string(list).unwrap()).unwrap()
}

/// The reads that a page of a window's scope is, as far as it reaches.
fn page_reads(window: u64, page: EntryPage) -> Vec<Op> {
    let mut entries: BTreeMap<String, Value> = page.entries.into_iter().collect();
    let names = (0..KEYS).map(|n| (window * KEYS + n, format!("k{n}")));
    let reached = names.filter(|(_, name)| page.next.as_ref().is_none_or(|next| name <= next));
    reached
        .map(|(k, name)| Op::Read(k, list_of(entries.remove(&name))))
        .collect()
}

struct Client<'a> {
    tenant: BlockingTenant,
    ticks: &'a AtomicU64,
    random: Random,
    next: u64,
    /// Transactions forget what they read.
    planted: bool,
    done: Vec<Txn>,
}

impl Client<'_> {
    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn window(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst) / WINDOW_TICKS
    }

    fn key(&mut self) -> u64 {
        self.window() * KEYS + self.random.below(KEYS)
    }

    fn element(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn run(mut self) -> Vec<Txn> {
        for _ in 0..TXNS {
            match self.random.below(10) {
                0 if !self.planted => self.atomic(),
                1 if !self.planted => self.transact(),
                _ => self.transaction(),
            }
        }
        self.done
    }

    fn note(&mut self, began: u64, ops: Vec<Op>, outcome: &Result<(), Error>) {
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
        let ended = self.tick();
        self.done.push(Txn {
            began,
            ended,
            committed: outcome.is_ok(),
            ops,
        });
    }

    fn transaction(&mut self) {
        let began = self.tick();
        let options = TransactionOptions {
            durability: Some(Durability::Relaxed),
        };
        let mut txn = self.tenant.begin(&options).unwrap();
        let mut ops = Vec::new();
        self.steps(&mut txn, &mut ops).unwrap();
        if self.planted {
            txn.forget_reads();
        }
        let outcome = txn.commit().map(drop);
        self.note(began, ops, &outcome);
    }

    fn transact(&mut self) {
        let (mut began, mut ops) = (0, Vec::new());
        let options = TransactOptions {
            durability: Some(Durability::Relaxed),
            ..TransactOptions::default()
        };
        // Of what was tried only the last run is told: the others are as if they had not been.
        let tenant = self.tenant.clone();
        let before = self.tick();
        let outcome = tenant.transact(&options, |txn| {
            began = before;
            ops.clear();
            self.steps(txn, &mut ops)
        });
        self.note(began, ops, &outcome);
    }

    /// Some steps of a transaction; those that are taken back are not told.
    fn steps(&mut self, txn: &mut Transaction, ops: &mut Vec<Op>) -> Result<()> {
        let mut savepoint = None;
        for _ in 0..=self.random.below(5) {
            let k = self.key();
            let (scope, key) = place(k);
            match self.random.below(10) {
                0..3 => ops.push(Op::Read(k, list_of(txn.get(&scope, &key)?))),
                3..6 => {
                    let mut list = list_of(txn.get(&scope, &key)?);
                    ops.push(Op::Read(k, list.clone()));
                    let element = self.element();
                    list.push(element);
                    txn.set(&scope, &key, value_of(&list), RELAXED)?;
                    ops.push(Op::Append(k, element));
                }
                6..8 => {
                    let options = ListOptions {
                        limit: [0, 1, 2][self.random.below(3) as usize],
                        ..ListOptions::default()
                    };
                    let page = txn.scan_page(&scope, &options)?;
                    ops.extend(page_reads(k / KEYS, page));
                }
                8 => savepoint = Some((txn.savepoint()?, ops.len())),
                _ => {
                    if let Some((savepoint, len)) = savepoint.take() {
                        txn.rollback_to(savepoint)?;
                        ops.truncate(len);
                    }
                }
            }
            // Others come in between.
            std::thread::yield_now();
        }
        Ok(())
    }

    /// An append by a swap or a patch.
    fn atomic(&mut self) {
        let began = self.tick();
        let (k, element) = (self.key(), self.element());
        let (scope, key) = place(k);
        let append = Op::Append(k, element);
        let tenant = self.tenant.clone();
        let record = tenant.get_record(&scope, &key).unwrap();
        std::thread::yield_now();
        let list = list_of(record.as_ref().map(|record| record.value.clone()));
        let longer = || value_of(&[&list[..], &[element]].concat());
        let (ops, outcome) = match (&record, self.random.below(3)) {
            (None, _) => {
                let set = tenant
                    .set_if_absent(&scope, &key, longer(), RELAXED)
                    .unwrap();
                if set.is_none() {
                    return;
                }
                (vec![Op::Read(k, Vec::new()), append], Ok(()))
            }
            (Some(record), how @ 0..2) => {
                let expected = match how {
                    0 => Expected::Version(record.sequence),
                    _ => Expected::Value(&record.value),
                };
                let swap = tenant.compare_and_swap(&scope, &key, expected, Some(longer()), RELAXED);
                let ops = match swap {
                    Ok(_) => vec![Op::Read(k, list), append],
                    // What was read outside of a transaction may be ahead of one that begins.
                    Err(_) => Vec::new(),
                };
                (ops, swap.map(drop))
            }
            _ => {
                let patch = serde_json::json!([{"op": "add", "path": "/-", "value": element}]);
                let after = tenant.json_patch(&scope, &key, &patch, RELAXED).unwrap();
                (vec![append, Op::Read(k, list_of(Some(after)))], Ok(()))
            }
        };
        self.note(began, ops, &outcome);
    }
}

fn history(state: &State, planted: bool) -> History {
    let ticks = AtomicU64::new(0);
    let tenant = state.tenant();
    let txns = std::thread::scope(|threads| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let client = Client {
                    tenant: tenant.clone(),
                    ticks: &ticks,
                    random: Random(n),
                    next: (n + 1) << 32,
                    planted,
                    done: Vec::new(),
                };
                threads.spawn(|| client.run())
            })
            .collect();
        let done = clients.into_iter().map(|client| client.join().unwrap());
        done.flatten().collect()
    });
    let windows = ticks.load(Ordering::SeqCst) / WINDOW_TICKS;
    let last = (0..(windows + 1) * KEYS).map(|k| {
        let (scope, key) = place(k);
        (k, list_of(tenant.get(&scope, &key).unwrap()))
    });
    History {
        txns,
        last: last.collect(),
    }
}

pub fn see_a_serial_history(state: &State) {
    let facts = check(&history(state, false)).unwrap_or_else(|anomaly| panic!("{anomaly}"));
    assert!(facts.committed > 1_000, "{facts:?}");
    assert!(facts.refused > 0 && facts.dependencies > 1_000, "{facts:?}");
}

#[test]
fn the_judge_finds_clients_whose_reads_are_not_checked() {
    let found = check(&history(&State::new("memory"), true));
    assert!(found.is_err(), "{found:?}");
}
