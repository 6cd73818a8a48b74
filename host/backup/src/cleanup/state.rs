//! What a cleanup says and does of the state itself: the keys whose time has come, and the past that
//! nobody needs. What goes of these never comes back, so it is done only where that is asked for; the
//! state's own upkeep does the same of itself.

use serde::Serialize;
use statekeep_core::{Result, StateLimits, StateManager, TrimOptions};

/// Rows of a state that were removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateRows {
    /// Keys whose time had come; null when that would take too long to count.
    pub expired_keys: Option<u64>,
    /// Commits.
    pub journal_rows: u64,
    /// Superseded records.
    pub history_rows: u64,
    /// Bytes of the rows of commits and superseded records.
    pub bytes: u64,
}

impl StateRows {
    /// Whether nothing at all goes.
    pub fn is_nothing(&self) -> bool {
        (self.expired_keys, self.journal_rows, self.history_rows) == (Some(0), 0, 0)
    }
}

/// What became of the state itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateCleanup {
    /// The limits in force.
    pub limits: StateLimits,
    /// What was removed; null when the state was left alone.
    pub removed: Option<StateRows>,
    /// What would be, in a dry run that was asked about the state.
    pub would_remove: Option<StateRows>,
    /// What keeps more of the past than the limits ask for, in words.
    pub held_by: Vec<String>,
    /// Why it was not done, or only in part.
    pub failure: Option<String>,
}

impl StateCleanup {
    /// The limits, and nothing done.
    pub(super) fn of(state: &StateManager) -> StateCleanup {
        StateCleanup {
            limits: state.state_limits(),
            ..StateCleanup::default()
        }
    }

    /// Sweeps and trims, or with `dry_run` counts what that would remove.
    pub(super) fn carry_out(&mut self, state: &StateManager, dry_run: bool) {
        let mut rows = StateRows::default();
        if let Err(error) = self.count(state, dry_run, &mut rows) {
            self.failure = Some(error.to_string());
        }
        match dry_run {
            true => self.would_remove = Some(rows),
            false => self.removed = Some(rows),
        }
    }

    fn count(&mut self, state: &StateManager, dry_run: bool, rows: &mut StateRows) -> Result<()> {
        rows.expired_keys = match dry_run {
            true => state.expired()?,
            false => Some(state.sweep()?.removed),
        };
        let trimmed = state.trim(&TrimOptions { dry_run })?;
        rows.journal_rows = trimmed.journal_rows;
        rows.history_rows = trimmed.history_rows;
        rows.bytes = trimmed.bytes;
        self.held_by = trimmed.held_by;
        Ok(())
    }
}
