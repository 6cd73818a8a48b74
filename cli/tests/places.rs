//! What is said of a `--path` where no state can be opened: absent, damaged, refused or no folder.

mod support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::json;
use support::{Place, Run};

const NOBODY: u32 = 65534;

/// Whatever went wrong, a missing CURRENT made it "there is no state; `statekeep set` creates one".
#[test]
fn only_where_nothing_is_a_state_can_be_created() {
    let place = Place::new();
    let hint = "`statekeep set` creates one";
    assert!(place.fails(3, &["get", "global", "k"]).contains(hint));
    std::fs::create_dir(place.path("state")).unwrap();
    assert!(place.fails(3, &["get", "global", "k"]).contains(hint));
    assert!(place.fails(3, &["list"]).contains(hint));

    // A folder of something else.
    place.write("state/letter.txt", "mine");
    let message = place.fails(2, &["list"]);
    assert!(
        message.contains("not empty") && !message.contains(hint),
        "{message}"
    );
    // A file.
    place.write("file", "mine");
    for verb in [&["list"][..], &["set", "global", "k", "1"]] {
        for backend in [&[][..], &["--backend", "fjall"]] {
            let message = place.fails(2, &[&["--path", "file"], backend, verb].concat());
            assert!(message.contains("it is a file, not a folder"), "{message}");
        }
        let message = place.fails(2, &[&["--path", "file/state"], verb].concat());
        assert!(message.contains("is a file, not a folder"), "{message}");
    }
}

#[test]
fn a_state_that_lost_current_is_damaged_for_every_verb() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    std::fs::remove_file(place.path("state/CURRENT")).unwrap();
    for verb in [
        &["get", "global", "k"][..],
        &["set", "global", "k", "2"],
        &["delete", "global", "k"],
        &["list"],
        &["backup", "list"],
        &["backup", "create"],
    ] {
        let run = place.run(&[&["--json"], verb].concat());
        let error = run.error();
        assert_eq!(
            (run.code, &error["code"]),
            (5, &json!("corrupt")),
            "{verb:?}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("it is missing; namespaces there: ns-")
                && !message.contains("creates one"),
            "{message}"
        );
    }
}

#[test]
fn a_state_that_may_not_be_read_is_refused() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&place.path("."), 0o755);
    mode(&place.path("state"), 0o000);
    // Root may read everything, so this runs as nobody where it is run by root.
    let is_root = std::fs::read_dir(place.path("state")).is_ok();
    let runs: Vec<_> = [&["get", "global", "k"][..], &["set", "global", "k", "2"]]
        .into_iter()
        .map(|verb| {
            let mut command = place.command(verb);
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.output()
        })
        .collect();
    mode(&place.path("state"), 0o700);
    for run in runs {
        let run = match run {
            Ok(output) => Run::of(output),
            Err(error) => {
                println!("SKIP: another user cannot run the command: {error}");
                continue;
            }
        };
        assert_eq!(run.code, 6, "{}", run.stderr);
        assert!(
            run.stderr.contains("Permission denied") && !run.stderr.contains("creates one"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(place.ok(&["get", "global", "k"]), "1\n");
}

/// It was "not found", of a path that one sees in a listing.
#[test]
fn a_link_that_leads_nowhere_is_named() {
    let place = Place::new();
    symlink("volume", place.path("state")).unwrap();
    for verb in [&["set", "global", "k", "1"][..], &["get", "global", "k"]] {
        let message = place.fails(2, verb);
        assert!(
            message.contains("/state: a symbolic link leads nowhere; make the folder"),
            "{message}"
        );
    }
    let message = place.fails(2, &["--path", "state/inner", "set", "global", "k", "1"]);
    assert!(message.contains("leads nowhere"), "{message}");
    assert!(!place.path("volume").exists());
    std::fs::create_dir(place.path("volume")).unwrap();
    place.ok(&["set", "global", "k", "1"]);
    assert_eq!(place.ok(&["get", "global", "k"]), "1\n");
}
