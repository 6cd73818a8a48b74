//! The facade: what `open` promises about backends, sharing, closing and backups.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

use std::sync::Arc;

use serde_json::json;
use statekeep::{
    Config, CreateOptions, ErrorKind, Key, Progress, RestoreOptions, Scope, SetOptions, Value,
    VerifyLevel,
};

fn one() -> (Scope, Key) {
    (Scope::global(), Key::new("k").unwrap())
}

fn value(text: &str) -> Value {
    Value::json(text).unwrap()
}

#[test]
fn a_state_keeps_its_backend_and_another_one_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("state"));
    config.set("backend", "sled").unwrap();
    statekeep::open(&config).unwrap().close().unwrap();

    // Nobody names a backend: the state knows its own, whatever the default is.
    let host = statekeep::open(&Config::new(dir.path().join("state"))).unwrap();
    assert_eq!(host.manager.backend_name(), "sled");
    host.close().unwrap();
    drop(host);

    config.set("backend", "fjall").unwrap();
    let error = statekeep::open(&config).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("`sled`"), "{error}");
}

#[test]
fn a_state_is_open_once_and_free_when_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(dir.path().join("state"));
    let host = statekeep::open(&config).unwrap();
    let error = statekeep::open(&config).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );

    let (scope, key) = one();
    let tenant = host.manager.default_tenant().blocking();
    tenant
        .set(&scope, &key, value("1"), SetOptions::default())
        .unwrap();
    host.close().unwrap();
    host.close().unwrap();
    assert_eq!(
        tenant.get(&scope, &key).unwrap_err().kind(),
        ErrorKind::Closed
    );
    let again = statekeep::open(&config).unwrap();
    let tenant = again.manager.default_tenant().blocking();
    assert_eq!(tenant.get(&scope, &key).unwrap(), Some(value("1")));
}

#[test]
fn opening_without_create_or_path_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("state"));
    config.set("create", "false").unwrap();
    assert_eq!(
        statekeep::open(&config).err().unwrap().kind(),
        ErrorKind::NotFound
    );
    assert!(!dir.path().join("state").exists());
    let error = statekeep::open(&Config::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

/// The backup manager works on the very manager that the application writes through: a handle from
/// before a restore sees what was restored, and writes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_of_the_manager_that_everybody_uses() {
    let dir = tempfile::tempdir().unwrap();
    let host = statekeep::open(&Config::new(dir.path().join("state"))).unwrap();
    let (scope, key) = one();
    let tenant = host.manager.default_tenant();
    let before = tenant
        .set(&scope, &key, value("1"), SetOptions::default())
        .await
        .unwrap();
    assert!(!dir.path().join("state/backups").exists());
    let backup = host
        .backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    assert_eq!((backup.records, backup.sequence_to), (1, before.0));

    tenant
        .set(&scope, &key, value("2"), SetOptions::default())
        .await
        .unwrap();
    let report = host
        .backups
        .verify(backup.id, VerifyLevel::Full, &Progress::new())
        .unwrap();
    assert!(report.is_valid, "{report:?}");
    host.backups
        .restore(backup.id, &RestoreOptions::default(), &Progress::new())
        .unwrap();
    assert_eq!(tenant.get(&scope, &key).await.unwrap(), Some(value("1")));
    let after = tenant
        .set(&scope, &key, value("3"), SetOptions::default())
        .await
        .unwrap();
    assert!(after > before);
}

#[test]
fn many_threads_share_one_host() {
    let dir = tempfile::tempdir().unwrap();
    let host = statekeep::open(&Config::new(dir.path().join("state"))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let host = Arc::clone(&host);
            scope.spawn(move || {
                let tenant = host.manager.default_tenant().blocking();
                for turn in 0..16 {
                    let key = Key::new(&format!("{thread}/{turn}")).unwrap();
                    let value = value(&turn.to_string());
                    tenant
                        .set(&Scope::global(), &key, value, SetOptions::default())
                        .unwrap();
                }
            });
        }
    });
    let tenant = host.manager.default_tenant().blocking();
    let page = tenant
        .list(&Scope::global(), &statekeep::ListOptions::default())
        .unwrap();
    assert_eq!(page.keys.len(), 8 * 16);
    let backup = host
        .backups
        .create(&CreateOptions::default(), &Progress::new())
        .unwrap();
    assert_eq!(backup.records, 8 * 16);
}

#[test]
fn a_schedule_makes_the_backup_that_is_due_and_close_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("state"));
    config.set("backup.every", "1h").unwrap();
    let host = statekeep::open(&config).unwrap();
    while host.schedule.status().runs == 0 {
        std::thread::yield_now();
    }
    let list = host.backups.list().unwrap();
    assert_eq!(list.backups.len(), 1);
    let status = host.schedule.status();
    assert_eq!(status.last_run.unwrap().done, Some(list.backups[0].id));
    host.close().unwrap();
    drop(host);

    // The one that there is counts, whoever opens the state; and `close` leaves it free.
    let host = statekeep::open_unscheduled(&config).unwrap();
    assert_eq!(host.schedule.run_due(&Progress::new()).unwrap(), None);
    host.close().unwrap();
    let error = host.schedule.run_due(&Progress::new()).err();
    assert!(error.is_none_or(|error| error.kind() == ErrorKind::Closed));
}

#[test]
fn the_schedule_of_cleanups_can_be_set_while_the_state_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("state"));
    config.set("backup.max_backups", "1").unwrap();
    config.set("retention.automatic", "false").unwrap();
    let host = statekeep::open(&config).unwrap();
    for _ in 0..3 {
        host.backups
            .create(&CreateOptions::default(), &Progress::new())
            .unwrap();
    }
    let set = |settings: serde_json::Value| host.set_retention(settings.as_object().unwrap());
    assert!(!host.cleanups.status().enabled);
    set(json!({"every": "6h"})).unwrap();
    while host.cleanups.status().runs == 0 {
        std::thread::yield_now();
    }
    let status = host.cleanups.status();
    assert_eq!(status.every_ms, Some(21_600_000));
    assert_eq!(status.last_run.unwrap().done.unwrap().deleted, 2);
    assert_eq!(host.backups.list().unwrap().backups.len(), 1);
    // All of it or nothing.
    let error = set(json!({"daily_at": "04:00", "max_backups": 9})).unwrap_err();
    assert!(error.to_string().contains("remove one"), "{error}");
    assert_eq!(host.cleanups.status().every_ms, Some(21_600_000));
    // What has nothing to do with it leaves it as it is.
    set(json!({"max_backups": 7})).unwrap();
    assert_eq!(host.cleanups.status().runs, 1);
    set(json!({"every": null, "daily_at": "04:00"})).unwrap();
    let status = host.cleanups.status();
    assert_eq!(
        (status.every_ms, status.daily_at.as_deref()),
        (None, Some("04:00:00"))
    );
    set(json!({"daily_at": null})).unwrap();
    assert!(!host.cleanups.status().enabled);
    host.close().unwrap();
    set(json!({"every": "6h"})).unwrap();
    assert_eq!(host.cleanups.status().runs, 0, "a closed state makes none");
}
