//! Backend plugin `statekeep.memory`: rows in ordered maps of this process, gone with it.
//!
//! For tests, caches and trying things out. Every function is atomic under one lock, which is never
//! held while the host copies a value or a scan rests between two batches.
#![deny(unsafe_code)]

mod cursor;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Config, Host, Op, Outcome, Plugin, Result, ScanRange, Sink,
    api::SPACE_COUNT,
};

use cursor::MemoryCursor;

/// A key or a value; shared, so that a reader keeps what a commit replaces meanwhile.
type Shared = Arc<[u8]>;
/// The rows of one space, in the order of their keys.
type Rows = BTreeMap<Shared, Shared>;

/// The backend.
pub struct Memory {
    spaces: Arc<Spaces>,
}

#[derive(Default)]
struct Spaces(RwLock<[Rows; SPACE_COUNT as usize]>);

impl Spaces {
    // A panic under the lock poisons the instance, so nobody comes back to see a half-done commit.
    fn read(&self) -> RwLockReadGuard<'_, [Rows; SPACE_COUNT as usize]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, [Rows; SPACE_COUNT as usize]> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plugin for Memory {
    const ID: &'static str = "statekeep.memory";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LICENSE: &'static str = "MIT OR Apache-2.0";
    const DESCRIPTION: &'static str = "Rows in memory: nothing outlives the process";

    fn create(_host: Host, config: &Config) -> Result<Memory> {
        config.known_options(&[])?;
        Ok(Memory {
            spaces: Arc::default(),
        })
    }
}

impl Backend for Memory {
    type Cursor = MemoryCursor;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            preconditions: true,
            ..Capabilities::default()
        }
    }

    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool> {
        let value = self.spaces.read()[space as usize].get(key).cloned();
        match value {
            Some(value) => out.put(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        let mut spaces = self.spaces.write();
        let value = |space: u32, key: &[u8]| Ok(spaces[space as usize].get(key).cloned());
        if let Some(index) = commit.conflict(value)? {
            return Ok(Outcome::Conflict { index });
        }
        for op in commit.ops() {
            match op {
                Op::Put { space, key, value } => {
                    spaces[space as usize].insert(key.into(), value.into());
                }
                Op::Delete { space, key } => {
                    spaces[space as usize].remove(key);
                }
            }
        }
        Ok(Outcome::COMMITTED)
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<MemoryCursor> {
        Ok(MemoryCursor::new(Arc::clone(&self.spaces), range))
    }

    /// There is no stable storage; `persistent` is not among the capabilities.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

statekeep_plugin_sdk::export_plugin!(Memory: backend);
