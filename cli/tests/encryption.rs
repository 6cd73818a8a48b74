//! Encrypted repositories: made by a setting, opened by it, with keys that come and go.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use support::Place;

/// The command with a passphrase file.
fn with<'a>(setting: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["--set", setting], args].concat()
}

const FIRST: &str = "backup.encryption.passphrase_file=first";
const SECOND: &str = "backup.encryption.passphrase_file=second";
const FILE: &str = "backup.encryption.key_file=key";

fn place() -> Place {
    let place = Place::new();
    place.write("first", "correct horse\n");
    place.write("second", "battery staple\n");
    place.write("key", [5; 32]);
    place.ok(&["set", "agent:marker", "marker-key", r#""marker-value""#]);
    place
}

/// Whether any file of the repository has these bytes.
fn shows(place: &Place, word: &str) -> bool {
    let mut folders = vec![place.path("state/backups")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            if bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
            {
                return true;
            }
        }
    }
    assert!(files >= 4, "{files} files");
    false
}

#[test]
fn a_repository_made_with_a_passphrase_needs_it() {
    let place = place();
    let create = [
        "backup",
        "create",
        "--codec",
        "none",
        "--label",
        "marker-label",
    ];
    let id = place.ok(&with(FIRST, &create)).trim_end().to_owned();
    assert!(!shows(&place, "marker"));
    let check = place.ok(&with(FIRST, &["repository", "check"]));
    assert!(
        check.lines().next().unwrap().ends_with(", encrypted"),
        "{check}"
    );

    for args in [
        &["backup", "list"][..],
        &["backup", "create"],
        &["repository", "check"],
    ] {
        let message = place.fails(6, args);
        assert!(
            message.contains("backup.encryption.passphrase_file"),
            "{message}"
        );
        let message = place.fails(6, &with(SECOND, args));
        assert!(
            message.contains("does not open backup repository"),
            "{message}"
        );
        assert!(!message.contains("battery"), "{message}");
    }
    place.fails(
        3,
        &with(
            "backup.encryption.passphrase_file=nosuch",
            &["backup", "list"],
        ),
    );
    let two = [&["--set", FIRST], &with(FILE, &["backup", "list"])[..]].concat();
    assert!(place.fails(2, &two).contains("keep one"));
    // The state itself needs no passphrase.
    place.ok(&["set", "agent:marker", "marker-key", "2"]);

    place.ok(&with(
        FIRST,
        &["backup", "create", "--incremental", "--history"],
    ));
    place.ok(&with(
        FIRST,
        &["backup", "verify", "--all", "--restore-test"],
    ));
    let text = place.ok(&with(FIRST, &["backup", "export", &id]));
    assert!(text.contains("marker-value"), "{text}");
    let restored = place.ok(&with(FIRST, &["backup", "restore", &id, "--yes"]));
    assert!(restored.contains("1 record"), "{restored}");
    let value = place.ok(&["get", "agent:marker", "marker-key"]);
    assert_eq!(value.trim_end(), r#""marker-value""#);
    assert!(!shows(&place, "marker"));
}

#[test]
fn a_repository_in_the_clear_is_refused_where_a_passphrase_is_set() {
    let place = place();
    place.ok(&["backup", "create", "--codec", "none"]);
    assert!(shows(&place, "marker"));
    let message = place.fails(6, &with(FIRST, &["backup", "create"]));
    assert!(message.contains("it is not encrypted"), "{message}");
    let message = place.fails(1, &["repository", "key", "list"]);
    assert!(message.contains("is not encrypted"), "{message}");
}

#[test]
fn keys_are_added_changed_and_removed() {
    let place = place();
    let none = place.fails(3, &with(FIRST, &["repository", "key", "list"]));
    assert!(none.contains("the first backup makes it"), "{none}");
    place.ok(&with(FIRST, &["backup", "create"]));
    let key = |setting: &str, args: &[&str]| {
        place.json_lines(&with(setting, &[&["repository", "key"], args].concat()))
    };
    let first = key(FIRST, &["list"]);
    assert_eq!(first.len(), 1);
    assert_eq!(
        (&first[0]["kind"], &first[0]["in_use"]),
        (&"passphrase".into(), &true.into())
    );

    let add = ["add", "--new-key-file", "key", "--label", "in the safe"];
    let added = key(FIRST, &add).remove(0);
    assert_eq!(
        (&added["kind"], &added["label"]),
        (&"key_file".into(), &"in the safe".into())
    );
    place.ok(&with(FILE, &["backup", "verify", "--all"]));

    key(FIRST, &["change", "--new-passphrase-file", "second"]);
    place.fails(6, &with(FIRST, &["backup", "list"]));
    assert_eq!(key(SECOND, &["list"]).len(), 2);

    let id = added["id"].as_str().unwrap();
    let own = with(FILE, &["repository", "key", "remove", id]);
    assert!(place.fails(4, &own).contains("opened the repository here"));
    key(SECOND, &["remove", id]);
    place.fails(3, &with(SECOND, &["repository", "key", "remove", id]));
    place.fails(6, &with(FILE, &["backup", "list"]));
    place.ok(&with(SECOND, &["backup", "verify", "--all"]));

    place.fails(2, &with(SECOND, &["repository", "key", "add"]));
    let table = place.ok(&with(SECOND, &["repository", "key", "list"]));
    assert!(table.contains("in use"), "{table}");
}

#[test]
fn a_passphrase_is_not_shown() {
    let place = place();
    let setting = "backup.encryption.passphrase=correct horse";
    place.ok(&with(setting, &["backup", "create"]));
    place.ok(&with(FIRST, &["backup", "verify", "--all"]));
    for json in [&["config", "show"][..], &["--json", "config", "show"]] {
        let shown = place.ok(&with(setting, json));
        assert!(
            shown.contains("passphrase") && !shown.contains("horse"),
            "{shown}"
        );
    }
}
