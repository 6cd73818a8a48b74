//! Commands over a whole scope, as one commit each: clear, copy, move.
//!
//! They run at their turn in the queue, so they see every commit before them and none after. Keys
//! that the target scope has already are replaced, like any set. A copied record keeps its value,
//! class and expiry; its sequence and times are those of the copy.

use super::Committer;
use super::core::Core;
use super::request::{Changes, Done, ScopeCommand, ScopeWork};
use crate::batch::check;
use crate::ephemeral::ephemeral_bytes;
use crate::journal::CommitKind;
use crate::record::{is_over, own_life};
use crate::stored_key::{prefix_end, scope_prefix};
use crate::{Class, Error, KeyRange, Result, Scope, TenantNumber};

/// Rows of a scope, or only its keys.
struct ScopeRows {
    keys: Vec<Vec<u8>>,
    records: Vec<Vec<u8>>,
}

impl Core {
    pub(crate) fn scope_command(
        &mut self,
        committer: &Committer,
        work: &ScopeWork,
    ) -> Result<Done> {
        let nothing = Done {
            sequence: None,
            count: 0,
            head: self.position.head.sequence,
        };
        let Some(tenant) = work.tenant.number(&self.namespace) else {
            return Ok(nothing);
        };
        let (kind, source, target) = match &work.kind {
            ScopeCommand::Clear(scope) => (CommitKind::Clear, scope, None),
            ScopeCommand::Copy { from, to } => (CommitKind::Copy, from, Some(to)),
            ScopeCommand::Move { from, to } => (CommitKind::Move, from, Some(to)),
        };
        let rows = self.scope_rows(committer, tenant, source, target.is_some())?;
        let count = rows.keys.len() as u64;
        let mut changes = Changes {
            tenant: work.tenant.clone(),
            kind,
            durability: work.durability,
            origin: work.origin.clone(),
            keys: Vec::with_capacity(rows.keys.len() * 2),
            records: Vec::with_capacity(rows.keys.len() * 2),
            conditions: Vec::new(),
            reads: None,
            detail: None,
        };
        if let Some(target) = target {
            self.check_memory(committer, &rows)?;
            let cut = scope_prefix(tenant, source).len();
            let prefix = scope_prefix(tenant, target);
            for (key, record) in rows.keys.iter().zip(rows.records) {
                changes.keys.push([&prefix, &key[cut..]].concat());
                changes.records.push(Some(record));
            }
        }
        if kind != CommitKind::Copy {
            changes
                .records
                .resize(changes.records.len() + rows.keys.len(), None);
            changes.keys.extend(rows.keys);
        }
        // Without changes this still waits for what was seen to be durable.
        let done = self.commit_one(committer, changes)?;
        Ok(Done { count, ..done })
    }

    /// Copies of records in memory only need room there.
    fn check_memory(&self, committer: &Committer, rows: &ScopeRows) -> Result<()> {
        let in_memory = |record: &[u8]| own_life(record).0 == Class::Ephemeral;
        let pairs = rows.keys.iter().zip(&rows.records);
        let copies = pairs.filter(|(_, record)| in_memory(record));
        let bytes: u64 = copies
            .map(|(key, record)| ephemeral_bytes(key, record))
            .sum();
        if bytes == 0 {
            return Ok(());
        }
        check(
            "values in memory only",
            self.namespace.ephemeral.bytes() + bytes,
            "limits.ephemeral_bytes_max",
            committer.limits().ephemeral_bytes_max,
        )
    }

    fn scope_rows(
        &self,
        committer: &Committer,
        tenant: TenantNumber,
        scope: &Scope,
        with_records: bool,
    ) -> Result<ScopeRows> {
        let limits = committer.limits();
        let lo = scope_prefix(tenant, scope);
        let hi = prefix_end(&lo);
        let range = KeyRange {
            lo: &lo,
            hi: hi.as_deref(),
            reverse: false,
        };
        let mut cursor = self.namespace.live(range)?;
        let now = committer.clock.now().max(self.position.head.time);
        let mut rows = ScopeRows {
            keys: Vec::new(),
            records: Vec::new(),
        };
        let mut bytes = 0u64;
        loop {
            let read = cursor.next_batch(64, &mut |key, record| {
                if is_over(record, || now) {
                    return;
                }
                bytes += (key.len() + record.len()) as u64;
                rows.keys.push(key.to_vec());
                if with_records {
                    rows.records.push(record.to_vec());
                }
            })?;
            let keys = rows.keys.len() as u64;
            let too_large = |what, actual, limit_name, limit| {
                Err(Error::TooLarge {
                    what,
                    actual,
                    limit_name,
                    limit,
                })
            };
            if keys > limits.scope_keys_max {
                let limit = limits.scope_keys_max;
                return too_large(
                    "keys in a scope command",
                    keys,
                    "limits.scope_keys_max",
                    limit,
                );
            }
            if bytes > limits.scope_bytes_max {
                let limit = limits.scope_bytes_max;
                return too_large(
                    "bytes in a scope command",
                    bytes,
                    "limits.scope_bytes_max",
                    limit,
                );
            }
            if read == 0 {
                return Ok(rows);
            }
        }
    }
}
