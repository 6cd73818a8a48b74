//! backup schedule: what is due when, and only `--run` makes it.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use serde_json::json;
use support::Place;

#[test]
fn a_schedule_is_shown_and_only_run_makes_the_backup_that_is_due() {
    let place = Place::new();
    place.ok(&["set", "agent:a", "n", "1"]);
    let none = place.ok(&["backup", "schedule"]);
    assert!(none.contains("only when asked"), "{none}");
    let message = place.fails(1, &["backup", "schedule", "--run"]);
    assert!(message.contains("backup.every"), "{message}");

    let hourly = ["--set", "backup.every=1h"];
    let shown = place.ok(&[&hourly[..], &["backup", "schedule"]].concat());
    assert!(
        shown.contains("every 1h") && shown.contains("newest  never"),
        "{shown}"
    );
    // Other verbs make none, although one is due.
    place.ok(&[&hourly[..], &["get", "agent:a", "n"]].concat());
    assert!(place.json_lines(&["backup", "list"]).is_empty());

    let run = [&hourly[..], &["backup", "schedule", "--run"]].concat();
    let first = place.json_lines(&run).remove(0);
    let second = place.json_lines(&run).remove(0);
    let listed = place.json_lines(&["backup", "list"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&first["made"], &second["made"]),
        (&listed[0]["id"], &json!(null))
    );
    assert_eq!(listed[0]["tags"], json!(["scheduled"]));
    let (begun, next) = (&second["newest_unix_ms"], &second["next_run_unix_ms"]);
    assert_eq!(begun, &listed[0]["started_unix_ms"]);
    let wait = next.as_i64().unwrap() - begun.as_i64().unwrap();
    // An hour, and up to the minute that spreads them.
    assert!((3_600_000..=3_660_000).contains(&wait), "{wait}");

    let daily = [
        "--set",
        "backup.daily_at=03:00",
        "--set",
        "backup.time_zone=UTC0",
    ];
    let shown = place.ok(&[&daily[..], &["backup", "schedule"]].concat());
    assert!(
        shown.contains("daily at 03:00:00, UTC0") && !shown.contains("never"),
        "{shown}"
    );
    let short = [
        "backup.hold_ms=60000",
        "keep.commits=9",
        "backup.incremental_enabled=true",
    ];
    let short = short.map(|setting| ["--set", setting]).concat();
    let short = [&hourly[..], &short].concat();
    let shown = place.ok(&[&short[..], &["backup", "schedule"]].concat());
    let next = "`backup.hold_ms` to 7";
    assert!(
        shown.contains("warning ") && shown.contains(next),
        "{shown}"
    );
    let run = place.run(&[&short[..], &["config", "check"]].concat());
    assert!(run.code == 0 && run.stderr.contains(next), "{}", run.stderr);
    let both = [&hourly[..], &daily[..], &["backup", "schedule"]].concat();
    assert!(place.fails(2, &both).contains("remove one"));
}

#[test]
fn run_also_makes_the_cleanup_that_is_due_whose_time_is_kept_in_the_repository() {
    let place = Place::new();
    place.ok(&["set", "agent:a", "n", "1"]);
    for _ in 0..3 {
        place.ok(&["backup", "create"]);
    }
    let daily = [
        "backup.max_backups=1",
        "retention.daily_at=04:00",
        "retention.time_zone=UTC",
    ];
    let daily = daily.map(|setting| ["--set", setting]).concat();
    let shown = place.ok(&[&daily[..], &["backup", "schedule"]].concat());
    assert!(
        shown.contains("daily at 04:00:00, UTC") && shown.contains("newest  never"),
        "{shown}"
    );
    let run = [&daily[..], &["backup", "schedule", "--run"]].concat();
    let first = place.json_lines(&run).remove(0);
    assert_eq!(first["made"], json!(null), "no backups are scheduled");
    assert_eq!(
        first["cleaned"],
        json!({"deleted": 2, "purged": 0, "space_freed": 0})
    );
    assert_eq!(place.json_lines(&["backup", "list"]).len(), 1);
    // Another process finds when that was.
    let second = place.json_lines(&run).remove(0);
    assert_eq!(second["cleaned"], json!(null));
    let cleanups = &second["cleanups"];
    let (begun, next) = (&cleanups["newest_unix_ms"], &cleanups["next_run_unix_ms"]);
    let wait = next.as_i64().unwrap() - begun.as_i64().unwrap();
    assert!((1..=86_460_000).contains(&wait), "{wait}");
    let shown = place.ok(&run);
    assert!(!shown.contains("never"), "{shown}");
    let both = [
        &daily[..],
        &["--set", "retention.every=1h", "backup", "schedule"],
    ]
    .concat();
    assert!(place.fails(2, &both).contains("`retention.every` and"));
}
