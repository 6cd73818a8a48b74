//! backup export and import: through files and pipes, dry runs, text that is damaged.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use std::process::Stdio;

use serde_json::{Value, json};
use support::Place;

fn filled() -> Place {
    let place = Place::new();
    place.ok(&["set", "agent:a", "plan", "{\"step\": 1.50}"]);
    place.ok(&["set", "agent:b", "raw", "--bytes", "x"]);
    place.ok(&["--tenant", "acme", "set", "global", "k", "1"]);
    place
}

/// The records of an export, without header and footer.
fn records(text: &str) -> Vec<Value> {
    let lines: Vec<_> = text.lines().collect();
    let inner = &lines[1..lines.len() - 1];
    inner
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_export_goes_to_a_pipe_or_a_file_and_back_into_another_state() {
    let place = filled();
    let text = place.ok(&["backup", "export"]);
    assert_eq!(records(&text).len(), 3);
    assert_eq!(records(&text)[0]["value"].to_string(), r#"{"step":1.5}"#);
    assert!(text.contains("{\"step\": 1.50}"), "{text}");
    for file in ["all.jsonl", "all.json.gz", "all.jsonl.zst"] {
        let report = place.json(&["backup", "export", "--to", file]);
        assert_eq!(report["records"], 3, "{file}");
        assert_eq!(report["path"], json!(place.path(file)));
        let state = format!("copy-of-{file}");
        let args = [
            "--path", &state, "backup", "import", file, "--mode", "replace", "--yes",
        ];
        let report = place.json(&args);
        assert_eq!(
            (&report["written"], &report["times_kept"]),
            (&json!(3), &json!(true))
        );
        let copy = place.ok(&["--path", &state, "backup", "export"]);
        assert_eq!(records(&copy), records(&text), "{file}");
    }
    let message = place.fails(4, &["backup", "export", "--to", "all.jsonl"]);
    assert!(message.contains("is there already"), "{message}");
    place.ok(&["backup", "export", "--to", "all.jsonl", "--overwrite"]);
}

#[test]
fn a_dry_run_shows_what_a_replacement_does() {
    let place = filled();
    let id = place.ok(&["backup", "create"]);
    let args = [
        "backup",
        "export",
        id.trim_end(),
        "--tenant",
        "",
        "--to",
        "old.jsonl",
    ];
    place.ok(&args);
    place.ok(&["set", "agent:a", "plan", "2"]);
    place.ok(&["set", "agent:c", "new", "3"]);
    place.ok(&["delete", "agent:b", "raw"]);
    let replace = ["backup", "import", "old.jsonl", "--mode", "replace"];
    let shown = place.ok(&[&replace[..], &["--dry-run"]].concat());
    assert_eq!(
        shown,
        "1 would be added, 1 changed, 1 removed\n+ agent:b raw\n~ agent:a plan\n- agent:c new\n"
    );
    let message = place.fails(2, &replace);
    assert!(message.contains("--yes"), "{message}");
    assert_eq!(place.ok(&["get", "agent:a", "plan"]), "2\n");
    let run = place.run(&[&replace[..], &["--yes"]].concat());
    assert_eq!(run.stdout, "1 added, 1 changed, 1 removed\n");
    assert!(
        run.stderr.contains("times are those of the import"),
        "{}",
        run.stderr
    );
    assert_eq!(place.ok(&["get", "agent:a", "plan"]), "{\"step\": 1.50}\n");
    assert_eq!(place.ok(&["--tenant", "acme", "get", "global", "k"]), "1\n");
}

#[test]
fn a_moment_in_the_history_of_a_backup_is_exported() {
    let place = Place::new();
    place.ok(&["set", "agent:a", "plan", "1"]);
    place.ok(&["set", "agent:a", "plan", "2"]);
    let id = place.ok(&["backup", "create", "--history"]);
    let id = id.trim_end();
    let value = |more: &[&str]| {
        let text = place.ok(&[&["backup", "export", id], more].concat());
        records(&text)[0]["value"].clone()
    };
    let then = place.json_lines(&["history", "agent:a", "plan"]);
    let then = then.last().unwrap();
    let sequence = then["sequence"].to_string();
    assert_eq!(value(&["--at-sequence", &sequence]), 1);
    assert_eq!(value(&[]), 2);
    let message = place.fails(3, &["backup", "export", id, "--at", "2001-01-01"]);
    assert!(message.contains("ranges"), "{message}");
    // A backup without history has its own moment only.
    let bare = place.ok(&["backup", "create", "--full", "--no-history"]);
    let at = ["backup", "export", bare.trim_end(), "--at-sequence"];
    let message = place.fails(3, &[&at[..], &[&sequence]].concat());
    assert!(message.contains("has not sequence"), "{message}");
}

#[test]
fn lines_of_other_programs_come_in_through_a_pipe() {
    let place = Place::new();
    let import = [
        "backup", "import", "-", "--mode", "merge", "--format", "plain",
    ];
    let lines = b"{\"scope\":\"user:1\",\"key\":\"a\",\"value\":[1, 2]}\n\n\
                  {\"tenant\":\"acme\",\"scope\":\"user:1\",\"key\":\"b\",\"base64\":\"AP8=\"}";
    let run = place.run_with_input(&import, lines);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "2 added, 0 changed, 0 removed\n")
    );
    assert_eq!(place.ok(&["get", "user:1", "a"]), "[1, 2]\n");
    let bad =
        b"{\"scope\":\"user:1\",\"key\":\"c\",\"value\":1}\n{\"scope\":\"user:1\",\"kez\":1}\n";
    let run = place.run_with_input(&import, bad);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("line 2: ") && run.stderr.contains("kez"),
        "{}",
        run.stderr
    );
}

#[test]
fn text_that_was_cut_or_changed_is_refused_and_a_reader_may_go_early() {
    let place = filled();
    let text = place.ok(&["backup", "export"]);
    place.write("cut.jsonl", &text[..text.len() - 20]);
    place.write("changed.jsonl", text.replace("1.50", "1.51"));
    // In the middle of a record, where what is left of the line is no JSON.
    let record = text.find("\"value\"").unwrap();
    place.write("torn.jsonl", &text[..record + 4]);
    // In a number, where what is left is a bad one: once that was a wrong argument, exit code 2.
    place.ok(&["backup", "export", "--to", "all.json"]);
    let document = std::fs::read_to_string(place.path("all.json")).unwrap();
    let number = document.find("\"sequence\":").unwrap() + "\"sequence\":".len();
    place.write("number.json", &document[..number]);
    place.write(
        "digit.json",
        &document[..document.find("1.50").unwrap() + 2],
    );
    place.write("start.json", &document[..8]);
    place.write("empty.jsonl", "");
    let cut = ["number.json", "digit.json", "start.json", "empty.jsonl"];
    let lines = ["cut.jsonl", "torn.jsonl", "changed.jsonl"];
    for file in lines.into_iter().chain(cut) {
        for mode in ["merge", "replace"] {
            let args = ["backup", "import", file, "--mode", mode, "--yes"];
            let run = place.run(&args);
            assert_eq!(run.code, 5, "{file}: {}", run.stderr);
        }
    }
    assert_eq!(place.ok(&["backup", "export"]).len(), text.len());
    let message = place.fails(2, &["backup", "export", "--codec", "lz4"]);
    assert!(message.contains("zstd, gzip or none"), "{message}");
    let long = "x".repeat(20_000);
    let lines: String = (0..200)
        .map(|n| format!("{{\"scope\":\"user:1\",\"key\":\"k{n}\",\"value\":\"{long}\"}}\n"))
        .collect();
    place.write("long.jsonl", lines);
    place.ok(&[
        "backup",
        "import",
        "long.jsonl",
        "--mode",
        "merge",
        "--format",
        "plain",
    ]);
    let mut child = place
        .command(&["backup", "export"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
