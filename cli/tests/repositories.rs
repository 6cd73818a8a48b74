//! What is said of a repository: that it is not there, and what was found out of its backups.

mod support;

use serde_json::json;
use support::Place;

/// A check of a disk that was not mounted said that all was present, with exit code 0.
#[test]
fn a_repository_that_is_not_there_does_not_look_well() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    place.ok(&["backup", "create"]);
    let elsewhere = ["--set", "backup.dir=unmounted"];
    for verb in [&["repository", "check"][..], &["repository", "repair"]] {
        let message = place.fails(3, &[&elsewhere, verb].concat());
        assert!(
            message.contains("unmounted") && message.contains("`backup.dir`"),
            "{message}"
        );
    }
    let message = place.fails(
        3,
        &[&elsewhere[..], &["backup", "verify", "--all"]].concat(),
    );
    assert!(message.contains("no backup in"), "{message}");
    let run = place.run(&[&elsewhere[..], &["backup", "list"]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(run.stderr.contains("unmounted"), "{}", run.stderr);
    assert!(!place.path("unmounted").exists());
    std::fs::write(place.path("file"), "x").unwrap();
    let message = place.fails(2, &["--set", "backup.dir=file", "backup", "create"]);
    assert!(message.contains("is a file"), "{message}");
}

#[test]
fn a_list_tells_when_each_backup_was_last_found_good() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    let id = place.ok(&["backup", "create"]).trim_end().to_owned();
    let known = |of: &str| place.json_lines(&["backup", "list"])[0][of].clone();
    assert_eq!(known("last_verified_unix_ms"), json!(null));
    assert_eq!(known("last_restore_test_unix_ms"), json!(null));
    // It reads no records, so it counts none.
    let quick = place.ok(&["backup", "verify", &id, "--quick"]);
    assert!(
        quick.starts_with("present ") && !quick.contains("record"),
        "{quick}"
    );
    place.ok(&["backup", "verify", &id]);
    assert!(known("last_verified_unix_ms").is_i64());
    assert_eq!(known("last_restore_test_unix_ms"), json!(null));
    place.ok(&["backup", "verify", &id, "--restore-test"]);
    assert!(known("last_restore_test_unix_ms").is_i64());
    let line = place.ok(&["backup", "list"]);
    assert!(
        line.contains(" verified 20") && line.contains(" restore tested 20"),
        "{line}"
    );
    let shown = place.json(&["backup", "show", &id]);
    assert_eq!(
        shown["last_restore_test_unix_ms"],
        known("last_restore_test_unix_ms")
    );
}
