//! Work of the host itself at its turn in the queue: rows that are no change of the user's state.
//!
//! Trimming, durable cursors and index definitions write such rows. They see every commit before
//! them and none after, take no sequence and leave no journal row.

use std::sync::Arc;

use super::Committer;
use super::core::{Core, check_size, indeterminate};
use super::request::{Done, Work};
use crate::meta::{TENANT_NEXT, push_number, tenant_key};
use crate::namespace::Namespace;
use crate::{
    CommitError, Durability, Error, ErrorKind, Result, RowOp, Sequence, Space, TenantNumber, UnixMs,
};

/// What the work is given: the state between two commits.
pub(crate) struct Turn<'a> {
    pub(crate) namespace: &'a Arc<Namespace>,
    pub(crate) head: Sequence,
    pub(crate) now: UnixMs,
    /// The number that a tenant gets that has none yet.
    pub(crate) tenant_next: TenantNumber,
}

/// One row to write or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnOp {
    Put(Space, Vec<u8>, Vec<u8>),
    Delete(Space, Vec<u8>),
}

/// What the work asks for; without rows nothing is committed.
#[derive(Default)]
pub(crate) struct TurnRows {
    pub(crate) ops: Vec<OwnOp>,
    pub(crate) durability: Durability,
    /// A tenant that gets the next number in the same commit.
    pub(crate) tenant: Option<String>,
    /// A number for the caller, handed back in [`Done::count`].
    pub(crate) count: u64,
    /// Called once the rows are written and before the next commit.
    pub(crate) after: Option<Box<After>>,
}

/// What is done once the rows of a turn are written.
pub(crate) type After = dyn FnOnce(&Namespace) + Send;

pub(crate) type TurnWork = dyn FnOnce(&Turn<'_>) -> Result<TurnRows> + Send;

impl Work {
    /// Work at its turn, which holds so many bytes of rows while it waits.
    pub(crate) fn turn(
        bytes: usize,
        work: impl FnOnce(&Turn<'_>) -> Result<TurnRows> + Send + 'static,
    ) -> Work {
        Work::Turn {
            bytes,
            work: Box::new(work),
        }
    }
}

impl Core {
    /// The state between two commits.
    pub(crate) fn now(&self, committer: &Committer) -> Turn<'_> {
        Turn {
            namespace: &self.namespace,
            head: self.position.head.sequence,
            now: committer.clock.now().max(self.position.head.time),
            tenant_next: self.position.tenant_next,
        }
    }

    pub(crate) fn turn(&mut self, committer: &Committer, work: Box<TurnWork>) -> Result<Done> {
        let mut rows = work(&self.now(committer))?;
        let tenant = match rows.tenant.take() {
            Some(name) => {
                let (number, next, ops) = number_tenant(&name, self.position.tenant_next)?;
                rows.ops.extend(ops);
                Some((name, number, next))
            }
            None => None,
        };
        if !rows.ops.is_empty() {
            check_size(
                &self.namespace.capabilities,
                rows.ops.len(),
                rows.ops.iter().map(OwnOp::bytes).sum(),
            )?;
            self.namespace.swap_feed.admit(&rows.ops)?;
            let ops: Vec<_> = rows.ops.iter().map(OwnOp::row).collect();
            match self.namespace.backend.commit(&ops, rows.durability) {
                Ok(()) => self.dirty = rows.durability == Durability::Relaxed,
                Err(CommitError::Refused(error)) => return Err(error),
                Err(CommitError::Unknown(error)) => {
                    let _ = committer.poison(format!("a commit failed: {error}"));
                    return Err(indeterminate(&error));
                }
            }
        }
        if let Some((name, number, next)) = tenant {
            self.namespace.add_tenant(name, number);
            self.position.tenant_next = next;
        }
        self.namespace
            .swap_feed
            .note(self.position.head.sequence, rows.ops);
        if let Some(after) = rows.after {
            after(&self.namespace);
        }
        Ok(Done {
            sequence: None,
            count: rows.count,
            head: self.position.head.sequence,
        })
    }
}

/// The number of a new tenant, the one after it, and the rows that say so.
fn number_tenant(
    name: &str,
    number: TenantNumber,
) -> Result<(TenantNumber, TenantNumber, [OwnOp; 2])> {
    let next = number.0.checked_add(1).map(TenantNumber).ok_or_else(|| {
        let message = "all tenant numbers of this state are used up";
        Error::other(ErrorKind::TooLarge, message)
    })?;
    let row = |key: Vec<u8>, number| {
        let mut value = Vec::new();
        push_number(&mut value, number);
        OwnOp::Put(Space::Meta, key, value)
    };
    let rows = [
        row(tenant_key(name), number),
        row(TENANT_NEXT.to_vec(), next),
    ];
    Ok((number, next, rows))
}

impl OwnOp {
    /// Bytes of its key and value.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            OwnOp::Put(_, key, value) => key.len() + value.len(),
            OwnOp::Delete(_, key) => key.len(),
        }
    }

    fn row(&self) -> RowOp<'_> {
        match self {
            OwnOp::Put(space, key, value) => RowOp::Put {
                space: *space,
                key,
                value,
            },
            OwnOp::Delete(space, key) => RowOp::Delete { space: *space, key },
        }
    }
}
