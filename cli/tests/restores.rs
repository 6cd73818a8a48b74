//! backup restore of all and of a part, in place, elsewhere and onto another backend, what it would
//! change, and the way back.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use serde_json::json;
use support::Place;

#[test]
fn a_restore_brings_back_what_was_backed_up_and_nothing_else() {
    let place = Place::new();
    place.ok(&["set", "agent:a", "memory", "{\"mood\": \"good\"}"]);
    place.ok(&["set", "agent:a", "raw", "--bytes", "x"]);
    place.ok(&["--tenant", "acme", "set", "global", "k", "1"]);
    let run = place.run(&["backup", "create", "--label", "before", "--tag", "daily"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let id = run.stdout.trim_end();
    assert!(
        run.stderr.contains("3 records at sequence"),
        "{}",
        run.stderr
    );

    place.ok(&["set", "agent:a", "memory", "\"ruined\""]);
    place.ok(&["set", "agent:b", "new", "1"]);
    place.ok(&["delete", "agent:a", "raw"]);

    // Nobody can be asked: the state stays as it is.
    let message = place.fails(2, &["backup", "restore", id]);
    assert!(message.contains("--yes"), "{message}");
    assert_eq!(place.ok(&["get", "agent:a", "memory"]), "\"ruined\"\n");

    // The start of the id is enough, in either case.
    let start = id[..10].to_lowercase();
    assert!(
        place
            .ok(&["backup", "restore", &start, "--yes"])
            .contains("3 records")
    );
    assert_eq!(
        place.ok(&["get", "agent:a", "memory"]),
        "{\"mood\": \"good\"}\n"
    );
    assert_eq!(place.ok(&["get", "agent:a", "raw"]), "x");
    assert_eq!(place.ok(&["get", "global", "k", "--tenant", "acme"]), "1\n");
    place.fails(3, &["get", "agent:b", "new"]);
    // Sequences go on rising.
    let set = place.json(&["set", "agent:a", "memory", "2"]);
    let manifest = place.json(&["backup", "show", id]);
    assert!(set["sequence"].as_u64() > manifest["sequence_to"].as_u64());
}

#[test]
fn a_damaged_state_is_restored_into_a_new_folder() {
    let place = Place::new();
    place.ok(&["set", "user:1", "k", "[1,2,3]"]);
    let id = place.backup();
    // The disk lost the file that says where the data is.
    place.write("state/CURRENT", "\0\0\0\0");
    let run = place.run(&["get", "user:1", "k"]);
    assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{}", run.stderr);
    let elsewhere = ["--path", "new", "--set", "backup.dir=state/backups"];
    let restored = place.json(&[&elsewhere[..], &["backup", "restore", &id, "--yes"]].concat());
    assert_eq!(restored["records"], 1);
    assert_eq!(
        place.ok(&["--path", "new", "get", "user:1", "k"]),
        "[1,2,3]\n"
    );
    // A wrong folder is not made into a state.
    place.fails(3, &["--path", "typo", "backup", "restore", &id, "--yes"]);
    assert!(!place.path("typo").exists());
}

/// The namespaces were lost and the backups beside them were not: "the folder is not empty".
#[test]
fn a_state_of_which_only_the_backups_are_left_is_restored_in_its_place() {
    let place = Place::new();
    place.ok(&["set", "user:1", "k", "[1,2,3]"]);
    let id = place.backup();
    for entry in std::fs::read_dir(place.path("state")).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "backups" | "LOCK" => {}
            "CURRENT" => std::fs::remove_file(path).unwrap(),
            _ => std::fs::remove_dir_all(path).unwrap(),
        }
    }
    // Reading makes nothing, and says what does.
    let message = place.fails(3, &["get", "user:1", "k"]);
    assert!(
        message.contains("`statekeep backup restore ID`") && message.contains("state/backups"),
        "{message}"
    );
    let restored = place.json(&["backup", "restore", &id, "--yes"]);
    assert_eq!(restored["records"], 1);
    assert_eq!(place.ok(&["get", "user:1", "k"]), "[1,2,3]\n");
    assert!(place.ok(&["backup", "list"]).contains(&id));
}

/// Only CURRENT was lost, and the message advised what was then refused.
#[test]
fn what_a_state_without_current_advises_works() {
    let place = Place::new();
    place.ok(&["set", "user:1", "k", "[1,2,3]"]);
    let id = place.backup();
    std::fs::remove_file(place.path("state/CURRENT")).unwrap();
    let message = place.fails(5, &["backup", "restore", &id, "--yes"]);
    let (_, command) = message
        .trim_end()
        .split_once("statekeep --path NEW")
        .unwrap();
    let args = command.replace(" ID", &format!(" {id} --yes"));
    let args: Vec<&str> = ["--path", "new"]
        .into_iter()
        .chain(args.split_whitespace())
        .collect();
    place.ok(&args);
    assert_eq!(
        place.ok(&["--path", "new", "get", "user:1", "k"]),
        "[1,2,3]\n"
    );
}

#[test]
fn a_part_is_shown_restored_and_brought_back() {
    let place = Place::new();
    place.ok(&["--tenant", "acme", "set", "agent:a", "plan", "1"]);
    place.ok(&["--tenant", "acme", "set", "agent:b", "plan", "1"]);
    place.ok(&["set", "agent:a", "plan", "1"]);
    let id = place.backup();
    place.ok(&["--tenant", "acme", "set", "agent:a", "plan", "2"]);
    place.ok(&["--tenant", "acme", "set", "agent:a", "extra", "2"]);
    place.ok(&["--tenant", "acme", "delete", "agent:b", "plan"]);
    place.ok(&["set", "agent:a", "plan", "2"]);

    let part = [
        "--tenant", "acme", "backup", "restore", &id, "--scope", "agent:*",
    ];
    let with = |more: &[&'static str]| [&part[..], more].concat();
    // Without a mode nothing is guessed.
    let message = place.fails(2, &with(&["--yes"]));
    assert!(
        message.contains("replace") && message.contains("merge"),
        "{message}"
    );
    // A dry run asks nothing and changes nothing.
    let shown = place.ok(&with(&["--dry-run"]));
    assert_eq!(
        shown,
        "1 would be added, 1 changed, 1 removed\n\
         + agent:b plan  (tenant acme)\n\
         ~ agent:a plan  (tenant acme)\n\
         - agent:a extra  (tenant acme)\n"
    );
    assert_eq!(
        place.ok(&["--tenant", "acme", "get", "agent:a", "plan"]),
        "2\n"
    );

    let run = place.run(&with(&["--mode", "replace", "--yes"]));
    assert_eq!(
        run.stdout, "1 added, 1 changed, 1 removed\n",
        "{}",
        run.stderr
    );
    assert_eq!(
        place.ok(&["--tenant", "acme", "get", "agent:a", "plan"]),
        "1\n"
    );
    assert_eq!(
        place.ok(&["--tenant", "acme", "get", "agent:b", "plan"]),
        "1\n"
    );
    place.fails(3, &["--tenant", "acme", "get", "agent:a", "extra"]);
    assert_eq!(
        place.ok(&["get", "agent:a", "plan"]),
        "2\n",
        "another tenant's"
    );

    // What is said about the way back is right.
    let (_, safety) = run.stderr.split_once("backed up as ").unwrap();
    let back = ["--tenant", "acme", "backup", "restore", safety.trim_end()];
    let bare = ["--mode", "replace", "--no-safety-backup", "--yes"];
    place.ok(&[&back[..], &bare].concat());
    assert_eq!(
        place.ok(&["--tenant", "acme", "get", "agent:a", "extra"]),
        "2\n"
    );
    assert_eq!(
        place.json(&["backup", "diff", safety.trim_end()])["changed"],
        0
    );
    let diff = place.ok(&["backup", "diff", &id, safety.trim_end(), "--tenant", "acme"]);
    assert!(
        diff.starts_with("1 added, 1 changed, 1 removed\n"),
        "{diff}"
    );
}

/// As with every other verb. Once a restore of scopes was refused without a tenant, and an export took
/// those of all tenants.
#[test]
fn scopes_and_keys_are_those_of_the_default_tenant_unless_another_is_named() {
    let place = Place::new();
    let set = |value: &str| {
        place.ok(&["set", "agent:a", "plan", value]);
        place.ok(&["--tenant", "acme", "set", "agent:a", "plan", value]);
    };
    set("1");
    let id = place.backup();
    place.ok(&["backup", "export", "--to", "all.jsonl"]);
    set("2");
    let shown = || {
        let acme = ["--tenant", "acme", "get", "agent:a", "plan"];
        let own = place.ok(&["get", "agent:a", "plan"]);
        [own, place.ok(&acme)].map(|value| value.trim_end().to_owned())
    };
    let changed = |more: &[&str]| place.json(&[&["backup", "diff", &id], more].concat());
    let records = |more: &[&str]| {
        let to = ["backup", "export", "--overwrite", "--to", "part.jsonl"];
        place.json(&[&to[..], more].concat())["records"].clone()
    };
    for (more, wanted) in [
        (&["--scope", "agent:*"][..], 1),
        (&["--key", "plan"], 1),
        (&["--scope", "agent:*", "--tenant", "acme"], 1),
        (&["--scope", "agent:*", "--all-tenants"], 2),
        (&[], 2),
    ] {
        assert_eq!(changed(more)["changed"], wanted, "{more:?}");
        assert_eq!(records(more), wanted, "{more:?}");
        let dry = ["backup", "restore", &id, "--dry-run"];
        let told = place.json(&[&dry[..], more].concat());
        assert_eq!(told["changed"], wanted, "{more:?}");
    }
    let scope = ["--scope", "agent:*", "--mode", "replace", "--yes"];
    let slow = ["--limit-rate", "1G"];
    place.ok(&[&["backup", "restore", &id], &scope[..], &slow].concat());
    assert_eq!(shown(), ["1", "2"]);
    set("2");
    place.ok(&[&["backup", "import", "all.jsonl"], &scope[..], &slow].concat());
    assert_eq!(shown(), ["1", "2"]);
    place.ok(&[&["backup", "export", "--to", "-"][..], &slow].concat());

    // One commit is of one tenant.
    let all = ["backup", "restore", &id, "--all-tenants"];
    let message = place.fails(2, &[&all[..], &scope].concat());
    assert!(message.contains("one tenant"), "{message}");
    let both = ["backup", "diff", &id, "--all-tenants", "--tenant", "acme"];
    place.fails(2, &both);
}

#[test]
fn a_backup_goes_into_a_new_folder_or_onto_another_backend() {
    let place = Place::new();
    place.ok(&["set", "user:1", "k", "1"]);
    let id = place.backup();
    place.ok(&["set", "user:1", "k", "2"]);
    // Nothing is replaced, so nothing is asked.
    let copy = place.path("copy");
    let to = ["backup", "restore", &id, "--to-dir", copy.to_str().unwrap()];
    let report = place.json(&[&to[..], &["--backend", "redb"]].concat());
    assert_eq!(
        (&report["records"], &report["safety_backup"]),
        (&json!(1), &json!(null))
    );
    let there = ["--path", copy.to_str().unwrap(), "get", "user:1", "k"];
    assert_eq!(place.ok(&there), "1\n");
    assert_eq!(place.ok(&["get", "user:1", "k"]), "2\n");
    place.fails(4, &to);

    // The state moves to the backend, and `namespace undo` brings it back.
    let moved = ["--backend", "redb", "backup", "restore", &id, "--yes"];
    let report = place.json(&moved);
    assert_eq!(place.ok(&["get", "user:1", "k"]), "1\n");
    place.ok(&["namespace", "undo", report["replaced"].as_str().unwrap()]);
    assert_eq!(place.ok(&["get", "user:1", "k"]), "2\n");
}

/// A misspelt tenant once exported 0 records with exit code 0, and a replacement of it removed what was
/// there.
#[test]
fn a_tenant_that_nobody_knows_is_not_found_and_those_that_are_there_are_named() {
    let place = Place::new();
    for tenant in ["acme", "beta"] {
        place.ok(&["--tenant", tenant, "set", "global", "k", "1"]);
    }
    let id = place.ok(&["backup", "create"]).trim_end().to_owned();
    place.ok(&["--tenant", "later", "set", "global", "k", "1"]);
    place.ok(&["backup", "export", "--to", "all.jsonl"]);
    let known = "there is no tenant \"acem\", did you mean \"acme\"?";
    let typo = ["--tenant", "acem", "backup"];
    for (verb, others) in [
        (&["export"][..], "\"acme\", \"beta\", \"later\""),
        (&["export", &id], "there are \"acme\", \"beta\"\n"),
        (&["export", "--scope", "agent:*"], "\"later\""),
        (&["diff", &id], "\"later\""),
        (&["restore", &id, "--to-dir", "new"], "\"beta\"\n"),
        (
            &["restore", &id, "--mode", "replace", "--yes"],
            "\"beta\"\n",
        ),
        (&["restore", &id, "--dry-run"], "\"beta\""),
        (
            &["import", "all.jsonl", "--mode", "merge", "--yes"],
            "\"later\"",
        ),
        (
            &["import", "all.jsonl", "--mode", "merge", "--dry-run"],
            "\"later\"",
        ),
        (
            &["import", "all.jsonl", "--mode", "replace", "--yes"],
            "\"later\"",
        ),
    ] {
        let message = place.fails(3, &[&typo[..], verb].concat());
        assert!(
            message.contains(known) && message.contains(others),
            "{verb:?}: {message}"
        );
    }
    assert!(!place.path("new").exists());
    // One that came after the backup is none of it, and keeps what it has.
    let later = ["--tenant", "later", "backup", "restore", &id];
    let message = place.fails(3, &[&later[..], &["--mode", "replace", "--yes"]].concat());
    assert!(message.contains("no tenant \"later\""), "{message}");
    assert_eq!(
        place.ok(&["--tenant", "later", "get", "global", "k"]),
        "1\n"
    );

    // A tenant without records in the selection is there all the same, and so is the default one.
    for tenant in ["acme", ""] {
        let none = ["--tenant", tenant, "backup", "export", "--scope", "agent:*"];
        place.ok(&[&none[..], &["--to", "none.jsonl", "--overwrite"]].concat());
        place.ok(&[
            "--tenant",
            tenant,
            "backup",
            "import",
            "none.jsonl",
            "--mode",
            "merge",
            "--yes",
        ]);
        place.ok(&["--tenant", tenant, "backup", "diff", &id]);
    }
}

/// The advice was to `set` a key, which makes an empty state in the place of the one to be restored.
#[test]
fn a_restore_where_nothing_is_says_how_to_name_the_backups() {
    let place = Place::new();
    for args in [
        &["--path", "absent", "backup", "restore", "01M8", "--yes"][..],
        &["--path", "absent", "backup", "restore", "01M8", "--dry-run"],
        &[
            "--path", "absent", "backup", "restore", "01M8", "--to-dir", "new",
        ],
    ] {
        let message = place.fails(3, args);
        for said in [
            "no state at absent",
            "absent/backups",
            "--set backup.dir=DIR",
        ] {
            assert!(message.contains(said), "{message}");
        }
        assert!(!message.contains("statekeep set"), "{message}");
        assert!(!place.path("absent").exists());
    }
    // With the repository named, the state is made of a backup.
    place.ok(&["set", "global", "k", "1"]);
    let id = place.ok(&["backup", "create"]);
    let restore = ["backup", "restore", id.trim_end(), "--yes"];
    let named = ["--path", "absent", "--set", "backup.dir=state/backups"];
    place.ok(&[&named[..], &restore].concat());
    assert_eq!(place.ok(&["--path", "absent", "get", "global", "k"]), "1\n");
}
