//! The suites prove themselves: each planted bug is found by the check that is there for it, and
//! the same plugin without a bug passes.
#![allow(unexpected_cfgs, reason = "a test crate has no feature `export`")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod backend;
mod codec;
mod verdicts;
