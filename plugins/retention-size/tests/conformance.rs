//! The policy passes the suite of every policy, and frees what is asked for, oldest chain first.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use statekeep_plugin_api::{BACKUP_INCREMENTAL, BACKUP_PINNED, BACKUP_SAFETY};
use statekeep_plugin_testkit::retention::{self, Made, Subject};

const MIB: u64 = 1 << 20;

fn subject(options: &str) -> Subject {
    Subject::new(statekeep_retention_size::descriptor()).options(options)
}

/// Two chains of a full of 4 MiB and two increments of 1 MiB each.
fn two_chains() -> Vec<Made> {
    let mut list = retention::daily(6);
    for (i, made) in list.iter_mut().enumerate() {
        made.stored_bytes = 4 * MIB;
        if i % 3 > 0 {
            made.kind = BACKUP_INCREMENTAL;
            made.parent = i as i64 - 1;
            made.stored_bytes = MIB;
        }
    }
    list
}

fn verdicts(limit: u64, list: &[Made]) -> Vec<&'static str> {
    let policy = subject(&format!("{{\"max_bytes\": {limit}}}"));
    policy.open().unwrap().verdicts(list).unwrap()
}

#[test]
fn conforms() {
    retention::run(&subject(r#"{"max_bytes": 1000000}"#));
    retention::run(&subject(r#"{"max_bytes": 0}"#));
}

#[test]
fn whole_chains_go_until_the_rest_fits() {
    let list = two_chains();
    assert_eq!(verdicts(12 * MIB, &list), ["abstain"; 6]);
    let oldest = [
        "forget", "forget", "forget", "abstain", "abstain", "abstain",
    ];
    assert_eq!(verdicts(12 * MIB - 1, &list), oldest);
    assert_eq!(verdicts(6 * MIB, &list), oldest);
    assert_eq!(verdicts(6 * MIB - 1, &list), ["forget"; 6]);
}

#[test]
fn what_a_pin_holds_is_not_counted_on() {
    let mut list = two_chains();
    list[1].flags = BACKUP_PINNED;
    let verdicts = verdicts(11 * MIB, &list);
    assert_eq!(
        verdicts,
        [
            "abstain", "abstain", "forget", "abstain", "abstain", "abstain"
        ]
    );
}

/// Its host holds it back for a while; meanwhile the rest is what has to fit.
#[test]
fn a_backup_before_a_restore_lets_nothing_else_go() {
    let mut list = two_chains();
    let mut safety = list[0].clone();
    safety.id = "before-a-restore".to_owned();
    safety.created_unix_ms = list[5].created_unix_ms + 60_000;
    safety.flags = BACKUP_SAFETY;
    list.push(safety);
    let of_others = |limit| verdicts(limit, &list)[..6].to_vec();
    assert_eq!(of_others(12 * MIB), ["abstain"; 6]);
    assert_eq!(verdicts(12 * MIB, &list)[6], "forget");
    assert_eq!(of_others(12 * MIB - 1)[..3], ["forget"; 3]);
}

#[test]
fn without_a_limit_it_says_what_is_missing() {
    let error = subject("{}").open().unwrap().verdicts(&two_chains());
    assert!(error.unwrap_err().contains("max_bytes"));
}
