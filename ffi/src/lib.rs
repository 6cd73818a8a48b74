//! `libstatekeep`: the C ABI of Statekeep; `include/statekeep.h` is generated from this source.
//!
//! One file per C object. Every exported body goes through [`guard::guard`]; every handle that C
//! holds is a token of the table in [`handle`], never an address; opens go through the process-wide
//! [`registry`], so that one state has one manager. What it uses of the host stands in [`engine`].
#![expect(
    clippy::missing_safety_doc,
    reason = "the contract of every function is that of the header: pointers are NULL or valid"
)]

pub mod atomic;
pub mod backup;
pub mod batch;
pub mod buf;
mod cleanup;
pub mod config;
mod engine;
pub mod error;
pub mod events;
pub mod exchange;
mod guard;
mod handle;
pub mod history;
mod input;
pub mod kv;
pub mod log;
pub mod manager;
pub mod metrics;
mod monitor;
pub mod op;
mod page;
pub mod plugin;
pub mod policy;
pub mod query;
mod registry;
mod report;
pub mod repository;
mod retention;
pub mod scan;
pub mod scope;
pub mod snapshot;
pub mod status;
pub mod swap;
mod ticker;
pub mod transact;
pub mod txn;
pub mod upkeep;
pub mod version;
pub mod watch;
