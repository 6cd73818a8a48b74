//! A retention policy: the newest N backups stay.
//!
//! A policy is a pure function: it reads no clock (`context.now_unix_ms` is the time) and no disk,
//! and it deletes nothing. It only answers; the host puts the answers of all policies together.

use statekeep_plugin_sdk::{Backup, Context, Decision, Result, Retention};

use crate::Template;

impl Retention for Template {
    fn evaluate(&self, backups: &[Backup<'_>], _context: &Context<'_>) -> Result<Vec<Decision>> {
        // The list is sorted by creation, oldest first, and needs one decision for each.
        let newest = backups.len().saturating_sub(self.keep);
        let decide = |(i, _)| match i >= newest {
            true => Decision::keep(format!("one of the newest {}", self.keep)),
            false => Decision::forget(format!("older than the newest {}", self.keep)),
        };
        Ok(backups.iter().enumerate().map(decide).collect())
    }
}
