//! The policy passes the suite of every policy, and scores as documented.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use statekeep_plugin_api::{BACKUP_INCREMENTAL, VERDICT_FORGET, VERDICT_KEEP};
use statekeep_plugin_testkit::retention::{self, Made, Subject};

const DAY_MS: i64 = 86_400_000;

fn subject(options: &str) -> Subject {
    Subject::new(statekeep_retention_importance::descriptor()).options(options)
}

/// Backups of one day, which is no first of anything else, so many days ago.
fn old(days: i64, count: usize) -> Vec<Made> {
    // 2023-11-14 was a Tuesday.
    let mut list = retention::daily(count);
    for (i, made) in list.iter_mut().enumerate() {
        made.created_unix_ms = retention::NOW_UNIX_MS - days * DAY_MS + i as i64;
    }
    list
}

fn scores(options: &str, list: &[Made]) -> Vec<(u32, i32)> {
    let policy = subject(options).open().unwrap();
    let judged = policy.evaluate(list, retention::NOW_UNIX_MS).unwrap();
    judged.iter().map(|judged| (judged.0, judged.1)).collect()
}

#[test]
fn conforms() {
    retention::run(&subject("{}"));
    retention::run(&subject(r#"{"min_score": 100, "half_life": "1d"}"#));
}

#[test]
fn age_kind_and_checkpoints_add_up() {
    let mut list = old(30, 3);
    list[2].kind = BACKUP_INCREMENTAL;
    // The first of all is that of its day, week, month and year; the year counts.
    let expected = [
        (VERDICT_KEEP, 20 + 15 + 25),
        (VERDICT_KEEP, 35),
        (VERDICT_FORGET, 20),
    ];
    assert_eq!(scores("{}", &list), expected);
    let strict = scores(r#"{"min_score": 36}"#, &list);
    assert_eq!(
        strict.iter().map(|of| of.0).collect::<Vec<_>>(),
        [VERDICT_KEEP, VERDICT_FORGET, VERDICT_FORGET]
    );
}

#[test]
fn the_half_life_halves_what_age_is_worth() {
    assert_eq!(scores(r#"{"half_life": "10d"}"#, &old(10, 2))[1].1, 20 + 15);
    assert_eq!(scores(r#"{"half_life": "10d"}"#, &old(30, 2))[1].1, 10 + 15);
    assert_eq!(scores("{}", &old(0, 2))[1].1, 40 + 15);
}

#[test]
fn wrong_options_are_named() {
    for options in [
        r#"{"min_score": 101}"#,
        r#"{"half_life": 0}"#,
        r#"{"score": 1}"#,
    ] {
        let error = format!("{:?}", subject(options).open().err().unwrap());
        assert!(
            error.contains("half_life") || error.contains("min_score"),
            "{options}: {error}"
        );
    }
}
