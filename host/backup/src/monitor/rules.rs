//! Which alerts hold: a pure function of what is known, the limits and the time.
//!
//! A rule whose limit is 0 is off. A state without backups raises none, unless backups are scheduled and
//! none is made.

use statekeep_core::UnixMs;

use super::alerts::{
    Alert, AlertConfig, AlertFacts, AlertRule, DAY_MS, DiskFacts, HOUR_MS, MINUTE_MS, Severity,
    percent,
};

/// How much later than the schedule says a backup may be before it counts as missing.
const SCHEDULE_GRACE_MS: u64 = 2 * HOUR_MS.unsigned_abs();
/// Failures of the schedule in a row from which on they are critical.
const SCHEDULE_FAILURES_CRITICAL: u32 = 3;

/// The alerts that hold, worst first.
pub fn alerts(facts: &AlertFacts, config: &AlertConfig, now: UnixMs) -> Vec<Alert> {
    let rules = Rules {
        facts,
        config,
        now: now.0,
    };
    let mut alerts = Vec::new();
    alerts.extend(rules.unreadable());
    if facts.unreadable.is_none() {
        alerts.extend(rules.problems());
        alerts.extend(rules.no_backup());
        alerts.extend(rules.not_verified());
        alerts.extend(rules.not_tried());
        alerts.extend(rules.storage());
        alerts.extend(rules.chain());
    }
    alerts.extend(rules.schedule());
    alerts.extend(rules.cleanup());
    alerts.extend(facts.disks.iter().filter_map(|disk| rules.disk(disk)));
    alerts.sort_by(|a, b| {
        let order = |alert: &Alert| (std::cmp::Reverse(alert.severity), alert.id);
        (order(a), &a.subject).cmp(&(order(b), &b.subject))
    });
    alerts
}

struct Rules<'a> {
    facts: &'a AlertFacts,
    config: &'a AlertConfig,
    now: i64,
}

impl Rules<'_> {
    fn alert(
        &self,
        id: AlertRule,
        severity: Severity,
        subject: &str,
        message: String,
        next_step: &str,
    ) -> Alert {
        Alert {
            id,
            severity,
            subject: subject.to_owned(),
            message,
            since_unix_ms: self.now,
            next_step: next_step.to_owned(),
        }
    }

    fn unreadable(&self) -> Option<Alert> {
        let why = self.facts.unreadable.as_ref()?;
        Some(self.alert(
            AlertRule::RepositoryUnreadable,
            Severity::Critical,
            &self.facts.repository,
            format!("the backups cannot be listed: {why}"),
            "see that `backup.dir` is there, can be read and is the one that was meant",
        ))
    }

    fn problems(&self) -> Option<Alert> {
        let first = self.facts.problem.as_ref()?;
        let more = match self.facts.problems.saturating_sub(1) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Some(self.alert(
            AlertRule::RepositoryProblems,
            Severity::Critical,
            &self.facts.repository,
            format!("{first}{more}"),
            "run `statekeep repository check`, then make a full backup",
        ))
    }

    fn no_backup(&self) -> Option<Alert> {
        let facts = self.facts;
        let by_schedule = || match facts.scheduled {
            true => facts.schedule_every_ms.saturating_add(SCHEDULE_GRACE_MS),
            false => 0,
        };
        let limit = self.config.backup_age_ms.unwrap_or_else(by_schedule);
        // A state that nobody meant to back up is no fault.
        let since = match facts.newest_unix_ms {
            Some(newest) => newest,
            None if facts.scheduled => facts.opened_unix_ms,
            None => return None,
        };
        let late = self.late(since, limit)?;
        let message = match facts.newest_unix_ms {
            Some(_) => format!(
                "the newest backup was begun {} ago, more than {}",
                span(self.now - since),
                span(signed(limit))
            ),
            None => format!(
                "there is no backup, {} after the state was opened",
                span(self.now - since)
            ),
        };
        let severity = match late > signed(limit) {
            true => Severity::Critical,
            false => Severity::Warning,
        };
        let next =
            "run `statekeep backup create`; `statekeep backup schedule` says why none was made";
        let mut alert = self.alert(
            AlertRule::NoBackup,
            severity,
            &facts.repository,
            message,
            next,
        );
        alert.since_unix_ms = self.now - late;
        Some(alert)
    }

    fn not_verified(&self) -> Option<Alert> {
        let facts = self.facts;
        let since = facts.verified_unix_ms.or(facts.oldest_unix_ms)?;
        let late = self.late(since, self.config.verified_age_ms)?;
        let message = match facts.verified_unix_ms {
            Some(_) => format!(
                "no backup was read and found good for {}",
                span(self.now - since)
            ),
            None => format!(
                "no backup was ever verified; the oldest is {} old",
                span(self.now - since)
            ),
        };
        let mut alert = self.alert(
            AlertRule::NoVerifiedBackup,
            Severity::Warning,
            &facts.repository,
            message,
            "run `statekeep backup verify` on the newest backup",
        );
        alert.since_unix_ms = self.now - late;
        Some(alert)
    }

    fn not_tried(&self) -> Option<Alert> {
        let facts = self.facts;
        let since = facts.restore_tested_unix_ms.or(facts.oldest_unix_ms)?;
        let late = self.late(since, self.config.restore_test_age_ms)?;
        let message = match facts.restore_tested_unix_ms {
            Some(_) => format!("no restore was tried for {}", span(self.now - since)),
            None => format!(
                "no restore was ever tried; the oldest backup is {} old",
                span(self.now - since)
            ),
        };
        let mut alert = self.alert(
            AlertRule::RestoreDrillOverdue,
            Severity::Warning,
            &facts.repository,
            message,
            "run `statekeep backup verify --restore-test` on the newest backup",
        );
        alert.since_unix_ms = self.now - late;
        Some(alert)
    }

    fn storage(&self) -> Option<Alert> {
        let facts = self.facts;
        let (bytes, max) = (facts.storage_bytes, facts.storage_bytes_max?);
        let share = percent(bytes, max);
        let next = "let a retention policy forget more, or raise `retention.storage_bytes_max`";
        let is_near = self.config.storage_percent > 0 && share >= self.config.storage_percent;
        let (severity, message) = if is_near {
            let severity = match bytes >= max {
                true => Severity::Critical,
                false => Severity::Warning,
            };
            let message = format!("the repository has {bytes} of {max} bytes, {share} percent");
            (severity, message)
        } else {
            let left = self.soon(facts.storage_full_unix_ms)?;
            let message = format!(
                "the repository has {bytes} of {max} bytes, and as it grows all of them in {}",
                span(left)
            );
            (Severity::Warning, message)
        };
        let rule = AlertRule::StorageLimitNear;
        Some(self.alert(rule, severity, &facts.repository, message, next))
    }

    fn disk(&self, disk: &DiskFacts) -> Option<Alert> {
        let (limit, used) = (self.config.disk_percent, disk.used_percent());
        let free = disk.free_bytes;
        let (severity, message) = if limit > 0 && used >= limit {
            // A fifth of what the limit leaves.
            let severity = match used >= 100_u64.saturating_sub(100_u64.saturating_sub(limit) / 5) {
                true => Severity::Critical,
                false => Severity::Warning,
            };
            let message = format!(
                "the disk of {} is {used} percent full, {free} bytes are free",
                disk.path
            );
            (severity, message)
        } else {
            let left = self.soon(disk.full_unix_ms)?;
            let message = format!(
                "the disk of {} has {free} bytes free, and as backups grow none in {}",
                disk.path,
                span(left)
            );
            (Severity::Warning, message)
        };
        let next = "free space on it, or move the state or `backup.dir` to a larger one; \
                    `statekeep backup storage` says what backups take";
        let rule = AlertRule::DiskNearlyFull;
        Some(self.alert(rule, severity, &disk.holds, message, next))
    }

    fn chain(&self) -> Option<Alert> {
        let facts = self.facts;
        let limit = self.config.chain_length.unwrap_or(facts.chain_max);
        let newest = facts.newest.as_ref()?;
        if limit == 0 || facts.chain_length <= limit {
            return None;
        }
        let message = format!(
            "{} incremental backups stand on one full, more than {limit}: each of them has to be good",
            facts.chain_length
        );
        Some(self.alert(
            AlertRule::ChainTooLong,
            Severity::Warning,
            newest,
            message,
            "run `statekeep backup create --synthetic`, which merges them without reading the state",
        ))
    }

    fn schedule(&self) -> Option<Alert> {
        let facts = self.facts;
        let failures = facts.schedule_failures;
        if failures == 0 {
            return None;
        }
        let severity = match failures >= SCHEDULE_FAILURES_CRITICAL {
            true => Severity::Critical,
            false => Severity::Warning,
        };
        let why = facts
            .schedule_error
            .as_deref()
            .unwrap_or("for no known reason");
        Some(self.alert(
            AlertRule::ScheduleFailing,
            severity,
            &facts.repository,
            format!("scheduled backups failed, {failures} in a row: {why}"),
            "mend what the reason names; `statekeep backup schedule` says when it is tried again",
        ))
    }

    fn cleanup(&self) -> Option<Alert> {
        let facts = self.facts;
        let since = facts.cleanup_failing_since_unix_ms?;
        let why = facts
            .cleanup_error
            .as_deref()
            .unwrap_or("for no known reason");
        let mut alert = self.alert(
            AlertRule::CleanupFailing,
            Severity::Warning,
            &facts.repository,
            format!("backups are not cleaned up: {why}"),
            "run `statekeep backup cleanup --dry-run --explain` and mend what it names",
        );
        alert.since_unix_ms = since;
        Some(alert)
    }

    /// How long ago the limit was passed; `None` when it was not, or is off.
    fn late(&self, since: i64, limit_ms: u64) -> Option<i64> {
        let late = self
            .now
            .saturating_sub(since)
            .saturating_sub(signed(limit_ms));
        (limit_ms > 0 && late > 0).then_some(late)
    }

    /// How long until a forecast moment that is soon; 0 when it is past.
    fn soon(&self, moment: Option<i64>) -> Option<i64> {
        let left = moment?.saturating_sub(self.now).max(0);
        (left < signed(self.config.limit_within_ms)).then_some(left)
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// A length of time for people: of days and hours, the larger unit decides.
pub(crate) fn span(ms: i64) -> String {
    let unit = |count: i64, name: &str| match count {
        1 => format!("1 {name}"),
        _ => format!("{count} {name}s"),
    };
    match ms {
        ms if ms >= 2 * DAY_MS => unit(ms / DAY_MS, "day"),
        ms if ms >= 2 * HOUR_MS => unit(ms / HOUR_MS, "hour"),
        _ => unit(ms.max(0) / MINUTE_MS, "minute"),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
