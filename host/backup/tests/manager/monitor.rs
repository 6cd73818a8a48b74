//! What operators are told: what a repository takes and for whom, which alerts hold, what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use statekeep_backup::{
    AlertConfig, AlertRule, BackupConfig, BackupManager, CleanupOptions, CreateOptions, Monitor,
    Progress, RetentionRule, Scheduler, StorageReport, VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{Clock, EventFilter, EventKind, Events, StateManager, SystemClock};

use crate::cleanup::clean;
use crate::support::{TestClock, backups_of, bare, create, fill, open, set};

fn storage(backups: &BackupManager) -> StorageReport {
    let report = backups.storage(&Progress::new()).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    let folders = report.folders.iter().map(|folder| folder.stored.bytes);
    assert_eq!(report.stored.bytes, folders.sum::<u64>());
    report
}

fn incremental(manager: &Arc<StateManager>, backups: &BackupManager, value: &str) {
    set(manager, "", "global", "k", value).unwrap();
    let options = CreateOptions {
        incremental: Some(true),
        ..CreateOptions::default()
    };
    backups.create(&options, &Progress::new()).unwrap();
}

#[test]
fn the_storage_of_an_empty_place_is_empty() {
    let disk = SimDisk::new();
    let (_manager, backups) = open(&disk).unwrap();
    let report = storage(&backups);
    assert_eq!((report.stored.bytes, report.backups.len()), (0, 0));
}

#[test]
fn storage_says_what_each_backup_wrote_shares_and_would_free() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let full = create(&backups);
    incremental(&manager, &backups, "one");
    incremental(&manager, &backups, "two");
    let second = create(&backups);

    let report = storage(&backups);
    let [first, one, two, last] = &report.backups[..] else {
        panic!("{report:?}");
    };
    assert_eq!((first.id, last.id), (full.id, second.id));
    // The incrementals stand on the full, so removing it alone frees only its manifest.
    assert!(first.only_bytes < first.own_bytes && first.shared_bytes > 0);
    assert_eq!(two.shared_bytes, one.shared_bytes);
    assert!(two.only_bytes > one.only_bytes);
    assert_eq!((last.only_bytes, last.shared_bytes), (last.own_bytes, 0));

    let chains: Vec<_> = (report.chains.iter())
        .map(|chain| (chain.full, chain.newest, chain.backups, chain.length))
        .collect();
    assert_eq!(
        chains,
        [(full.id, two.id, 3, 2), (second.id, second.id, 1, 0)]
    );
    let own: u64 = report.backups.iter().map(|backup| backup.own_bytes).sum();
    let chains: u64 = report.chains.iter().map(|chain| chain.bytes).sum();
    let series: u64 = report.series.iter().map(|series| series.bytes).sum();
    assert_eq!((chains, series), (own, own));
    let young = &report.ages[0];
    assert_eq!(
        (young.age, young.backups, young.bytes),
        ("under a day", 4, own)
    );

    // Of the newest backup, whose records are those of the state.
    let records: u64 = report.scopes.iter().map(|scope| scope.records).sum();
    assert_eq!(records, second.records);
    let share: f64 = report.scopes.iter().map(|scope| scope.share).sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    let tenants: Vec<_> = report.scopes.iter().map(|scope| &scope.tenant).collect();
    assert!(tenants.contains(&&Some("acme".to_owned())), "{tenants:?}");
    assert!(tenants.contains(&&Some(String::new())), "{tenants:?}");
}

#[test]
fn what_is_deleted_is_trash_until_it_is_removed_and_what_others_need_is_not() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    create(&backups);
    incremental(&manager, &backups, "one");
    create(&backups);
    let before = storage(&backups);
    clean(&backups, 1, 3_600_000).unwrap();
    let report = storage(&backups);
    assert_eq!(report.backups.len(), 1);
    let gone: u64 = before.backups[..2].iter().map(|one| one.own_bytes).sum();
    assert_eq!(report.trash.bytes, gone, "{report:?}");
    assert_eq!(report.unknown.objects, 0);
    // Their grace is over for a cleanup that gives none.
    for row in backups.trash().unwrap() {
        backups.undelete(row.id).unwrap();
    }
    clean(&backups, 1, 0).unwrap();
    let report = storage(&backups);
    assert_eq!(report.trash.bytes, 0, "{report:?}");
    assert!(before.stored.bytes > report.stored.bytes);
}

/// A monitor on a clock of the test's own, and what it tells.
fn monitored(
    config: AlertConfig,
) -> (
    Arc<StateManager>,
    Arc<BackupManager>,
    Monitor,
    Arc<TestClock>,
) {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let clock = Arc::new(TestClock(AtomicI64::new(SystemClock.now().0)));
    let backups = Arc::new(backups);
    let schedule = Arc::new(Scheduler::backups(&backups, None, clock.clone()));
    let monitor = Monitor::new(&backups, &schedule, config, clock.clone());
    (manager, backups, monitor, clock)
}

fn told(events: &Events) -> Vec<(&'static str, String)> {
    let next = || events.next_timeout(Duration::ZERO).unwrap();
    std::iter::from_fn(next)
        .map(|event| (event.kind.name(), event.subject))
        .collect()
}

#[test]
fn alerts_are_told_when_they_come_and_go_and_to_those_who_come_late() {
    let (manager, backups, monitor, clock) = monitored(AlertConfig::default());
    let events = manager.events().subscribe(&EventFilter::default()).unwrap();
    assert_eq!(monitor.check(), []);
    let made = create(&backups);
    assert_eq!(monitor.check(), []);
    let created = ("backup_created", made.id.to_string());
    assert_eq!(told(&events), [created]);

    let start = clock.0.fetch_add(9 * 86_400_000, SeqCst);
    let [alert] = &monitor.check()[..] else {
        panic!("{:?}", monitor.observed());
    };
    assert_eq!(alert.id, AlertRule::NoVerifiedBackup);
    clock.0.fetch_add(1_000, SeqCst);
    let [again] = &monitor.check()[..] else {
        panic!("{:?}", monitor.observed());
    };
    assert_eq!(again.since_unix_ms, alert.since_unix_ms);
    let raised = ("alert_raised", alert.key());
    let heard = told(&events);
    assert_eq!(heard, std::slice::from_ref(&raised), "told once");
    let late = manager.events().subscribe(&EventFilter::default()).unwrap();
    assert_eq!(told(&late), [raised]);

    clock.0.store(start, SeqCst);
    assert_eq!(monitor.check(), []);
    assert_eq!(told(&events), [("alert_cleared", alert.key())]);
}

#[test]
fn a_policy_that_fails_is_an_alert_until_a_cleanup_succeeds() {
    let (manager, backups, monitor, _clock) = monitored(AlertConfig::default());
    create(&backups);
    create(&backups);
    let filter = EventFilter {
        subject: Some("cleanup_failing*".to_owned()),
        ..EventFilter::default()
    };
    let events = manager.events().subscribe(&filter).unwrap();
    let unheard = CleanupOptions {
        rule: Some(RetentionRule::policy("unheard", &[])),
        ..CleanupOptions::default()
    };
    let dry = CleanupOptions {
        dry_run: true,
        ..unheard.clone()
    };
    backups.cleanup(&dry, &Progress::new()).unwrap();
    assert_eq!(monitor.check(), [], "a dry run is no cleanup");
    backups.cleanup(&unheard, &Progress::new()).unwrap();
    let alerts = monitor.check();
    assert!(alerts[0].message.contains("unheard"), "{alerts:?}");
    let status = backups.cleanups();
    assert_eq!((status.runs, status.failures), (0, 1));
    clean(&backups, 1, 0).unwrap();
    assert_eq!(monitor.check(), []);
    let status = backups.cleanups();
    assert_eq!((status.runs, status.deleted, status.purged), (1, 1, 1));
    let kinds: Vec<_> = told(&events).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["alert_raised", "alert_cleared"]);
}

#[test]
fn what_happens_to_backups_is_told_with_who_did_it() {
    let (manager, backups, _monitor, _clock) = monitored(AlertConfig::default());
    let filter = EventFilter {
        kinds: EventKind::ALL.to_vec(),
        ..EventFilter::default()
    };
    let events = manager.events().subscribe(&filter).unwrap();
    let first = create(&backups).id;
    let second = create(&backups).id;
    backups.delete(&[first], "ada").unwrap();
    backups.undelete(first).unwrap();
    let deletion = clean(&backups, 1, 3_600_000).unwrap().deletion.unwrap();
    backups
        .verify(second, VerifyLevel::Full, &Progress::new())
        .unwrap();
    backups.restore(second, &bare(), &Progress::new()).unwrap();
    let wrong = CreateOptions {
        codec: Some("unheard".to_owned()),
        ..CreateOptions::default()
    };
    backups.create(&wrong, &Progress::new()).unwrap_err();
    let next = || events.next_timeout(Duration::ZERO).unwrap();
    let events: Vec<_> = std::iter::from_fn(next).collect();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(
        kinds,
        [
            "backup_created",
            "backup_created",
            "backup_deleted",
            "backup_undeleted",
            "backup_deleted",
            "cleanup_done",
            "verify_done",
            "restore_done",
            "backup_failed",
        ]
    );
    assert_eq!(events[2].principal.as_deref(), Some("ada"));
    assert_eq!(events[4].subject, deletion.to_string());
    assert_eq!(events[4].principal.as_deref(), Some("a test"));
    assert_eq!(events[6].detail["is_valid"], true);
    assert_eq!(events[7].detail["is_done"], true);
    let why = events[8].detail["error"].as_str().unwrap();
    assert!(why.contains("unheard"), "{why}");
    let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{numbers:?}");
}

#[test]
fn the_thread_looks_when_something_happened_and_ends_when_it_is_closed() {
    let strict = AlertConfig {
        interval_ms: 86_400_000,
        chain_length: Some(1),
        ..AlertConfig::default()
    };
    let (manager, backups, monitor, _clock) = monitored(strict);
    let alerts = EventFilter {
        kinds: vec![EventKind::AlertRaised],
        ..EventFilter::default()
    };
    let alerts = manager.events().subscribe(&alerts).unwrap();
    monitor.start().unwrap();
    monitor.start().unwrap();
    create(&backups);
    incremental(&manager, &backups, "one");
    incremental(&manager, &backups, "two");
    let alert = alerts.next_blocking().unwrap();
    assert!(alert.subject.starts_with("chain_too_long "), "{alert:?}");
    monitor.close();
    monitor.close();
    assert_eq!(monitor.check().len(), 1, "asking works without it");
}

#[test]
fn a_repository_that_cannot_be_read_is_an_alert_and_no_error() {
    let (manager, backups, monitor, _clock) = monitored(AlertConfig::default());
    create(&backups);
    assert_eq!(monitor.check(), []);
    let other = BackupConfig {
        dir: "/state".into(),
        ..backups.config().clone()
    };
    let other = Arc::new(backups_of(&manager, other).unwrap());
    let clock = Arc::new(SystemClock);
    let schedule = Arc::new(Scheduler::backups(&other, None, clock.clone()));
    let wrong = Monitor::new(&other, &schedule, AlertConfig::default(), clock);
    let alerts = wrong.check();
    assert_eq!(alerts[0].id, AlertRule::RepositoryUnreadable, "{alerts:?}");
}
