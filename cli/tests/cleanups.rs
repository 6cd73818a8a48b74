//! Several processes on one repository at the same time: backups, cleanups, restores and verifications.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use std::process::{Child, Stdio};

use serde_json::Value;
use support::{Place, Run};

/// States that share a repository; a process has one state.
const STATES: [&str; 4] = ["maker", "cleaner", "reader", "verifier"];
const ROUNDS: usize = 5;

fn with<'a>(state: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    let dir = "backup.dir=repository";
    [&["--path", state, "--set", dir], args].concat()
}

fn start(place: &Place, state: &str, args: &[&str]) -> Child {
    let mut command = place.command(&with(state, args));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ids(place: &Place) -> Vec<String> {
    let list = place.json_lines(&with("maker", &["backup", "list"]));
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    list.iter().map(id).collect()
}

#[test]
fn processes_that_share_a_repository_take_nothing_from_one_another() {
    let place = Place::new();
    for state in STATES {
        place.ok(&with(state, &["set", "global", "k", "0"]));
    }
    for n in 0..4 {
        place.ok(&with("maker", &["set", "global", "k", &n.to_string()]));
        place.ok(&with("maker", &["backup", "create"]));
    }
    let clean = |keep: &'static str| -> Vec<&'static str> {
        vec![
            "backup", "cleanup", "--policy", keep, "--grace", "0", "--yes",
        ]
    };
    let mut restored = 0;
    for n in 4..4 + ROUNDS {
        let oldest = ids(&place).remove(0);
        let value = n.to_string();
        place.ok(&with("maker", &["set", "global", "k", &value]));
        let restore = ["backup", "restore", &oldest, "--yes", "--no-safety-backup"];
        let verify = ["backup", "verify", "--all"];
        // All of them at once, twice cleanups; who comes first is for the machine to say.
        let running = [
            ("restore", start(&place, "reader", &restore)),
            ("cleanup", start(&place, "cleaner", &clean("count:keep=3"))),
            ("verify", start(&place, "verifier", &verify)),
            ("backup", start(&place, "maker", &["backup", "create"])),
        ];
        for (what, child) in running {
            let run = Run::of(child.wait_with_output().unwrap());
            let gone = ["no backup", "was deleted by"];
            let is_gone = run.code == 3 && gone.iter().any(|how| run.stderr.contains(how));
            match what {
                // It was deleted or purged before its mark was there.
                "restore" if is_gone => {}
                _ => assert_eq!(run.code, 0, "{what}: {run:?}"),
            }
            restored += usize::from(what == "restore" && run.code == 0);
        }
        let cleanups = [
            start(&place, "cleaner", &clean("count:keep=2")),
            start(&place, "verifier", &clean("count:keep=3")),
        ];
        for child in cleanups {
            let run = Run::of(child.wait_with_output().unwrap());
            assert_eq!(run.code, 0, "{run:?}");
        }
        place.ok(&with("maker", &["backup", "verify", "--all"]));
        let check = place.json(&with("maker", &["repository", "check"]));
        assert_eq!(check["is_valid"], true, "{check}");
        let newest = ids(&place).pop().unwrap();
        let shown = with(
            "reader",
            &["backup", "restore", &newest, "--yes", "--no-safety-backup"],
        );
        place.ok(&shown);
        let got = place.ok(&with("reader", &["get", "global", "k"]));
        assert_eq!(got.trim(), value, "the newest backup is whole");
    }
    place.ok(&with("cleaner", &clean("count:keep=1")));
    assert_eq!(ids(&place).len(), 1, "{restored} restores ended well");
    let check = place.json(&with("maker", &["repository", "check"]));
    assert_eq!(check["strays"]["objects"], 0, "{check}");
}
