//! Retention policies of one's own, as plugins: the examples, built as their authors would, and C plugins
//! that forget all, lie, err and hang.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::Place;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {text}");
}

fn set_mode(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Compiles a plugin in C with the flags of the head of `examples/retention-c`.
fn compile(place: &Place, source: &Path, library: &str, more: &[&str]) {
    fs::create_dir_all(place.path("plugins")).unwrap();
    let library = place.path("plugins").join(library);
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"])
        .args(["-Wl,-z,noexecstack", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("include"))
        .args(more)
        .arg("-o")
        .arg(&library)
        .arg(source);
    run(&mut gcc);
    set_mode(&place.path("plugins"));
    set_mode(&library);
}

/// Builds a library in the workspace and puts it into the folder of plugins.
fn cargo(place: &Place, package: &[&str], library: &str) {
    // <target>/<profile>/deps/<test>
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-q"]).args(package);
    cargo.arg("--target-dir").arg(target).current_dir(root());
    run(&mut cargo);
    let built = ["debug", "debug/examples"].map(|folder| target.join(folder).join(library));
    let built = built.iter().find(|path| path.exists()).unwrap();
    fs::create_dir_all(place.path("plugins")).unwrap();
    let copy = place.path("plugins").join(library);
    fs::copy(built, &copy).unwrap();
    set_mode(&place.path("plugins"));
    set_mode(&copy);
}

/// A state with four backups of which the second has the tag of a release, and the example in C.
fn released() -> Place {
    let place = Place::new();
    for tag in ["nightly", "release-1.4", "nightly", "nightly"] {
        place.ok(&["set", "global", "k", &format!("\"{tag}\"")]);
        place.ok(&["backup", "create", "--full", "--tag", tag]);
    }
    place
}

const ALLOWED: [&str; 4] = [
    "--set",
    "plugins.paths=plugins",
    "--set",
    "plugins.lock=plugins.lock",
];

const CLEANUP: [&str; 4] = ["backup", "cleanup", "--dry-run", "--explain"];

fn cleanup(place: &Place, more: &[&str]) -> String {
    place.ok(&[&ALLOWED[..], &CLEANUP[..], more].concat())
}

/// What is said when a policy failed.
fn failed(place: &Place, more: &[&str]) -> String {
    let run = place.run(&[&ALLOWED[..], &CLEANUP[..], more].concat());
    assert_eq!(run.code, 1, "{}", run.stdout);
    run.stderr
}

#[test]
fn the_example_in_rust_says_why_a_backup_stays_or_goes() {
    let place = released();
    let package = ["-p", "statekeep-example-retention"];
    cargo(&place, &package, "libstatekeep_example_retention.so");
    let policy = ["--policy", "org.example.releases:days=0"];
    let message = failed(&place, &policy);
    assert!(
        message.contains("plugins.lock"),
        "not allowed yet: {message}"
    );
    place.ok(&[
        "--set",
        "plugins.lock=plugins.lock",
        "plugin",
        "add",
        "plugins/libstatekeep_example_retention.so",
    ]);
    let plan = cleanup(&place, &policy);
    for said in [
        "would delete 2 backups, keep 2 backups",
        "tagged release-1.4",
        "no release, and 0 days old",
    ] {
        assert!(plan.contains(said), "{said} is not in {plan}");
    }
    let young = cleanup(&place, &["--policy", "org.example.releases"]);
    assert!(young.contains("keep 4 backups"), "{young}");
    let misspelt = failed(&place, &["--policy", "org.example.releases:day=1"]);
    assert!(misspelt.contains("day"), "{misspelt}");
}

#[test]
fn the_example_in_c_says_why_a_backup_stays() {
    let place = released();
    let source = root().join("examples/retention-c/releases.c");
    compile(&place, &source, "libreleases.so", &[]);
    place.ok(&[
        "--set",
        "plugins.lock=plugins.lock",
        "plugin",
        "add",
        "plugins/libreleases.so",
    ]);
    let policies = [
        "--policy",
        "org.example.c-releases",
        "--policy",
        "count:keep=1",
    ];
    let plan = cleanup(&place, &policies);
    for said in ["would delete 2 backups", "tagged release-1.4"] {
        assert!(plan.contains(said), "{said} is not in {plan}");
    }
}

#[test]
fn a_plugin_in_rust_that_panics_deletes_nothing() {
    let place = released();
    let package = ["-p", "statekeep-fixtures", "--example", "panicking"];
    cargo(&place, &package, "libpanicking.so");
    for at in ["create", "evaluate"] {
        let policy = format!("org.example.panicking:panic_in={at}");
        let args = ["backup", "cleanup", "--yes", "--policy", &policy];
        let allowed = ["--json", "--set", "plugins.allow_unlisted=true"];
        let run = place.run(&[&allowed[..], &ALLOWED[..2], &args[..]].concat());
        let report: Value = serde_json::from_str(run.stdout.trim()).unwrap();
        let failure = report["failure"].as_str().unwrap();
        assert!(failure.contains(&format!("planted in {at}")), "{failure}");
        assert_eq!(place.json_lines(&["backup", "list"]).len(), 4);
    }
}

/// In each: nothing is deleted, or floors hold; the report says which policy and why; and a sane policy
/// works afterwards.
#[test]
fn hostile_plugins_lose_no_backup() {
    let place = released();
    let source = root().join("tests/fixtures/misbehaving_policy.c");
    let allowed = [
        "--set",
        "plugins.paths=plugins",
        "--set",
        "plugins.allow_unlisted=true",
        "--set",
    ];
    // What hangs is not waited for as long as what answers.
    let timeout = |lie: &str| match lie {
        "HANGS" | "HANGS_IN_CREATE" => "retention.policy_timeout=300ms",
        "HANGS_IN_DESTROY" => "retention.policy_timeout=2s",
        _ => "retention.policy_timeout=1m",
    };
    for (number, (lie, why)) in [
        ("LIE_VERDICT", "is no verdict"),
        ("LIE_LONG_REASON", "wrote a reason of"),
        ("LIE_STATUS", "does not expect"),
        ("LIE_NOT_FOUND", "which is no answer of this function"),
        ("ERRS", "the calendar is away"),
        ("HANGS", "did not answer within 0.3 s"),
        ("HANGS_IN_CREATE", "did not answer within 0.3 s"),
        ("ERRS_IN_CREATE", "no such calendar"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("org.example.hostile{number}");
        let flags = [format!("-DID=\"{id}\""), format!("-D{lie}")];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        compile(&place, &source, &format!("libhostile{number}.so"), &flags);
        let hostile = ["backup", "cleanup", "--yes", "--policy", &id];
        let args = [&["--json"], &allowed[..], &[timeout(lie)], &hostile[..]].concat();
        let run = place.run(&args);
        let report: Value = serde_json::from_str(run.stdout.trim()).unwrap();
        let failure = report["failure"].as_str().unwrap();
        assert!(
            failure.contains(&id) && failure.contains(why),
            "{lie}: {failure}"
        );
        assert_eq!(report["deleted"], 0, "{lie}");
        assert_eq!(place.json_lines(&["backup", "list"]).len(), 4, "{lie}");
    }
    let sane = ["backup", "cleanup", "--dry-run", "--policy", "count:keep=3"];
    assert!(place.ok(&sane).contains("would delete 1 backup"));

    // A policy that hangs only where its instance ends has answered.
    for (name, more) in [("forgets", "FORGETS"), ("ends", "HANGS_IN_DESTROY")] {
        let id = format!("org.example.{name}");
        let flags = [format!("-DID=\"{id}\""), format!("-D{more}")];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        compile(&place, &source, &format!("lib{name}.so"), &flags);
        let args = ["backup", "cleanup", "--dry-run", "--policy", &id];
        let plan = place.json(&[&allowed[..], &[timeout(more)], &args[..]].concat());
        assert_eq!(plan["failure"], Value::Null, "{more}");
        assert_eq!(
            (&plan["would_delete"], &plan["retained"]),
            (&3.into(), &1.into())
        );
        let newest = &plan["decisions"][3];
        assert_eq!(newest["floor"], "newest_full", "{newest}");
    }
}
