//! What the records of a block say about themselves: checked when a backup is made, and again when
//! it is verified and restored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statekeep_core::{
    Error, KEY_BYTES_MAX, RecordKind, Result, Scope, StateDigest, TenantNumber, inspect_history,
    inspect_journal, inspect_record, split_key,
};

use crate::run::RunContent;
use crate::segment::{Entries, Entry};

/// A manifest counts by scope up to this many tenants' scopes, then by kind of scope.
pub const COUNT_ROWS_MAX: usize = 1000;

/// What the rows of [`Counts`] stand for.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

impl Counts {
    /// These with others added and some taken away, counted as coarsely as the coarsest; nothing when
    /// what is taken away is not there.
    pub(crate) fn changed(&self, new: &Counts, mut old: Counter) -> Option<Counts> {
        let (mut all, mut new) = (Counter::of(self), Counter::of(new));
        let by = all.by.max(new.by).max(old.by);
        for counter in [&mut all, &mut new, &mut old] {
            counter.fold_to(by);
        }
        for (name, sums) in new.rows {
            all.merge(name, sums);
        }
        for (name, (records, bytes)) in old.rows {
            let row = all.rows.get_mut(&name)?;
            *row = (row.0.checked_sub(records)?, row.1.checked_sub(bytes)?);
        }
        all.rows.retain(|_, (records, _)| *records > 0);
        all.fold_rest();
        Some(all.finish())
    }

    /// Whether both count the same, as far as the coarser of them tells.
    pub(crate) fn agrees(&self, other: &Counts) -> bool {
        let (mut a, mut b) = (Counter::of(self), Counter::of(other));
        while a.by != b.by {
            if a.by < b.by {
                a.fold();
            } else {
                b.fold();
            }
        }
        a.rows == b.rows
    }
}

/// A stretch of records of one scope within a block.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) tenant: TenantNumber,
    scope: Scope,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// What a block's entries add up to. Digest, stretches and expiry are those of records; rows of
/// history and journal have none.
#[derive(Debug, Default)]
pub(crate) struct BlockFacts {
    pub(crate) digest: StateDigest,
    /// Smallest and largest sequence: of records that of their commit, of versions that of the
    /// commit that wrote them, of marks and journal rows their own.
    pub(crate) sequences: (u64, u64),
    /// The first moment at which one of its records expires.
    pub(crate) expires_min: Option<i64>,
    pub(crate) entries: u32,
    pub(crate) tombstones: u32,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) first_key: Vec<u8>,
    pub(crate) last_key: Vec<u8>,
    /// The codec that packed it, if one did.
    pub(crate) codec: Option<String>,
}

/// A stored key in words, for messages.
pub(crate) fn show_key(key: &[u8]) -> String {
    match split_key(key) {
        Ok((tenant, scope, key)) => format!("key {key} of {scope}, tenant {}", tenant.0),
        Err(_) => format!("stored key {}", key.escape_ascii()),
    }
}

/// Reads all entries of a block: their form and order, and what each says of itself; of records the
/// name in the key and the envelope.
pub(crate) fn inspect(content: RunContent, raw: &[u8]) -> Result<BlockFacts> {
    let mut facts = BlockFacts {
        sequences: (u64::MAX, 0),
        ..BlockFacts::default()
    };
    let mut scopes = Scopes::default();
    let mut last: &[u8] = &[];
    for entry in Entries::new(raw) {
        let entry = entry?;
        let sequence = match content {
            RunContent::Records => facts.record(&mut scopes, last, entry)?,
            RunContent::History if !entry.tombstone => {
                let facts = inspect_history(entry.key, entry.record)?;
                // What has expired has a row before a commit has ended it.
                facts.version.map_or(facts.end, |_| facts.first).0
            }
            RunContent::Journal if !entry.tombstone => {
                inspect_journal(entry.key, entry.record)?.sequence.0
            }
            _ => return Err(Error::corrupt("block", "only records have tombstones")),
        };
        if facts.entries == 0 {
            facts.first_key = entry.key.to_vec();
        }
        facts.entries = facts.entries.saturating_add(1);
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
    facts.stretches = scopes.stretches;
    Ok(facts)
}

impl BlockFacts {
    fn record(&mut self, scopes: &mut Scopes, last: &[u8], entry: Entry<'_>) -> Result<u64> {
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
        let bytes = (entry.key.len() + entry.record.len()) as u64;
        let weight = if entry.tombstone { (0, 0) } else { (1, bytes) };
        scopes.add(last, entry.key, weight)?;
        if entry.tombstone {
            self.tombstones = self.tombstones.saturating_add(1);
        } else {
            self.digest.add(entry.key, entry.record);
            let expires = header.expires.map(|at| at.0);
            self.expires_min = self.expires_min.into_iter().chain(expires).min();
        }
        Ok(header.sequence.0)
    }
}

/// The stretches of keys that come in their order.
#[derive(Default)]
pub(crate) struct Scopes {
    prefix: usize,
    pub(crate) stretches: Vec<Stretch>,
}

impl Scopes {
    /// Adds a key that stands for so many records and bytes; `last` is the key before it.
    pub(crate) fn add(
        &mut self,
        last: &[u8],
        key: &[u8],
        (records, bytes): (u64, u64),
    ) -> Result<()> {
        if self.stretches.is_empty() || !same_scope(last, key, self.prefix) {
            let (tenant, scope, name) = split_key(key)?;
            self.prefix = key.len().saturating_sub(name.as_str().len());
            self.stretches.push(Stretch {
                tenant,
                scope,
                records: 0,
                bytes: 0,
            });
        }
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.records += records;
            stretch.bytes += bytes;
        }
        Ok(())
    }
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
    /// Goes on from counts.
    pub(crate) fn of(counts: &Counts) -> Counter {
        let mut counter = Counter {
            by: counts.by,
            rows: BTreeMap::new(),
        };
        for row in &counts.rows {
            counter.merge((row.tenant, row.scope.clone()), (row.records, row.bytes));
        }
        counter
    }

    pub(crate) fn add(&mut self, stretch: &Stretch) {
        // A stretch of tombstones counts nothing.
        if stretch.records == 0 {
            return;
        }
        let tenant = Some(stretch.tenant.0);
        let kind = || stretch.scope.kind().name().to_owned();
        let name = match self.by {
            CountedBy::Scope => (tenant, stretch.scope.to_string()),
            CountedBy::TenantKind => (tenant, kind()),
            CountedBy::Kind => (None, kind()),
        };
        self.merge(name, (stretch.records, stretch.bytes));
        self.fold_rest();
    }

    /// Folds the rows at least this far.
    fn fold_to(&mut self, by: CountedBy) {
        while self.by < by {
            self.fold();
        }
    }

    fn merge(&mut self, name: (Option<u32>, String), (records, bytes): (u64, u64)) {
        let row = self.rows.entry(name).or_default();
        row.0 = row.0.saturating_add(records);
        row.1 = row.1.saturating_add(bytes);
    }

    fn fold_rest(&mut self) {
        while self.rows.len() > COUNT_ROWS_MAX && self.by != CountedBy::Kind {
            self.fold();
        }
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
