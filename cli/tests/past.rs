//! Reading the past: get and list at a time or sequence, history, diff, and who made a change.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use serde_json::json;
use support::{Place, Run};

/// A profile with three versions, a deleted note, and the times of the versions as `get` shows them.
fn told() -> (Place, Vec<String>) {
    let place = Place::new();
    let mut times = Vec::new();
    let by = ["--principal", "agent-7", "--correlation-id", "req-1"];
    let sets = [
        r#"{"name": "Ada"}"#,
        r#"{"name": "Eve"}"#,
        r#"{"name": "Bea"}"#,
    ];
    for (at, value) in sets.iter().enumerate() {
        let set = ["set", "user:42", "profile", value];
        let by = if at == 1 { &by[..] } else { &[] };
        place.ok(&[&set[..], by].concat());
        let meta = place.ok(&["get", "user:42", "profile", "--meta"]);
        let changed = meta.lines().find_map(|line| line.strip_prefix("changed"));
        times.push(changed.unwrap().trim().to_owned());
    }
    place.ok(&["set", "user:42", "note", "1"]);
    place.ok(&["delete", "user:42", "note"]);
    (place, times)
}

fn get(place: &Place, args: &[&str]) -> String {
    place.ok(&[&["get", "user:42", "profile"], args].concat())
}

#[test]
fn a_key_is_read_as_it_was_at_a_sequence_and_at_a_time() {
    let (place, times) = told();
    assert_eq!(
        get(&place, &["--at-sequence", "1"]),
        "{\"name\": \"Ada\"}\n"
    );
    assert_eq!(
        get(&place, &["--at-sequence", "5"]),
        "{\"name\": \"Bea\"}\n"
    );
    // A time that `get` or `history` showed leads to what was committed then.
    assert_eq!(get(&place, &["--at", &times[0]]), "{\"name\": \"Ada\"}\n");
    assert_eq!(get(&place, &["--at", &times[1]]), "{\"name\": \"Eve\"}\n");
    let then = place.json(&["get", "user:42", "profile", "--at-sequence", "2"]);
    assert_eq!(
        (&then["value"], &then["sequence"], &then["class"]),
        (&json!({"name": "Eve"}), &json!(2), &json!("standard"))
    );

    assert_eq!(
        place.ok(&["list", "user:42", "--at-sequence", "4"]),
        "note\nprofile\n"
    );
    assert_eq!(place.ok(&["list", "user:42"]), "profile\n");
    assert_eq!(
        place.ok(&["list", "user:42", "--values", "--at", &times[1]]),
        "profile\t{\"name\": \"Eve\"}\n"
    );
    assert_eq!(place.ok(&["list", "--at-sequence", "0"]), "");

    let message = place.fails(3, &["get", "user:42", "note", "--at-sequence", "5"]);
    assert!(
        message.contains("\"note\" in user:42 at sequence 5"),
        "{message}"
    );
    place.fails(3, &["get", "user:42", "profile", "--at", "2020-01-01"]);
    let message = place.fails(2, &["get", "user:42", "profile", "--at-sequence", "6"]);
    assert!(message.contains("the last commit is 5"), "{message}");
    place.fails(
        2,
        &[
            "get",
            "user:42",
            "profile",
            "--at-sequence",
            "1",
            "--at",
            &times[0],
        ],
    );
}

#[test]
fn times_are_local_and_what_is_none_is_told_the_accepted_forms() {
    let (place, times) = told();
    // The same digits without an offset, in three zones.
    let local = times[0].trim_end_matches('Z').replace('T', " ");
    let at = |zone: &str| {
        let mut command = place.command(&["get", "user:42", "profile", "--at", &local]);
        Run::of(command.env("TZ", zone).output().unwrap())
    };
    assert_eq!(at("UTC0").stdout, "{\"name\": \"Ada\"}\n");
    let earlier = at("AAA-3");
    assert_eq!((earlier.code, earlier.stdout.as_str()), (3, ""));
    let later = at("AAA3");
    assert_eq!(
        (later.code, later.stdout.as_str()),
        (2, ""),
        "{}",
        later.stderr
    );

    for wrong in ["yesterday", "14:03", "1772366400", "2026-02-30"] {
        let message = place.fails(2, &["get", "user:42", "profile", "--at", wrong]);
        assert!(message.contains(wrong), "{message}");
        assert!(message.contains("\"2026-03-01 14:03\""), "{message}");
        assert!(message.contains("2026-03-01T14:03:05Z"), "{message}");
    }
    let mut command = place.command(&["get", "user:42", "k", "--at", "2026-10-25 02:30"]);
    let twice = Run::of(
        command
            .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
            .output()
            .unwrap(),
    );
    assert_eq!(twice.code, 2);
    assert!(
        twice.stderr.contains("twice") && twice.stderr.contains("02:30:00+02"),
        "{}",
        twice.stderr
    );
}

#[test]
fn history_tells_each_version_and_who_made_it() {
    let (place, times) = told();
    let shown = place.ok(&["history", "user:42", "profile"]);
    let lines: Vec<Vec<&str>> = (shown.lines())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["SEQUENCE", "TIME", "OP", "WHO", "SIZE", "VALUE"]);
    assert_eq!(
        lines[1],
        [
            "3",
            &times[2],
            "put",
            "-",
            "15",
            "B",
            "{\"name\":",
            "\"Bea\"}"
        ]
    );
    assert_eq!(lines[2][..5], ["2", &times[1], "put", "agent-7", "(req-1)"]);
    assert_eq!(lines.len(), 4);

    let versions = place.json_lines(&["history", "user:42", "note"]);
    let facts = |at: usize| {
        (
            &versions[at]["sequence"],
            &versions[at]["op"],
            &versions[at]["until"],
        )
    };
    assert_eq!(facts(0), (&json!(5), &json!("delete"), &json!(null)));
    assert_eq!(facts(1), (&json!(4), &json!("put"), &json!(5)));
    assert_eq!(versions[1]["record"]["value"], json!(1));
    assert_eq!(versions.len(), 2);
    let versions = place.json_lines(&["history", "user:42", "profile"]);
    assert_eq!(
        (&versions[1]["principal"], &versions[1]["correlation_id"]),
        (&json!("agent-7"), &json!("req-1"))
    );

    // The environment names them too, the option above it.
    let mut command = place.command(&["set", "user:42", "note", "2"]);
    command
        .env("STATEKEEP_PRINCIPAL", "cron")
        .env("STATEKEEP_CORRELATION_ID", "nightly");
    assert!(command.status().unwrap().success());
    assert!(
        place
            .ok(&["history", "user:42", "note"])
            .contains("cron (nightly)")
    );
    let check = place
        .command(&["--json", "config", "check"])
        .env("STATEKEEP_PRINCIPAL", "cron")
        .output();
    assert!(
        Run::of(check.unwrap())
            .stdout
            .contains("\"ignored_variables\":[]")
    );

    let run = place.run(&["history", "user:42", "profile", "--limit", "2"]);
    assert_eq!(run.stdout.lines().count(), 3);
    assert!(run.stderr.contains("--before 2"), "{}", run.stderr);
    let rest = place.ok(&["history", "user:42", "profile", "--before", "2"]);
    assert!(rest.lines().nth(1).unwrap().contains("Ada"), "{rest}");

    let long = format!("\"{}\"", "x".repeat(100));
    place.ok(&["set", "user:42", "long", &long]);
    assert!(!place.ok(&["history", "user:42", "long"]).contains(&long));
    assert!(
        place
            .ok(&["history", "user:42", "long", "--values"])
            .contains(&long)
    );
    let message = place.fails(3, &["history", "user:42", "nothing"]);
    assert!(message.contains("\"nothing\""), "{message}");
}

#[test]
fn diff_marks_what_came_changed_and_went() {
    let (place, times) = told();
    place.ok(&["set", "user:42", "later", "true", "--class", "bulk"]);
    place.ok(&["set", "user:42", "later", "true", "--class", "critical"]);
    let run = place.run(&["diff", "1", "4"]);
    assert_eq!(
        run.stdout,
        "+  user:42  note     1\n\
         ~  user:42  profile  {\"name\": \"Ada\"} -> {\"name\": \"Bea\"}\n"
    );
    assert!(
        run.stderr
            .contains("2 keys differ between sequence 1 and 4"),
        "{}",
        run.stderr
    );
    assert_eq!(place.ok(&["diff", "4", "5"]), "-  user:42  note  1\n");
    assert_eq!(
        place.ok(&["diff", "6"]),
        "~  user:42  later  class bulk -> critical\n"
    );
    // Times stand for the last commit until then; nothing that differs is no error.
    let by_time = place.ok(&["diff", &times[0], &times[1]]);
    assert_eq!(
        by_time,
        "~  user:42  profile  {\"name\": \"Ada\"} -> {\"name\": \"Eve\"}\n"
    );
    assert_eq!(place.ok(&["diff", "4", "now", "--scope", "user:7"]), "");
    assert_eq!(
        place.ok(&["diff", "0", "4", "--scope", "user:42", "--prefix", "no"]),
        "+  user:42  note  1\n"
    );
    let entries = place.json_lines(&["diff", "3", "5"]);
    assert!(entries.is_empty(), "{entries:?}");
    let entries = place.json_lines(&["diff", "1", "2"]);
    assert_eq!(
        (
            &entries[0]["change"],
            &entries[0]["before"]["value"],
            &entries[0]["after"]["sequence"]
        ),
        (&json!("changed"), &json!({"name": "Ada"}), &json!(2))
    );
    assert!(
        place
            .fails(2, &["diff", "4", "1"])
            .contains("4 comes after 1")
    );
    let message = place.fails(2, &["diff", "1", "soon"]);
    assert!(message.contains("or a sequence, or `now`"), "{message}");
    place.fails(2, &["diff", "1", "--prefix", "no"]);
}

#[test]
fn a_past_that_was_trimmed_is_not_found() {
    let (place, _) = told();
    place.ok(&["--set", "keep.commits=2", "trim"]);
    for args in [
        &["get", "user:42", "profile", "--at-sequence", "1"][..],
        &["diff", "1"],
    ] {
        let message = place.fails(3, args);
        assert!(message.contains("has been trimmed"), "{message}");
    }
    let run = place.run(&["--json", "get", "user:42", "profile", "--at-sequence", "1"]);
    assert_eq!((run.code, &run.error()["code"]), (3, &json!("compacted")));
    let lines = place.json_lines(&["history", "user:42", "profile"]);
    assert_eq!(lines.last().unwrap(), &json!({ "compacted": 3 }));
    assert_eq!(lines.len(), 2, "{lines:?}");
}
