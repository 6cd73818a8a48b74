//! Rows of the `index` space that follow from records: when keys expire, and what JSON paths hold.
//!
//! ```text
//! 1 | expires i64 big-endian, sign bit flipped | data key      → nothing: the record's expiry
//! 2 | index id u32 big-endian | value | data key               → nothing: a JSON value, see query::order
//! ```
//! The committer asks for the rows of each record that it puts or takes away, so that they are in
//! the same commit. Records in memory only have none. Rows of a JSON value only ever lead to
//! candidates: a reader checks the record.

mod admin;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod check;
mod definition;
mod worker;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use admin::{IndexBuild, IndexDefinition, IndexInfo};
pub use definition::{INDEX_NAME_BYTES_MAX, INDEXES_MAX, IndexState};
pub(crate) use definition::{Index, StoredIndex};
pub(crate) use worker::IndexWorker;

use crate::meta::{Indexes, Meta};
use crate::record::{RecordView, own_life};
use crate::{Error, ErrorKind, Plugins, Result, TenantNumber, UnixMs};

pub(crate) const EXPIRY_TAG: u8 = 1;
pub(crate) const VALUE_TAG: u8 = 2;

/// The index that a row belongs to; `None` for the row of an expiry.
///
/// # Errors
/// `Corrupt` for a row that is neither.
pub(crate) fn index_of(row: &[u8]) -> Result<Option<u32>> {
    match row {
        [EXPIRY_TAG, ..] => Ok(None),
        [VALUE_TAG, a, b, c, d, ..] => Ok(Some(u32::from_be_bytes([*a, *b, *c, *d]))),
        _ => Err(Error::corrupt(
            format!("index row {}", row.escape_ascii()),
            "it belongs to no index",
        )),
    }
}

/// Which rows belong to records; readers share it, the committer changes it between two commits.
pub(crate) struct IndexSet {
    plugins: Arc<dyn Plugins>,
    known: ArcSwap<Known>,
}

struct Known {
    /// The id of the next index; ids are never used twice.
    next: u32,
    all: Vec<Arc<Index>>,
}

impl IndexSet {
    /// The indexes of a namespace.
    pub(crate) fn load(meta: &Meta, plugins: Arc<dyn Plugins>) -> Result<IndexSet> {
        let index = |(name, stored): &(String, StoredIndex)| {
            let number = match stored.tenant.as_str() {
                "" => Some(TenantNumber(0)),
                tenant => (meta.tenants.iter())
                    .find(|(known, _)| known == tenant)
                    .map(|(_, number)| *number),
            };
            let number = number.ok_or_else(|| {
                let reason = format!("there is no tenant `{}`", stored.tenant);
                Error::corrupt(format!("index `{name}`"), reason)
            })?;
            if stored.id >= meta.indexes.next {
                let reason = format!("its id {} has not been given yet", stored.id);
                return Err(Error::corrupt(format!("index `{name}`"), reason));
            }
            Index::new(name, number, stored).map(Arc::new)
        };
        let all = meta.indexes.all.iter().map(index).collect::<Result<_>>()?;
        Ok(IndexSet {
            plugins,
            known: ArcSwap::from_pointee(Known {
                next: meta.indexes.next,
                all,
            }),
        })
    }

    pub(crate) fn plugins(&self) -> &Arc<dyn Plugins> {
        &self.plugins
    }

    /// All indexes, those that are being built too.
    pub(crate) fn all(&self) -> Vec<Arc<Index>> {
        self.known.load().all.clone()
    }

    /// Whether an index is there.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.known.load().all.iter().any(|index| index.id == id)
    }

    /// The id of the next index; 1 when there never was one.
    pub(crate) fn next_id(&self) -> u32 {
        self.known.load().next
    }

    /// From the next commit on an index is kept. Called by the committer.
    fn add(&self, index: Arc<Index>) {
        let known = self.known.load();
        let mut all = known.all.clone();
        let next = known.next.max(index.id.saturating_add(1));
        all.push(index);
        self.known.store(Arc::new(Known { next, all }));
    }

    /// From the next commit on an index is kept no more. Called by the committer.
    fn remove(&self, id: u32) {
        let known = self.known.load();
        let (gone, all) = known.all.iter().cloned().partition(|index| index.id == id);
        self.known.store(Arc::new(Known {
            next: known.next,
            all,
        }));
        let gone: Vec<_> = gone;
        gone.iter().for_each(|index| index.drop_it());
    }

    /// The ids of the indexes that have all of their rows.
    pub(crate) fn ready(&self) -> Vec<u32> {
        let known = self.known.load();
        let ready = known.all.iter().filter(|index| index.is_ready());
        ready.map(|index| index.id).collect()
    }

    /// Hands the key of each index row of a stored record to `row`. A value that cannot be unpacked
    /// has no row: a reader could not read it either.
    pub(crate) fn rows(&self, data_key: &[u8], record: &[u8], row: &mut dyn FnMut(&[u8])) {
        if let (_, Some(expires)) = own_life(record) {
            row(&expiry_key(expires, data_key));
        }
        let known = self.known.load();
        let mut wanted = known
            .all
            .iter()
            .filter(|index| index.has_key(data_key))
            .peekable();
        if wanted.peek().is_none() {
            return;
        }
        let json = RecordView::read(record).and_then(|view| view.json(&*self.plugins));
        let json = match &json {
            Ok(Some(json)) => std::str::from_utf8(json).ok(),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, key = %data_key.escape_ascii(), "a record is not indexed");
                None
            }
        };
        for index in wanted {
            if let Some(key) = json.and_then(|json| index.row(json, data_key)) {
                row(&key);
            }
        }
    }

    /// The indexes as a namespace has them that takes the place of this one: the same, all to be
    /// built. Their tenants come from [`IndexSet::tenants_needed`].
    pub(crate) fn to_be_built(&self) -> Indexes {
        let known = self.known.load();
        let unbuilt = |index: &Arc<Index>| (index.name.clone(), index.stored_anew());
        Indexes {
            next: known.next,
            all: known.all.iter().map(unbuilt).collect(),
        }
    }

    /// Adds the tenants that indexes are for and that are not among `tenants`, and answers the
    /// number of the next tenant.
    pub(crate) fn tenants_needed(
        &self,
        tenants: &mut Vec<(String, TenantNumber)>,
    ) -> Result<TenantNumber> {
        let last = tenants.iter().map(|(_, number)| number.0).max();
        let mut next = last.unwrap_or(0).checked_add(1);
        for index in &self.known.load().all {
            let known = tenants.iter().any(|(name, _)| *name == index.tenant);
            if !known && !index.tenant.is_empty() {
                let number = next.ok_or_else(all_used)?;
                tenants.push((index.tenant.clone(), TenantNumber(number)));
                next = number.checked_add(1);
            }
        }
        Ok(TenantNumber(next.unwrap_or(u32::MAX)))
    }
}

fn all_used() -> Error {
    let message = "all tenant numbers of this state are used up";
    Error::other(ErrorKind::TooLarge, message)
}

/// What the rows of an index begin with.
pub(crate) fn value_prefix(id: u32) -> Vec<u8> {
    let mut key = vec![VALUE_TAG];
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The value's encoding and the data key of an index row.
pub(crate) fn split_value_key(key: &[u8]) -> Result<(&[u8], &[u8])> {
    let bad = || {
        let what = format!("index key {}", key.escape_ascii());
        Error::corrupt(what, "it is no row of a secondary index")
    };
    let rest = key.get(5..).ok_or_else(bad)?;
    let (encoding, _, data_key) = crate::query::order::split(rest).ok_or_else(bad)?;
    Ok((encoding, data_key))
}

/// The index row of a record that expires.
pub(crate) fn expiry_key(expires: UnixMs, data_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + data_key.len());
    key.push(EXPIRY_TAG);
    key.extend_from_slice(&ordered(expires).to_be_bytes());
    key.extend_from_slice(data_key);
    key
}

/// The expiry rows of times after `from` up to and with `to`.
pub(crate) fn expiry_range(from: UnixMs, to: UnixMs) -> (Vec<u8>, Vec<u8>) {
    let bound = |time: UnixMs| match time.0.checked_add(1) {
        Some(next) => expiry_key(UnixMs(next), b""),
        None => vec![EXPIRY_TAG + 1],
    };
    (bound(from), bound(to))
}

/// The time and the data key of an expiry row.
pub(crate) fn split_expiry_key(key: &[u8]) -> Result<(UnixMs, &[u8])> {
    match key.split_first_chunk::<9>() {
        Some(([EXPIRY_TAG, time @ ..], data_key)) => {
            let ordered = u64::from_be_bytes(*time);
            Ok((UnixMs((ordered ^ (1 << 63)) as i64), data_key))
        }
        _ => Err(Error::corrupt(
            format!("index key {}", key.escape_ascii()),
            "it is no expiry row",
        )),
    }
}

/// Times as numbers that sort like them.
fn ordered(time: UnixMs) -> u64 {
    time.0 as u64 ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_rows_sort_by_time_and_read_back() {
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000, i64::MAX];
        let keys: Vec<_> = times.map(|t| expiry_key(UnixMs(t), b"key")).to_vec();
        assert!(keys.is_sorted());
        for (time, key) in times.iter().zip(&keys) {
            assert_eq!(split_expiry_key(key).unwrap(), (UnixMs(*time), &b"key"[..]));
        }
        assert!(split_expiry_key(b"\x02abc").is_err());
    }
    /// What every backend takes (`KEY_BYTES_NEEDED` of the plugin ABI) is enough for every key.
    #[test]
    fn no_row_has_a_longer_key_than_backends_must_take() {
        let id = "i".repeat(crate::ID_BYTES_MAX);
        let scope = crate::Scope::step(&id, &id).unwrap();
        let key = crate::Key::new(&"k".repeat(crate::KEY_BYTES_MAX)).unwrap();
        let data = crate::data_key(crate::TenantNumber(u32::MAX), &scope, &key);
        let mut history = Vec::new();
        crate::stored_key::push_history_key(&mut history, &data, crate::Sequence(1));
        let text = format!("\"{}\"", "\\u0000".repeat(1_000));
        let value = crate::query::order::Scalar::read(&text).unwrap();
        let index = [value_prefix(u32::MAX), value.encoded(), data].concat();
        assert!(
            history.len() < index.len() && index.len() <= 1_980,
            "{}",
            index.len()
        );
    }
}
