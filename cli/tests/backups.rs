//! backup create, list, show and verify, on good repositories and on damaged ones.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;
use support::Place;

/// Overwrites one byte in the middle of the only file in a folder of the repository.
fn damage(place: &Place, folder: &str) -> PathBuf {
    let folder = place.path("state/backups").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files.remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn a_chain_is_merged_into_a_synthetic_full() {
    let place = Place::new();
    for n in ["1", "2"] {
        place.ok(&["set", "global", n, n]);
        place.ok(&["backup", "create", "--incremental"]);
    }
    let message = place.fails(2, &["backup", "create", "--from", "01AB"]);
    assert!(message.contains("--synthetic"), "{message}");
    let made = place.ok(&["--json", "backup", "create", "--synthetic"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let before = made["merged_from"].as_str().unwrap();
    assert_eq!(
        (&made["kind"], &made["records"]),
        (&json!("synthetic"), &json!(2))
    );
    place.ok(&["backup", "verify", made["id"].as_str().unwrap()]);
    // The same again, by its name.
    place.ok(&["backup", "create", "--synthetic", "--from", before]);

    let one = [
        "--set",
        "backup.chain_max=1",
        "backup",
        "create",
        "--incremental",
    ];
    place.ok(&one);
    let run = place.run(&one);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("merged into the synthetic full"),
        "{}",
        run.stderr
    );
}

#[test]
fn lists_and_manifests_have_the_documented_shapes() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    assert_eq!(place.ok(&["backup", "list"]), "");
    assert!(
        !place.path("state/backups").exists(),
        "listing made a repository"
    );
    let made = place.json(&[
        "backup", "create", "--label", "one", "--tag", "t", "--codec", "lz4",
    ]);
    let second = place.backup();
    let id = made["id"].as_str().unwrap();
    let shown = place.json(&["backup", "show", id]);
    assert_eq!(shown, made);
    assert_eq!(
        (&shown["codec"], &shown["label"]),
        (&json!("lz4"), &json!("one"))
    );
    assert_eq!(
        (&shown["tags"], &shown["records"]),
        (&json!(["t"]), &json!(1))
    );
    assert!(
        place
            .ok(&["backup", "show", id])
            .contains("label                     one\n")
    );
    // What is long is summed up for people.
    let text = place.ok(&["backup", "show", id]);
    assert!(!text.contains(['{', '[']), "{text}");
    assert!(
        text.contains("counts                    1 scope\n"),
        "{text}"
    );

    let list = place.json_lines(&["backup", "list"]);
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["id"], &list[1]["id"]),
        (&made["id"], &json!(second))
    );
    assert!(list[0]["time_unix_ms"].is_i64() && list[0]["stored_bytes"].is_u64());
    let text = place.ok(&["backup", "list"]);
    // A table begins with its titles, also when a list had none for long.
    let lines: Vec<_> = text.lines().collect();
    let titles: Vec<_> = lines[0].split("  ").map(str::trim).collect();
    let titles: Vec<_> = titles.into_iter().filter(|one| !one.is_empty()).collect();
    assert_eq!(
        titles,
        ["BACKUP", "AS OF", "KIND", "RECORDS", "SIZE", "NOTES"]
    );
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with(id), "{text}");
    assert!(text.contains("#t one\n"), "{text}");

    place.fails(3, &["backup", "show", "01ZZZZZZZZ"]);
    place.fails(3, &["backup", "show", "00000000000000000000000000"]);
    assert!(
        place
            .fails(2, &["backup", "show", "../../etc/passwd"])
            .contains("neither an id")
    );
    assert!(
        place
            .fails(2, &["backup", "show", &id[..3]])
            .contains("4 or more")
    );
    let message = place.fails(2, &["backup", "show", &id[..4]]);
    assert!(
        message.contains(&second) && message.contains("give more of it"),
        "{message}"
    );
    let message = place.fails(3, &["backup", "create", "--codec", "nosuch"]);
    assert!(message.contains("nosuch"), "{message}");
    assert_eq!(place.json_lines(&["backup", "list"]).len(), 2);
}

#[test]
fn verification_finds_damage_and_restore_leaves_the_state_alone() {
    let place = Place::new();
    place.ok(&[
        "set",
        "global",
        "k",
        "\"some text that fills a block a little\"",
    ]);
    let id = place.backup();
    let report = place.json(&["backup", "verify", &id]);
    assert_eq!(report["is_valid"], true);
    assert_eq!(
        (&report["checksum_valid"], &report["integrity_valid"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&report["errors"], &report["records"]),
        (&json!([]), &json!(1))
    );
    assert!(
        place
            .ok(&["backup", "verify", "--all"])
            .starts_with("valid ")
    );
    assert!(
        place
            .ok(&["backup", "verify", "--quick", &id])
            .starts_with("present ")
    );

    place.ok(&["set", "global", "k", "2"]);
    let file = damage(&place, "seg");
    let run = place.run(&["backup", "verify", &id]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        run.stdout.starts_with("damaged ") && run.stdout.contains(name),
        "{}",
        run.stdout
    );
    let run = place.run(&["--json", "backup", "verify", "--all"]);
    assert_eq!(run.code, 5);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&report["id"], &report["is_valid"]),
        (&json!(id), &json!(false))
    );
    assert!(!report["errors"].as_array().unwrap().is_empty());

    let run = place.run(&["--json", "backup", "restore", &id, "--yes"]);
    assert_eq!(
        (run.code, &run.error()["code"]),
        (5, &json!("corrupt")),
        "{}",
        run.stderr
    );
    assert_eq!(place.ok(&["get", "global", "k"]), "2\n");
}

#[test]
fn a_planted_manifest_hides_no_backup_and_is_not_believed() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    let id = place.backup();
    let man = "state/backups/man";
    let real = std::fs::read(place.path(man).join(&id)).unwrap();
    let planted = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    place.write(&format!("{man}/{planted}"), &real);
    place.write(&format!("{man}/letter.txt"), "Dear restorer,");
    let run = place.run(&["backup", "list"]);
    assert_eq!(run.code, 5);
    let rows: Vec<_> = run.stdout.lines().skip(1).collect();
    assert!(
        matches!(rows.as_slice(), [row] if row.starts_with(&id)),
        "{rows:?}"
    );
    assert!(
        run.stderr.contains(planted) && run.stderr.contains("letter.txt"),
        "{}",
        run.stderr
    );
    let run = place.run(&["--json", "backup", "list"]);
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.get("problem").is_some())
            .count(),
        2
    );
    place.fails(5, &["backup", "restore", planted, "--yes"]);
    assert_eq!(place.run(&["backup", "verify", "--all"]).code, 5);
    assert_eq!(place.ok(&["get", "global", "k"]), "1\n");
}

#[test]
fn backups_are_readable_with_every_codec_and_backend() {
    for backend in ["fjall", "sled", "redb", "lmdb", "sqlite"] {
        let place = Place::new();
        place.ok(&["--backend", backend, "set", "global", "k", "1"]);
        for codec in ["zstd", "lz4", "gzip", "brotli"] {
            place.ok(&["backup", "create", "--codec", codec]);
        }
        assert_eq!(place.ok(&["backup", "verify", "--all"]).lines().count(), 4);
        place.ok(&["set", "global", "k", "2"]);
        let first = place.json_lines(&["backup", "list"])[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        place.ok(&["backup", "restore", &first, "--yes"]);
        assert_eq!(place.ok(&["get", "global", "k"]), "1\n", "{backend}");
    }
}

#[test]
fn ctrl_c_stops_a_backup_and_leaves_none_behind() {
    let place = Place::new();
    let value = format!("\"{}\"", "0123456789abcdef".repeat(64 * 1024));
    place.write("value.json", &value);
    for key in 0..48 {
        place.ok(&["set", "global", &key.to_string(), "--file", "value.json"]);
    }
    // brotli at its highest level takes far longer than a signal needs to arrive.
    let args = ["backup", "create", "--codec", "brotli", "--level", "11"];
    let mut command = place.command(&args);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !place.path("state/backups/FORMAT").exists() {
        std::thread::yield_now();
    }
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let run = support::Run::of(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{}", run.stderr);
    assert!(run.stderr.contains("cancelled"), "{}", run.stderr);
    assert_eq!(place.ok(&["backup", "list"]), "");
}

#[test]
fn strays_are_shown_and_removed_and_pins_are_kept() {
    let place = Place::new();
    place.ok(&["set", "global", "k", "1"]);
    let id = place.backup();
    let stray = place.path("state/backups/seg/01ARZ3NDEKTSV4RRFFQ69G5FAV-000000.seg");
    std::fs::write(&stray, "left over").unwrap();
    let check = place.ok(&["repository", "check"]);
    assert!(check.starts_with("present  1 backup"), "{check}");
    let unread = "names, sizes and documents; 2 segments, ";
    assert!(check.contains(unread), "{check}");
    assert!(check.contains("`backup verify --all`"), "{check}");
    let report = place.json(&["repository", "check"]);
    assert_eq!(report["looked_at"], json!(["names", "sizes", "documents"]));
    assert_eq!(report["unread_objects"], 2);
    assert!(report["unread_bytes"].as_u64().is_some_and(|n| n > 0));
    assert!(check.contains("1 stray object, 9 B"), "{check}");
    let plan = place.ok(&["backup", "prune-strays", "--dry-run"]);
    assert!(plan.starts_with("would remove 1 stray object"), "{plan}");
    assert!(plan.contains("01ARZ3NDEKTSV4RRFFQ69G5FAV") && stray.exists());
    let message = place.fails(2, &["backup", "prune-strays"]);
    assert!(message.contains("--yes") && stray.exists(), "{message}");
    let done = place.ok(&["--json", "backup", "prune-strays", "--yes"]);
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!(
        (&done["removed"]["objects"], stray.exists()),
        (&json!(1), false)
    );
    let done = place.ok(&["backup", "prune-strays", "--yes"]);
    assert_eq!(done, "removed 0 stray objects, 0 B\n");

    assert_eq!(place.ok(&["backup", "pin", &id]), format!("{id} pinned\n"));
    assert!(place.ok(&["backup", "list"]).contains("pinned"));
    let unpinned = place.ok(&["--json", "backup", "unpin", &id]);
    let unpinned: serde_json::Value = serde_json::from_str(&unpinned).unwrap();
    assert_eq!(unpinned, json!({ "id": id, "pin": false, "changed": true }));

    place.ok(&["repository", "repair"]);
    damage(&place, "man");
    let check = place.run(&["repository", "check"]);
    assert_eq!(check.code, 5, "{}", check.stderr);
    assert!(
        check.stdout.contains(&format!("man/{id}")),
        "{}",
        check.stdout
    );
}

/// Real processes in one repository: two states are backed up at once, while a third one is restored
/// again and again and strays are removed. Nothing that was acknowledged is lost.
#[test]
fn several_processes_share_a_repository() {
    const ROUNDS: usize = 4;
    let place = Place::new();
    let shared = format!("backup.dir={}", place.path("shared").display());
    let of = |state: &'static str, args: &[&str]| {
        place.ok(&[&["--path", state, "--set", &shared], args].concat())
    };
    for state in ["a", "b", "c"] {
        for number in 0..20 {
            let key = format!("k{number}");
            place.ok(&["--path", state, "set", "agent:x", &key, "\"some text\""]);
        }
    }
    let kept = of("c", &["backup", "create"]);
    let made = std::thread::scope(|scope| {
        let writers = ["a", "b"].map(|state| {
            scope.spawn(move || {
                let create = |_| of(state, &["backup", "create"]);
                (0..ROUNDS).map(create).collect::<Vec<_>>()
            })
        });
        for _ in 0..ROUNDS {
            of("c", &["backup", "prune-strays", "--yes"]);
            of(
                "c",
                &[
                    "backup",
                    "restore",
                    "--yes",
                    "--no-safety-backup",
                    kept.trim_end(),
                ],
            );
            of("c", &["repository", "check"]);
            of("c", &["repository", "repair"]);
        }
        writers.map(|writer| writer.join().unwrap()).concat()
    });
    assert_eq!(made.len(), 2 * ROUNDS);
    let listed = of("c", &["backup", "list"]);
    for id in made.iter().chain([&kept]) {
        assert!(listed.contains(id.trim_end()), "{id} is lost: {listed}");
    }
    of("c", &["backup", "verify", "--all"]);
    let check = of("c", &["repository", "check"]);
    assert!(
        check.starts_with(&format!("present  {} backups", 2 * ROUNDS + 1)),
        "{check}"
    );
}

#[test]
fn a_rate_that_is_none_is_refused_and_one_that_is_bounds_the_backup() {
    let place = Place::new();
    place.ok(&["set", "agent:a", "n", "1"]);
    let message = place.fails(2, &["backup", "create", "--limit-rate", "fast"]);
    assert!(message.contains("500K"), "{message}");
    place.ok(&["backup", "create", "--limit-rate", "10MiB/s"]);
    place.ok(&["backup", "verify", "--all", "--limit-rate", "1G"]);
}
