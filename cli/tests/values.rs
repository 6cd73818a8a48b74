//! get, set, delete and list, as a user sees them.

mod support;

use std::process::Stdio;

use serde_json::json;
use support::{Place, Run};

#[test]
fn what_is_set_is_got_listed_and_deleted() {
    let place = Place::new();
    assert_eq!(place.ok(&["set", "global", "theme", "\"dark\""]), "");
    assert_eq!(place.ok(&["get", "global", "theme"]), "\"dark\"\n");
    place.ok(&["set", "user:42", "age", "-7"]);
    assert_eq!(place.ok(&["get", "user:42", "age"]), "-7\n");
    // JSON is kept as it was given, 64 bits and spaces included.
    place.ok(&["set", "global", "big", "{ \"n\": 9223372036854775807 }"]);
    assert_eq!(
        place.ok(&["get", "global", "big"]),
        "{ \"n\": 9223372036854775807 }\n"
    );

    assert_eq!(place.ok(&["list"]), "global\nuser:42\n");
    assert_eq!(place.ok(&["list", "global"]), "big\ntheme\n");
    assert_eq!(place.ok(&["delete", "global", "theme"]), "");
    assert!(
        place
            .fails(3, &["get", "global", "theme"])
            .contains("there is no key \"theme\"")
    );
    assert!(
        place
            .fails(3, &["delete", "global", "theme"])
            .contains("there is no key \"theme\"")
    );
    assert_eq!(place.ok(&["list", "global"]), "big\n");
}

#[test]
fn json_answers_have_the_documented_shapes() {
    let place = Place::new();
    let set = place.json(&["set", "agent:a", "k", "[1, 2]"]);
    assert_eq!(
        (&set["scope"], &set["key"]),
        (&json!("agent:a"), &json!("k"))
    );
    assert!(set["sequence"].as_u64().unwrap() > 0);
    place.ok(&[
        "set",
        "agent:big",
        "n",
        "{\"z\": 123456789012345678901234567890,\n\"a\": 1}",
    ]);
    let big = place.ok(&["--json", "get", "agent:big", "n"]);
    assert!(
        big.contains("{\"z\": 123456789012345678901234567890, \"a\": 1}}\n"),
        "{big}"
    );
    place.ok(&["delete", "agent:big", "n"]);
    let get = place.json(&["get", "agent:a", "k"]);
    assert_eq!(get["value"], json!([1, 2]));
    assert_eq!(get["kind"], "json");
    assert_eq!(get["bytes"], 6);
    assert_eq!(get["sequence"], set["sequence"]);
    // The C ABI's names and units.
    assert!(get["created_unix_ms"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(get["changed_unix_ms"], get["created_unix_ms"]);
    assert!(get.as_object().unwrap().contains_key("expires_unix_ms"));
    assert!(get.get("created").is_none(), "{get}");
    let meta = place.json(&["get", "agent:a", "k", "--meta"]);
    assert!(meta.get("value").is_none());
    assert_eq!(meta["sequence"], get["sequence"]);
    assert!(
        place
            .ok(&["get", "agent:a", "k", "--meta"])
            .contains("kind        json\n")
    );
    let people = place.ok(&["get", "agent:a", "k", "--meta"]);
    let created = people.lines().find(|line| line.starts_with("created "));
    assert!(created.unwrap().ends_with('Z'), "{people}");

    place.ok(&["set", "agent:a", "raw", "--bytes", "f\u{f6}"]);
    let raw = place.json(&["get", "agent:a", "raw"]);
    assert_eq!(
        (&raw["kind"], &raw["base64"]),
        (&json!("bytes"), &json!("ZsO2"))
    );

    assert_eq!(place.json_lines(&["list"]), [json!({ "scope": "agent:a" })]);
    assert_eq!(
        place.json_lines(&["list", "agent:a"]),
        [json!({ "key": "k" }), json!({ "key": "raw" })]
    );
    assert_eq!(
        place.json_lines(&["list", "agent:a", "--values"]),
        [
            json!({ "key": "k", "kind": "json", "value": [1, 2] }),
            json!({ "key": "raw", "kind": "bytes", "base64": "ZsO2" })
        ]
    );
    let deleted = place.json(&["delete", "agent:a", "k"]);
    assert!(deleted["sequence"].as_u64() > set["sequence"].as_u64());

    let run = place.run(&["--json", "get", "agent:a", "k"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    let error = run.error();
    assert_eq!(
        (&error["code"], &error["exit"]),
        (&json!("not_found"), &json!(3))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("there is no key \"k\" in agent:a")
    );
    let run = place.run(&["get", "--json"]);
    assert_eq!((run.code, &run.error()["code"]), (2, &json!("usage")));
}

#[test]
fn keys_may_hold_any_character() {
    let place = Place::new();
    let odd = [
        "a:b",
        "100%",
        "_",
        "*",
        "?",
        "a/b",
        "../x",
        "-dash",
        "two\nlines",
        r"two\nlines",
        "tab\t",
        "\u{1b}[31mred",
        "\u{1f980}",
        " ",
        "\"",
        "'",
        "\\",
    ];
    for key in odd {
        place.ok(&["set", "custom:odd", "--string", "--", key, key]);
    }
    for key in odd {
        let got = place.ok(&["get", "custom:odd", "--", key]);
        assert_eq!(serde_json::from_str::<String>(got.trim_end()).unwrap(), key);
    }
    let mut listed: Vec<String> = place
        .json_lines(&["list", "custom:odd"])
        .iter()
        .map(|line| line["key"].as_str().unwrap().to_owned())
        .collect();
    let mut wanted: Vec<String> = odd.iter().map(ToString::to_string).collect();
    listed.sort();
    wanted.sort();
    assert_eq!(listed, wanted);
    // For people each key is one line, and none of them drives the terminal.
    let shown = place.ok(&["list", "custom:odd"]);
    assert_eq!(shown.lines().count(), odd.len());
    // No two look alike, and values stay JSON.
    let mut lines: Vec<_> = shown.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), odd.len(), "{shown}");
    assert!(shown.contains(r"two\\nlines"), "{shown}");
    for line in place.ok(&["list", "custom:odd", "--values"]).lines() {
        let (_, value) = line.split_once('\t').unwrap();
        let value: String = serde_json::from_str(value).unwrap();
        assert!(odd.contains(&value.as_str()), "{line}");
    }
    assert!(
        shown.contains("two\\nlines\n") && shown.contains("\\u{1b}[31mred\n"),
        "{shown}"
    );
    // `custom:a` never sees `custom:a:b`.
    place.ok(&["set", "custom:a:b", "k", "1"]);
    assert_eq!(place.ok(&["list", "custom:a"]), "");
    assert!(
        place
            .fails(2, &["set", "global", "", "1"])
            .contains("1 to 512 are allowed")
    );
    assert!(place.fails(2, &["get", "globl", "k"]).contains("`globl`"));
    assert_eq!(place.ok(&["list", "custom:odd", "--glob", "1*%"]), "100%\n");
    assert_eq!(
        place.ok(&["list", "custom:odd", "--prefix", "a"]),
        "a/b\na:b\n"
    );
}

#[test]
fn values_come_from_files_and_standard_input() {
    let place = Place::new();
    let raw: Vec<u8> = (0..=255).collect();
    place.write("raw.bin", &raw);
    place.ok(&["set", "global", "file", "--bytes", "--file", "raw.bin"]);
    assert_eq!(place.run(&["get", "global", "file"]).bytes, raw);
    let run = place.run_with_input(&["set", "global", "in", "--file", "-"], b"{\"a\":\n1}\n");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(place.ok(&["get", "global", "in"]), "{\"a\":\n1}\n\n");
    assert_eq!(
        place.ok(&["list", "global", "--values", "--prefix", "in"]),
        "in\t{\"a\": 1}\n"
    );

    let message = place.fails(2, &["set", "global", "k", "hello"]);
    assert!(
        message.contains("--string") && message.contains("quote it"),
        "{message}"
    );
    place.ok(&["set", "global", "k", "--string", "hello"]);
    assert_eq!(place.ok(&["get", "global", "k"]), "\"hello\"\n");
    assert!(place.fails(2, &["set", "global", "k"]).contains("required"));
    assert!(
        place
            .fails(2, &["set", "global", "k", "1", "--file", "x"])
            .contains("cannot be used")
    );
    assert!(
        place
            .fails(3, &["set", "global", "k", "--file", "none"])
            .contains("read none")
    );
    let message = place.fails(2, &["set", "global", "k", "--string", "--file", "raw.bin"]);
    assert!(message.contains("not UTF-8"), "{message}");
    let limit = ["--set", "limits.value_bytes_max=3"];
    let message = place.fails(2, &[&limit[..], &["set", "global", "k", "12345"]].concat());
    assert!(message.contains("value_bytes_max"), "{message}");
    assert_eq!(place.ok(&["get", "global", "k"]), "\"hello\"\n");
}

#[test]
fn listings_go_on_where_they_ended() {
    let place = Place::new();
    for key in ["a", "b", "c", "d", "e"] {
        place.ok(&["set", "global", key, "1"]);
    }
    // Pages of two are joined.
    let pages = ["--set", "limits.page_keys_max=2", "list", "global"];
    assert_eq!(place.ok(&pages), "a\nb\nc\nd\ne\n");
    let run = place.run(&["list", "global", "--limit", "3"]);
    assert_eq!(run.stdout, "a\nb\nc\n");
    assert!(run.stderr.contains("--after \"c\""), "{}", run.stderr);
    assert_eq!(
        place.ok(&["list", "global", "--limit", "3", "--after", "c"]),
        "d\ne\n"
    );
    assert_eq!(
        place.run(&["-q", "list", "global", "--limit", "3"]).stderr,
        ""
    );
    place.fails(2, &["list", "global", "--limit", "0"]);
    place.fails(2, &["list", "--values"]);
}

#[test]
fn tenants_do_not_see_each_other() {
    let place = Place::new();
    place.ok(&["--tenant", "acme", "set", "global", "k", "1"]);
    place.ok(&["set", "global", "k", "0"]);
    assert_eq!(place.ok(&["get", "global", "k", "--tenant", "acme"]), "1\n");
    assert_eq!(place.ok(&["get", "global", "k"]), "0\n");
    assert_eq!(place.ok(&["list", "--tenant", "other"]), "");
    place.fails(3, &["get", "global", "k", "--tenant", "other"]);
}

#[test]
fn reading_never_creates_a_state() {
    let place = Place::new();
    for args in [
        &["get", "global", "k"][..],
        &["delete", "global", "k"],
        &["list"],
        &["list", "global"],
        &["backup", "create"],
        &["backup", "list"],
        &["backup", "verify", "--all"],
    ] {
        let message = place.fails(3, args);
        assert!(message.contains("state"), "{args:?}: {message}");
        assert!(!place.path("state").exists(), "{args:?}");
    }
    let message = place.fails(3, &["--set", "create=false", "set", "global", "k", "1"]);
    assert!(message.contains("state"), "{message}");
    assert!(!place.path("state").exists());
    // A folder with somebody's files in it is no place for a state.
    std::fs::create_dir(place.path("state")).unwrap();
    place.write("state/letter.txt", "mine");
    let run = place.run(&["set", "global", "k", "1"]);
    assert_ne!(run.code, 0, "{}", run.stderr);
    assert_eq!(
        std::fs::read(place.path("state/letter.txt")).unwrap(),
        b"mine"
    );
}

#[test]
fn a_state_that_another_process_has_open_is_busy() {
    let place = Place::new();
    let host = statekeep::open(&statekeep::Config::new(place.path("state"))).unwrap();
    let message = place.fails(4, &["set", "global", "k", "1"]);
    assert!(
        message.contains(&std::process::id().to_string()),
        "{message}"
    );
    let run = place.run(&["get", "global", "k", "--json"]);
    assert_eq!((run.code, &run.error()["code"]), (4, &json!("busy")));
    host.close().unwrap();
    drop(host);
    place.ok(&["set", "global", "k", "1"]);
}

#[test]
fn a_closed_pipe_is_no_fault_and_a_full_disk_is() {
    let place = Place::new();
    let big = format!("[{}0]", "0,".repeat(200_000));
    place.write("big.json", &big);
    place.ok(&["set", "global", "big", "--file", "big.json"]);
    let mut command = place.command(&["get", "global", "big"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = Run::of(
        command
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .output()
            .unwrap(),
    );
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));

    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = place.command(&["list", "global"]);
    let run = Run::of(
        command
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap(),
    );
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("cannot write to standard output"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_memory_backend_says_that_nothing_stays() {
    let place = Place::new();
    let run = place.run(&["--backend", "memory", "set", "global", "k", "1"]);
    assert!(
        run.stderr.contains("keeps nothing"),
        "{} {}",
        run.code,
        run.stderr
    );
}
