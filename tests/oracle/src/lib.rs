//! The judge of crash tests: what was acknowledged must be there, what was not is all or nothing.
//!
//! The test tells the oracle each commit before it is tried and what became of it, then hands it
//! the reopened state to read. Commits on one key are told in the order in which they apply; values
//! that are never written twice make the verdict sharp. It knows neither host nor
//! plugins, so that the suites of both use this one.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Debug;

/// A commit that was told to an [`Oracle`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitId(usize);

#[derive(Copy, Clone, PartialEq, Eq)]
enum Fate {
    /// Nobody knows: in flight, or failed in a way that leaves it open.
    Open,
    Acknowledged,
    /// Answered with an error that promises that nothing was applied.
    Refused,
}

struct Attempt<K, V> {
    writes: BTreeMap<K, Option<V>>,
    fate: Fate,
}

/// Records commits of values (or digests of values) under keys, and checks what is left of them.
pub struct Oracle<K, V> {
    attempts: Vec<Attempt<K, V>>,
}

impl<K: Ord + Clone + Debug, V: Eq + Debug> Default for Oracle<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone + Debug, V: Eq + Debug> Oracle<K, V> {
    /// An oracle over an empty state.
    pub fn new() -> Self {
        Oracle {
            attempts: Vec::new(),
        }
    }

    /// A commit is about to be tried: its keys with their new values, `None` for a deletion.
    pub fn begin(&mut self, writes: impl IntoIterator<Item = (K, Option<V>)>) -> CommitId {
        self.attempts.push(Attempt {
            writes: writes.into_iter().collect(),
            fate: Fate::Open,
        });
        CommitId(self.attempts.len() - 1)
    }

    /// The commit was acknowledged as durable.
    pub fn acknowledge(&mut self, id: CommitId) {
        self.settle(id, Fate::Acknowledged);
    }

    /// The commit was answered with an error that says that nothing changed.
    pub fn refuse(&mut self, id: CommitId) {
        self.settle(id, Fate::Refused);
    }

    /// A flush returned: every commit that is still open, tried before this call and known to have
    /// been applied, is durable from now on. Only for harnesses that lose no answer.
    pub fn acknowledge_all(&mut self) {
        for attempt in self
            .attempts
            .iter_mut()
            .filter(|attempt| attempt.fate == Fate::Open)
        {
            attempt.fate = Fate::Acknowledged;
        }
    }

    fn settle(&mut self, id: CommitId, fate: Fate) {
        if let Some(attempt) = self.attempts.get_mut(id.0) {
            attempt.fate = fate;
        }
    }

    /// How many commits were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.attempts
            .iter()
            .filter(|attempt| attempt.fate == Fate::Acknowledged)
            .count()
    }

    /// Reads every key that was ever written and answers what is wrong, one line a fault: a lost or
    /// half-applied acknowledged commit, a torn or refused one that shows, a value nobody wrote.
    pub fn check(&self, mut read: impl FnMut(&K) -> Option<V>) -> Result<(), String> {
        let mut faults = Vec::new();
        // Key by key: which commits may have written what is seen (`None`: before the first).
        let mut writers: BTreeMap<&K, Vec<usize>> = BTreeMap::new();
        for (at, attempt) in self.attempts.iter().enumerate() {
            for key in attempt.writes.keys() {
                writers.entry(key).or_default().push(at);
            }
        }
        let mut evidence: BTreeMap<usize, (Option<&K>, Option<&K>)> = BTreeMap::new();
        for (key, commits) in &writers {
            let seen = read(key);
            let candidates = self.candidates(key, commits, seen.as_ref());
            if candidates.is_empty() {
                faults.push(self.explain(key, commits, seen.as_ref()));
                continue;
            }
            let last = candidates.iter().flatten().max();
            for at in commits.iter().filter(|at| self.fate(**at) == Fate::Open) {
                let (present, absent) = evidence.entry(*at).or_default();
                if candidates.iter().all(|candidate| *candidate == Some(*at)) {
                    present.get_or_insert(key);
                }
                if last.is_none_or(|last| last < at) {
                    absent.get_or_insert(key);
                }
            }
        }
        for (at, sides) in evidence {
            if let (Some(present), Some(absent)) = sides {
                faults.push(format!(
                    "commit {at} was never acknowledged and is torn: {present:?} shows it, \
                     {absent:?} does not"
                ));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n"))
        }
    }

    fn fate(&self, at: usize) -> Fate {
        self.attempts
            .get(at)
            .map_or(Fate::Refused, |attempt| attempt.fate)
    }

    fn written(&self, at: usize, key: &K) -> Option<&V> {
        self.attempts
            .get(at)
            .and_then(|attempt| attempt.writes.get(key))
            .and_then(Option::as_ref)
    }

    /// The commits that may have been the last to write a key, given what is seen: none before the
    /// last acknowledged one.
    fn candidates(&self, key: &K, commits: &[usize], seen: Option<&V>) -> Vec<Option<usize>> {
        let floor = commits
            .iter()
            .rposition(|at| self.fate(*at) == Fate::Acknowledged);
        let possible = commits.iter().skip(floor.unwrap_or(0)).copied();
        let mut candidates: Vec<_> = possible
            .filter(|at| self.fate(*at) != Fate::Refused && self.written(*at, key) == seen)
            .map(Some)
            .collect();
        if floor.is_none() && seen.is_none() {
            candidates.push(None);
        }
        candidates
    }

    fn explain(&self, key: &K, commits: &[usize], seen: Option<&V>) -> String {
        let owner = commits
            .iter()
            .rev()
            .find(|at| self.written(**at, key) == seen);
        let acknowledged = commits
            .iter()
            .rev()
            .find(|at| self.fate(**at) == Fate::Acknowledged);
        match (owner, acknowledged) {
            (Some(at), _) if self.fate(*at) == Fate::Refused => {
                format!("{key:?} shows commit {at}, which was refused")
            }
            (_, Some(at)) => format!(
                "{key:?} lost the acknowledged commit {at}: {:?} was written, {seen:?} is there",
                self.written(*at, key)
            ),
            _ => format!("{key:?} holds {seen:?}, which nobody wrote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = BTreeMap<&'static str, u32>;

    fn story() -> Oracle<&'static str, u32> {
        let mut oracle = Oracle::new();
        let first = oracle.begin([("a", Some(1)), ("b", Some(2))]);
        oracle.acknowledge(first);
        let refused = oracle.begin([("c", Some(9))]);
        oracle.refuse(refused);
        oracle.begin([("a", Some(3)), ("b", None), ("c", Some(4))]);
        oracle
    }

    fn verdict(rows: &[(&'static str, u32)]) -> Result<(), String> {
        let rows: Rows = rows.iter().copied().collect();
        story().check(|key| rows.get(key).copied())
    }

    #[test]
    fn an_open_commit_may_be_there_or_not() {
        assert_eq!(verdict(&[("a", 1), ("b", 2)]), Ok(()));
        assert_eq!(verdict(&[("a", 3), ("c", 4)]), Ok(()));
    }

    #[test]
    fn every_kind_of_fault_is_named() {
        let faults = [
            (vec![("a", 1)], "torn"),
            (vec![("a", 3), ("b", 2), ("c", 4)], "torn"),
            (vec![("b", 2)], "lost the acknowledged commit 0"),
            (vec![("a", 1), ("b", 2), ("c", 9)], "refused"),
            (vec![("a", 7), ("b", 2)], "lost the acknowledged"),
            (vec![("a", 1), ("b", 2), ("c", 7)], "nobody wrote"),
        ];
        for (rows, word) in faults {
            let error = verdict(&rows).unwrap_err();
            assert!(error.contains(word), "{rows:?}: {error}");
        }
    }
}
