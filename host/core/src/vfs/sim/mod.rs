//! A simulated disk, for tests of this and of other crates: counts calls, fails, kills, loses power.
//!
//! The durability model: bytes of a file are safe after a sync of that file, names after a sync of
//! their directory (a rename is atomic and safe after a sync of its target's directory). What is
//! not safe may be there, be gone or be torn after [`SimDisk::crash`], each file and each name for
//! itself, chosen by a seed that replays. After a failed sync the bytes it should have brought to
//! the disk are lost, even if a later sync succeeds. Call numbers count from 1.

mod calls;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::tree::{Node, Tree};
use super::Vfs;

/// One call of the file layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// 1 for the first.
    pub number: u64,
    /// The function's name, such as `sync_dir`.
    pub name: &'static str,
    /// What it was called on; of a rename, the source.
    pub path: PathBuf,
}

/// How often an error is returned.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Times {
    /// By one call.
    Once,
    /// By that call and every later one.
    Forever,
}

type Act = Arc<dyn Fn() + Send + Sync>;

enum Fault {
    Fail {
        at: u64,
        kind: io::ErrorKind,
        times: Times,
    },
    Kill {
        at: u64,
    },
    Meanwhile {
        at: u64,
        act: Act,
    },
}

type Skip = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

struct State {
    tree: Tree,
    calls: Vec<Call>,
    fault: Option<Fault>,
    struck: bool,
    skip: Option<Skip>,
    locks: std::collections::BTreeMap<tree::Ino, u64>,
    locks_taken: u64,
}

/// A disk in memory. Clones are handles to the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::new()
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::with(Tree::new(), None)
    }

    fn with(tree: Tree, skip: Option<Skip>) -> SimDisk {
        let state = State {
            tree,
            calls: Vec::new(),
            fault: None,
            struck: false,
            skip,
            locks: std::collections::BTreeMap::new(),
            locks_taken: 0,
        };
        SimDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// This disk as the file layer of a manager.
    pub fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::new(self.clone())
    }

    /// Makes the `n`-th call return an error of this kind. A failed write leaves the first half of
    /// its bytes; any other failed call does nothing.
    pub fn fail_at(&self, n: u64, kind: io::ErrorKind, times: Times) {
        self.set_fault(Some(Fault::Fail { at: n, kind, times }));
    }

    /// Ends the process at the `n`-th call: it and every later one does nothing (a write leaves
    /// half) and fails with an error that [`is_killed`] knows. Go on with [`SimDisk::restart`] or
    /// [`SimDisk::crash`].
    pub fn kill_at(&self, n: u64) {
        self.set_fault(Some(Fault::Kill { at: n }));
    }

    /// Does something else just before the `n`-th call, which then succeeds. It may not use this disk.
    pub fn meanwhile_at(&self, n: u64, act: impl Fn() + Send + Sync + 'static) {
        let act = Arc::new(act);
        self.set_fault(Some(Fault::Meanwhile { at: n, act }));
    }

    /// Takes a fault that was set back.
    pub fn clear_faults(&self) {
        self.set_fault(None);
    }

    fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state.lock();
        state.fault = fault;
        state.struck = false;
    }

    /// Whether the fault that was set has been met: a loop over all call numbers ends at the first
    /// number whose fault is not.
    pub fn fault_struck(&self) -> bool {
        self.state.lock().struck
    }

    /// Plants a bug: calls of `sync`, `sync_file` and `sync_dir` for which the predicate holds
    /// answer success and do nothing. A test that then finds no loss would find none in earnest.
    pub fn skip_syncs(&self, skip: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.state.lock().skip = Some(Arc::new(skip));
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().calls.clone()
    }

    /// How many calls there were.
    pub fn call_count(&self) -> u64 {
        self.state.lock().calls.len() as u64
    }

    /// The disk as a new process finds it after this one ended and the machine went on: everything
    /// written is there, nothing more is durable than was, no lock is held, no fault is set, calls
    /// count from 1. This disk stays as it is, so a prepared one can be used many times.
    pub fn restart(&self) -> SimDisk {
        let state = self.state.lock();
        SimDisk::with(state.tree.clone(), state.skip.clone())
    }

    /// The disk as it is found after the power went off now. Seeds 0 to 3 are the corners: nothing
    /// that was not safe is there; names but no bytes; bytes but no names; all of it. Every other
    /// seed chooses for each file and name.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let state = self.state.lock();
        let mut tree = state.tree.clone();
        let mut random = Random(seed);
        let (names, bytes) = match seed {
            0 => (Some(false), Some(false)),
            1 => (Some(true), Some(false)),
            2 => (Some(false), Some(true)),
            3 => (Some(true), Some(true)),
            _ => (None, None),
        };
        tree.settle(|| names.unwrap_or_else(|| random.below(2) == 1));
        for node in tree.nodes.values_mut() {
            if let Node::File(file) = node {
                lose_bytes(file, bytes, &mut random);
            }
        }
        SimDisk::with(tree, state.skip.clone())
    }

    /// Changes the durable bytes of a file in place, as bit rot does.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state.lock();
        let ino = state.tree.find(path)?;
        let file = state.tree.file(ino)?;
        change(&mut file.bytes);
        file.synced = file.bytes.len();
        Ok(())
    }

    /// The bytes of a file, without counting a call.
    pub fn peek(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state.lock();
        let ino = state.tree.find(path)?;
        Ok(state.tree.file(ino)?.bytes.clone())
    }

    /// Every path, files with their length and directories with a `/`, for messages.
    pub fn listing(&self) -> Vec<String> {
        let paths = self.state.lock().tree.paths();
        let line = |(path, len): (String, Option<u64>)| match len {
            Some(len) => format!("{path} {len}"),
            None => path,
        };
        paths.into_iter().map(line).collect()
    }
}

/// What power loss does to one file: its safe bytes stay, of the others a prefix up to a random
/// byte, in which whole pages may never have been written.
fn lose_bytes(file: &mut tree::FileNode, fixed: Option<bool>, random: &mut Random) {
    const PAGE: usize = 4096;
    let lost_at = file.lost_at.unwrap_or(usize::MAX);
    let safe = file.synced.min(lost_at);
    let unsafe_len = file.bytes.len().min(lost_at) - safe;
    let kept = match fixed {
        Some(true) => unsafe_len,
        Some(false) => 0,
        None => match random.below(4) {
            0 => 0,
            1 => unsafe_len,
            _ => random.below(unsafe_len as u64 + 1) as usize,
        },
    };
    file.bytes.truncate(safe + kept);
    let torn = fixed.is_none() && random.below(2) == 1;
    let mut at = safe;
    while torn && at < file.bytes.len() {
        let end = ((at / PAGE + 1) * PAGE).min(file.bytes.len());
        if random.below(4) == 0
            && let Some(page) = file.bytes.get_mut(at..end)
        {
            page.fill(0);
        }
        at = end;
    }
    file.synced = file.bytes.len();
    file.lost_at = None;
}

/// Whether an error says that the simulated process has ended.
pub fn is_killed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Killed>())
}

#[derive(Debug, thiserror::Error)]
#[error("killed: the simulated process has ended")]
struct Killed;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

#[cfg(test)]
#[path = "sim_tests.rs"]
mod tests;
