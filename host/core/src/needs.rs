//! Who needs the past of a namespace, and from which commit on: snapshots, backups and live watches
//! by pins, transactions by leases, readers that may be away by their durable cursors. The floor is
//! never above any of them. A lease can be taken back, since nobody may ever end its transaction.

use std::collections::BTreeMap;

use crate::watch::{CursorRow, is_backup_cursor, is_lapsed};
use crate::{Sequence, UnixMs};

/// Which transaction needs the past.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LeaseId(u64);

/// A transaction under way.
struct Lease {
    sequence: Sequence,
    began: UnixMs,
}

pub(crate) struct Needs {
    /// How often each sequence is pinned.
    pins: BTreeMap<Sequence, usize>,
    leases: BTreeMap<LeaseId, Lease>,
    next_lease: u64,
    cursors: BTreeMap<String, CursorRow>,
}

impl Needs {
    /// Nothing but the stored cursors.
    pub(crate) fn new(cursors: Vec<(String, CursorRow)>) -> Needs {
        Needs {
            pins: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_lease: 0,
            cursors: cursors.into_iter().collect(),
        }
    }

    pub(crate) fn pin(&mut self, sequence: Sequence) {
        *self.pins.entry(sequence).or_insert(0) += 1;
    }

    pub(crate) fn unpin(&mut self, sequence: Sequence) {
        if let Some(count) = self.pins.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&sequence);
            }
        }
    }

    /// Keeps the past of a transaction until `unlease` or `release`.
    pub(crate) fn lease(&mut self, sequence: Sequence, began: UnixMs) -> LeaseId {
        let id = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(id, Lease { sequence, began });
        id
    }

    /// Ends a lease; one that was taken back is gone already.
    pub(crate) fn unlease(&mut self, id: LeaseId) {
        self.leases.remove(&id);
    }

    pub(crate) fn has_lease(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// Takes back the leases of transactions that began before a time, and answers how many.
    pub(crate) fn release(&mut self, before: UnixMs) -> usize {
        let all = self.leases.len();
        self.leases.retain(|_, lease| lease.began >= before);
        all - self.leases.len()
    }

    /// How many snapshots, live watches and transactions there are.
    pub(crate) fn pin_count(&self) -> u64 {
        self.pins.values().sum::<usize>() as u64 + self.leases.len() as u64
    }

    /// The oldest sequence that a snapshot, a live watch or a transaction needs.
    pub(crate) fn oldest_pin(&self) -> Option<Sequence> {
        let pinned = self.pins.keys().next().copied();
        let leased = self.leases.values().map(|lease| lease.sequence);
        leased.chain(pinned).min()
    }

    pub(crate) fn cursors(&self) -> &BTreeMap<String, CursorRow> {
        &self.cursors
    }

    pub(crate) fn put_cursor(&mut self, name: String, row: Option<CursorRow>) {
        match row {
            Some(row) => self.cursors.insert(name, row),
            None => self.cursors.remove(&name),
        };
    }

    /// Takes over all cursors of others.
    pub(crate) fn put_cursors(&mut self, others: &Needs) {
        self.cursors = others.cursors.clone();
    }

    /// How far the floor may be raised, once the cursors of backups that were last stored by `lapsed`
    /// are let go.
    pub(crate) fn allowed(&self, wanted: Sequence, head: Sequence, lapsed: UnixMs) -> Sequence {
        let cursors = self.cursors.iter();
        let cursors = cursors.filter(|(name, row)| !is_lapsed(name, row, lapsed));
        let cursors = cursors.map(|(_, row)| row.position.sequence);
        let needed = self.oldest_pin().into_iter().chain(cursors);
        needed.fold(wanted.min(head), Sequence::min)
    }

    /// Who keeps the floor below a sequence, in words; `lapsed` as of [`Needs::allowed`].
    pub(crate) fn held_below(&self, wanted: Sequence, lapsed: UnixMs) -> Vec<String> {
        let pins = self
            .pins
            .range(..wanted)
            .map(|(sequence, count)| match count {
                1 => format!("a snapshot, backup or watch at commit {}", sequence.0),
                count => format!(
                    "{count} snapshots, backups or watches at commit {}",
                    sequence.0
                ),
            });
        let mut leases = BTreeMap::<Sequence, usize>::new();
        for lease in self.leases.values().filter(|lease| lease.sequence < wanted) {
            *leases.entry(lease.sequence).or_insert(0) += 1;
        }
        let leases = leases.into_iter().map(|(sequence, count)| match count {
            1 => format!("a transaction at commit {}", sequence.0),
            count => format!("{count} transactions at commit {}", sequence.0),
        });
        let cursors = self.cursors.iter();
        let cursors = cursors.filter(|(name, row)| !is_lapsed(name, row, lapsed));
        let cursors = cursors.filter_map(|(name, row)| {
            let sequence = row.position.sequence;
            let whose = match is_backup_cursor(name) {
                true => "for the next incremental backup, the",
                false => "the",
            };
            (sequence < wanted).then(|| format!("{whose} cursor `{name}` at commit {}", sequence.0))
        });
        pins.chain(leases).chain(cursors).collect()
    }
}
