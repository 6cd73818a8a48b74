//! Whether a backup, or a cleanup, is due: a pure function of the time, those that were made, the schedule
//! and the last failure.
//!
//! It holds no memory of its own, so a restart, another process on the same repository, a backup made
//! by hand and hours of downtime are all the same case: what counts is the newest one.

use statekeep_core::UnixMs;

use super::plan::ScheduleConfig;

/// First wait after a failure; each further one doubles it, up to [`RETRY_MS_MAX`].
const RETRY_MS: u64 = 60_000;
const RETRY_MS_MAX: u64 = 3_600_000;
/// A backup whose time lies further ahead was made under a wrong clock, and does not count.
const AHEAD_MS_MAX: i64 = 60_000;

/// A backup that there is, or a cleanup that was made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// When it began.
    pub at: UnixMs,
    /// It is a backup that holds all records.
    pub is_full: bool,
}

/// The last failure, and how many there were one after the other.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) at: UnixMs,
    pub(crate) in_row: u32,
}

/// What to do now.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Do it; a backup as a full one where that is asked for.
    Due { full: bool },
    /// Nothing before that time.
    Wait(UnixMs),
}

/// What is to be done at `now`. Without any one is due at once.
pub(crate) fn next(
    now: UnixMs,
    made: &[Made],
    config: &ScheduleConfig,
    salt: u64,
    failure: Option<Failure>,
) -> Next {
    let credible = |made: &&Made| made.at.0 <= now.0.saturating_add(AHEAD_MS_MAX);
    let newest = made.iter().filter(credible).map(|made| made.at).max();
    let due = newest.map_or(now, |newest| config.after(newest, salt));
    let retry = failure.map_or(UnixMs(i64::MIN), |failure| {
        // A clock that was put back does not make it wait longer.
        let from = failure.at.min(now);
        UnixMs(from.0.saturating_add_unsigned(backoff(failure.in_row)))
    });
    let at = due.max(retry);
    if at > now {
        return Next::Wait(at);
    }
    let is_full = |made: &&Made| made.is_full;
    let full = made
        .iter()
        .filter(credible)
        .filter(is_full)
        .map(|made| made.at)
        .max();
    let too_old = |age: u64| full.is_none_or(|full| full.0.saturating_add_unsigned(age) <= now.0);
    Next::Due {
        full: config.full_every_ms.is_some_and(too_old),
    }
}

fn backoff(in_row: u32) -> u64 {
    let factor = 1_u64
        .checked_shl(in_row.saturating_sub(1))
        .unwrap_or(u64::MAX);
    RETRY_MS.saturating_mul(factor).min(RETRY_MS_MAX)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
