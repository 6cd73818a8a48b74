//! Drives plugins through the raw tables of the ABI, as a host does.
#![allow(unexpected_cfgs, reason = "a test crate has no feature `export`")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod driver;
mod panics;
mod plugin;
mod tables;
mod verdicts;
