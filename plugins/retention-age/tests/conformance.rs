//! The policy passes the suite of every policy, and judges by age alone.

use statekeep_plugin_testkit::retention::{self, Subject};

fn subject(options: &str) -> Subject {
    Subject::new(statekeep_retention_age::descriptor()).options(options)
}

#[test]
fn conforms() {
    retention::run(&subject(r#"{"max_age": "7d"}"#));
}

#[test]
fn the_young_stay() {
    let week = subject(r#"{"max_age": "7d"}"#).open().unwrap();
    let mut list = retention::daily(11);
    list.drain(1..7);
    list.truncate(2);
    let days: Vec<i64> = list
        .iter()
        .map(|made| (retention::NOW_UNIX_MS - made.created_unix_ms) / 86_400_000)
        .collect();
    assert_eq!(days, [10, 3]);
    assert_eq!(week.verdicts(&list).unwrap(), ["forget", "keep"]);
}

#[test]
fn the_limit_itself_is_not_too_old_and_the_future_is_not_old() {
    let day = subject(r#"{"max_age": 86400}"#).open().unwrap();
    let mut list = retention::daily(3);
    for (made, age) in list.iter_mut().zip([86_400_001, 86_400_000, -5_000]) {
        made.created_unix_ms = retention::NOW_UNIX_MS - age;
    }
    assert_eq!(day.verdicts(&list).unwrap(), ["forget", "keep", "keep"]);
}

#[test]
fn wrong_options_are_named() {
    for options in ["{}", r#"{"max_age": "1 day"}"#, r#"{"max_age": -1}"#] {
        let error = format!("{:?}", subject(options).open().err().unwrap());
        assert!(error.contains("max_age"), "{options}: {error}");
    }
}
