//! When each rule raises an alert, when it does not, and that a fresh state is quiet.

use super::*;

const NOW: i64 = 1_000 * DAY_MS;

fn raised(facts: &AlertFacts, config: &AlertConfig) -> Vec<(&'static str, Severity)> {
    let rows = alerts(facts, config, UnixMs(NOW)).into_iter();
    rows.map(|alert| (alert.id.name(), alert.severity))
        .collect()
}

fn by_default(facts: &AlertFacts) -> Vec<(&'static str, Severity)> {
    raised(facts, &AlertConfig::default())
}

/// A state with a young and verified backup, of which nothing is to be said.
fn well() -> AlertFacts {
    AlertFacts {
        repository: "/backups".to_owned(),
        opened_unix_ms: NOW - 900 * DAY_MS,
        backups: 9,
        oldest_unix_ms: Some(NOW - 100 * DAY_MS),
        newest_unix_ms: Some(NOW - HOUR_MS),
        verified_unix_ms: Some(NOW - DAY_MS),
        restore_tested_unix_ms: Some(NOW - 20 * DAY_MS),
        newest: Some("01B".to_owned()),
        chain_length: 30,
        chain_max: 30,
        storage_bytes: 899,
        storage_bytes_max: Some(1000),
        disks: vec![DiskFacts {
            holds: "state".to_owned(),
            path: "/".to_owned(),
            bytes: 1000,
            free_bytes: 101,
            full_unix_ms: None,
        }],
        scheduled: true,
        schedule_every_ms: DAY_MS.unsigned_abs(),
        ..AlertFacts::default()
    }
}

#[test]
fn a_fresh_state_and_one_that_is_well_are_quiet() {
    assert_eq!(by_default(&AlertFacts::default()), []);
    assert_eq!(by_default(&well()), []);
    let unscheduled = AlertFacts {
        scheduled: false,
        newest_unix_ms: Some(NOW - 900 * DAY_MS),
        ..well()
    };
    assert_eq!(by_default(&unscheduled), []);
}

#[test]
fn each_rule_is_raised_by_what_it_is_about_alone() {
    use Severity::{Critical, Warning};
    type Change = fn(&mut AlertFacts);
    let rules: [(Change, AlertRule, Severity); 17] = [
        (
            |facts| facts.unreadable = Some("gone".to_owned()),
            AlertRule::RepositoryUnreadable,
            Critical,
        ),
        (
            |facts| (facts.problems, facts.problem) = (2, Some("man/x is short".to_owned())),
            AlertRule::RepositoryProblems,
            Critical,
        ),
        (
            |facts| facts.newest_unix_ms = Some(NOW - 27 * HOUR_MS),
            AlertRule::NoBackup,
            Warning,
        ),
        (
            |facts| facts.newest_unix_ms = Some(NOW - 53 * HOUR_MS),
            AlertRule::NoBackup,
            Critical,
        ),
        (
            |facts| facts.verified_unix_ms = Some(NOW - 9 * DAY_MS),
            AlertRule::NoVerifiedBackup,
            Warning,
        ),
        (
            |facts| facts.verified_unix_ms = None,
            AlertRule::NoVerifiedBackup,
            Warning,
        ),
        (
            |facts| facts.restore_tested_unix_ms = Some(NOW - 33 * DAY_MS),
            AlertRule::RestoreDrillOverdue,
            Warning,
        ),
        (
            |facts| facts.restore_tested_unix_ms = None,
            AlertRule::RestoreDrillOverdue,
            Warning,
        ),
        (
            |facts| facts.schedule_failures = 1,
            AlertRule::ScheduleFailing,
            Warning,
        ),
        (
            |facts| facts.schedule_failures = 3,
            AlertRule::ScheduleFailing,
            Critical,
        ),
        (
            |facts| facts.cleanup_failing_since_unix_ms = Some(NOW - 5),
            AlertRule::CleanupFailing,
            Warning,
        ),
        (
            |facts| facts.storage_bytes = 900,
            AlertRule::StorageLimitNear,
            Warning,
        ),
        (
            |facts| facts.storage_bytes = 1000,
            AlertRule::StorageLimitNear,
            Critical,
        ),
        (
            |facts| facts.storage_full_unix_ms = Some(NOW + 6 * DAY_MS),
            AlertRule::StorageLimitNear,
            Warning,
        ),
        (
            |facts| facts.disks[0].free_bytes = 100,
            AlertRule::DiskNearlyFull,
            Warning,
        ),
        (
            |facts| facts.disks[0].free_bytes = 20,
            AlertRule::DiskNearlyFull,
            Critical,
        ),
        (
            |facts| facts.chain_length = 31,
            AlertRule::ChainTooLong,
            Warning,
        ),
    ];
    for (change, rule, severity) in rules {
        let mut facts = well();
        change(&mut facts);
        assert_eq!(by_default(&facts), [(rule.name(), severity)]);
        let alert = &alerts(&facts, &AlertConfig::default(), UnixMs(NOW))[0];
        assert!(!alert.message.is_empty() && !alert.next_step.is_empty());
        assert!(alert.since_unix_ms <= NOW, "{alert:?}");
    }
    let seen: std::collections::HashSet<_> = rules.iter().map(|(_, rule, _)| *rule).collect();
    assert_eq!(seen.len(), AlertRule::ALL.len(), "a rule without a case");
}

#[test]
fn a_limit_of_0_is_off_and_another_one_counts() {
    let late = AlertFacts {
        verified_unix_ms: None,
        restore_tested_unix_ms: None,
        newest_unix_ms: Some(NOW - 50 * DAY_MS),
        storage_bytes: 5_000,
        storage_full_unix_ms: Some(NOW),
        chain_length: 5,
        disks: vec![DiskFacts {
            bytes: 10,
            full_unix_ms: Some(NOW + 1),
            ..DiskFacts::default()
        }],
        ..well()
    };
    let off = AlertConfig {
        interval_ms: 0,
        storage_percent: 0,
        disk_percent: 0,
        limit_within_ms: 0,
        backup_age_ms: Some(0),
        verified_age_ms: 0,
        restore_test_age_ms: 0,
        chain_length: Some(0),
    };
    assert_eq!(raised(&late, &off), []);
    let strict = AlertConfig {
        chain_length: Some(4),
        ..off
    };
    assert_eq!(
        raised(&late, &strict),
        [("chain_too_long", Severity::Warning)]
    );
}

#[test]
fn a_scheduled_state_without_any_backup_is_late_from_its_opening_on() {
    let mut facts = AlertFacts {
        scheduled: true,
        schedule_every_ms: HOUR_MS.unsigned_abs(),
        opened_unix_ms: NOW - 3 * HOUR_MS,
        ..AlertFacts::default()
    };
    assert_eq!(by_default(&facts), [], "the limit itself is not over it");
    facts.opened_unix_ms -= MINUTE_MS;
    let found = alerts(&facts, &AlertConfig::default(), UnixMs(NOW));
    assert_eq!(found[0].id, AlertRule::NoBackup);
    assert_eq!(found[0].since_unix_ms, NOW - MINUTE_MS);
}

#[test]
fn the_worst_come_first_and_messages_are_for_people() {
    let facts = AlertFacts {
        chain_length: 40,
        schedule_failures: 4,
        schedule_error: Some("the disk is full".to_owned()),
        verified_unix_ms: Some(NOW - 30 * DAY_MS),
        ..well()
    };
    let found = alerts(&facts, &AlertConfig::default(), UnixMs(NOW));
    let messages: Vec<_> = found.iter().map(|alert| alert.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "scheduled backups failed, 4 in a row: the disk is full",
            "no backup was read and found good for 30 days",
            "40 incremental backups stand on one full, more than 30: each of them has to be good",
        ]
    );
    assert_eq!(span(119 * MINUTE_MS), "119 minutes");
    assert_eq!(
        (span(MINUTE_MS), span(-5)),
        ("1 minute".to_owned(), "0 minutes".to_owned())
    );
    assert_eq!(span(47 * HOUR_MS), "47 hours");
}
