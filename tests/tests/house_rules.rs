//! The rules of the house, run as tests: who may import whom, where unsafe may live, what a file
//! must open with, what must not be committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Files of the repository: tracked ones and new ones that are not ignored.
fn files(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|name| name.ends_with(ending))
        .map(|name| root().join(name))
        .filter(|path| path.is_file())
        .collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The picture in ARCHITECTURE.md: each crate's own crates that it may depend on (not for tests).
#[test]
fn dependencies_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("statekeep-plugin-api", &[][..]),
        ("statekeep-plugin-sdk", &["statekeep-plugin-api"][..]),
        (
            "statekeep-plugin-testkit",
            &["statekeep-plugin-api", "statekeep-oracle"][..],
        ),
        ("statekeep-oracle", &[][..]),
        ("statekeep-core", &["statekeep-oracle"][..]),
        (
            "statekeep-loader",
            &["statekeep-plugin-api", "statekeep-core"][..],
        ),
        ("statekeep-backup", &["statekeep-core"][..]),
        ("statekeep-ffi", &["statekeep", "statekeep-plugin-api"][..]),
        ("statekeep-cli", &["statekeep"][..]),
    ]);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut checked = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let is_plugin = package["manifest_path"]
            .as_str()
            .unwrap()
            .contains("/plugins/");
        let may: &[&str] = match allowed.get(name) {
            Some(may) => may,
            None if is_plugin => &["statekeep-plugin-sdk"],
            None => continue,
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            if dependency["kind"].is_null() && other.starts_with("statekeep") {
                assert!(may.contains(&other), "{name} must not depend on {other}");
            }
        }
        checked += 1;
    }
    assert!(checked > 12, "only {checked} crates were checked");
}

/// Unsafe lives in the plugin ABI, the loader and the C ABI; every other crate forbids it.
#[test]
fn unsafe_stays_where_it_belongs() {
    let may = ["plugin-api", "host/loader", "ffi", "tests", "benches"];
    let mut crates = 0;
    for manifest in files("Cargo.toml") {
        let folder = manifest.parent().unwrap();
        let name = shown(folder);
        let source = folder.join("src");
        if name.is_empty() || !source.is_dir() || may.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        let entry = ["lib.rs", "main.rs"].map(|file| source.join(file));
        let entry = entry.iter().find(|path| path.exists()).unwrap();
        let text = std::fs::read_to_string(entry).unwrap();
        assert!(
            text.contains("#![forbid(unsafe_code)]") || text.contains("#![deny(unsafe_code)]"),
            "{} does not forbid unsafe code",
            shown(entry)
        );
        crates += 1;
    }
    assert!(crates >= 10, "only {crates} crates were checked");
}

/// Everything that the host writes goes through the core's file layer, which the tests can make fail
/// at any call. Reading is free.
#[test]
fn the_host_writes_through_the_file_layer() {
    // A file, and why it may.
    let may = [
        ("host/core/src/vfs/real.rs", "it is the file layer"),
        ("host/loader/src/open.rs", "fills a memfd, which is no file"),
    ];
    let calls = [
        "fs::write",
        "fs::rename",
        "fs::remove_",
        "fs::create_dir",
        "fs::copy",
        "fs::hard_link",
        "fs::set_permissions",
        "fs::DirBuilder",
        "fs::OpenOptions",
        "File::create",
        "File::options",
        "fs::symlink(",
        "OFlags::CREATE",
        "OFlags::WRONLY",
        "OFlags::RDWR",
        "renameat",
        "unlinkat",
        "mkdirat",
        "memfd_create",
    ];
    let imports = ["OpenOptions", "DirBuilder", "write", "rename", "copy"];
    let prefixes = ["remove_", "create_dir"];
    let is_test = |name: &str| {
        name.split('/')
            .any(|part| part == "tests" || part == "engine_tests" || part.ends_with("_tests.rs"))
    };
    let mut found = BTreeMap::new();
    let mut checked = 0;
    for path in files(".rs") {
        let name = shown(&path);
        if !name.starts_with("host/") || is_test(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let imported = text
            .split("use std::fs::")
            .skip(1)
            .filter_map(|rest| rest.split(';').next())
            .flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .find(|word| imports.contains(word) || prefixes.iter().any(|p| word.starts_with(p)));
        let call = calls.into_iter().find(|call| text.contains(call));
        if let Some(what) = call.or(imported) {
            found.insert(name, what.to_owned());
        }
        checked += 1;
    }
    assert!(checked > 80, "only {checked} files were checked");
    for (name, reason) in may {
        let listed = found.remove(name).is_some();
        assert!(
            listed,
            "{name} writes no more ({reason}): take it off the list"
        );
    }
    assert!(
        found.is_empty(),
        "these files write by themselves instead of through statekeep_core::vfs: {found:#?}"
    );
}

/// A newcomer reads the first lines of a file to know whether a change goes there.
#[test]
fn every_rust_file_says_what_it_owns() {
    let mut silent = Vec::new();
    for path in files(".rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            silent.push(shown(&path));
        }
    }
    assert!(
        silent.is_empty(),
        "these files do not open with `//!`: {silent:#?}"
    );
}

/// Most files are short; none is a drawer.
#[test]
fn files_stay_short() {
    let mut lines: Vec<(usize, String)> = files(".rs")
        .iter()
        .map(|path| {
            (
                std::fs::read_to_string(path).unwrap().lines().count(),
                shown(path),
            )
        })
        .collect();
    lines.sort();
    let long = lines.iter().filter(|(count, _)| *count > 400).count();
    assert!(
        long * 10 <= lines.len(),
        "more than one file in ten is over 400 lines"
    );
    let (longest, path) = lines.last().unwrap();
    assert!(*longest <= 800, "{path} has {longest} lines");
}

/// What is not built answers `unsupported`; nothing pretends.
#[test]
fn nothing_is_left_to_do() {
    let marks = [
        concat!("to", "do!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
    ];
    for ending in [".rs", ".py", ".c", ".h"] {
        for path in files(ending) {
            let text = std::fs::read_to_string(&path).unwrap();
            for mark in marks {
                assert!(!text.contains(mark), "{} contains {mark}", shown(&path));
            }
        }
    }
}

/// Links in documents lead somewhere, and the README stays short.
#[test]
fn documents_link_to_what_exists() {
    for path in files(".md") {
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let target = path.parent().unwrap().join(target);
            assert!(
                target.exists(),
                "{} links to {link}, which is not there",
                shown(&path)
            );
        }
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() < 200);
}

/// docs/abi.md says of every function who may call it from where, and who owns what.
#[test]
fn the_abi_guide_names_every_function() {
    let guide = std::fs::read_to_string(root().join("docs/abi.md")).unwrap();
    let names = std::fs::read_to_string(root().join("include/statekeep.symbols")).unwrap();
    let names: Vec<&str> = names
        .lines()
        .filter(|line| line.starts_with("statekeep_"))
        .collect();
    assert!(names.len() > 50, "only {} functions", names.len());
    for name in names {
        assert!(
            guide.contains(&format!("`{name}`")),
            "docs/abi.md does not name {name}"
        );
    }
}
