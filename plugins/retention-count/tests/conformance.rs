//! The policy passes the suite of every policy, and keeps the newest.

use statekeep_plugin_api::BACKUP_SAFETY;
use statekeep_plugin_testkit::retention::{self, Subject};

fn subject() -> Subject {
    Subject::new(statekeep_retention_count::descriptor())
}

#[test]
fn conforms() {
    retention::run(&subject());
    retention::run(&subject().options(r#"{"keep": 0}"#));
}

#[test]
fn the_newest_stay() {
    let three = subject().options(r#"{"keep": 3}"#).open().unwrap();
    let verdicts = three.verdicts(&retention::daily(5)).unwrap();
    assert_eq!(verdicts, ["forget", "forget", "keep", "keep", "keep"]);
    assert_eq!(three.verdicts(&retention::daily(2)).unwrap(), ["keep"; 2]);
}

#[test]
fn what_a_restore_made_pushes_nothing_out() {
    let two = subject().options(r#"{"keep": 2}"#).open().unwrap();
    let mut list = retention::daily(4);
    list[2].flags = BACKUP_SAFETY;
    let verdicts = two.verdicts(&list).unwrap();
    assert_eq!(verdicts, ["forget", "keep", "forget", "keep"]);
}

#[test]
fn wrong_options_are_named() {
    for options in [r#"{"keep": -1}"#, r#"{"keep": "all"}"#, r#"{"count": 3}"#] {
        let error = format!("{:?}", subject().options(options).open().err().unwrap());
        assert!(error.contains("keep"), "{options}: {error}");
    }
}
