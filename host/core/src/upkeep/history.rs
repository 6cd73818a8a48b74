//! Limits on the history of single keys, by the rules.
//!
//! All history rows are read in the order of their keys. Rows that go leave a marker, so that
//! reading the key where they were answers `Compacted` instead of "not there"; the marker goes when
//! the floor has come by.

use std::collections::HashMap;

use super::Upkeep;
use super::trim::{Batch, before};
use crate::journal::{HistoryRow, read_history, trimmed_row};
use crate::namespace::Namespace;
use crate::stored_key::{push_history_key, split_history_key};
use crate::{HistoryLimits, KeyRange, Result, Sequence, Space, TenantNumber, UnixMs, split_key};

/// Rows read at once.
const ROWS: usize = 256;

/// A superseded version of the key at hand.
struct Row {
    first: Sequence,
    end: Sequence,
    bytes: u64,
}

/// The versions of one key, oldest first.
#[derive(Default)]
struct Versions {
    data_key: Vec<u8>,
    limits: Option<HistoryLimits>,
    rows: Vec<Row>,
    marker: Option<Sequence>,
}

struct Pass<'a> {
    upkeep: &'a Upkeep,
    now: UnixMs,
    namespace: &'a Namespace,
    names: HashMap<TenantNumber, String>,
    /// Versions that ended later are needed by somebody.
    free: Sequence,
    /// By age: the last commit that is that old.
    ages: HashMap<u64, Sequence>,
}

pub(super) fn trim(
    upkeep: &Upkeep,
    namespace: &Namespace,
    (now, lapsed): (UnixMs, UnixMs),
    batch: &mut Batch<'_>,
) -> Result<()> {
    let mut pass = Pass {
        upkeep,
        now,
        namespace,
        names: namespace.tenants().into_iter().collect(),
        free: namespace.floor_without(namespace.head().0, lapsed).0,
        ages: HashMap::new(),
    };
    batch.free = Some(pass.free);
    let mut versions = Versions::default();
    let mut cursor = namespace
        .backend
        .scan(Space::History, KeyRange::default())?;
    loop {
        let mut rows = Vec::new();
        let mut outcome = Ok(());
        let read = cursor.next_batch(ROWS, &mut |key, row| match read_row(key, row) {
            Ok(row) => rows.push(row),
            Err(error) => outcome = Err(error),
        })?;
        outcome?;
        // Writing waits until the cursor has let go of its rows.
        for (data_key, row) in rows {
            pass.take(&mut versions, data_key, row, batch)?;
        }
        if read == 0 {
            return pass.end(&versions, batch);
        }
        upkeep.go_on()?;
    }
}

/// The data key of a history row and its version, or the marker's end.
fn read_row(key: &[u8], row: &[u8]) -> Result<(Vec<u8>, Result<Row, Sequence>)> {
    let (data_key, first) = split_history_key(key)?;
    let bytes = (key.len() + row.len()) as u64;
    let found = match read_history(row)? {
        HistoryRow::Trimmed(end) => Err(end),
        HistoryRow::Record(end, _) => Ok(Row { first, end, bytes }),
    };
    Ok((data_key.to_vec(), found))
}

impl Pass<'_> {
    fn take(
        &mut self,
        versions: &mut Versions,
        data_key: Vec<u8>,
        row: Result<Row, Sequence>,
        batch: &mut Batch<'_>,
    ) -> Result<()> {
        if data_key != versions.data_key {
            self.end(versions, batch)?;
            let (tenant, scope, key) = split_key(&data_key)?;
            let name = match self.names.get(&tenant) {
                Some(name) => name.clone(),
                // One that came after the pass began, or the default tenant.
                None => self.namespace.tenant_name(tenant)?,
            };
            *versions = Versions {
                limits: self.upkeep.rules.facts(&name, &scope, &key).history,
                data_key,
                ..Versions::default()
            };
        }
        match row {
            Err(marker) => versions.marker = Some(marker),
            // A key without a rule may have any number of them.
            Ok(row) if versions.limits.is_some() => versions.rows.push(row),
            Ok(_) => {}
        }
        Ok(())
    }

    /// Removes what the rules do not want of a key.
    fn end(&mut self, versions: &Versions, batch: &mut Batch<'_>) -> Result<()> {
        if versions.rows.is_empty() {
            return Ok(());
        }
        let Some(limits) = versions.limits else {
            return Ok(());
        };
        let gone = self.gone(&versions.rows, &limits)?;
        let Some(last) = versions.rows.get(..gone).and_then(<[Row]>::last) else {
            return Ok(());
        };
        // The marker comes first: no reader finds the rows gone without it.
        if last.end > self.namespace.floor() && versions.marker < Some(last.end) {
            let mut marker = Vec::new();
            push_history_key(&mut marker, &versions.data_key, Sequence(0));
            batch.put(Space::History, marker, trimmed_row(last.end))?;
        }
        // What lies below the floor has gone with it.
        let floor = batch.report.floor;
        for row in versions
            .rows
            .iter()
            .take(gone)
            .filter(|row| row.end > floor)
        {
            let mut key = Vec::new();
            push_history_key(&mut key, &versions.data_key, row.first);
            let value_bytes = usize::try_from(row.bytes).unwrap_or(usize::MAX);
            batch.delete(Space::History, &key, value_bytes.saturating_sub(key.len()))?;
        }
        Ok(())
    }

    /// How many of a key's versions, from the oldest, are to go.
    fn gone(&mut self, rows: &[Row], limits: &HistoryLimits) -> Result<usize> {
        let mut gone = 0;
        if let Some(versions) = limits.versions {
            let keep = usize::try_from(versions).unwrap_or(usize::MAX);
            gone = gone.max(rows.len().saturating_sub(keep));
        }
        if let Some(most) = limits.bytes {
            let mut bytes = 0u64;
            let kept = rows.iter().rev().take_while(|row| {
                bytes = bytes.saturating_add(row.bytes);
                bytes <= most
            });
            gone = gone.max(rows.len() - kept.count());
        }
        if let Some(age) = limits.age_ms {
            let old = match self.ages.get(&age) {
                Some(old) => *old,
                None => before(self.namespace, self.now, age)?,
            };
            self.ages.insert(age, old);
            gone = gone.max(rows.partition_point(|row| row.end <= old));
        }
        Ok(gone.min(rows.partition_point(|row| row.end <= self.free)))
    }
}
