//! A state that is well has nothing to worry about, and each ailment is named with what to do.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::{CreateOptions, Key, SetOptions, Value, open_unscheduled};

/// No finding depends on how full the disk of the machine is.
fn config(dir: &Path) -> Config {
    let mut config = Config::new(dir.join("state"));
    config.set("alerts.disk_percent", "0").unwrap();
    config.set("upkeep_interval_ms", "0").unwrap();
    config
}

/// A state with a backup.
fn state(config: &Config) -> Arc<Host> {
    let host = open_unscheduled(config).unwrap();
    let tenant = host.manager.default_tenant().blocking();
    let (scope, key) = ("agent:1".parse().unwrap(), Key::new("plan").unwrap());
    let value = Value::json("1").unwrap();
    tenant
        .set(&scope, &key, value, SetOptions::default())
        .unwrap();
    let options = CreateOptions::default();
    host.backups.create(&options, &Progress::new()).unwrap();
    host
}

fn ailments(diagnosis: &Diagnosis) -> Vec<&Finding> {
    let findings = diagnosis.findings.iter();
    findings
        .filter(|finding| finding.severity > Gravity::Note)
        .collect()
}

#[test]
fn a_state_that_is_well_has_a_line_for_each_thing_that_was_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.set("backup.every", "1d").unwrap();
    config.set("backup.max_backups", "5").unwrap();
    let host = state(&config);
    let diagnosis = host.doctor(&Progress::new()).unwrap();
    assert_eq!(diagnosis.severity, Gravity::Fine, "{diagnosis:#?}");
    let areas: Vec<_> = diagnosis.findings.iter().map(|one| one.area).collect();
    for area in [
        "configuration",
        "state",
        "disk",
        "plugins",
        "repository",
        "schedule",
        "retention",
        "alerts",
    ] {
        assert!(areas.contains(&area), "{area}: {diagnosis:#?}");
    }
    host.close().unwrap();
    let diagnosis = examine(&config, &Progress::new()).unwrap();
    assert!(
        diagnosis.is_open && diagnosis.severity == Gravity::Fine,
        "{diagnosis:#?}"
    );
}

#[test]
fn ailments_come_first_each_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config
        .set("retention.policies", r#"[{"policy": "unheard"}]"#)
        .unwrap();
    config.set("retention.automatic", "false").unwrap();
    config.set("retention.storage_bytes_max", "1").unwrap();
    let host = state(&config);
    let manifest = std::fs::read_dir(host.backups.config().dir.join("run")).unwrap();
    let run = manifest.map(|entry| entry.unwrap().path()).next().unwrap();
    std::fs::write(&run, "no run").unwrap();
    let diagnosis = host.doctor(&Progress::new()).unwrap();
    let found: Vec<_> = ailments(&diagnosis)
        .iter()
        .map(|finding| (finding.severity, finding.area))
        .collect();
    assert_eq!(
        found,
        [
            (Gravity::Error, "repository"),
            (Gravity::Error, "alerts"),
            (Gravity::Warning, "retention"),
        ],
        "{diagnosis:#?}"
    );
    assert!(
        ailments(&diagnosis)
            .iter()
            .all(|one| one.next_step.is_some())
    );
    let cause = diagnosis.findings[2].cause.as_deref().unwrap();
    assert!(cause.contains("unheard"), "{cause}");
    assert!(
        diagnosis
            .findings
            .is_sorted_by(|a, b| a.severity >= b.severity)
    );
}

#[test]
fn a_state_that_is_open_elsewhere_is_seen_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let host = state(&config);
    let diagnosis = examine(&config, &Progress::new()).unwrap();
    assert!(!diagnosis.is_open);
    assert_eq!(diagnosis.severity, Gravity::Note, "{diagnosis:#?}");
    let first = &diagnosis.findings[0];
    assert!(first.what.contains("open"), "{first:?}");
    assert!(first.next_step.as_deref().unwrap().contains("doctor"));
    let repository = diagnosis
        .findings
        .iter()
        .find(|one| one.area == "repository");
    assert!(
        repository.unwrap().what.starts_with("1 backup in "),
        "{diagnosis:#?}"
    );
    host.close().unwrap();
}

#[test]
fn a_damaged_state_is_a_finding_and_its_backups_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let host = state(&config);
    host.close().unwrap();
    drop(host);
    std::fs::write(dir.path().join("state/CURRENT"), "no state").unwrap();
    let diagnosis = examine(&config, &Progress::new()).unwrap();
    let [damage] = &ailments(&diagnosis)[..] else {
        panic!("{diagnosis:#?}");
    };
    assert_eq!((damage.severity, damage.area), (Gravity::Error, "state"));
    assert!(damage.next_step.as_deref().unwrap().contains("restore"));
    assert!(
        diagnosis
            .findings
            .iter()
            .any(|one| one.area == "repository")
    );
}

#[test]
fn where_nothing_is_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let diagnosis = examine(&config, &Progress::new()).unwrap();
    assert_eq!(diagnosis.severity, Gravity::Error);
    assert!(
        diagnosis.findings[0].what.contains("no state"),
        "{diagnosis:#?}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let progress = Progress::new();
    progress.cancel();
    let error = examine(&config, &progress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
