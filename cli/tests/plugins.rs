//! plugin check and add, on C libraries that are compiled here.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::Place;

const NAME: &str = "plugins/libtemplate.so";

/// Compiles the template codec with more C code after it.
fn compile(place: &Place, more: &str) {
    let template = std::fs::read_to_string(root().join("plugins/template-c/codec.c")).unwrap();
    compile_source(place, &format!("{template}\n{more}\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn compile_source(place: &Place, source: &str) {
    place.write("plugin.c", source);
    std::fs::create_dir_all(place.path("plugins")).unwrap();
    let done = Command::new("cc")
        .args([
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-Wl,-z,noexecstack",
            "-I",
        ])
        .arg(root().join("include"))
        .arg("-o")
        .arg(place.path(NAME))
        .arg(place.path("plugin.c"))
        .status();
    assert!(done.unwrap().success());
    for (path, mode) in [("plugins", "755"), (NAME, "755")] {
        let chmod = Command::new("chmod")
            .arg(mode)
            .arg(place.path(path))
            .status();
        assert!(chmod.unwrap().success());
    }
}

#[test]
fn a_plugin_that_was_added_packs_backups() {
    let place = Place::new();
    compile(&place, "");
    let id = "org.example.template-codec";
    let checked = place.json(&["plugin", "check", NAME]);
    assert_eq!(
        (&checked["plugin"]["id"], &checked["tried"]),
        (&json!(id), &json!(["compression"]))
    );
    assert_eq!(checked["plugin"]["door"], "c");
    assert!(
        place
            .ok(&["plugin", "check", NAME])
            .starts_with(&format!("{id} works"))
    );

    place.write(
        "statekeep.toml",
        "[plugins]\npaths = [\"plugins\"]\nlock = \"plugins.lock\"\n",
    );
    place.ok(&["set", "global", "k", "1"]);
    // Not listed yet: refused by everything that would run it.
    let run = place.run(&["plugin", "list"]);
    assert_eq!(run.code, 6);
    assert!(run.stderr.contains("not listed"), "{}", run.stderr);
    place.fails(6, &["backup", "create", "--codec", id]);

    let added = place.json(&["plugin", "add", NAME]);
    assert_eq!(
        (&added["id"], &added["tried"]),
        (&json!(id), &json!(["compression"]))
    );
    assert_eq!(added["sha256"], checked["plugin"]["sha256"]);
    let list = place.ok(&["plugin", "list"]);
    assert!(list.starts_with("PLUGIN ") && list.contains(id), "{list}");
    assert_eq!(place.json(&["plugin", "info", id])["door"], "c");
    assert_eq!(place.json(&["plugin", "info", NAME])["loaded"], false);
    let backup = place.json(&["backup", "create", "--codec", id]);
    assert_eq!(backup["codec"], id);
    place.ok(&["set", "global", "k", "2"]);
    place.ok(&["backup", "restore", backup["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(place.ok(&["get", "global", "k"]), "1\n");
}

#[test]
fn a_plugin_that_crashes_or_leaves_is_found_out_and_not_listed() {
    for (code, finding) in [
        (
            "__attribute__((constructor)) void go(void) { __builtin_trap(); }",
            "crashed with signal",
        ),
        (
            "#include <unistd.h>\n__attribute__((constructor)) void go(void) { _exit(0); }",
            "ended the process before the trial's end",
        ),
        (
            "#include <unistd.h>\n__attribute__((constructor)) void go(void) { _exit(7); }",
            "ended with code 7",
        ),
    ] {
        let place = Place::new();
        compile(&place, code);
        let message = place.fails(6, &["plugin", "check", NAME]);
        assert!(
            message.contains(finding) && message.contains("`load`"),
            "{message}"
        );
        let message = place.fails(
            6,
            &["--set", "plugins.lock=plugins.lock", "plugin", "add", NAME],
        );
        assert!(message.contains(finding), "{message}");
        assert!(!place.path("plugins.lock").exists());
    }
}

/// It was listed first, with exit code 0, and only a warning said that it would never be loaded.
#[test]
fn a_library_with_the_id_of_a_built_in_plugin_is_not_listed() {
    let place = Place::new();
    let template = std::fs::read_to_string(root().join("plugins/template-c/codec.c")).unwrap();
    let source = template.replace("\"org.example.template-codec\"", "\"statekeep.zstd\"");
    assert_ne!(source, template);
    compile_source(&place, &source);
    let lock = ["--set", "plugins.lock=plugins.lock"];
    let message = place.fails(6, &[&lock[..], &["plugin", "add", NAME]].concat());
    assert!(
        message.contains("is not listed") && message.contains("statekeep.zstd"),
        "{message}"
    );
    assert!(!place.path("plugins.lock").exists());
    let run = place.run(&["plugin", "check", NAME]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("is built in"), "{}", run.stderr);
}
