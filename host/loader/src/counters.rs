//! What is counted of each plugin: calls, errors, panics, bytes, and the time of 1 call in 64.
//!
//! Each thread has a slot number of its own while it lives, so its cells are written by plain loads
//! and stores; threads beyond [`SLOTS`] share one more slot and pay for an atomic addition.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;

/// Threads that have cells of their own.
const SLOTS: usize = 64;
/// One call of this many is timed.
const TIMED_ONE_IN: u64 = 64;

/// Figures of a plugin since the process started.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Calls into the plugin.
    pub calls: u64,
    /// Calls that failed; a missing row is no failure.
    pub errors: u64,
    /// Panics that the plugin reported.
    pub panics: u64,
    /// Bytes handed to the plugin and received from it.
    pub bytes: u64,
    /// Calls whose time was taken.
    pub timed_calls: u64,
    /// Their time in nanoseconds, summed up.
    pub timed_ns: u64,
}

#[derive(Default)]
#[repr(align(64))]
struct Cells {
    calls: AtomicU64,
    bytes: AtomicU64,
    timed_calls: AtomicU64,
    timed_ns: AtomicU64,
}

/// A call that is running.
#[derive(Copy, Clone)]
pub(crate) struct Entered {
    slot: usize,
    started: Option<Instant>,
}

/// The cells behind [`Counters`].
pub(crate) struct Sharded {
    slots: [Cells; SLOTS + 1],
    errors: AtomicU64,
    panics: AtomicU64,
}

impl Sharded {
    pub fn new() -> Sharded {
        Sharded {
            slots: std::array::from_fn(|_| Cells::default()),
            errors: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// Counts a call; the answer is handed to [`Sharded::leave`].
    #[inline]
    pub fn enter(&self) -> Entered {
        let slot = slot();
        let calls = add(&self.slots[slot].calls, 1, slot);
        let started = calls.is_multiple_of(TIMED_ONE_IN).then(Instant::now);
        Entered { slot, started }
    }

    /// Counts the end of a call, on the thread that made it, and its bytes.
    #[inline]
    pub fn leave(&self, entered: Entered, bytes: usize) {
        let Entered { slot, started } = entered;
        let cells = &self.slots[slot];
        add(&cells.bytes, bytes as u64, slot);
        if let Some(started) = started {
            let ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            add(&cells.timed_calls, 1, slot);
            add(&cells.timed_ns, ns, slot);
        }
    }

    #[cold]
    pub fn error(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    #[cold]
    pub fn panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    pub fn sum(&self) -> Counters {
        let sum = |cell: fn(&Cells) -> &AtomicU64| {
            self.slots.iter().fold(0u64, |sum, cells| {
                sum.wrapping_add(cell(cells).load(Relaxed))
            })
        };
        Counters {
            calls: sum(|cells| &cells.calls),
            errors: self.errors.load(Relaxed),
            panics: self.panics.load(Relaxed),
            bytes: sum(|cells| &cells.bytes),
            timed_calls: sum(|cells| &cells.timed_calls),
            timed_ns: sum(|cells| &cells.timed_ns),
        }
    }
}

/// Adds and answers the value before; only the shared slot has more than one writer.
#[inline]
fn add(cell: &AtomicU64, delta: u64, slot: usize) -> u64 {
    if slot == SLOTS {
        return cell.fetch_add(delta, Relaxed);
    }
    let before = cell.load(Relaxed);
    cell.store(before.wrapping_add(delta), Relaxed);
    before
}

static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static USED: AtomicU64 = AtomicU64::new(0);

/// The slot of a thread, given back at its end. The lock orders the writes of the old owner before
/// those of the new one.
struct Slot(usize);

impl Slot {
    fn take() -> Slot {
        if let Some(slot) = FREE.lock().pop() {
            return Slot(slot);
        }
        let fresh = USED.fetch_add(1, Relaxed);
        Slot(usize::try_from(fresh).map_or(SLOTS, |fresh| fresh.min(SLOTS)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        CURRENT.set(SLOTS);
        if self.0 < SLOTS {
            FREE.lock().push(self.0);
        }
    }
}

const NO_SLOT: usize = usize::MAX;

thread_local! {
    /// The number itself: without a destructor, so that reading it costs one load.
    static CURRENT: Cell<usize> = const { Cell::new(NO_SLOT) };
    static OWNED: Slot = Slot::take();
}

#[inline]
fn slot() -> usize {
    match CURRENT.get() {
        NO_SLOT => first_slot(),
        slot => slot,
    }
}

#[cold]
fn first_slot() -> usize {
    // A thread that is ending has no slot of its own any more.
    let slot = OWNED.try_with(|slot| slot.0).unwrap_or(SLOTS);
    CURRENT.set(slot);
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More threads than slots, and threads that take the slots of ended ones, lose no count.
    #[test]
    fn no_call_is_lost() {
        let counters = Sharded::new();
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            let entered = counters.enter();
                            counters.leave(entered, 3);
                        }
                    });
                }
            });
        }
        let sum = counters.sum();
        assert_eq!(sum.calls, 200_000);
        assert_eq!(sum.bytes, 600_000);
        assert!(sum.timed_calls > 0);
    }
}
