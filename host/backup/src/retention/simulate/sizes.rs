//! How large the backups of a simulation are: as somebody says, or as those that there are.

use serde::Serialize;
use statekeep_core::{Result, UnixMs};

use crate::list::BackupSummary;
use crate::manager::BackupManager;
use crate::manifest::BackupKind;

const DAY_MS: i128 = 86_400_000;

/// How large backups are.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Bytes of the first full one.
    pub full_bytes: u64,
    /// Bytes of an incremental one.
    pub incremental_bytes: u64,
    /// How many bytes a full one grows in a day; may be negative.
    pub growth_bytes_a_day: i64,
    /// Who says so.
    pub from: SizesFrom,
}

/// Who says how large backups are.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SizesFrom {
    /// They were given.
    Given,
    /// The backups that there are: medians.
    Present,
    /// Nobody; they stand for the shape of the course only.
    Assumed,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            full_bytes: 100 << 20,
            incremental_bytes: 1 << 20,
            growth_bytes_a_day: 0,
            from: SizesFrom::Assumed,
        }
    }
}

impl Sizes {
    /// Bytes of a full one so long after the first.
    pub(super) fn full_after(&self, elapsed_ms: i64) -> u64 {
        let growth = i128::from(self.growth_bytes_a_day) * i128::from(elapsed_ms) / DAY_MS;
        let bytes = i128::from(self.full_bytes) + growth;
        u64::try_from(bytes.max(0)).unwrap_or(u64::MAX)
    }

    /// Those of the backups of one series, oldest first; `None` without a full one.
    fn of(backups: &[&BackupSummary]) -> Option<Sizes> {
        let of = |incremental: bool| {
            let is = move |backup: &&&BackupSummary| {
                (backup.kind == BackupKind::Incremental.name()) == incremental
            };
            backups.iter().filter(is)
        };
        let (first, last) = (of(false).next()?, of(false).next_back()?);
        let apart_ms = i128::from(last.started_unix_ms) - i128::from(first.started_unix_ms);
        let grown = i128::from(last.stored_bytes) - i128::from(first.stored_bytes);
        // Less than a day says nothing about a year.
        let growth = match apart_ms >= DAY_MS {
            true => grown * DAY_MS / apart_ms,
            false => 0,
        };
        let full_bytes = median(of(false).map(|backup| backup.stored_bytes))?;
        Some(Sizes {
            full_bytes,
            incremental_bytes: median(of(true).map(|backup| backup.stored_bytes))
                .unwrap_or(full_bytes / 100),
            growth_bytes_a_day: i64::try_from(growth).unwrap_or(0),
            from: SizesFrom::Present,
        })
    }
}

impl BackupManager {
    /// How large the backups of the newest one's series are, and when that was begun; `None` without a
    /// full one.
    ///
    /// # Errors
    /// What keeps the repository from being read.
    pub fn sizes(&self) -> Result<Option<(Sizes, UnixMs)>> {
        let list = self.list()?;
        let Some(newest) = list.backups.last() else {
            return Ok(None);
        };
        let of_series = |backup: &&BackupSummary| backup.series == newest.series;
        let series: Vec<_> = list.backups.iter().filter(of_series).collect();
        Ok(Sizes::of(&series).map(|sizes| (sizes, UnixMs(newest.started_unix_ms))))
    }
}

fn median(sizes: impl Iterator<Item = u64>) -> Option<u64> {
    let mut sizes: Vec<u64> = sizes.collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied()
}
