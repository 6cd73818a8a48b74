//! Who needs the past of a namespace, and from which commit on: snapshots, backups and live watches
//! by pins, readers that may be away by their durable cursors. The floor is never above any of them.

use std::collections::BTreeMap;

use crate::Sequence;
use crate::watch::CursorRow;

pub(crate) struct Needs {
    /// How often each sequence is pinned.
    pins: BTreeMap<Sequence, usize>,
    cursors: BTreeMap<String, CursorRow>,
}

impl Needs {
    /// Nothing but the stored cursors.
    pub(crate) fn new(cursors: Vec<(String, CursorRow)>) -> Needs {
        Needs {
            pins: BTreeMap::new(),
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

    pub(crate) fn oldest_pin(&self) -> Option<Sequence> {
        self.pins.keys().next().copied()
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

    /// How far the floor may be raised.
    pub(crate) fn allowed(&self, wanted: Sequence, head: Sequence) -> Sequence {
        let cursors = self.cursors.values().map(|row| row.position.sequence);
        let needed = self.oldest_pin().into_iter().chain(cursors);
        needed.fold(wanted.min(head), Sequence::min)
    }

    /// Who keeps the floor below a sequence, in words.
    pub(crate) fn held_below(&self, wanted: Sequence) -> Vec<String> {
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
        let cursors = self.cursors.iter().filter_map(|(name, row)| {
            let sequence = row.position.sequence;
            (sequence < wanted).then(|| format!("the cursor `{name}` at commit {}", sequence.0))
        });
        pins.chain(cursors).collect()
    }
}
