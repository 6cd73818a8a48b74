//! The policy passes the suite of every policy, and keeps the checkpoints of a calendar.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use statekeep_plugin_api::BACKUP_SAFETY;
use statekeep_plugin_testkit::retention::{self, Made, Subject};

fn subject(options: &str) -> Subject {
    Subject::new(statekeep_retention_calendar::descriptor()).options(options)
}

/// Backups at some moments of UTC.
fn at(moments: &[&str]) -> Vec<Made> {
    let mut list = retention::daily(moments.len());
    for (made, moment) in list.iter_mut().zip(moments) {
        let moment: jiff::Timestamp = moment.parse().unwrap();
        made.created_unix_ms = moment.as_millisecond();
    }
    list
}

/// The moments that stay, in a zone.
fn kept<'a>(options: &str, zone: &str, moments: &[&'a str]) -> Vec<&'a str> {
    let list = at(moments);
    let policy = subject(options).open().unwrap();
    let now = list.last().unwrap().created_unix_ms;
    let judged = policy.evaluate_in(&list, now, zone).unwrap();
    let stays = |((verdict, ..), _): &(&retention::Judged, _)| {
        *verdict == statekeep_plugin_api::VERDICT_KEEP
    };
    let kept = judged.iter().zip(moments).filter(stays);
    kept.map(|(_, moment)| *moment).collect()
}

#[test]
fn conforms() {
    retention::run(&subject(
        r#"{"last": 3, "hourly": 4, "daily": 7, "weekly": 4, "monthly": 12, "yearly": 3}"#,
    ));
    retention::run(&subject(r#"{"within": "30d", "tags": ["release"]}"#));
}

#[test]
fn the_first_of_a_period_is_its_checkpoint() {
    let moments = [
        "2025-12-31T23:00:00Z",
        "2026-01-01T00:30:00Z",
        "2026-01-01T09:00:00Z",
        "2026-01-02T09:00:00Z",
        "2026-02-01T09:00:00Z",
        "2026-02-01T10:00:00Z",
    ];
    assert_eq!(
        kept(r#"{"daily": 2}"#, "", &moments),
        [moments[3], moments[4]]
    );
    assert_eq!(
        kept(r#"{"monthly": 2}"#, "", &moments),
        [moments[1], moments[4]]
    );
    assert_eq!(
        kept(r#"{"yearly": 5}"#, "", &moments),
        [moments[0], moments[1]]
    );
    assert_eq!(kept(r#"{"last": 2}"#, "", &moments), moments[4..]);
    assert_eq!(kept(r#"{"within": "31d"}"#, "", &moments), moments[3..]);
    // In Tokyo it is 2026 already.
    assert_eq!(
        kept(r#"{"yearly": 5}"#, "Asia/Tokyo", &moments),
        [moments[0]]
    );
}

#[test]
fn weeks_begin_on_monday_and_cross_the_year() {
    let moments = [
        "2025-12-28T12:00:00Z",
        "2025-12-29T12:00:00Z",
        "2026-01-04T12:00:00Z",
        "2026-01-05T12:00:00Z",
    ];
    assert_eq!(
        kept(r#"{"weekly": 9}"#, "", &moments),
        [moments[0], moments[1], moments[3]]
    );
}

/// On 2026-10-25 Berlin has 02:30 twice, on 2026-03-29 not at all; the days have 25 and 23 hours.
#[test]
fn clocks_that_are_changed_lose_and_repeat_nothing() {
    let autumn = [
        "2026-10-24T22:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T22:30:00Z",
        "2026-10-25T23:30:00Z",
    ];
    assert_eq!(kept(r#"{"hourly": 9}"#, "Europe/Berlin", &autumn), autumn);
    assert_eq!(
        kept(r#"{"daily": 9}"#, "Europe/Berlin", &autumn),
        [autumn[0], autumn[4]]
    );
    let spring = [
        "2026-03-28T23:30:00Z",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:30:00Z",
        "2026-03-29T21:30:00Z",
        "2026-03-29T22:30:00Z",
    ];
    assert_eq!(kept(r#"{"hourly": 9}"#, "Europe/Berlin", &spring), spring);
    assert_eq!(
        kept(r#"{"daily": 9}"#, "Europe/Berlin", &spring),
        [spring[0], spring[4]]
    );
}

#[test]
fn what_a_restore_made_is_no_checkpoint() {
    let mut list = at(&["2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"]);
    list[0].flags = BACKUP_SAFETY;
    let policy = subject(r#"{"daily": 1}"#).open().unwrap();
    assert_eq!(policy.verdicts(&list).unwrap(), ["forget", "keep"]);
}

#[test]
fn a_later_backup_displaces_no_checkpoint() {
    let policy = subject(r#"{"daily": 3, "weekly": 3, "monthly": 3}"#)
        .open()
        .unwrap();
    let mut list = retention::daily(40);
    for made in &mut list {
        made.created_unix_ms -= 30 * 86_400_000;
    }
    let before = policy.verdicts(&list).unwrap();
    let mut more = list.last().unwrap().clone();
    more.id = "later-the-same-day".to_owned();
    more.created_unix_ms += 60_000;
    list.push(more);
    let after = policy.verdicts(&list).unwrap();
    assert_eq!(after[..before.len()], before);
}

#[test]
fn wrong_options_are_named() {
    for (options, said) in [
        ("{}", "without a rule"),
        (r#"{"dayly": 3}"#, "dayly"),
        (r#"{"daily": "7d"}"#, "daily"),
        (r#"{"within": "a week"}"#, "within"),
        (r#"{"tags": "x"}"#, "tags"),
    ] {
        let error = format!("{:?}", subject(options).open().err().unwrap());
        assert!(error.contains(said), "{options}: {error}");
    }
    let policy = subject(r#"{"daily": 1}"#).open().unwrap();
    let error = policy
        .evaluate_in(&retention::daily(2), 0, "Moon/Base")
        .unwrap_err();
    assert!(error.contains("Moon/Base"), "{error}");
}
