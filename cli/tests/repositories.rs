//! What is said of a repository: that it is not there.

mod support;

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
}
