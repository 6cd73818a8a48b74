//! Cleanups as an operator makes them: planned, explained, done, and taken back.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use support::Place;

/// A state with so many backups; their ids, oldest first.
fn backed_up(place: &Place, count: usize) -> Vec<String> {
    let made = (0..count).map(|n| {
        place.ok(&["set", "global", "k", &n.to_string()]);
        let made = place.json(&["backup", "create"]);
        made["id"].as_str().unwrap().to_owned()
    });
    made.collect()
}

fn listed(place: &Place) -> Vec<String> {
    let rows = place.json_lines(&["backup", "list"]);
    let ids = rows
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn a_cleanup_is_planned_explained_done_and_taken_back() {
    let place = Place::new();
    let made = backed_up(&place, 5);
    let message = place.fails(1, &["backup", "cleanup", "--yes"]);
    assert!(message.contains("backup.max_backups"), "{message}");

    let keep = ["backup", "cleanup", "--policy", "count:keep=3"];
    let plan = place.ok(&[&keep[..], &["--dry-run"]].concat());
    assert!(
        plan.contains("would delete 2 backups, keep 3 backups"),
        "{plan}"
    );
    assert_eq!(plan.matches("  delete  ").count(), 2, "{plan}");
    assert_eq!(listed(&place), made);
    let message = place.fails(2, &keep);
    assert!(message.contains("--yes"), "{message}");

    // Bytes with a unit, as an option of a policy: all fit, and none but the one that a floor holds.
    for (max, going) in [("20G", 0), ("0.0001K", 4)] {
        let policy = format!("size:max_bytes={max}");
        let size = ["backup", "cleanup", "--dry-run", "--policy", &policy];
        assert_eq!(place.json(&size)["would_delete"], going, "{max}");
    }
    let size = ["--policy", "size:max_bytes=20X"];
    let run = place.run(&[&keep[..2], &["--dry-run"], &size].concat());
    assert!(run.stderr.contains("`512M` or `20GiB`"), "{run:?}");

    let explained = place.ok(&[&keep[..], &["--dry-run", "--explain"]].concat());
    assert!(explained.contains("number 4, and 3 stay"), "{explained}");

    let done = place.json(&[&keep[..], &["--yes"]].concat());
    assert_eq!(
        (&done["evaluated"], &done["retained"], &done["deleted"]),
        (&5.into(), &3.into(), &2.into())
    );
    assert_eq!(
        (&done["would_delete"], &done["space_freed"]),
        (&0.into(), &0.into())
    );
    assert_eq!(listed(&place), made[2..]);
    let trash = place.ok(&["backup", "trash"]);
    assert!(
        trash.contains(&made[0]) && trash.contains(&made[1]),
        "{trash}"
    );
    let message = place.fails(3, &["backup", "show", &made[1]]);
    assert!(message.contains("backup undelete"), "{message}");

    let back = place.ok(&["backup", "undelete", &made[1]]);
    assert!(back.contains("is back"), "{back}");
    assert_eq!(listed(&place), made[1..]);
    place.ok(&["backup", "verify", "--all"]);

    let freed = place.json(&[&keep[..], &["--yes", "--grace", "0"]].concat());
    assert_eq!(freed["collected"]["purged"], serde_json::json!([made[1]]));
    assert!(freed["space_freed"].as_u64().is_some_and(|bytes| bytes > 0));
    assert_eq!(listed(&place), made[2..]);
    place.ok(&["backup", "verify", "--all"]);
    place.ok(&["repository", "check"]);
    place.ok(&["backup", "restore", &made[2], "--yes"]);
    assert_eq!(place.ok(&["get", "global", "k"]).trim(), "2");
}

#[test]
fn limits_hold_after_each_backup() {
    let place = Place::new();
    place.write(
        "statekeep.toml",
        "path = \"state\"\n[backup]\nmax_backups = 2\n",
    );
    let made = backed_up(&place, 4);
    assert_eq!(listed(&place), made[2..]);
    // The oldest one that stays is restored, although the backup before it is one too many.
    place.ok(&["backup", "restore", &made[2], "--yes"]);
    assert_eq!(place.ok(&["get", "global", "k"]).trim(), "2");
    assert_eq!(listed(&place).len(), 3);

    let none = Place::new();
    none.write(
        "statekeep.toml",
        "path = \"state\"\n[backup]\nmax_backups = 0\n",
    );
    let made = backed_up(&none, 2);
    assert_eq!(listed(&none), made[1..], "the backup just made stays");
}

#[test]
fn a_policy_that_cannot_be_asked_deletes_nothing() {
    let place = Place::new();
    let made = backed_up(&place, 2);
    for (policy, said) in [("age", "max_age"), ("count:keep=x", "keep")] {
        let run = place.run(&["backup", "cleanup", "--yes", "--policy", policy]);
        assert_eq!(run.code, 1, "{policy}: {run:?}");
        assert!(
            run.stderr.contains("nothing was deleted") && run.stderr.contains(said),
            "{run:?}"
        );
    }
    // Neither on the command line nor where the configuration names it.
    place.fails(3, &["backup", "cleanup", "--yes", "--policy", "unheard"]);
    let configured = ["--set", r#"retention.policies=[{"policy": "unheard"}]"#];
    let run = place.run(&[&configured[..], &["backup", "cleanup", "--yes"]].concat());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("no policy unheard"), "{run:?}");
    assert_eq!(listed(&place), made);
    let message = place.fails(
        2,
        &["backup", "cleanup", "--dry-run", "--policy", "count:keep"],
    );
    assert!(message.contains("OPTION=VALUE"), "{message}");
}

#[test]
fn backups_are_deleted_by_hand_but_for_pinned_ones() {
    let place = Place::new();
    let made = backed_up(&place, 3);
    place.ok(&["backup", "pin", &made[0]]);
    let message = place.fails(4, &["backup", "delete", &made[1], &made[0], "--yes"]);
    assert!(message.contains("pinned"), "{message}");
    assert_eq!(listed(&place), made, "all of them or none");
    place.ok(&["backup", "delete", &made[1], "--yes"]);
    assert_eq!(listed(&place), [made[0].clone(), made[2].clone()]);
    place.ok(&["backup", "undelete", &made[1]]);
    assert_eq!(listed(&place), made);
    let message = place.fails(3, &["backup", "undelete", &made[1]]);
    assert!(message.contains("not deleted"), "{message}");
}

#[test]
fn the_state_is_cleaned_up_with_its_backups_when_that_is_asked_for() {
    let place = Place::new();
    let limits =
        "path = \"state\"\n[keep]\ncommits = 2\n[[rules]]\nscope = \"session:*\"\nttl_ms = 1\n";
    place.write("statekeep.toml", limits);
    place.ok(&["set", "session:1", "k", "1"]);
    backed_up(&place, 4);
    let dry = ["backup", "cleanup", "--policy", "count:keep=4", "--dry-run"];
    let plan = place.json(&dry);
    let state = &plan["state"];
    assert_eq!(state["limits"]["ttl_patterns"], 1);
    assert_eq!(state["limits"]["keep"]["commits"], 2);
    assert!(state["removed"].is_null() && state["would_remove"].is_null());

    let plan = place.json(&["backup", "cleanup", "--state", "--dry-run"]);
    assert_eq!(plan["state"]["would_remove"]["expired_keys"], 1);
    let text = place.ok(&["backup", "cleanup", "--state", "--yes"]);
    assert!(
        text.contains("removed of the state 1 expired value"),
        "{text}"
    );
    assert_eq!(listed(&place).len(), 4, "no backup goes without a policy");
    let again = place.json(&["backup", "cleanup", "--state", "--yes"]);
    assert_eq!(again["state"]["removed"]["expired_keys"], 0);
    let message = place.fails(1, &["backup", "cleanup", "--yes"]);
    assert!(message.contains("backup.max_backups"), "{message}");
}

#[test]
fn what_is_in_force_is_shown_with_its_source() {
    let place = Place::new();
    place.write(
        "statekeep.toml",
        "[retention]\nmode = \"all\"\npolicies = [{ policy = \"count\", keep = 7 }, { policy = \"age\", max_age = \"3d\" }]\n",
    );
    let shown = place.ok(&["retention", "show", "--set", "retention.grace=2d"]);
    assert!(shown.contains("\u{251c}\u{2500} count(keep 7)"), "{shown}");
    assert!(
        shown.contains("the newest verified full backup of its series"),
        "{shown}"
    );
    let json = place.json(&["retention", "show", "--set", "retention.grace=2d"]);
    let of = |key: &str| {
        let mut rows = json["settings"].as_array().unwrap().iter();
        rows.find(|row| row["key"] == key).unwrap().clone()
    };
    assert_eq!(
        (
            &of("retention.grace")["value"],
            &of("retention.grace")["source"]
        ),
        (&"2d".into(), &"set".into())
    );
    assert!(
        of("retention.mode")["source"]
            .as_str()
            .unwrap()
            .ends_with("statekeep.toml")
    );
    assert_eq!(of("backup.max_backups")["value"], serde_json::Value::Null);
}

#[test]
fn settings_are_tried_and_written_with_the_comments_that_were_there() {
    let place = Place::new();
    place.write("statekeep.toml", "path = \"state\" # here\n");
    let set = [
        "retention",
        "set",
        "max_backups=30",
        "--policy",
        "calendar:daily=7",
    ];
    let told = place.ok(&[&set[..], &["--dry-run"]].concat());
    assert!(told.contains("+max_backups = 30"), "{told}");
    let file = || std::fs::read_to_string(place.path("statekeep.toml")).unwrap();
    assert_eq!(file(), "path = \"state\" # here\n");
    place.ok(&set);
    let wanted = "path = \"state\" # here\n\n[backup]\nmax_backups = 30\n\n[retention]\n\
                  policies = [{ policy = \"calendar\", daily = 7 }]\n";
    assert_eq!(file(), wanted);
    for wrong in [
        "calendar:dayly=7",
        "calender:daily=7",
        "size",
        "count:keep=x",
    ] {
        let run = place.run(&["retention", "set", "--policy", wrong]);
        assert_ne!(run.code, 0, "{wrong}");
        assert_eq!(file(), wanted, "{wrong}: {}", run.stderr);
    }
    for wrong in ["path=x", "grace", "grace=soon"] {
        place.fails(2, &["retention", "set", wrong]);
    }
    place.ok(&["retention", "set", "max_backups="]);
    assert!(!file().contains("max_backups"), "{}", file());
    assert_eq!(
        place.json(&["retention", "show"])["rule_in_words"],
        "calendar(daily 7)"
    );
}

#[test]
fn a_rule_is_tried_on_present_and_on_described_backups() {
    let place = Place::new();
    let days = r#"[{"id": "young", "age_ms": 259200000}, {"id": "old", "age_ms": 864000000}]"#;
    place.write("list.json", days);
    let test = ["retention", "test", "--policy", "age:max_age=7d"];
    let told = place.ok(&[&test[..], &["--backups", "list.json"]].concat());
    assert!(
        told.contains("would delete 1 backup, keep 1 backup"),
        "{told}"
    );
    assert!(told.contains("older than 7d"), "{told}");
    let run = place.run(&[&test[..], &["--backups", "list.json", "--exit-code"]].concat());
    assert_eq!(run.code, 4, "{}", run.stderr);

    let made = backed_up(&place, 3);
    let trial = place.json(&["retention", "test", "--policy", "count:keep=2"]);
    assert_eq!(
        (&trial["would_delete"], &trial["retained"]),
        (&1.into(), &2.into())
    );
    assert_eq!(listed(&place), made);
    let later = place.json(&[&test[..], &["--at", "2999-01-01"]].concat());
    assert_eq!(later["would_delete"], 2, "the newest full one stays");
}

#[test]
fn a_year_is_played_and_drawn_without_a_state() {
    let place = Place::new();
    let simulate = [
        "retention",
        "simulate",
        "--policy",
        "calendar:daily=7,weekly=4,monthly=12",
        "--every",
        "6h",
        "--for",
        "1y",
        "--start",
        "2026-01-01T00:00:00Z",
        "--full-size",
        "1M",
        "--chain-max",
        "0",
    ];
    let told = place.ok(&[&simulate[..], &["--output", "plan.svg"]].concat());
    assert!(told.contains("1461 made"), "{told}");
    assert!(
        told.contains("at most ") && told.contains('\u{2588}'),
        "{told}"
    );
    let svg = std::fs::read_to_string(place.path("plan.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("calendar(daily 7, weekly 4, monthly 12)"));
    assert!(!place.path("state").exists());
    let json = place.json(&simulate);
    assert_eq!(json["lifelines"].as_array().unwrap().len(), 1461);
    assert_eq!(json, place.json(&simulate));
    // Twelve months, of which the last is also a week's and a day's.
    let kept = json["kept"].as_u64().unwrap();
    assert!((19..=23).contains(&kept), "{kept}");
    let message = place.fails(2, &[&simulate[..], &["--output", "plan.png"]].concat());
    assert!(message.contains(".svg"), "{message}");
    let message = place.fails(1, &["retention", "simulate"]);
    assert!(message.contains("backup.max_backups"), "{message}");
    let many = [
        "retention",
        "simulate",
        "--policy",
        "count",
        "--every",
        "1s",
    ];
    assert!(place.fails(2, &many).contains("SIMULATED_MAX"));
}
