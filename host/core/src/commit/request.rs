//! What callers ask of the committer, and how they hear the outcome.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::oneshot;

use super::restore::RestoreWork;
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
    pub(crate) origin: Origin,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) records: Vec<Option<Vec<u8>>>,
}

impl Changes {
    /// Bytes of all keys and records.
    pub(crate) fn bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(Vec::len).sum();
        keys + self.records.iter().flatten().map(Vec::len).sum::<usize>()
    }
}

/// A command over a whole scope, carried out at its turn.
pub(crate) struct ScopeWork {
    pub(crate) tenant: Arc<TenantSlot>,
    pub(crate) durability: Durability,
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
    Restore(Box<RestoreWork>),
}

/// The outcome of a request that succeeded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// The commit, or nothing when there was nothing to change.
    pub(crate) sequence: Option<Sequence>,
    /// Keys that a scope command cleared, copied or moved.
    pub(crate) count: u64,
    /// The last commit at that moment.
    pub(crate) head: Sequence,
}

/// Where the outcome goes. Dropped without one, the caller gets an error, never a success.
pub(crate) enum Ack {
    Blocking(Sender<Result<Done>>),
    Async(oneshot::Sender<Result<Done>>),
}

impl Ack {
    pub(crate) fn blocking() -> (Ack, Receiver<Result<Done>>) {
        let (sender, receiver) = bounded(1);
        (Ack::Blocking(sender), receiver)
    }

    pub(crate) fn future() -> (Ack, oneshot::Receiver<Result<Done>>) {
        let (sender, receiver) = oneshot::channel();
        (Ack::Async(sender), receiver)
    }

    /// Tells the caller; one that no longer listens is no fault.
    pub(crate) fn send(self, outcome: Result<Done>) {
        match self {
            Ack::Blocking(sender) => drop(sender.send(outcome)),
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
}

impl Request {
    pub(crate) fn bytes(&self) -> usize {
        match &self.work {
            Work::Commit(changes) => changes.bytes(),
            _ => 0,
        }
    }
}
