//! Host rows that are written while a swap copies the namespace: they leave no journal row to follow.
//!
//! Rows of the index space are handed to the swap with the commit after which they were written.
//! Meta rows are few, the swap reads them again. Rows of the past must stay until it has ended.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::commit::OwnOp;
use crate::{Error, ErrorKind, Result, Sequence, Space};

/// Most bytes of index rows that wait for the swap.
const FEED_BYTES_MAX: usize = 64 << 20;

/// Nothing, or what waits for the swap that copies this namespace.
#[derive(Default)]
pub(crate) struct SwapFeed(Mutex<Option<Feed>>);

#[derive(Default)]
struct Feed {
    ops: VecDeque<(Sequence, OwnOp)>,
    bytes: usize,
}

fn space_of(op: &OwnOp) -> Space {
    match op {
        OwnOp::Put(space, ..) | OwnOp::Delete(space, _) => *space,
    }
}

impl SwapFeed {
    /// A swap begins to copy. Called by the committer, so that no row falls between.
    ///
    /// # Errors
    /// `Busy` while another swap does.
    pub(super) fn begin(&self) -> Result<()> {
        let mut feed = self.0.lock();
        if feed.is_some() {
            return Err(busy("another swap of the backend is under way"));
        }
        *feed = Some(Feed::default());
        Ok(())
    }

    pub(super) fn end(&self) {
        *self.0.lock() = None;
    }

    /// Whether a swap needs all of the past, so that nothing is trimmed now.
    pub(crate) fn holds_past(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Checks that host rows may be written now.
    ///
    /// # Errors
    /// `Busy` for rows of the past, and for more index rows than may wait.
    pub(crate) fn admit(&self, ops: &[OwnOp]) -> Result<()> {
        let feed = self.0.lock();
        let Some(feed) = feed.as_ref() else {
            return Ok(());
        };
        let mut bytes = feed.bytes;
        for op in ops {
            match space_of(op) {
                Space::History | Space::Journal => {
                    return Err(busy(
                        "the backend is being swapped, and nothing is trimmed until that has ended",
                    ));
                }
                Space::Index => bytes += op.bytes(),
                Space::Data | Space::Meta => {}
            }
        }
        if bytes > FEED_BYTES_MAX && bytes > feed.bytes {
            return Err(busy(
                "the backend is being swapped, which has to take over earlier index rows first",
            ));
        }
        Ok(())
    }

    /// Takes host rows that were written after a commit.
    pub(crate) fn note(&self, head: Sequence, ops: Vec<OwnOp>) {
        let mut feed = self.0.lock();
        let Some(feed) = feed.as_mut() else {
            return;
        };
        for op in ops.into_iter().filter(|op| space_of(op) == Space::Index) {
            feed.bytes += op.bytes();
            feed.ops.push_back((head, op));
        }
    }

    /// The next row that was written before the commit after `until`.
    pub(super) fn next(&self, until: Sequence) -> Option<OwnOp> {
        let mut feed = self.0.lock();
        let feed = feed.as_mut()?;
        let (head, _) = feed.ops.front()?;
        if *head > until {
            return None;
        }
        let (_, op) = feed.ops.pop_front()?;
        feed.bytes -= op.bytes();
        Some(op)
    }
}

fn busy(what: &str) -> Error {
    Error::other(ErrorKind::Busy, format!("{what}; try again later"))
}
