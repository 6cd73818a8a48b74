//! Counters that many threads add to at once without writing each other's memory.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Lanes of a set of counters; threads share one only when there are more of them.
pub(crate) const LANES: usize = 32;

/// `N` counters; each thread adds to a lane of its own, and reading sums the lanes up.
pub(crate) struct Lanes<const N: usize>([Lane<N>; LANES]);

/// A multiple of two cache lines, which processors fetch together.
#[repr(align(128))]
struct Lane<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Lanes<N> {
    fn default() -> Lanes<N> {
        let lane = |_| Lane(std::array::from_fn(|_| AtomicU64::new(0)));
        Lanes(std::array::from_fn(lane))
    }
}

impl<const N: usize> Lanes<N> {
    /// Adds one to a counter; one that is not there is not counted.
    #[inline]
    pub(crate) fn add_one(&self, counter: usize) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static LANE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
        }
        // A thread that is ending has no lane any more.
        let lane = LANE.try_with(|lane| *lane).unwrap_or(0);
        if let Some(cell) = self.0[lane].0.get(counter) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub(crate) fn sums(&self) -> [u64; N] {
        std::array::from_fn(|counter| {
            let cells = self.0.iter().filter_map(|lane| lane.0.get(counter));
            cells.map(|cell| cell.load(Ordering::Relaxed)).sum()
        })
    }
}
