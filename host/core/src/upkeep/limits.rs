//! What limits the past and the lives of keys, and what an upkeep would find to do.

use super::Upkeep;
use crate::index::expiry_range;
use crate::record::is_over;
use crate::{Keep, KeyRange, Result, Space, StateManager, UnixMs};

/// Most expired keys that [`StateManager::expired`] counts.
pub const EXPIRED_COUNTED_MAX: u64 = 100_000;

/// What limits the past and the lives of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StateLimits {
    /// How much of the past of the whole state is kept.
    pub keep: Keep,
    /// Patterns whose keys live for a time unless their writers say otherwise.
    pub ttl_patterns: u64,
    /// Patterns that keep less of the past of their keys.
    pub history_patterns: u64,
    /// Milliseconds between two runs of the upkeep; 0 for only when asked.
    pub upkeep_interval_ms: u64,
}

impl Upkeep {
    fn expired(&self) -> Result<Option<u64>> {
        let namespace = self.committer.namespace_arc()?;
        let now = self.committer.clock.now();
        let most = usize::try_from(EXPIRED_COUNTED_MAX).unwrap_or(usize::MAX);
        let ephemeral = &namespace.ephemeral;
        let rows = ephemeral.range(KeyRange::default(), None, most.saturating_add(1));
        if rows.len() > most {
            return Ok(None);
        }
        let over = rows.iter().filter(|(_, record)| is_over(record, || now));
        let mut count = over.count() as u64;
        let (lo, hi) = expiry_range(UnixMs(i64::MIN), now);
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: false,
        };
        let mut cursor = namespace.backend.scan(Space::Index, range)?;
        while count <= EXPIRED_COUNTED_MAX {
            let read = cursor.next_batch(512, &mut |_, _| count += 1)?;
            if read == 0 {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }
}

impl StateManager {
    /// The limits in force.
    pub fn state_limits(&self) -> StateLimits {
        let (ttl_patterns, history_patterns) = self.upkeep.rules.patterns();
        StateLimits {
            keep: self.upkeep.keep.clone(),
            ttl_patterns,
            history_patterns,
            upkeep_interval_ms: self.upkeep().interval_ms,
        }
    }

    /// How many keys a sweep would remove now; `None` when more than [`EXPIRED_COUNTED_MAX`] have expired,
    /// or as many are in memory only.
    pub fn expired(&self) -> Result<Option<u64>> {
        self.upkeep.expired()
    }
}
