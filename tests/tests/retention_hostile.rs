//! A hostile retention plugin in a process that lives on: it is left alone while it is away, others are
//! asked meanwhile, and its name is its own.

use std::sync::Arc;

use statekeep::{
    CleanupOptions, CleanupReport, Config, CreateOptions, ErrorKind, Host, Progress, RetentionRule,
};
use statekeep_tests::fixtures;
use tempfile::TempDir;

/// A state with three backups and one plugin.
fn with_plugin(name: &str, flags: &[&str]) -> (TempDir, Arc<Host>) {
    let folder = fixtures::folder();
    fixtures::install(&fixtures::policy_fixture(name, flags), folder.path());
    let text = format!(
        "path = {state:?}\n[plugins]\npaths = [{plugins:?}]\nallow_unlisted = true\n\
         [retention]\npolicy_timeout = \"200ms\"",
        state = folder.path().join("state"),
        plugins = folder.path(),
    );
    let host = statekeep::open(&Config::from_toml(&text).unwrap()).unwrap();
    for _ in 0..3 {
        let made = host
            .backups
            .create(&CreateOptions::default(), &Progress::new());
        made.unwrap();
    }
    (folder, host)
}

fn clean(host: &Host, rule: RetentionRule) -> CleanupReport {
    let options = CleanupOptions {
        rule: Some(rule),
        ..CleanupOptions::default()
    };
    host.backups.cleanup(&options, &Progress::new()).unwrap()
}

#[test]
fn a_plugin_that_hangs_is_left_alone_until_it_is_back() {
    let gate = tempfile::NamedTempFile::new().unwrap();
    let flag = format!("-DHANGS_WHILE=\"{}\"", gate.path().display());
    let flags = [r#"-DID="org.example.hangs""#, &flag];
    let (_folder, host) = with_plugin("hangs_while", &flags);
    let asked = || clean(&host, RetentionRule::policy("org.example.hangs", &[]));
    // Loading it may be what takes too long on a busy machine, so it is asked until it was loaded.
    let failure = loop {
        let failure = asked().failure.unwrap();
        if failure.contains("has not answered") {
            break failure;
        }
        assert!(failure.contains("did not answer"), "{failure}");
    };
    assert!(failure.contains("org.example.hangs"), "{failure}");
    assert_eq!(host.backups.list().unwrap().backups.len(), 3);
    let count = RetentionRule::policy("count", &[("keep", 2.into())]);
    while clean(&host, count.clone()).failure.is_some() {}
    assert_eq!(host.backups.list().unwrap().backups.len(), 2);
    drop(gate);
    let report = loop {
        let report = asked();
        if report.failure.is_none() {
            break report;
        }
    };
    assert_eq!(
        (report.evaluated, report.deleted),
        (2, 1),
        "the newest stays"
    );
    host.close().unwrap();
}

#[test]
fn a_function_cannot_take_the_name_of_a_plugin_that_is_not_loaded_yet() {
    let (_folder, host) = with_plugin("named", &[r#"-DID="statekeep.named""#]);
    let function = Arc::new(|_: &_, _: &_, _: &_| Ok(Vec::new()));
    let refused = host.backups.register_policy("named", function);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
    host.close().unwrap();
}
