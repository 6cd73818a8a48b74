//! config, plugin, help and the documentation of all verbs.

mod support;

use std::path::Path;

use serde_json::json;
use support::Place;

#[test]
fn settings_are_shown_with_their_source_the_later_over_the_earlier() {
    let place = Place::new();
    place.write(
        "statekeep.toml",
        "[backup]\ncodec = \"lz4\"\nlevel = 1\ndir = \"b\"\n",
    );
    let mut command = place.command(&["--set", "backup.level=2", "--json", "config", "show"]);
    command.env("STATEKEEP_BACKUP__CODEC", "gzip");
    let shown: serde_json::Value =
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(
        shown["path"],
        json!({ "value": "state", "source": "STATEKEEP_PATH" })
    );
    assert_eq!(shown["backup.codec"]["value"], "gzip");
    assert_eq!(shown["backup.codec"]["source"], "STATEKEEP_BACKUP__CODEC");
    assert_eq!(
        shown["backup.level"],
        json!({ "value": 2, "source": "set" })
    );
    let file = shown["backup.dir"]["source"].as_str().unwrap();
    assert!(file.ends_with("/statekeep.toml"), "{file}");
    assert!(
        shown["backup.dir"]["value"]
            .as_str()
            .unwrap()
            .ends_with("/b")
    );
    assert_eq!(
        shown["backend"],
        json!({ "value": "fjall", "source": "default" })
    );

    // What is shown to people is a configuration file.
    let text = place.ok(&["config", "show", "--path", "elsewhere"]);
    place.write("again.toml", &text);
    let again = place.ok(&["--config", "again.toml", "config", "show", "--json"]);
    assert!(again.contains("\"backup.level\":{\"source\":"), "{again}");
    assert_eq!(
        place.ok(&["config", "check"]),
        "the configuration is valid\n"
    );
    let valid = place.json(&["config", "check"]);
    assert_eq!(
        valid,
        json!({ "valid": true, "warnings": [], "ignored_variables": [] })
    );
}

#[test]
fn a_wrong_setting_is_named_and_nothing_is_touched() {
    let place = Place::new();
    for (setting, part) in [
        ("backup.codek=zstd", "did you mean `backup.codec`?"),
        ("flush_interval_ms=0", "from 1 to 60000 milliseconds"),
        ("create", "is not KEY=VALUE"),
    ] {
        let message = place.fails(2, &["--set", setting, "set", "global", "k", "1"]);
        assert!(message.contains(part), "{message}");
    }
    let message = place.fails(1, &["--set", "hooks.x=3", "config", "check"]);
    assert!(message.contains("`hooks` is not supported"), "{message}");
    let run = place.run(&["--json", "--set", "hooks.x=3", "config", "check"]);
    assert_eq!((&run.error()["code"], run.code), (&json!("unsupported"), 1));

    place.write("statekeep.toml", "nope = 1\n");
    let message = place.fails(2, &["config", "check"]);
    assert!(
        message.contains("statekeep.toml: unknown key `nope`"),
        "{message}"
    );
    // A neighbour that nobody meant is no help; the list is.
    assert!(
        !message.contains("did you mean")
            && message.contains("`statekeep config show`")
            && message.contains("docs/configuration.md"),
        "{message}"
    );
    assert!(
        place
            .fails(3, &["--config", "none.toml", "config", "check"])
            .contains("none.toml")
    );
    let mut command = place.command(&["--config", "/dev/null", "list"]);
    let run = support::Run::of(command.env_remove("STATEKEEP_PATH").output().unwrap());
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--path DIR"), "{}", run.stderr);
    assert!(!place.path("state").exists());
}

#[test]
fn built_in_plugins_are_listed_and_shown() {
    let place = Place::new();
    let list = place.ok(&["plugin", "list"]);
    let names = [
        "memory",
        "fjall",
        "sled",
        "redb",
        "lmdb",
        "sqlite",
        "zstd",
        "brotli",
        "gzip",
        "lz4",
        "age",
        "calendar",
        "count",
        "importance",
        "size",
    ]
    .map(|it| format!("statekeep.{it} "));
    for name in &names {
        assert!(list.contains(name), "{name} is not in {list}");
    }
    let lines = place.json_lines(&["plugin", "list"]);
    assert_eq!(lines.len(), names.len());
    assert!(
        lines
            .iter()
            .all(|line| line["door"] == "static" && line["path"].is_null())
    );
    let zstd = place.json(&["plugin", "info", "zstd"]);
    assert_eq!(
        (&zstd["id"], &zstd["loaded"]),
        (&json!("statekeep.zstd"), &json!(true))
    );
    assert_eq!(zstd["kinds"], json!(["compression"]));
    assert!(
        place
            .ok(&["plugin", "info", "statekeep.zstd"])
            .contains("statekeep.zstd")
    );
    let message = place.fails(3, &["plugin", "info", "zsdt"]);
    assert!(
        message.contains("there is no plugin") && message.contains("zsdt"),
        "{message}"
    );
}

#[test]
fn what_is_no_plugin_is_refused() {
    let place = Place::new();
    place.write("letter.so", "Dear loader,");
    assert!(
        place
            .fails(6, &["plugin", "info", "./letter.so"])
            .contains("letter.so")
    );
    let lock = ["--set", "plugins.lock=plugins.lock"];
    place.fails(6, &[&lock[..], &["plugin", "add", "letter.so"]].concat());
    assert!(!place.path("plugins.lock").exists());
    assert!(
        place
            .fails(2, &["plugin", "add", "letter.so"])
            .contains("`plugins.lock` is not set")
    );
}

/// A misspelt codec listed backends and policies as well, and ended with 6 where `plugin info` ended
/// with 3; a misspelt policy ended with 1, as one that fails.
#[test]
fn a_name_of_no_plugin_is_answered_by_the_names_of_its_kind() {
    let place = Place::new();
    let backends = "known: fjall, lmdb, memory, redb, sled, sqlite; searched: none";
    let codecs = "known: brotli, gzip, lz4, zstd; searched: none";
    let policies = "known: age, calendar, count, importance, size; searched: none";
    let message = place.fails(3, &["--backend", "fjal", "set", "global", "k", "1"]);
    assert!(
        message.contains("there is no backend fjal, did you mean fjall?"),
        "{message}"
    );
    assert!(message.contains(backends), "{message}");
    place.ok(&["set", "global", "k", "1"]);
    place.ok(&["backup", "create"]);
    let create = ["backup", "create", "--codec"];
    let message = place.fails(3, &[&create[..], &["zsdt"]].concat());
    assert!(
        message.contains("there is no codec zsdt, did you mean zstd?") && message.contains(codecs),
        "{message}"
    );
    let message = place.fails(3, &[&create[..], &["nope"]].concat());
    assert!(
        message.contains("there is no codec nope; known"),
        "{message}"
    );
    let message = place.fails(3, &["swap", "nope"]);
    assert!(message.contains(backends), "{message}");
    for verb in [
        &["backup", "cleanup", "--yes"][..],
        &["retention", "test"],
        &["retention", "simulate", "--for", "30d"],
        &["retention", "set"],
    ] {
        let message = place.fails(3, &[verb, &["--policy", "cuont:keep=3"]].concat());
        assert!(
            message.contains("there is no policy cuont, did you mean count?"),
            "{message}"
        );
        assert!(message.contains(policies), "{message}");
    }
    // Whatever says what it is for.
    assert!(
        place
            .fails(3, &["plugin", "info", "zsdt"])
            .contains("known: age, brotli")
    );
}

#[test]
fn version_help_and_usage() {
    let place = Place::new();
    assert_eq!(
        place.ok(&["--version"]),
        concat!("statekeep ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = place.ok(&["--help"]);
    for code in ["0  done", "3  not found", "130  cancelled"] {
        assert!(help.contains(code), "{help}");
    }
    assert_eq!(place.run(&[]).code, 2);
    assert_eq!(place.run(&["frobnicate"]).code, 2);
}

/// Every verb that `--help` lists, followed down, with its options.
fn verbs(place: &Place, path: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = place.ok(&args);
    let options = help
        .lines()
        .filter_map(|line| {
            line.trim_start()
                .split([' ', ','])
                .find(|word| word.starts_with("--"))
        })
        .map(str::to_owned)
        .collect();
    let children: Vec<String> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    if children.is_empty() {
        found.push((path.join(" "), options));
    }
    for child in children {
        verbs(place, &[path, &[child]].concat(), found);
    }
}

#[test]
fn every_verb_and_option_is_in_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    verbs(&Place::new(), &[], &mut found);
    assert!(found.len() >= 14, "{found:?}");
    for (verb, options) in found {
        assert!(
            page.contains(&format!("\n### `statekeep {verb}")),
            "docs/cli.md lacks {verb}"
        );
        for option in options {
            assert!(
                page.contains(&format!("`{option}")),
                "docs/cli.md lacks {verb} {option}"
            );
        }
    }
    for code in [
        "| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |", "| 5 |", "| 6 |", "| 130 |",
    ] {
        assert!(
            page.contains(code),
            "docs/cli.md lacks the exit code {code}"
        );
    }
}
