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
    for (policy, said) in [
        ("unheard", "unheard"),
        ("age", "max_age"),
        ("count:keep=x", "keep"),
    ] {
        let run = place.run(&["backup", "cleanup", "--yes", "--policy", policy]);
        assert_eq!(run.code, 1, "{policy}: {run:?}");
        assert!(
            run.stderr.contains("nothing was deleted") && run.stderr.contains(said),
            "{run:?}"
        );
    }
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
