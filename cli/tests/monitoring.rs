//! What operators see: what backups take, and what the doctor says of a state that is well, one that is
//! not, and one that it cannot open.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod support;

use support::{Place, Run};

/// The doctor, whatever the disk of the machine is like.
fn doctor(place: &Place, settings: &[&str]) -> Run {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let quiet = ["doctor", "--set", "alerts.disk_percent=0"];
    place.run(&quiet.into_iter().chain(settings).collect::<Vec<_>>())
}

#[test]
fn storage_is_told_by_backup_chain_scope_and_age() {
    let place = Place::new();
    place.ok(&["set", "agent:1", "plan", "1"]);
    assert!(place.ok(&["backup", "storage"]).contains("0 backups"));
    let full = place.json(&["backup", "create"])["id"].clone();
    place.ok(&["set", "agent:1", "plan", "2"]);
    place.ok(&["backup", "create", "--incremental"]);

    let by_backup = place.ok(&["backup", "storage"]);
    assert!(by_backup.contains(" 2 backups\n"), "{by_backup}");
    assert!(
        by_backup.contains("no forecast: too few backups"),
        "{by_backup}"
    );
    assert!(by_backup.contains(full.as_str().unwrap()) && by_backup.contains('\u{2588}'));
    let by_chain = place.ok(&["backup", "storage", "--by", "chain"]);
    assert!(by_chain.contains("1/30"), "{by_chain}");
    let by_scope = place.ok(&["backup", "storage", "--by", "scope"]);
    assert!(
        by_scope.contains("agent:1") && by_scope.contains("100.0 %"),
        "{by_scope}"
    );
    let by_age = place.ok(&["backup", "storage", "--by", "age"]);
    assert!(by_age.contains("under a day"), "{by_age}");

    let report = place.json(&["backup", "storage"]);
    assert_eq!(report["backups"].as_array().unwrap().len(), 2);
    assert_eq!(report["chains"][0]["full"], full);
    assert_eq!(report["unknown"]["objects"], 0);
}

#[test]
fn the_doctor_says_what_is_wrong_and_its_exit_code_says_how_bad() {
    let place = Place::new();
    let vacant = doctor(&place, &[]);
    assert_eq!(vacant.code, 8, "{vacant:?}");
    assert!(vacant.stdout.contains("there is no state"), "{vacant:?}");

    place.ok(&["set", "agent:1", "plan", "1"]);
    place.ok(&["backup", "create"]);
    let well = doctor(&place, &[]);
    assert_eq!(well.code, 0, "{well:?}");
    assert!(well.stdout.contains("\nok       repository"), "{well:?}");
    let mut lines = well.stdout.lines();
    assert!(lines.next().unwrap().starts_with("note     "), "{well:?}");

    let policy = r#"retention.policies=[{"policy": "unheard"}]"#;
    let warned = doctor(&place, &[policy]);
    assert_eq!(warned.code, 7, "{warned:?}");
    assert!(
        warned.stdout.starts_with("warning  retention"),
        "{warned:?}"
    );
    assert!(warned.stdout.contains("because: ") && warned.stdout.contains("next: "));

    let full = doctor(&place, &["retention.storage_bytes_max=1"]);
    assert_eq!(full.code, 8, "{full:?}");
    assert!(full.stdout.contains("storage_limit_near"), "{full:?}");

    let run = place.run(&["doctor", "--json", "--set", "alerts.disk_percent=0"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&report["severity"], &report["is_open"]),
        (&"note".into(), &true.into())
    );
    assert!(report["findings"][0]["next_step"].is_string(), "{report}");
}

#[test]
fn the_doctor_looks_at_a_damaged_state_from_outside() {
    let place = Place::new();
    place.ok(&["set", "agent:1", "plan", "1"]);
    place.ok(&["backup", "create"]);
    place.write("state/CURRENT", "damaged");
    let run = doctor(&place, &[]);
    assert_eq!(run.code, 8, "{run:?}");
    assert!(run.stdout.starts_with("error    state"), "{run:?}");
    assert!(run.stdout.contains("1 backup in "), "{run:?}");
}
