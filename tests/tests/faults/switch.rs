//! Another store takes the place of the one in use: swap, undo and restore, with changes between them.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use statekeep::engine::{Progress, RestoreSource, Snapshot};
use statekeep::{Batch, ErrorKind, NamespaceId, Result, Sequence, SetOptions, Value};

use crate::work::{NAMES, Rows, Work, Writes, parts, set};

/// A copy of the stored records of a state, and what they are.
struct Copy {
    rows: Rows,
    sequence: Sequence,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What becomes of every key when the state is what it was; what was in memory is gone.
fn back_to(rows: &Rows) -> Writes {
    let stored = |name| rows.get(&name).filter(|_| name.0 != "user:m");
    NAMES.map(|name| (name, stored(name).cloned())).into()
}

fn records(snapshot: &Snapshot) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let (mut records, mut scan) = (Vec::new(), snapshot.scan()?);
    let mut take = |key: &[u8], record: &[u8]| records.push((key.to_vec(), record.to_vec()));
    while scan.next_batch(5, &mut take)? > 0 {}
    drop(scan);
    Ok(records)
}

impl Work {
    /// Swaps to another store, changes something there and goes back; restores a copy and goes back
    /// from that; swaps for good, and lets go of all that was replaced.
    pub fn switch(&mut self, round: u32) {
        let copy = self.other("copy", Work::copy);
        let from = self.backend.clone();
        let to = if from == "log" { "log2" } else { "log" };
        let replaced = self.swap("swap the backend", round, to);
        let before = self.rows.clone();
        self.single("set in the other store", round, 21);
        self.other("read in the other store", Work::read);
        if let Some(replaced) = replaced {
            self.undo("undo the swap", replaced, &before, &from);
        }
        self.single("set after the undo", round, 22);
        if let Some(copy) = copy {
            let before = self.rows.clone();
            let replaced = self.other("name the namespace", Work::namespace);
            if self.change("restore", back_to(&copy.rows), |work| work.restore(&copy)) {
                self.fault.uses_last();
                self.other("read what was restored", Work::read);
                self.single("set after the restore", round, 23);
                self.other("build the index again", Work::index);
                self.other("query what was restored", Work::query);
                if let Some(replaced) = replaced {
                    let backend = self.backend.clone();
                    self.undo("undo the restore", replaced, &before, &backend);
                }
            }
        }
        self.other("query after the undo", Work::query);
        self.swap("swap for good", round, to);
        self.single("set after all", round, 24);
        self.other("release", Work::release);
    }

    /// Sets a key.
    fn single(&mut self, what: &'static str, round: u32, n: usize) {
        let name = NAMES[n % 3];
        let value = format!("{round}-{n}");
        self.change(what, vec![set(name, &value)], |work| {
            let (s, k) = parts(name);
            let value = Value::bytes(value.as_str());
            work.tenant().set(&s, &k, value, SetOptions::default())
        });
    }

    /// Swaps, while commits are made after those that the copy began with: each time the other store
    /// is opened one sets a key and deletes another.
    fn swap(&mut self, what: &'static str, round: u32, to: &str) -> Option<NamespaceId> {
        let made = Arc::new(Mutex::new(Vec::new()));
        self.fault.on_open({
            let (made, tenant, to) = (made.clone(), self.tenant(), to.to_owned());
            move || {
                let n = made.lock().len();
                let (name, gone) = (NAMES[n % 2], NAMES[2 - n % 2]);
                let value = format!("{round}-{to}-{n}");
                let [(s, k), (_, other)] = [parts(name), parts(gone)];
                let mut batch = Batch::new();
                batch.set(&s, &k, Value::bytes(value.as_str()));
                batch.delete(&s, &other);
                let outcome = tenant.commit(batch);
                made.lock()
                    .push((vec![set(name, &value), (gone, None)], outcome));
            }
        });
        let progress = Progress::new();
        let swapped = self.manager.swap_backend(to, &json!({}), &progress);
        self.fault.on_open(|| {});
        for (writes, outcome) in made.lock().drain(..) {
            self.change("commit during a swap", writes, |_| outcome);
        }
        let swapped = self.other(what, |_| swapped);
        let replaced = swapped?.replaced;
        self.backend = to.to_owned();
        self.fault.uses_last();
        Some(replaced)
    }

    fn undo(&mut self, what: &'static str, to: NamespaceId, rows: &Rows, backend: &str) {
        if self.change(what, back_to(rows), |work| work.manager.undo(to, 1)) {
            self.backend = backend.to_owned();
            self.fault.uses_last();
            self.other("read after an undo", Work::read);
        }
    }

    fn copy(&self) -> Result<Copy> {
        let snapshot = self.manager.snapshot()?;
        Ok(Copy {
            rows: self.rows.clone(),
            sequence: snapshot.sequence(),
            records: records(&snapshot)?,
        })
    }

    fn restore(&self, copy: &Copy) -> Result<Sequence> {
        let source = RestoreSource {
            state_id: "copy".to_owned(),
            sequence: copy.sequence,
            tenants: Vec::new(),
        };
        let mut builder = self.manager.begin_restore(source)?;
        for (key, record) in &copy.records {
            builder.put(key, record)?;
        }
        builder.finish()
    }

    fn namespace(&self) -> Result<NamespaceId> {
        let all = self.manager.namespaces()?;
        let current = all.iter().find(|one| one.is_current);
        Ok(current.unwrap().namespace)
    }

    fn release(&self) -> Result<()> {
        let all = self.manager.namespaces()?;
        for kept in all.iter().filter(|one| !one.is_current) {
            // What builds indexes, and removes the rows of dropped ones, may still read it.
            while let Err(error) = self.manager.release_namespace(kept.namespace) {
                if error.kind() != ErrorKind::Busy {
                    return Err(error);
                }
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}
