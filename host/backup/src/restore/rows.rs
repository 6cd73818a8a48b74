//! Records in the order of their keys, asked for one by one, so that two sources can be compared.
//!
//! A backup is merged on a thread of its own, which is at most two batches ahead; a snapshot is
//! scanned as it is asked. Neither holds more than a batch of its own.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Scope;

use crossbeam_channel::{Sender, bounded};
use statekeep_core::{
    Error, ErrorKind, Result, SelectedKeys, Snapshot, StateDigest, TenantNumber, UnixMs,
    inspect_record,
};

use crate::budget::stopped;
use crate::merge::{MergeRequest, Selection, Strict, merge};
use crate::points::Chosen;
use crate::read_run::{ReadTask, Span};
use crate::repository::Repository;

/// A batch ends at this many rows or bytes.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 256 << 10;

/// A stored key and its record.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// What all rows of a source added up to.
#[derive(Clone, Default)]
pub(super) struct Sums {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) digest: StateDigest,
    /// Records that were passed over, since their time has come.
    pub(super) expired: u64,
}

/// Fills the batch; answers the sums at the end.
type Refill<'a> = dyn FnMut(&mut VecDeque<Row>) -> Result<Option<Sums>> + 'a;

/// Rows of one source.
pub(super) struct Rows<'a> {
    batch: VecDeque<Row>,
    next: Box<Refill<'a>>,
    sums: Option<Sums>,
}

/// A moment of a backup.
#[derive(Copy, Clone)]
pub(super) struct Source<'a> {
    pub(super) repository: &'a Repository,
    pub(super) task: &'a ReadTask<'a>,
    pub(super) chosen: &'a Chosen,
    /// Records whose time has come by then are passed over.
    pub(super) now: Option<UnixMs>,
}

impl Source<'_> {
    /// The named tenants of the backup.
    pub(super) fn tenants(&self) -> Vec<(TenantNumber, String)> {
        let rows = self.chosen.manifest.tenants.iter();
        rows.map(|row| (TenantNumber(row.number), row.name.clone()))
            .collect()
    }
}

enum Sent {
    Rows(VecDeque<Row>),
    End(Result<Sums>),
}

impl<'a> Rows<'a> {
    /// Of a tenant that is not there.
    pub(super) fn none() -> Rows<'a> {
        Rows {
            batch: VecDeque::new(),
            next: Box::new(|_| Ok(Some(Sums::default()))),
            sums: None,
        }
    }

    /// The selected records of a snapshot.
    pub(super) fn of_snapshot(snapshot: &'a Snapshot, keys: SelectedKeys) -> Result<Rows<'a>> {
        let mut scan = snapshot.scan_keys(&keys)?;
        let next = move |batch: &mut VecDeque<Row>| {
            let mut outcome = Ok(());
            let read = scan.next_batch(BATCH_ROWS, &mut |key, record| match keys.has(key) {
                Ok(true) => batch.push_back((key.to_vec(), record.to_vec())),
                Ok(false) => {}
                Err(error) => outcome = Err(error),
            })?;
            outcome.map(|()| (read == 0).then(Sums::default))
        };
        Ok(Rows {
            batch: VecDeque::new(),
            next: Box::new(next),
            sums: None,
        })
    }

    /// The selected records of a backup; damage ends them with an error.
    pub(super) fn of_backup<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        source: Source<'a>,
        keys: SelectedKeys,
    ) -> Rows<'a>
    where
        'a: 'scope,
    {
        let (sender, receiver) = bounded(2);
        scope.spawn(move || {
            // A panic must not spread to who waits for the thread.
            let send = AssertUnwindSafe(|| send(&source, &keys, &sender));
            let outcome = catch_unwind(send).unwrap_or_else(|_| {
                let message = "the thread that reads the backup ended by a fault";
                Err(Error::other(ErrorKind::Panic, message))
            });
            // Who no longer listens has an error of its own.
            drop(sender.send(Sent::End(outcome)));
        });
        let next = move |batch: &mut VecDeque<Row>| match receiver.recv() {
            Ok(Sent::Rows(rows)) => {
                *batch = rows;
                Ok(None)
            }
            Ok(Sent::End(outcome)) => outcome.map(Some),
            Err(_) => Err(stopped()),
        };
        Rows {
            batch: VecDeque::new(),
            next: Box::new(next),
            sums: None,
        }
    }

    /// The next row, which stays the next one until [`Rows::take`].
    pub(super) fn peek(&mut self) -> Result<Option<&Row>> {
        while self.batch.is_empty() && self.sums.is_none() {
            self.sums = (self.next)(&mut self.batch)?;
        }
        Ok(self.batch.front())
    }

    /// Passes on the next row.
    pub(super) fn take(&mut self) -> Option<Row> {
        self.batch.pop_front()
    }

    /// What they added up to, once all have been taken.
    pub(super) fn sums(self) -> Sums {
        self.sums.unwrap_or_default()
    }
}

fn send(source: &Source<'_>, keys: &SelectedKeys, out: &Sender<Sent>) -> Result<Sums> {
    let range = keys.range();
    let mut sums = Sums::default();
    let (mut batch, mut bytes) = (VecDeque::new(), 0);
    // What is no stored key fails where it is handed on.
    let matches = |key: &[u8]| keys.has(key).unwrap_or(true);
    let selection = Selection {
        span: Span {
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
        },
        matches: Some(&matches),
    };
    let request = MergeRequest {
        selection,
        ..MergeRequest::all(&source.chosen.manifest, source.chosen.point)
    };
    merge(
        source.repository,
        source.task,
        &request,
        &mut Strict,
        &mut |merged| {
            merged.each(&mut |key, record| {
                let expires = inspect_record(record)?.expires;
                if expires.is_some_and(|expires| source.now.is_some_and(|now| expires <= now)) {
                    sums.expired += 1;
                    return Ok(());
                }
                let len = key.len() + record.len();
                sums.records += 1;
                sums.bytes += len as u64;
                sums.digest.add(key, record);
                source.task.progress.add(1, 0, len as u64);
                batch.push_back((key.to_vec(), record.to_vec()));
                bytes += len;
                if batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
                    return Ok(());
                }
                bytes = 0;
                let full = std::mem::take(&mut batch);
                out.send(Sent::Rows(full)).map_err(|_| stopped())
            })
        },
    )?;
    out.send(Sent::Rows(batch)).map_err(|_| stopped())?;
    Ok(sums)
}
