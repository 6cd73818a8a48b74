//! Statekeep benchmarks: ratios against a peer in one run.
