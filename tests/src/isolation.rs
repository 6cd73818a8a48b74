//! The judge of isolation: whether what many clients saw and did at once could have happened one
//! transaction after another, in an order that no clock contradicts.
//!
//! Clients append elements, each once, to lists under keys. A list that was read tells the order of
//! the appends to its key, so the dependencies between transactions follow from what was read: who
//! wrote after whom, who read from whom, who read what whom overwrote. A cycle of them, and of "ended
//! before the other began", is an anomaly (K. Kingsbury, P. Alvaro, "Elle: Inferring Isolation
//! Anomalies from Experimental Observations", VLDB 2020).

mod cycles;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

pub use cycles::Edge;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// An element, never appended before, to the end of a key's list.
    Append(u64, u64),
    /// A key's list; empty for a key that is not there.
    Read(u64, Vec<u64>),
}

/// What one client did in one transaction.
#[derive(Clone, Debug)]
pub struct Txn {
    /// A moment before it began, on the clock of all clients.
    pub began: u64,
    /// A moment after it was acknowledged or refused.
    pub ended: u64,
    /// It was acknowledged; else it was refused and has changed nothing.
    pub committed: bool,
    /// What it did, without what it took back.
    pub ops: Vec<Op>,
}

/// Everything that clients did, and the lists that were left in the end.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All transactions, in any order.
    pub txns: Vec<Txn>,
    /// Each key's list once all had ended.
    pub last: BTreeMap<u64, Vec<u64>>,
}

/// What a sound history holds.
#[derive(Copy, Clone, Debug, Default)]
pub struct Facts {
    /// Transactions that were acknowledged.
    pub committed: usize,
    /// Transactions that were refused.
    pub refused: usize,
    /// Dependencies between them by what was read and written.
    pub dependencies: usize,
}

/// What cannot have happened one transaction after another. Numbers are those of `History::txns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// An acknowledged append is not in the list that was left: another overwrote it unseen.
    LostUpdate {
        /// Who appended.
        txn: usize,
        /// The key and the element.
        append: (u64, u64),
    },
    /// A list holds what nobody has committed.
    AbortedRead {
        /// Who read it.
        txn: usize,
        /// The key and the element.
        element: (u64, u64),
    },
    /// A transaction does not see its own appends, or not the same list twice.
    Inconsistent {
        /// The transaction.
        txn: usize,
        /// The key.
        key: u64,
    },
    /// A list is no beginning of the one that was left in the end.
    Diverged {
        /// Who read it.
        txn: usize,
        /// The key.
        key: u64,
    },
    /// A list ends between two appends of one transaction.
    IntermediateRead {
        /// Who read it.
        txn: usize,
        /// The key.
        key: u64,
    },
    /// Transactions that would all have to come before one another.
    Cycle(Vec<(usize, Edge)>),
}

impl Anomaly {
    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        let Anomaly::Cycle(steps) = self else {
            return match self {
                Anomaly::LostUpdate { .. } => "lost update",
                Anomaly::AbortedRead { .. } => "aborted read",
                Anomaly::Inconsistent { .. } => "inconsistent within a transaction",
                Anomaly::Diverged { .. } => "diverged",
                _ => "intermediate read",
            };
        };
        let count = |wanted: Edge| steps.iter().filter(|(_, edge)| *edge == wanted).count();
        match (count(Edge::EndedBefore), count(Edge::Overwritten)) {
            (0, 0) if count(Edge::ReadBy) == 0 => "dirty write",
            (0, 0) => "circular information flow",
            (0, 1) => "read skew",
            (0, _) => "write skew",
            _ => "not in the order of time",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self:?}", self.name())
    }
}

/// Who appended an element, as which of its appends to that key.
struct Append {
    txn: usize,
    last: bool,
}

/// Judges a history.
pub fn check(history: &History) -> Result<Facts, Anomaly> {
    let appends = appends(history);
    for (at, txn) in history.txns.iter().enumerate().filter(|(_, t)| t.committed) {
        for op in &txn.ops {
            if let Op::Append(key, element) = op
                && !history
                    .last
                    .get(key)
                    .is_some_and(|list| list.contains(element))
            {
                return Err(Anomaly::LostUpdate {
                    txn: at,
                    append: (*key, *element),
                });
            }
        }
    }
    let mut graph = cycles::Graph::new(history.txns.len());
    for list in history.last.values() {
        let writers = list.iter().filter_map(|element| appends.get(element));
        let writers: Vec<usize> = writers.map(|append| append.txn).collect();
        for pair in writers.windows(2) {
            graph.add(pair[0], Edge::WrittenBefore, pair[1]);
        }
    }
    for (at, txn) in history.txns.iter().enumerate() {
        for (key, list) in external_reads(at, txn)? {
            let last = history.last.get(&key).map_or(&[][..], Vec::as_slice);
            for element in &list {
                if !appends.contains_key(element) {
                    let element = (key, *element);
                    return Err(Anomaly::AbortedRead { txn: at, element });
                }
            }
            if !last.starts_with(&list) {
                return Err(Anomaly::Diverged { txn: at, key });
            }
            if let Some(append) = list.last().and_then(|element| appends.get(element)) {
                if !append.last && append.txn != at {
                    return Err(Anomaly::IntermediateRead { txn: at, key });
                }
                graph.add(append.txn, Edge::ReadBy, at);
            }
            if let Some(next) = last
                .get(list.len())
                .and_then(|element| appends.get(element))
            {
                graph.add(at, Edge::Overwritten, next.txn);
            }
        }
    }
    let dependencies = graph.len();
    graph
        .find_cycle()
        .map_or(Ok(()), |c| Err(Anomaly::Cycle(c)))?;
    graph.add_times(&history.txns);
    graph
        .find_cycle()
        .map_or(Ok(()), |c| Err(Anomaly::Cycle(c)))?;
    let committed = history.txns.iter().filter(|txn| txn.committed).count();
    Ok(Facts {
        committed,
        refused: history.txns.len() - committed,
        dependencies,
    })
}

/// The committed appends by element.
fn appends(history: &History) -> HashMap<u64, Append> {
    let mut appends: HashMap<u64, Append> = HashMap::new();
    for (at, txn) in history.txns.iter().enumerate().filter(|(_, t)| t.committed) {
        let mut last_of_key = HashMap::new();
        for op in &txn.ops {
            if let Op::Append(key, element) = op {
                let append = Append {
                    txn: at,
                    last: true,
                };
                let twice = appends.insert(*element, append).is_some();
                assert!(!twice, "{element} was appended twice");
                if let Some(before) = last_of_key.insert(*key, *element)
                    && let Some(before) = appends.get_mut(&before)
                {
                    before.last = false;
                }
            }
        }
    }
    appends
}

/// What a transaction read of others, by key; its own appends, which must be there, are left out.
fn external_reads(at: usize, txn: &Txn) -> Result<Vec<(u64, Vec<u64>)>, Anomaly> {
    let mut own: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut reads: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for op in &txn.ops {
        match op {
            Op::Append(key, element) => own.entry(*key).or_default().push(*element),
            Op::Read(key, list) => {
                let wrong = Anomaly::Inconsistent { txn: at, key: *key };
                let own = own.get(key).map_or(&[][..], Vec::as_slice);
                let others = list.strip_suffix(own).ok_or_else(|| wrong.clone())?;
                let before = reads.entry(*key).or_insert_with(|| others.to_vec());
                if before != others {
                    return Err(wrong);
                }
            }
        }
    }
    Ok(reads.into_iter().collect())
}

#[cfg(test)]
#[path = "isolation_tests.rs"]
mod tests;
