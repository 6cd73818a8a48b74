//! What callers write: single changes and batches, checked and encoded on their own thread.

use std::collections::HashMap;
use std::sync::Arc;

use crate::commit::Changes;
use crate::journal::{CommitKind, HISTORY_HEAD_BYTES, Origin};
use crate::namespace::TenantSlot;
use crate::record::encode_value;
use crate::stored_key::data_key;
use crate::{Capabilities, Durability, Error, Key, Limits, Result, Scope, TenantNumber, Value};

/// How one change is made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// How safe the change is when it is acknowledged; that of the state when `None`.
    pub durability: Option<Durability>,
}

/// Changes that become one commit: all or nothing, with one sequence. Of several changes of one key
/// the last one wins.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Scope, Key, Option<Value>)>,
    durability: Option<Durability>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds a set.
    pub fn set(&mut self, scope: &Scope, key: &Key, value: Value) -> &mut Batch {
        self.changes.push((scope.clone(), key.clone(), Some(value)));
        self
    }

    /// Adds a delete; a key that is not there is no error.
    pub fn delete(&mut self, scope: &Scope, key: &Key) -> &mut Batch {
        self.changes.push((scope.clone(), key.clone(), None));
        self
    }

    /// How safe the commit is when it is acknowledged; that of the state unless called.
    pub fn durability(&mut self, durability: Durability) -> &mut Batch {
        self.durability = Some(durability);
        self
    }

    /// Number of changes added so far.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Checks and encodes changes of one tenant.
pub(crate) struct Encoder<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) tenant: &'a Arc<TenantSlot>,
    /// That of the state.
    pub(crate) durability: Durability,
}

impl Encoder<'_> {
    /// One set, or one delete.
    pub(crate) fn single(
        &self,
        scope: &Scope,
        key: &Key,
        value: Option<Value>,
        options: SetOptions,
    ) -> Result<Changes> {
        let record = value.map(|value| self.record(&value)).transpose()?;
        let key = data_key(TenantNumber(0), scope, key);
        Ok(self.changes(vec![key], vec![record], options.durability))
    }

    /// A batch.
    pub(crate) fn batch(&self, batch: Batch) -> Result<Changes> {
        let limit = self.limits.batch_ops_max;
        check(
            "changes in a batch",
            batch.changes.len() as u64,
            "limits.batch_ops_max",
            limit,
        )?;
        let mut at = HashMap::with_capacity(batch.changes.len());
        let mut keys = Vec::with_capacity(batch.changes.len());
        let mut records = Vec::with_capacity(batch.changes.len());
        let mut bytes = 0u64;
        for (scope, key, value) in batch.changes {
            let key = data_key(TenantNumber(0), &scope, &key);
            let record = value.map(|value| self.record(&value)).transpose()?;
            bytes += (key.len() + record.as_ref().map_or(0, Vec::len)) as u64;
            check(
                "bytes in a batch",
                bytes,
                "limits.batch_bytes_max",
                self.limits.batch_bytes_max,
            )?;
            match at.get(&key) {
                Some(&before) => records[before] = record,
                None => {
                    at.insert(key.clone(), keys.len());
                    keys.push(key);
                    records.push(record);
                }
            }
        }
        Ok(self.changes(keys, records, batch.durability))
    }

    fn record(&self, value: &Value) -> Result<Vec<u8>> {
        value.check_depth()?;
        let limit = self.limits.value_bytes_max;
        check(
            "value",
            value.as_bytes().len() as u64,
            "limits.value_bytes_max",
            limit,
        )?;
        let record = encode_value(value);
        // The record must also fit where it goes when it is superseded.
        let stored = (record.len() + HISTORY_HEAD_BYTES) as u64;
        let limit = self.capabilities.value_bytes_max;
        check(
            "stored value",
            stored,
            "the backend's value_bytes_max",
            limit,
        )?;
        Ok(record)
    }

    fn changes(
        &self,
        keys: Vec<Vec<u8>>,
        records: Vec<Option<Vec<u8>>>,
        durability: Option<Durability>,
    ) -> Changes {
        Changes {
            tenant: self.tenant.clone(),
            kind: CommitKind::Commit,
            durability: durability.unwrap_or(self.durability),
            origin: Origin::default(),
            keys,
            records,
        }
    }
}

pub(crate) fn check(
    what: &'static str,
    actual: u64,
    limit_name: &'static str,
    limit: u64,
) -> Result<()> {
    if actual <= limit {
        Ok(())
    } else {
        Err(Error::TooLarge {
            what,
            actual,
            limit_name,
            limit,
        })
    }
}
