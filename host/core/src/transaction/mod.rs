//! Transactions: optimistic and serializable, over keys and ranges.
//!
//! A transaction reads its own changes first and then the state as it was when it began. What it
//! read becomes conditions of its one commit, which the committer checks at its turn: a key must
//! have the version that was read, a range must not have been changed. It holds no lock, so a
//! transaction that nobody ends delays nobody. Its snapshot keeps the past from being trimmed for as
//! long as a transaction may live.

mod reads;
mod retry;
mod writes;

use std::sync::Arc;

pub(crate) use reads::OwnRows;
use reads::ReadSet;
pub use retry::{ATTEMPTS_MAX, TransactOptions};
pub(crate) use retry::{Backoff, given_up};
pub use writes::Savepoint;
use writes::{Write, Writes};

use crate::batch::{Encoder, check};
use crate::commit::{Changes, RangeReads, Work};
use crate::counts::Operation;
use crate::record::stamp;
use crate::stored_key::data_key;
use crate::{
    BlockingTenant, Durability, Error, ErrorKind, Key, Result, Scope, Sequence, SetOptions,
    Snapshot, TenantNumber, TenantSnapshot, UnixMs, Value,
};

/// Most bytes of what the journal says about a commit beside its changes.
pub const DETAIL_BYTES_MAX: usize = 4096;

/// How a transaction is made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionOptions {
    /// How safe the commit is when it is acknowledged; the safest that one of its changes asks for
    /// when `None`.
    pub durability: Option<Durability>,
}

/// Reads and changes of one tenant that happen at one moment, or not at all. Dropped, it has
/// changed nothing. Reading may block.
///
/// Every call fails with `Timeout` once the transaction is older than
/// `limits.transaction_age_ms_max`, and with `TooLarge` when it would come to hold more than
/// `limits.transaction_keys_max` or `limits.transaction_bytes_max`.
pub struct Transaction {
    tenant: BlockingTenant,
    options: TransactionOptions,
    detail: Option<Box<str>>,
    view: TenantSnapshot,
    /// When it began.
    began: UnixMs,
    reads: ReadSet,
    writes: Writes,
    /// The version of the records in memory when it began.
    memory_version: u64,
    /// A key was not found that may have been in memory when the transaction began. A commit
    /// without changes must be checked too then.
    unsure: bool,
}

impl BlockingTenant {
    /// Begins a transaction on the state as it is.
    pub fn begin(&self, options: &TransactionOptions) -> Result<Transaction> {
        let committer = &self.manager.committer;
        committer.counts.operation(Operation::Transaction);
        loop {
            let namespace = committer.namespace_arc()?;
            // Read before the head is: what memory loses after the snapshot changes it.
            let memory_version = namespace.ephemeral.version();
            let (snapshot, began) = Snapshot::for_transaction(committer, &namespace);
            // Another namespace may have come into use meanwhile; it is the one to read then.
            if !Arc::ptr_eq(&namespace, &committer.namespace_arc()?) {
                continue;
            }
            return Ok(Transaction {
                tenant: self.clone(),
                options: *options,
                detail: None,
                began,
                view: self.view(snapshot),
                reads: ReadSet::default(),
                writes: Writes::default(),
                memory_version,
                unsure: false,
            });
        }
    }
}

impl Transaction {
    /// The last commit that the transaction sees.
    pub fn sequence(&self) -> Sequence {
        self.view.sequence()
    }

    /// Sets a key when the transaction commits; reads of the transaction see it at once.
    ///
    /// # Errors
    /// As for a set without a transaction; the transaction can go on without the change.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as every set takes its value"
    )]
    pub fn set(
        &mut self,
        scope: &Scope,
        key: &Key,
        value: Value,
        options: SetOptions,
    ) -> Result<()> {
        self.check_age()?;
        let mut encoded =
            (self.tenant).encode(|encoder| encoder.record(scope, key, &value, options))?;
        // Stamped as of no commit, so that it reads like a stored one.
        stamp(&mut encoded.record, Sequence(0), self.began, self.began);
        let write = Write {
            record: Some(encoded.record),
            durability: encoded.durability,
        };
        self.write(scope, key, write)
    }

    /// Deletes a key when the transaction commits; a key that is not there is no error.
    pub fn delete(&mut self, scope: &Scope, key: &Key) -> Result<()> {
        self.check_age()?;
        let durability = self.tenant.manager.durability;
        let record = None;
        self.write(scope, key, Write { record, durability })
    }

    fn write(&mut self, scope: &Scope, key: &Key, write: Write) -> Result<()> {
        let name = data_key(self.number(), scope, key);
        let keys = u64::from(!self.writes.holds(&name));
        self.check_room(keys, write.bytes_held(&name))?;
        self.writes.put(name, write);
        Ok(())
    }

    /// What the journal says about the commit beside its changes.
    ///
    /// # Errors
    /// `TooLarge` for more than [`DETAIL_BYTES_MAX`] of JSON.
    pub fn note(&mut self, detail: &serde_json::Value) -> Result<()> {
        let text = detail.to_string();
        let (name, limit) = ("DETAIL_BYTES_MAX", DETAIL_BYTES_MAX as u64);
        check("bytes of a note", text.len() as u64, name, limit)?;
        self.detail = Some(text.into());
        Ok(())
    }

    /// A point that [`Transaction::rollback_to`] comes back to.
    ///
    /// # Errors
    /// `TooLarge` for more than `limits.transaction_keys_max` at a time.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.check_age()?;
        let limit = self.tenant.manager.committer.limits().transaction_keys_max;
        let (name, count) = ("limits.transaction_keys_max", self.writes.savepoints() + 1);
        check("savepoints of a transaction", count, name, limit)?;
        Ok(self.writes.savepoint())
    }

    /// Takes back every change since a savepoint. The savepoint can be used again, later ones
    /// cannot. What was read since stays read: it may have decided what the program did next.
    ///
    /// # Errors
    /// `InvalidArgument` for a savepoint of another transaction, or one before which the
    /// transaction has gone back.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.check_age()?;
        self.writes.rollback_to(savepoint)
    }

    /// Makes all changes as one commit and answers its sequence; without changes, that of the last
    /// commit that was read.
    ///
    /// # Errors
    /// `Conflict` when what was read has been changed meanwhile: nothing is changed, and the whole
    /// transaction can be tried again from `begin`. [`BlockingTenant::transact`] does that.
    pub fn commit(mut self) -> Result<Sequence> {
        self.check_age()?;
        if self.writes.is_empty() && !self.unsure {
            return Ok(self.sequence());
        }
        let changes = self.changes()?;
        let work = Work::Commit(changes);
        // The snapshot lives on until then, so that the journal after it is there to be checked.
        let done = self.tenant.manager.committer.run_blocking(work)?;
        Ok(done.sequence.unwrap_or(done.head))
    }

    /// Ends the transaction without a change, as dropping it does.
    pub fn rollback(self) {}

    fn changes(&mut self) -> Result<Changes> {
        let (keys, records, durability) = self.writes.take();
        let (conditions, ranges) = self.reads.take();
        // Without changes there is nothing that could have to be durable.
        let durability = match durability {
            None => Durability::Relaxed,
            Some(durability) => self.options.durability.unwrap_or(durability),
        };
        let encode = |encoder: &Encoder<'_>| Ok(encoder.changes(keys, records, durability));
        let mut changes = self.tenant.encode(encode)?;
        changes.conditions = conditions;
        changes.detail = self.detail.take();
        let mut reads = RangeReads {
            timeline: self.view.snapshot().namespace().timeline,
            snapshot: self.sequence(),
            checked: self.sequence(),
            ranges,
        };
        if self.view.number().is_some() {
            reads.check_ahead(&*self.tenant.manager.committer.namespace_arc()?)?;
        }
        changes.reads = Some(Box::new(reads));
        Ok(changes)
    }

    /// The tenant's number in stored keys. Of a tenant without one nothing is stored; the committer
    /// puts the number in that it gets.
    fn number(&self) -> TenantNumber {
        self.view.number().unwrap_or(TenantNumber(0))
    }

    /// Fails once the transaction is too old, after which its past may be gone: what was read before
    /// a check that succeeds is right.
    fn check_age(&self) -> Result<()> {
        let committer = &self.tenant.manager.committer;
        let limit = committer.limits().transaction_age_ms_max;
        let age = committer.clock.now().0.saturating_sub(self.began.0);
        if u64::try_from(age).unwrap_or(0) <= limit && self.view.snapshot().is_kept() {
            return Ok(());
        }
        let message = format!(
            "the transaction is older than limits.transaction_age_ms_max = {limit} ms; begin it again"
        );
        Err(Error::other(ErrorKind::Timeout, message))
    }

    /// Checks that so much more fits into the transaction.
    fn check_room(&self, keys: u64, bytes: u64) -> Result<()> {
        let limits = self.tenant.manager.committer.limits();
        check(
            "keys and ranges in a transaction",
            self.reads.len() + self.writes.len() + keys,
            "limits.transaction_keys_max",
            limits.transaction_keys_max,
        )?;
        check(
            "bytes in a transaction",
            self.reads.bytes() + self.writes.bytes() + bytes,
            "limits.transaction_bytes_max",
            limits.transaction_bytes_max,
        )
    }

    /// Forgets what was read, so that nothing is checked: the fault that the tests of isolation
    /// must find.
    #[cfg(any(test, feature = "sim"))]
    pub fn forget_reads(&mut self) {
        self.reads = ReadSet::default();
    }
}
