//! What the records of a block say about themselves: checked when a backup is made, and again when
//! it is verified and restored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statekeep_core::{
    Error, KEY_BYTES_MAX, RecordKind, Result, Scope, StateDigest, TenantNumber, inspect_record,
    split_key,
};

use crate::segment::Entries;

/// A manifest counts by scope up to this many tenants' scopes, then by kind of scope.
pub const COUNT_ROWS_MAX: usize = 1000;

/// What the rows of [`Counts`] stand for.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedBy {
    /// A tenant's scope, such as `user:42`.
    #[default]
    Scope,
    /// A tenant's kind of scope, such as `user`: there are more scopes than [`COUNT_ROWS_MAX`].
    TenantKind,
    /// A kind of scope over all tenants: there are too many tenants, too.
    Kind,
}

/// Records and bytes of one scope, or kind of scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRow {
    /// The tenant's number; absent when counted over all tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<u32>,
    /// The scope or kind.
    pub scope: String,
    /// Number of records.
    pub records: u64,
    /// Bytes of their stored keys and records.
    pub bytes: u64,
}

/// Counts by tenant and scope, in bounded form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What a row stands for.
    pub by: CountedBy,
    /// At most [`COUNT_ROWS_MAX`] rows, sorted.
    pub rows: Vec<CountRow>,
}

/// A stretch of records of one scope within a block.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) tenant: TenantNumber,
    scope: Scope,
    records: u64,
    bytes: u64,
}

/// What a block's entries add up to.
#[derive(Debug, Default)]
pub(crate) struct BlockFacts {
    pub(crate) digest: StateDigest,
    /// Smallest and largest sequence.
    pub(crate) sequences: (u64, u64),
    pub(crate) entries: u32,
    pub(crate) tombstones: u32,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) first_key: Vec<u8>,
    pub(crate) last_key: Vec<u8>,
}

/// A stored key in words, for messages.
pub(crate) fn show_key(key: &[u8]) -> String {
    match split_key(key) {
        Ok((tenant, scope, key)) => format!("key {key} of {scope}, tenant {}", tenant.0),
        Err(_) => format!("stored key {}", key.escape_ascii()),
    }
}

/// Reads all entries of a block: their form and order, the name in each key and the envelope of
/// each record.
pub(crate) fn inspect(raw: &[u8]) -> Result<BlockFacts> {
    let mut facts = BlockFacts {
        sequences: (u64::MAX, 0),
        ..BlockFacts::default()
    };
    let mut prefix = 0;
    let mut last: &[u8] = &[];
    for entry in Entries::new(raw) {
        let entry = entry?;
        let named = |error: Error| match error {
            Error::Corrupt { reason, .. } => Error::corrupt(show_key(entry.key), reason),
            Error::Incompatible { reason, .. } => Error::Incompatible {
                what: show_key(entry.key),
                reason,
            },
            other => other,
        };
        let header = inspect_record(entry.record).map_err(named)?;
        if (header.kind == RecordKind::Tombstone) != entry.tombstone {
            let reason = "entry and record do not agree on whether it is a tombstone";
            return Err(Error::corrupt(show_key(entry.key), reason));
        }
        let same = facts.entries > 0 && same_scope(last, entry.key, prefix);
        if !same {
            let (tenant, scope, key) = split_key(entry.key)?;
            prefix = entry.key.len().saturating_sub(key.as_str().len());
            facts.stretches.push(Stretch {
                tenant,
                scope,
                records: 0,
                bytes: 0,
            });
        }
        if let Some(stretch) = facts.stretches.last_mut() {
            stretch.records += 1;
            stretch.bytes += (entry.key.len() + entry.record.len()) as u64;
        }
        if entry.tombstone {
            facts.tombstones = facts.tombstones.saturating_add(1);
        } else {
            facts.digest.add(entry.key, entry.record);
        }
        if facts.entries == 0 {
            facts.first_key = entry.key.to_vec();
        }
        facts.entries = facts.entries.saturating_add(1);
        let sequence = header.sequence.0;
        facts.sequences = (
            facts.sequences.0.min(sequence),
            facts.sequences.1.max(sequence),
        );
        last = entry.key;
    }
    if facts.entries == 0 {
        return Err(Error::corrupt("block", "it has no entries"));
    }
    facts.last_key = last.to_vec();
    Ok(facts)
}

/// Whether a key shares the scope of the key before it, whose scope part has `prefix` bytes, and
/// has a well-formed key part.
fn same_scope(last: &[u8], key: &[u8], prefix: usize) -> bool {
    let (Some(scope), Some((head, rest))) = (last.get(..prefix), key.split_at_checked(prefix))
    else {
        return false;
    };
    head == scope
        && !rest.is_empty()
        && rest.len() <= KEY_BYTES_MAX
        && !rest.contains(&0)
        && std::str::from_utf8(rest).is_ok()
}

/// Adds up stretches; folds the rows when there are too many, so that its memory is bounded.
#[derive(Default)]
pub(crate) struct Counter {
    by: CountedBy,
    rows: BTreeMap<(Option<u32>, String), (u64, u64)>,
}

impl Counter {
    pub(crate) fn add(&mut self, stretch: &Stretch) {
        let tenant = Some(stretch.tenant.0);
        let kind = || stretch.scope.kind().name().to_owned();
        let name = match self.by {
            CountedBy::Scope => (tenant, stretch.scope.to_string()),
            CountedBy::TenantKind => (tenant, kind()),
            CountedBy::Kind => (None, kind()),
        };
        self.merge(name, (stretch.records, stretch.bytes));
        while self.rows.len() > COUNT_ROWS_MAX && self.by != CountedBy::Kind {
            self.fold();
        }
    }

    fn merge(&mut self, name: (Option<u32>, String), (records, bytes): (u64, u64)) {
        let row = self.rows.entry(name).or_default();
        row.0 = row.0.saturating_add(records);
        row.1 = row.1.saturating_add(bytes);
    }

    fn fold(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let (by, keep_tenant) = match self.by {
            CountedBy::Scope => (CountedBy::TenantKind, true),
            _ => (CountedBy::Kind, false),
        };
        self.by = by;
        for ((tenant, scope), sums) in rows {
            let kind = scope.split(':').next().unwrap_or_default().to_owned();
            self.merge((tenant.filter(|_| keep_tenant), kind), sums);
        }
    }

    pub(crate) fn finish(self) -> Counts {
        let rows = self
            .rows
            .into_iter()
            .map(|((tenant, scope), (records, bytes))| CountRow {
                tenant,
                scope,
                records,
                bytes,
            });
        Counts {
            by: self.by,
            rows: rows.collect(),
        }
    }
}
