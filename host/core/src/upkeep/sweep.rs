//! The sweeper: commits of kind `Expire` that remove keys whose time has come.
//!
//! The committer looks at each key once more at its turn, so a key that was set anew stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BATCH_BYTES, BATCH_ROWS, Upkeep};
use crate::commit::{Changes, Work};
use crate::index::{expiry_range, split_expiry_key};
use crate::journal::CommitKind;
use crate::namespace::{Namespace, TenantSlot};
use crate::record::is_over;
use crate::{Durability, Error, KeyRange, Result, Space, TenantNumber, UnixMs};

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SweepReport {
    /// Keys that were removed.
    pub removed: u64,
}

impl Upkeep {
    pub(super) fn sweep(&self) -> Result<SweepReport> {
        let work = || {
            let now = self.committer.clock.now();
            let mut report = SweepReport::default();
            self.sweep_memory(now, &mut report)?;
            self.sweep_stored(now, &mut report)?;
            Ok(report)
        };
        self.run("sweep", work, |status, report| {
            status.last_sweep = Some(report);
        })
    }

    fn sweep_stored(&self, now: UnixMs, report: &mut SweepReport) -> Result<()> {
        let (mut lo, hi) = expiry_range(UnixMs(i64::MIN), now);
        loop {
            self.go_on()?;
            let namespace = self.committer.namespace_arc()?;
            let range = KeyRange {
                lo: &lo,
                hi: Some(&hi),
                reverse: false,
            };
            let (mut keys, mut bytes, mut last) = (Vec::new(), 0, None);
            let mut cursor = namespace.backend.scan(Space::Index, range)?;
            let mut outcome = Ok(());
            while keys.len() < keys_max(&namespace) && bytes < BATCH_BYTES {
                let read = cursor.next_batch(64, &mut |row, _| {
                    match split_expiry_key(row) {
                        Ok((_, key)) => keys.push(key.to_vec()),
                        Err(error) => outcome = Err(error),
                    }
                    bytes += row.len();
                    last = Some(row.to_vec());
                })?;
                if read == 0 {
                    break;
                }
            }
            outcome?;
            drop(cursor);
            let Some(last) = last else {
                return Ok(());
            };
            self.remove(&namespace, keys, report)?;
            lo = [&last[..], b"\0"].concat();
        }
    }

    fn sweep_memory(&self, now: UnixMs, report: &mut SweepReport) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            self.go_on()?;
            let namespace = self.committer.namespace_arc()?;
            let all = KeyRange::default();
            let rows = namespace
                .ephemeral
                .range(all, after.as_deref(), keys_max(&namespace));
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let over = rows
                .into_iter()
                .filter(|(_, record)| is_over(record, || now));
            self.remove(&namespace, over.map(|(key, _)| key).collect(), report)?;
        }
    }

    fn remove(
        &self,
        namespace: &Namespace,
        keys: Vec<Vec<u8>>,
        report: &mut SweepReport,
    ) -> Result<()> {
        let mut tenants: BTreeMap<TenantNumber, Vec<Vec<u8>>> = BTreeMap::new();
        for key in keys {
            let (tenant, _, _) = crate::stored_key::split_parts(&key)?;
            tenants.entry(tenant).or_default().push(key);
        }
        let names = namespace.tenants();
        for (number, keys) in tenants {
            let name = match number {
                TenantNumber(0) => "",
                number => names
                    .iter()
                    .find(|(known, _)| *known == number)
                    .map(|(_, name)| name.as_str())
                    .ok_or_else(|| {
                        let reason = "an expiring key belongs to no tenant";
                        Error::corrupt(format!("tenant {}", number.0), reason)
                    })?,
            };
            let records = keys.iter().map(|_| None).collect();
            let changes = Changes {
                tenant: Arc::new(TenantSlot::new(name)),
                kind: CommitKind::Expire,
                durability: Durability::Relaxed,
                origin: Arc::default(),
                keys,
                records,
                conditions: Vec::new(),
                reads: None,
                detail: None,
            };
            let removed = self.committer.run_blocking(Work::Commit(changes))?.count;
            report.removed += removed;
            self.totals.lock().swept_keys += removed;
        }
        Ok(())
    }
}

/// Keys that one commit may remove: each has a history row, its own and an index row, beside the rows
/// of the commit.
fn keys_max(namespace: &Namespace) -> usize {
    let most = namespace.capabilities.commit_ops_max.saturating_sub(2) / 3;
    usize::try_from(most).map_or(BATCH_ROWS, |most| most.clamp(1, BATCH_ROWS))
}
