//! What the records of a merge add up to.

use statekeep_core::{Result, StateDigest};

use crate::facts::{BlockFacts, Counter, Scopes};
use crate::segment::Entry;

/// Digest, number, bytes and counts of records that come in the order of their keys.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) digest: StateDigest,
    pub(crate) records: u64,
    /// Of stored keys and records.
    pub(crate) bytes: u64,
    pub(crate) counter: Counter,
    scopes: Scopes,
    last: Vec<u8>,
}

/// Stretches that are kept before they are counted.
const STRETCHES_MAX: usize = 256;

impl Totals {
    /// Takes all records of a block.
    pub(super) fn block(&mut self, facts: &BlockFacts) {
        self.settle();
        self.digest.merge(&facts.digest);
        self.records += u64::from(facts.entries);
        for stretch in &facts.stretches {
            self.bytes += stretch.bytes;
            self.counter.add(stretch);
        }
    }

    /// Takes a record; its share of the digest is the caller's to add.
    pub(super) fn record(&mut self, entry: Entry<'_>) -> Result<()> {
        let bytes = (entry.key.len() + entry.record.len()) as u64;
        self.records += 1;
        self.bytes += bytes;
        if self.scopes.stretches.len() > STRETCHES_MAX {
            self.settle();
        }
        self.scopes.add(&self.last, entry.key, (1, bytes))?;
        self.last.clear();
        self.last.extend_from_slice(entry.key);
        Ok(())
    }

    /// Takes a record's share out of the digest.
    pub(super) fn forget(&mut self, entry: Entry<'_>) {
        let mut one = StateDigest::default();
        one.add(entry.key, entry.record);
        self.digest.remove(&one);
    }

    /// Counts what was kept.
    pub(crate) fn settle(&mut self) {
        let scopes = std::mem::take(&mut self.scopes);
        let stretches = scopes.stretches.iter();
        stretches.for_each(|stretch| self.counter.add(stretch));
    }
}
