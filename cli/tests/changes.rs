//! Conditions, expiry and classes of writes, counters, patches, queries and indexes.

mod support;

use serde_json::json;
use support::Place;

#[test]
fn a_set_may_depend_on_what_is_there() {
    let place = Place::new();
    let first = place.json(&["set", "global", "k", "1", "--if-absent"]);
    let run = place.run(&["--json", "set", "global", "k", "2", "--if-absent"]);
    assert_eq!(
        (run.code, &run.error()["code"]),
        (4, &json!("already_exists"))
    );
    let version = first["sequence"].to_string();
    let second = place.json(&["set", "global", "k", "2", "--if-version", &version]);
    let message = place.fails(4, &["set", "global", "k", "3", "--if-version", &version]);
    assert!(message.contains("version"), "{message}");
    assert_eq!(place.ok(&["get", "global", "k"]), "2\n");

    place.fails(4, &["delete", "global", "k", "--if-version", &version]);
    let version = second["sequence"].to_string();
    place.ok(&["delete", "global", "k", "--if-version", &version]);
    place.fails(3, &["get", "global", "k"]);
    place.fails(
        2,
        &[
            "set",
            "global",
            "k",
            "1",
            "--if-absent",
            "--if-version",
            "1",
        ],
    );
}

#[test]
fn values_expire_and_have_a_class() {
    let place = Place::new();
    place.ok(&[
        "set",
        "session:7",
        "token",
        "1",
        "--ttl",
        "10m",
        "--class",
        "critical",
    ]);
    let facts = place.json(&["get", "session:7", "token"]);
    let number = |name: &str| facts[name].as_i64().unwrap();
    assert_eq!(
        number("expires_unix_ms") - number("changed_unix_ms"),
        600_000
    );
    assert_eq!(facts["class"], "critical");
    place.ok(&[
        "set",
        "session:7",
        "token",
        "1",
        "--expires",
        "2200-01-01T00:00:00Z",
    ]);
    let meta = place.ok(&["get", "session:7", "token", "--meta"]);
    assert!(
        meta.contains("expires     2200-01-01T00:00:00.000Z"),
        "{meta}"
    );
    place.ok(&["set", "session:7", "token", "1", "--expires", "never"]);
    assert_eq!(
        place.json(&["get", "session:7", "token"])["expires_unix_ms"],
        json!(null)
    );

    // What is over is absent, and the past has it.
    place.ok(&["set", "session:7", "old", "1", "--expires", "2001-01-01"]);
    place.fails(3, &["get", "session:7", "old"]);
    assert_eq!(place.ok(&["list", "session:7"]), "token\n");
    assert_eq!(place.ok(&["sweep"]), "1 expired value removed\n");
    assert_eq!(place.json(&["sweep"]), json!({ "removed": 0 }));
    let history = place.ok(&["history", "session:7", "old"]);
    assert!(history.contains("delete (expire)"), "{history}");

    let run = place.run(&["set", "session:7", "k", "1", "--class", "ephemeral"]);
    assert!(
        run.stderr.contains("gone when this command ends"),
        "{}",
        run.stderr
    );
    place.fails(3, &["get", "session:7", "k"]);
    for (option, wrong, right) in [
        ("--ttl", "10", "10m"),
        ("--ttl", "0s", "10m"),
        ("--class", "urgent", "critical"),
        ("--expires", "soon", "2026-03-01"),
    ] {
        let message = place.fails(2, &["set", "session:7", "k", "1", option, wrong]);
        assert!(
            message.contains(wrong) && message.contains(right),
            "{message}"
        );
    }
    place.fails(
        2,
        &[
            "set",
            "global",
            "k",
            "1",
            "--ttl",
            "1s",
            "--expires",
            "never",
        ],
    );
}

#[test]
fn counters_and_patches_print_what_became() {
    let place = Place::new();
    assert_eq!(place.ok(&["increment", "user:1", "visits"]), "1\n");
    assert_eq!(place.ok(&["increment", "user:1", "visits", "-5"]), "-4\n");
    let sum = place.json(&["increment", "user:1", "visits", "0.5"]);
    assert_eq!(
        sum,
        json!({ "scope": "user:1", "key": "visits", "value": -3.5 })
    );
    place.fails(2, &["increment", "user:1", "visits", "x"]);
    place.fails(2, &["increment", "user:1", "visits", "inf"]);

    let merge = ["patch", "user:1", "profile", "--merge"];
    assert_eq!(
        place.ok(&[&merge[..], &["{\"name\": \"Ada\", \"x\": 1}"]].concat()),
        "{\"name\":\"Ada\",\"x\":1}\n"
    );
    let json = ["patch", "user:1", "profile", "--json-patch"];
    let add = r#"[{"op": "add", "path": "/tags", "value": ["a"]}, {"op": "remove", "path": "/x"}]"#;
    place.write("add.json", add);
    assert_eq!(
        place.json(&[&json[..], &["@add.json"]].concat()),
        json!({ "scope": "user:1", "key": "profile", "value": { "name": "Ada", "tags": ["a"] } })
    );
    let run = place.run_with_input(&[&merge[..], &["-"]].concat(), b"{\"tags\": null}");
    assert_eq!(run.stdout, "{\"name\":\"Ada\"}\n");
    let test = r#"[{"op": "test", "path": "/name", "value": "Eve"}]"#;
    place.fails(4, &[&json[..], &[test]].concat());
    place.fails(2, &[&merge[..], &["{"]].concat());
    place.fails(3, &[&json[..], &["@nothing.json"]].concat());
    place.fails(3, &["patch", "user:1", "nothing", "--json-patch", add]);
    place.fails(2, &["patch", "user:1", "profile"]);
    assert!(
        place
            .fails(2, &["increment", "user:1", "profile"])
            .contains("nothing was changed")
    );
}

/// Tasks 1 to 5: the odd ones done, the even ones open.
fn tasks() -> Place {
    let place = Place::new();
    for n in 1..=5 {
        let status = if n % 2 == 0 { "open" } else { "done" };
        let value = json!({ "n": n, "status": status }).to_string();
        place.ok(&["set", &format!("agent:{n}"), "task", &value]);
    }
    place
}

#[test]
fn queries_find_documents_by_flags_and_by_json() {
    let place = tasks();
    let open = "agent:2\ttask\t{\"n\":2,\"status\":\"open\"}\nagent:4\ttask\t{\"n\":4,\"status\":\"open\"}\n";
    assert_eq!(place.ok(&["query", "--where", "status=open"]), open);
    assert_eq!(
        place.ok(&[
            "query",
            "--scope",
            "agent:*",
            "--where",
            "$.n >= 2",
            "--where",
            "status!=done"
        ]),
        open
    );
    let document = r#"{"where": [{"path": "$.status", "eq": "open"}]}"#;
    assert_eq!(place.ok(&["query", document]), open);
    let run = place.run_with_input(&["query", "-"], document.as_bytes());
    assert_eq!(run.stdout, open);
    // Pages are joined, whatever their size.
    let pages = [
        "--set",
        "limits.page_keys_max=1",
        "query",
        "--where",
        "status=open",
    ];
    assert_eq!(place.ok(&pages), open);

    let rows = place.json_lines(&[
        "query", "--order", "n:desc", "--limit", "2", "--select", "n",
    ]);
    assert_eq!(
        rows,
        [
            json!({ "scope": "agent:5", "key": "task", "value": { "$.n": 5 }, "sequence": 5 }),
            json!({ "scope": "agent:4", "key": "task", "value": { "$.n": 4 }, "sequence": 4 })
        ]
    );
    let run = place.run(&["query", "{\"limit\": 3}"]);
    assert_eq!(run.stdout.lines().count(), 3);
    assert!(run.stderr.contains("there is more"), "{}", run.stderr);
    assert_eq!(place.ok(&["query", "--offset", "4"]).lines().count(), 1);
    assert_eq!(
        place
            .ok(&["query", "--filter", "$[?@.n > 4]"])
            .lines()
            .count(),
        1
    );
    assert_eq!(place.ok(&["query", "--where", "!n"]), "");
    assert_eq!(
        place.ok(&["query", "--at-sequence", "2"]).lines().count(),
        2
    );
    place.fails(2, &["query", "{\"scope\": 3}"]);
    place.fails(2, &["query", "{}", "--limit", "3"]);
    place.fails(2, &["query", "--where", "=open"]);
    place.fails(3, &["query", "@nothing.json"]);
}

#[test]
fn indexes_are_built_listed_and_dropped() {
    let place = tasks();
    let create = [
        "index",
        "create",
        "by-status",
        "--scope",
        "agent:*",
        "--on",
        "status",
    ];
    let made = place.json(&create);
    assert_eq!(
        (&made["path"], &made["state"], &made["indexed"]),
        (&json!("$.status"), &json!("ready"), &json!(5))
    );
    place.ok(&create);
    assert!(
        place
            .ok(&["index", "list"])
            .contains("by-status  -       agent:*  $.status  ready")
    );
    assert_eq!(place.json(&["index", "list"])["name"], "by-status");
    let query = [
        "query",
        "--scope",
        "agent:*",
        "--where",
        "status=open",
        "--explain",
    ];
    assert_eq!(place.json(&query)["index"], "by-status");
    let explained = place.ok(&query);
    assert!(explained.contains("index rows  2\n"), "{explained}");

    let other = [
        "index",
        "create",
        "by-status",
        "--scope",
        "agent:*",
        "--on",
        "n",
    ];
    place.fails(4, &other);
    place.fails(
        2,
        &["index", "create", "a b", "--scope", "agent:*", "--on", "n"],
    );
    place.ok(&["index", "drop", "by-status"]);
    assert_eq!(place.ok(&["index", "list"]), "");
    place.fails(3, &["index", "drop", "by-status"]);
    assert!(place.ok(&query).contains("index       none"));
}
