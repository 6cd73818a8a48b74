//! What callers write: single changes and batches, checked and encoded on their own thread.

use std::collections::HashMap;
use std::sync::Arc;

use crate::commit::Changes;
use crate::journal::{CommitKind, HISTORY_HEAD_BYTES, Origin};
use crate::namespace::{Namespace, TenantSlot};
use crate::record::{PACKED_HEAD_BYTES, encode_value, encode_value_with};
use crate::rules::Rules;
use crate::stored_key::data_key;
use crate::{
    Class, Clock, Codec, Durability, Error, Key, Limits, Plugins, RecordCodec, Result, Scope,
    TenantNumber, UnixMs, Value,
};

/// When a value ceases to be.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never, whatever the rules say.
    Never,
    /// At a time.
    At(UnixMs),
    /// So many milliseconds after it is set.
    After(u64),
}

/// How one change is made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// How safe the change is when it is acknowledged; that of its class, else of the state, when
    /// `None`.
    pub durability: Option<Durability>,
    /// When the value ceases to be; as the rules say when `None`. A delete ignores it.
    pub expires: Option<Expiry>,
    /// How the value is kept; as the rules say when `None`. A delete ignores it.
    pub class: Option<Class>,
}

impl SetOptions {
    /// All defaults but the durability.
    pub const fn with_durability(durability: Durability) -> SetOptions {
        SetOptions {
            durability: Some(durability),
            expires: None,
            class: None,
        }
    }
}

/// Changes that become one commit: all or nothing, with one sequence. Of several changes of one key
/// the last one wins.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Scope, Key, Option<Value>, SetOptions)>,
    durability: Option<Durability>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds a set.
    pub fn set(&mut self, scope: &Scope, key: &Key, value: Value) -> &mut Batch {
        self.set_with(scope, key, value, SetOptions::default())
    }

    /// Adds a set with a class or an expiry. Of several durabilities in a batch the safest holds.
    pub fn set_with(
        &mut self,
        scope: &Scope,
        key: &Key,
        value: Value,
        options: SetOptions,
    ) -> &mut Batch {
        self.changes
            .push((scope.clone(), key.clone(), Some(value), options));
        self
    }

    /// Adds a delete; a key that is not there is no error.
    pub fn delete(&mut self, scope: &Scope, key: &Key) -> &mut Batch {
        self.changes
            .push((scope.clone(), key.clone(), None, SetOptions::default()));
        self
    }

    /// How safe the commit is when it is acknowledged; that of the state or of the classes of its
    /// values unless called.
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
    pub(crate) namespace: &'a Namespace,
    pub(crate) tenant: &'a Arc<TenantSlot>,
    pub(crate) origin: &'a Arc<Origin>,
    pub(crate) rules: &'a Rules,
    pub(crate) plugins: &'a dyn Plugins,
    /// Short name of the codec for the class `archive`.
    pub(crate) archive_codec: &'a str,
    pub(crate) clock: &'a dyn Clock,
    /// That of the state.
    pub(crate) durability: Durability,
}

/// A record on its way, and how safe its class wants it.
pub(crate) struct Encoded {
    pub(crate) record: Vec<u8>,
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
        let mut durability = options.durability.unwrap_or(self.durability);
        let mut record = None;
        if let Some(value) = value {
            let encoded = self.record(scope, key, &value, options)?;
            durability = encoded.durability;
            record = Some(encoded.record);
        }
        let key = data_key(TenantNumber(0), scope, key);
        Ok(self.changes(vec![key], vec![record], durability))
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
        let mut durability = None;
        for (scope, key, value, options) in batch.changes {
            let mut wanted = options.durability.unwrap_or(self.durability);
            let mut record = None;
            if let Some(value) = value {
                let encoded = self.record(&scope, &key, &value, options)?;
                wanted = encoded.durability;
                record = Some(encoded.record);
            }
            durability = durability.max(Some(wanted));
            let key = data_key(TenantNumber(0), &scope, &key);
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
        let durability = batch.durability.or(durability).unwrap_or(self.durability);
        Ok(self.changes(keys, records, durability))
    }

    /// Checks a value and makes its record, by its options and the rules.
    pub(crate) fn record(
        &self,
        scope: &Scope,
        key: &Key,
        value: &Value,
        options: SetOptions,
    ) -> Result<Encoded> {
        value.check_depth()?;
        let limit = self.limits.value_bytes_max;
        check(
            "value",
            value.as_bytes().len() as u64,
            "limits.value_bytes_max",
            limit,
        )?;
        let facts = self.rules.facts(self.tenant.name(), scope, key);
        let class = options.class.or(facts.class).unwrap_or_default();
        let now = || self.namespace.now(self.clock);
        let expires = match options.expires {
            None => facts.ttl_ms.map(|ttl| after(now(), ttl)),
            Some(Expiry::Never) => None,
            Some(Expiry::At(time)) => Some(time),
            Some(Expiry::After(ttl)) => Some(after(now(), ttl)),
        };
        let record = match (class, expires) {
            (Class::Standard, None) => encode_value(value),
            (Class::Archive, _) => self.packed(value, expires)?,
            _ => encode_value_with(value, class, expires, None)?,
        };
        if class == Class::Ephemeral {
            let memory = &self.namespace.ephemeral;
            let bytes = (scope.id().len() + key.as_str().len() + record.len()) as u64;
            check(
                "values in memory only",
                memory.bytes() + bytes,
                "limits.ephemeral_bytes_max",
                self.limits.ephemeral_bytes_max,
            )?;
        } else {
            check_stored(&record, self.namespace.capabilities.value_bytes_max)?;
        }
        let asked = options.durability;
        let durability = match class {
            Class::Critical => Durability::Sync,
            Class::Bulk | Class::Ephemeral => asked.unwrap_or(Durability::Relaxed),
            Class::Standard | Class::Archive => asked.unwrap_or(self.durability),
        };
        Ok(Encoded { record, durability })
    }

    /// A record of class `archive`: packed when that makes it smaller.
    fn packed(&self, value: &Value, expires: Option<UnixMs>) -> Result<Vec<u8>> {
        let codec = self.plugins.codec(self.archive_codec)?;
        match pack(&*codec, value.as_bytes())? {
            Some((header, packed)) => {
                encode_value_with(value, Class::Archive, expires, Some((header, &packed)))
            }
            None => encode_value_with(value, Class::Archive, expires, None),
        }
    }

    /// Encoded changes as one commit.
    pub(crate) fn changes(
        &self,
        keys: Vec<Vec<u8>>,
        records: Vec<Option<Vec<u8>>>,
        durability: Durability,
    ) -> Changes {
        Changes {
            tenant: self.tenant.clone(),
            kind: CommitKind::Commit,
            durability,
            origin: self.origin.clone(),
            keys,
            records,
            conditions: Vec::new(),
            reads: None,
            detail: None,
        }
    }
}

/// A payload of class `archive` as its codec packs it; `None` when that would not make the record
/// smaller.
pub(crate) fn pack(codec: &dyn Codec, raw: &[u8]) -> Result<Option<(RecordCodec, Vec<u8>)>> {
    let mut packed = Vec::new();
    codec.compress(None, raw, &mut packed)?;
    let header = RecordCodec {
        name: codec.name().to_owned(),
        raw_len: raw.len() as u64,
    };
    let smaller = packed.len() + header.name.len() + PACKED_HEAD_BYTES < raw.len();
    Ok(smaller.then_some((header, packed)))
}

/// A time so many milliseconds later.
fn after(now: UnixMs, ms: u64) -> UnixMs {
    UnixMs(now.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
}

/// Checks that a record fits into a backend's rows, also into the one it has once it is superseded.
pub(crate) fn check_stored(record: &[u8], value_bytes_max: u64) -> Result<()> {
    let stored = (record.len() + HISTORY_HEAD_BYTES) as u64;
    check(
        "stored value",
        stored,
        "the backend's value_bytes_max",
        value_bytes_max,
    )
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
