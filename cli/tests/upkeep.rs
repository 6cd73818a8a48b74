//! Watches and cursors, trimming, live swaps and the way back.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;
use support::Place;

fn counted(times: usize) -> Place {
    let place = Place::new();
    for _ in 0..times {
        place.ok(&["increment", "agent:a", "n"]);
    }
    place
}

#[test]
fn a_watch_prints_what_was_committed() {
    let place = counted(2);
    place.ok(&["set", "user:1", "k", "true", "--principal", "ada"]);
    place.ok(&["delete", "user:1", "k"]);
    let watch = ["watch", "--from", "oldest", "--timeout", "0s"];
    let shown = place.ok(&[&watch[..], &["--values"]].concat());
    let lines: Vec<Vec<&str>> = (shown.lines())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 4, "{shown}");
    assert_eq!(
        (lines[1][0], &lines[1][2..]),
        ("2", &["put", "agent:a", "n", "2"][..])
    );
    assert_eq!(lines[2][2..], ["put", "user:1", "k", "by", "ada", "true"]);
    assert_eq!(
        (lines[3][0], &lines[3][2..]),
        ("4", &["delete", "user:1", "k"][..])
    );

    let changes = place.json_lines(&[
        "watch",
        "--from",
        "2",
        "--scope",
        "user:*",
        "--timeout",
        "0s",
    ]);
    assert_eq!(
        (
            &changes[0]["sequence"],
            &changes[0]["op"],
            &changes[0]["principal"]
        ),
        (&json!(3), &json!("put"), &json!("ada"))
    );
    assert!(changes[0].get("value").is_none());
    assert_eq!(changes.len(), 2);
    assert_eq!(
        place
            .ok(&[&watch[..], &["--limit", "1"]].concat())
            .lines()
            .count(),
        1
    );
    assert_eq!(place.ok(&[&watch[..], &["--key", "z*"]].concat()), "");
    assert_eq!(place.ok(&["watch", "--timeout", "0s"]), "");
    place.fails(2, &["watch", "--from", "99"]);
    place.fails(2, &["watch", "--from", "soon"]);
    place.fails(2, &["watch", "--cursor", "a b"]);

    place.ok(&["--tenant", "acme", "set", "global", "k", "1"]);
    let all = ["watch", "--from", "4", "--all-tenants", "--timeout", "0s"];
    assert!(place.ok(&all).contains("[acme]  global  k"));
    assert_eq!(place.ok(&["watch", "--from", "4", "--timeout", "0s"]), "");
}

#[test]
fn a_cursor_goes_on_after_what_was_printed_also_after_ctrl_c() {
    let place = counted(1);
    let watch = ["watch", "--cursor", "mailer"];
    let run = place.run(&[&watch[..], &["--timeout", "0s"]].concat());
    assert!(run.stderr.contains("`mailer` was made"), "{}", run.stderr);
    place.ok(&["increment", "agent:a", "n"]);
    place.ok(&["increment", "agent:a", "n"]);
    let list = place.json(&["cursor", "list"]);
    assert_eq!(
        (&list["name"], &list["sequence"]),
        (&json!("mailer"), &json!(1))
    );
    let table = place.ok(&["cursor", "list"]);
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("mailer         1       2  "),
        "{table}"
    );

    place.ok(&["backup", "create"]);
    let table = place.ok(&["cursor", "list"]);
    let of: Vec<_> = table.lines().skip(1).map(|line| line.trim_end()).collect();
    assert!(of[0].ends_with("a reader"), "{table}");
    assert!(
        of[1].starts_with("statekeep.backup.") && of[1].ends_with("backups"),
        "{table}"
    );

    let one = place.ok(&[&watch[..], &["--limit", "1"]].concat());
    assert!(one.trim_start().starts_with("2 "), "{one}");
    // It waits for more until Ctrl-C, which is its regular end.
    let mut child = place
        .command(&watch)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.trim_start().starts_with("3 "), "{line}");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.next().is_none());
    assert_eq!(place.ok(&[&watch[..], &["--timeout", "0s"]].concat()), "");
    assert_eq!(place.json_lines(&["cursor", "list"])[0]["sequence"], 3);

    place.ok(&["cursor", "delete", "mailer"]);
    assert!(!place.ok(&["cursor", "list"]).contains("mailer"));
    place.fails(3, &["cursor", "delete", "mailer"]);
}

#[test]
fn trim_forgets_what_nobody_needs() {
    let place = counted(6);
    place.ok(&["watch", "--cursor", "slow", "--timeout", "0s"]);
    for _ in 0..4 {
        place.ok(&["increment", "agent:a", "n"]);
    }
    let keep = ["--set", "keep.commits=1"];
    let dry = place.json(&[&keep[..], &["trim", "--dry-run"]].concat());
    assert_eq!(
        (&dry["dry_run"], &dry["floor_before"], &dry["floor"]),
        (&json!(true), &json!(0), &json!(6))
    );
    let upkeep = place.ok(&[&keep[..], &["upkeep"]].concat());
    assert!(
        upkeep.contains("keeps  at most 30d of it and 1 commits"),
        "{upkeep}"
    );
    assert!(
        upkeep.contains("kept for longer by the cursor `slow`"),
        "{upkeep}"
    );
    assert_eq!(place.json(&[&keep[..], &["upkeep"]].concat())["due"], dry);
    place.ok(&["get", "agent:a", "n", "--at-sequence", "1"]);

    let done = place.ok(&[&keep[..], &["trim"]].concat());
    assert!(
        done.contains("read from sequence 6 on, before from 0"),
        "{done}"
    );
    place.fails(3, &["get", "agent:a", "n", "--at-sequence", "5"]);
    assert_eq!(
        place.ok(&["get", "agent:a", "n", "--at-sequence", "6"]),
        "6\n"
    );
    place.fails(3, &["watch", "--from", "0", "--timeout", "0s"]);
    let rest = place.ok(&["watch", "--from", "oldest", "--timeout", "0s"]);
    assert!(rest.trim_start().starts_with("7 "), "{rest}");
}

/// Ids of the namespaces, oldest first, and which one is in use.
fn namespaces(place: &Place) -> (Vec<String>, usize) {
    let listed = place.json_lines(&["namespace", "list"]);
    let id = |one: &serde_json::Value| one["namespace"].as_str().unwrap().to_owned();
    let current = listed.iter().position(|one| one["is_current"] == true);
    (listed.iter().map(id).collect(), current.unwrap())
}

#[test]
fn a_swap_moves_everything_and_can_be_undone() {
    let place = counted(3);
    let run = place.run(&["swap", "sqlite"]);
    assert_eq!(run.stdout, "1 record moved from fjall to sqlite\n");
    assert!(run.stderr.contains("namespace undo"), "{}", run.stderr);
    assert_eq!(place.ok(&["get", "agent:a", "n"]), "3\n");
    assert_eq!(
        place.ok(&["get", "agent:a", "n", "--at-sequence", "1"]),
        "1\n"
    );
    let (ids, current) = namespaces(&place);
    assert_eq!((ids.len(), current), (2, 1));
    let table = place.ok(&["namespace", "list"]);
    assert!(
        table.lines().nth(1).unwrap().ends_with("replaced"),
        "{table}"
    );

    // Nothing is lost by going back at once; a commit since is lost only on request.
    let end = &ids[0][20..];
    let undone = place.json(&["namespace", "undo", end]);
    assert_eq!(
        (&undone["backend"], &undone["sequence"]),
        (&json!("fjall"), &json!(4))
    );
    place.ok(&["increment", "agent:a", "n"]);
    let message = place.fails(4, &["namespace", "undo", &ids[1]]);
    assert!(
        message.contains("1 commit was made") && message.contains("lost; give --yes"),
        "{message}"
    );
    assert_eq!(place.ok(&["get", "agent:a", "n"]), "4\n");
    place.ok(&["namespace", "undo", &ids[1], "--yes"]);
    assert_eq!(place.ok(&["get", "agent:a", "n"]), "3\n");

    let message = place.fails(2, &["namespace", "release", &ids[0]]);
    assert!(message.contains("--yes"), "{message}");
    place.fails(4, &["namespace", "release", &ids[1], "--yes"]);
    place.fails(4, &["namespace", "undo", &ids[1]]);
    place.ok(&["namespace", "release", &ids[0], "--yes"]);
    assert_eq!(namespaces(&place), (vec![ids[1].clone()], 0));
    place.fails(3, &["namespace", "undo", &ids[0]]);
}

#[test]
fn a_swap_that_cannot_be_leaves_the_state_as_it_was() {
    let place = counted(1);
    place.fails(3, &["swap", "nosuch"]);
    let message = place.fails(2, &["swap", "memory"]);
    assert!(message.contains("keeps nothing"), "{message}");
    place.fails(2, &["swap", "sled", "--option", "nosuch=1"]);
    place.fails(2, &["swap", "sled", "--option", "nosuch"]);
    assert_eq!(namespaces(&place).1, 0);
    // The configuration has to follow, which is said.
    let swap = place.run(&["--backend", "fjall", "--json", "swap", "redb"]);
    assert_eq!(swap.code, 0, "{}", swap.stderr);
    assert!(swap.stderr.contains("make it `redb`"), "{}", swap.stderr);
    let report: serde_json::Value = serde_json::from_str(&swap.stdout).unwrap();
    assert_eq!(
        (&report["from"], &report["to"], &report["records"]),
        (&json!("fjall"), &json!("redb"), &json!(1))
    );
    place.fails(4, &["--backend", "fjall", "get", "agent:a", "n"]);
    assert_eq!(place.ok(&["get", "agent:a", "n"]), "1\n");
}

#[test]
fn metrics_are_text_for_prometheus_and_the_same_as_json() {
    let place = counted(2);
    place.ok(&["backup", "create"]);
    let text = place.ok(&["metrics"]);
    let line = |name: &str| {
        let start = format!("{name}{{state_id=");
        let mut own = text.lines().filter(|line| line.starts_with(&start));
        own.next().unwrap_or_default().to_owned()
    };
    assert!(line("statekeep_head_sequence").ends_with("\"} 2"), "{text}");
    assert!(line("statekeep_backups").ends_with("kind=\"full\"} 1"));
    assert!(text.ends_with("# EOF\n"));
    let families = place.json_lines(&["metrics"]);
    let named = families.iter().filter(|family| {
        let name = family["name"].as_str().unwrap();
        text.contains(&format!("# TYPE {} ", name.trim_end_matches("_total")))
    });
    assert_eq!(named.count(), families.len());
    assert_eq!(text.matches("# TYPE ").count(), families.len());
    let head = families
        .iter()
        .find(|one| one["name"] == "statekeep_head_sequence");
    let head = head.unwrap();
    assert_eq!(
        (&head["kind"], &head["samples"][0]["value"]),
        (&json!("gauge"), &json!(2))
    );
    let empty = Place::new();
    assert!(empty.fails(3, &["metrics"]).contains("there is no state"));
}
