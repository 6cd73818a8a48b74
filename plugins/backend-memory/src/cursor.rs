//! A scan that takes the lock for one batch at a time and finds its place again by the last key.
//!
//! So a scan never blocks a commit for longer than a batch, whatever its reader does. A row that
//! stays as it is comes exactly once; one that changes meanwhile comes as before or as after.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use statekeep_plugin_sdk::{Cursor, Result, ScanRange};

use crate::{Shared, Spaces};

/// Rows that are taken under one lock; only their reference counts are touched.
const BATCH_ROWS: usize = 128;

/// A scan in progress.
pub struct MemoryCursor {
    spaces: Arc<Spaces>,
    space: usize,
    lo: Bound<Shared>,
    hi: Bound<Shared>,
    reverse: bool,
    batch: VecDeque<(Shared, Shared)>,
}

impl MemoryCursor {
    pub(crate) fn new(spaces: Arc<Spaces>, range: &ScanRange<'_>) -> MemoryCursor {
        MemoryCursor {
            spaces,
            space: range.space as usize,
            lo: Bound::Included(range.lo.into()),
            hi: range
                .hi
                .map_or(Bound::Unbounded, |hi| Bound::Excluded(hi.into())),
            reverse: range.reverse,
            batch: VecDeque::new(),
        }
    }

    /// Takes the next batch and moves the bound that it came from behind its last row.
    fn refill(&mut self) {
        let spaces = self.spaces.read();
        let bounds = (as_slice(&self.lo), as_slice(&self.hi));
        let rows = spaces[self.space].range::<[u8], _>(bounds);
        let clone = |(key, value): (&Shared, &Shared)| (key.clone(), value.clone());
        match self.reverse {
            false => self.batch.extend(rows.take(BATCH_ROWS).map(clone)),
            true => self.batch.extend(rows.rev().take(BATCH_ROWS).map(clone)),
        }
        if let Some((last, _)) = self.batch.back() {
            let bound = Bound::Excluded(last.clone());
            match self.reverse {
                false => self.lo = bound,
                true => self.hi = bound,
            }
        }
    }
}

impl Cursor for MemoryCursor {
    type Bytes = Shared;

    fn next(&mut self) -> Option<Result<(Shared, Shared)>> {
        if self.batch.is_empty() {
            self.refill();
        }
        self.batch.pop_front().map(Ok)
    }
}

fn as_slice(bound: &Bound<Shared>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}
