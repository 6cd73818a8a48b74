//! What callers ask of the committer, and how they hear the outcome.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::condition::{Condition, RangeReads};
use super::switch::SwitchWork;
use super::turn::TurnWork;
use crate::journal::{CommitKind, Origin};
use crate::namespace::TenantSlot;
use crate::{Durability, Error, ErrorKind, Result, Scope, Sequence};

/// Changes of one tenant that become one commit. `keys` and `records` run in parallel; a missing
/// record is a delete. Keys are unique, and their first four bytes, the tenant's number, are set by
/// the committer.
pub(crate) struct Changes {
    pub(crate) tenant: Arc<TenantSlot>,
    pub(crate) kind: CommitKind,
    pub(crate) durability: Durability,
    pub(crate) origin: Arc<Origin>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) records: Vec<Option<Vec<u8>>>,
    /// What must hold at the commit's turn; else it is a `Conflict` and nothing is written.
    pub(crate) conditions: Vec<Condition>,
    /// Ranges that must not have changed.
    pub(crate) reads: Option<Box<RangeReads>>,
    /// What the journal says about it beside its changes, JSON.
    pub(crate) detail: Option<Box<str>>,
}

impl Changes {
    /// Bytes of all keys, records and ranges.
    pub(crate) fn bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(Vec::len).sum();
        let conditions: usize = self.conditions.iter().map(|c| c.key.len()).sum();
        let ranges = self.reads.iter().flat_map(|reads| &reads.ranges);
        let ranges: usize = ranges.map(|(lo, hi)| lo.len() + hi.len()).sum();
        let records: usize = self.records.iter().flatten().map(Vec::len).sum();
        keys + conditions + ranges + records
    }
}

/// A command over a whole scope, carried out at its turn.
pub(crate) struct ScopeWork {
    pub(crate) tenant: Arc<TenantSlot>,
    pub(crate) durability: Durability,
    pub(crate) origin: Arc<Origin>,
    pub(crate) kind: ScopeCommand,
}

pub(crate) enum ScopeCommand {
    Clear(Scope),
    Copy { from: Scope, to: Scope },
    Move { from: Scope, to: Scope },
}

pub(crate) enum Work {
    Commit(Changes),
    Scope(ScopeWork),
    Flush,
    /// Rows of the host's own, written at their turn without a commit of the journal; made by
    /// [`Work::turn`].
    Turn {
        /// What the work holds while it waits.
        bytes: usize,
        work: Box<TurnWork>,
    },
    /// Another namespace takes the place of the one in use.
    Switch(Box<SwitchWork>),
}

/// The outcome of a request that succeeded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// The commit, or nothing when there was nothing to change.
    pub(crate) sequence: Option<Sequence>,
    /// Keys that a scope command cleared, copied or moved; what else other work counts.
    pub(crate) count: u64,
    /// The last commit at that moment.
    pub(crate) head: Sequence,
}

/// Where the outcome goes. Dropped without one, the caller gets an error, never a success.
pub(crate) enum Ack {
    Blocking(Slot),
    Async(oneshot::Sender<Result<Done>>),
}

/// The committer's end of a blocking wait.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    filled: bool,
}

/// The caller's end of a blocking wait. It sleeps at once: with many callers on few cores, spinning
/// would take the time that the committer needs.
pub(crate) struct Waiter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    outcome: Mutex<Option<Result<Done>>>,
    ready: Condvar,
}

impl Waiter {
    pub(crate) fn wait(self) -> Result<Done> {
        let mut outcome = self.0.outcome.lock();
        loop {
            match outcome.take() {
                Some(outcome) => return outcome,
                None => self.0.ready.wait(&mut outcome),
            }
        }
    }
}

impl Slot {
    fn fill(&mut self, outcome: Result<Done>) {
        self.filled = true;
        *self.shared.outcome.lock() = Some(outcome);
        self.shared.ready.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.filled {
            self.fill(Err(lost()));
        }
    }
}

impl Ack {
    pub(crate) fn blocking() -> (Ack, Waiter) {
        let shared = Arc::new(Shared::default());
        (
            Ack::Blocking(Slot {
                shared: shared.clone(),
                filled: false,
            }),
            Waiter(shared),
        )
    }

    pub(crate) fn future() -> (Ack, oneshot::Receiver<Result<Done>>) {
        let (sender, receiver) = oneshot::channel();
        (Ack::Async(sender), receiver)
    }

    /// Tells the caller; one that no longer listens is no fault.
    pub(crate) fn send(self, outcome: Result<Done>) {
        match self {
            Ack::Blocking(mut slot) => slot.fill(outcome),
            Ack::Async(sender) => drop(sender.send(outcome)),
        }
    }
}

/// What a caller hears when its request was dropped without an outcome.
pub(crate) fn lost() -> Error {
    let message = "the commit was given up after a fault inside the committer; whether it took \
                   place is unknown; close and open the state again";
    Error::other(ErrorKind::Indeterminate, message)
}

pub(crate) struct Request {
    pub(crate) work: Work,
    pub(crate) ack: Ack,
    /// When it was handed in.
    pub(crate) since: Instant,
}

impl Request {
    /// A request that is handed in now.
    pub(crate) fn new(work: Work, ack: Ack) -> Request {
        let since = Instant::now();
        Request { work, ack, since }
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.work {
            Work::Commit(changes) => changes.bytes(),
            Work::Turn { bytes, .. } => *bytes,
            Work::Scope(_) | Work::Flush | Work::Switch(_) => 0,
        }
    }
}
