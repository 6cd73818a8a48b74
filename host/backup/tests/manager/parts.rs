//! Restores of a part, what they would change, what differs between backups, and the way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use statekeep_backup::{
    BackupConfig, BackupManager, Progress, RestoreAt, RestoreMode, RestoreOptions, RestoreReport,
    SAFETY_TAG, VerifyLevel,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Class, ErrorKind, Expiry, HistoryOptions, Result, Selection, SetOptions, StateManager, UnixMs,
    Value,
};

use crate::support::{
    State, TestClock, backups_of, bare, create, fill, key, open, open_with, read, set,
};

fn part(scope: &str, mode: RestoreMode) -> RestoreOptions {
    RestoreOptions {
        selection: Some(Selection::new(Some(""), Some(scope), None).unwrap()),
        mode: Some(mode),
        ..bare()
    }
}

fn run(
    backups: &BackupManager,
    at: impl Into<RestoreAt>,
    options: &RestoreOptions,
) -> Result<RestoreReport> {
    backups.restore(at, options, &Progress::new())
}

/// In `user:1` of the default tenant a key is changed, one added, one deleted, and others elsewhere.
fn ruin(manager: &Arc<StateManager>) -> State {
    set(manager, "", "user:1", "k1", "ruined").unwrap();
    set(manager, "", "user:1", "extra", "x").unwrap();
    let tenant = manager.default_tenant().blocking();
    let user = "user:1".parse().unwrap();
    tenant
        .delete(&user, &key("k7"), SetOptions::default())
        .unwrap();
    set(manager, "", "global", "new", "stays").unwrap();
    set(manager, "acme", "user:1", "k1", "stays").unwrap();
    read(manager)
}

fn of_user(state: &State) -> State {
    let all = state.clone().into_iter();
    all.filter(|(name, _)| name.starts_with("/user:1/"))
        .collect()
}

fn counts(report: &RestoreReport) -> [Option<u64>; 3] {
    [report.added, report.changed, report.removed]
}

#[test]
fn a_part_becomes_what_it_was_and_the_rest_stays() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let backup = create(&backups);
    let ruined = ruin(&manager);
    let head = manager.head();

    // What it would do is told without doing it.
    let options = part("user:1", RestoreMode::Replace);
    let dry = RestoreOptions {
        dry_run: true,
        ..options.clone()
    };
    let told = run(&backups, backup.id, &dry).unwrap();
    assert_eq!(counts(&told), [Some(1), Some(1), Some(1)]);
    assert_eq!((manager.head(), told.sequence), (head, head.0));
    let samples = told.samples.clone().unwrap();
    let names = [&samples.added, &samples.changed, &samples.removed];
    let names = names.map(|names| names.iter().map(|n| n.key.as_str()).collect::<Vec<_>>());
    assert_eq!(names, [["k7"], ["k1"], ["extra"]]);

    let report = run(&backups, backup.id, &options).unwrap();
    assert_eq!(counts(&report), counts(&told));
    assert_eq!(
        (report.records, report.unchanged),
        (told.records, told.unchanged)
    );
    assert_eq!(report.sequence, head.0 + 1, "it is one commit");
    assert_eq!(report.before_sequence, Some(head.0));
    let after = read(&manager);
    assert_eq!(of_user(&after), of_user(&before));
    let mut rest = ruined.clone();
    rest.retain(|name, _| !name.starts_with("/user:1/"));
    assert!(
        rest.iter()
            .all(|(name, value)| after.get(name) == Some(value))
    );

    // The history of a key says which backup it came from.
    let tenant = manager.default_tenant().blocking();
    let (user, k1) = ("user:1".parse().unwrap(), key("k1"));
    let history = tenant
        .history(&user, &k1, &HistoryOptions::default())
        .unwrap();
    let newest = &history.versions[0];
    assert_eq!(newest.correlation_id, format!("restore {}", backup.id));

    // Nothing is left to do, so there is no commit.
    let again = run(&backups, backup.id, &options).unwrap();
    assert_eq!(counts(&again), [Some(0); 3]);
    assert_eq!(
        (manager.head().0, again.before_sequence),
        (head.0 + 1, None)
    );
}

#[test]
fn a_merge_keeps_what_the_backup_does_not_have() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let backup = create(&backups);
    ruin(&manager);
    let report = run(&backups, backup.id, &part("user:1", RestoreMode::Merge)).unwrap();
    assert_eq!(counts(&report), [Some(1), Some(1), Some(0)]);
    let mut wanted = of_user(&before);
    wanted.insert("/user:1/extra".to_owned(), "x".to_owned());
    assert_eq!(of_user(&read(&manager)), wanted);
}

#[test]
fn class_and_expiry_come_back_too_and_what_has_expired_does_not() {
    let disk = SimDisk::new();
    let clock = Arc::new(TestClock(AtomicI64::new(1_000)));
    let (manager, backups) = open_with(&disk, |options| {
        options.clock = clock.clone();
        options.upkeep_interval_ms = 0;
    })
    .unwrap();
    let tenant = manager.default_tenant().blocking();
    let user = "user:1".parse().unwrap();
    let kept = SetOptions {
        expires: Some(Expiry::At(UnixMs(1 << 50))),
        class: Some(Class::Critical),
        ..SetOptions::default()
    };
    let value = || Value::bytes("v");
    tenant.set(&user, &key("kept"), value(), kept).unwrap();
    let short = SetOptions {
        expires: Some(Expiry::At(UnixMs(2_000))),
        ..SetOptions::default()
    };
    tenant.set(&user, &key("short"), value(), short).unwrap();
    let backup = create(&backups);
    // The same value, in another class and for ever, is not the same record.
    tenant
        .set(&user, &key("kept"), value(), SetOptions::default())
        .unwrap();
    clock.0.store(2_000, Ordering::SeqCst);
    let dry = RestoreOptions {
        dry_run: true,
        ..part("user:1", RestoreMode::Replace)
    };
    let told = run(&backups, backup.id, &dry).unwrap();
    assert_eq!((counts(&told)[0], told.expired), (Some(0), 1));
    let report = run(&backups, backup.id, &part("user:1", RestoreMode::Replace)).unwrap();
    assert_eq!((report.records, report.expired), (1, 1));
    assert_eq!(counts(&report), [Some(0), Some(1), Some(0)]);
    let record = tenant.get_record(&user, &key("kept")).unwrap().unwrap();
    assert_eq!(
        (record.class, record.expires),
        (Class::Critical, Some(UnixMs(1 << 50)))
    );
}

#[test]
fn options_that_do_not_go_together_are_refused_and_change_nothing() {
    let disk = SimDisk::new();
    let (manager, backups) = open_with(&disk, |options| {
        options.limits.transaction_keys_max = 10;
    })
    .unwrap();
    fill(&manager);
    let backup = create(&backups);
    let refused = |options: &RestoreOptions| {
        let head = manager.head();
        let error = run(&backups, backup.id, options).unwrap_err();
        assert_eq!(manager.head(), head);
        (error.kind(), error.to_string())
    };
    let user = part("user:1", RestoreMode::Replace);
    let (kind, text) = refused(&RestoreOptions {
        mode: None,
        ..user.clone()
    });
    assert_eq!(kind, ErrorKind::InvalidArgument);
    assert!(
        text.contains("`replace`") && text.contains("`merge`"),
        "{text}"
    );
    let selection = Selection::new(None, Some("user:1"), None).unwrap();
    let (kind, text) = refused(&RestoreOptions {
        selection: Some(selection),
        ..user.clone()
    });
    assert!(
        kind == ErrorKind::InvalidArgument && text.contains("tenant"),
        "{text}"
    );
    let whole = RestoreOptions {
        mode: Some(RestoreMode::Merge),
        ..bare()
    };
    assert_eq!(refused(&whole).0, ErrorKind::InvalidArgument);

    // What differs is what counts, not how much there is.
    set(&manager, "", "user:1", "k1", "ruined").unwrap();
    run(&backups, backup.id, &user).unwrap();
    let tenant = manager.default_tenant().blocking();
    tenant.clear_scope(&"user:1".parse().unwrap()).unwrap();
    let (kind, text) = refused(&user);
    assert_eq!(kind, ErrorKind::TooLarge);
    for next in [
        "limits.transaction_keys_max",
        "narrow",
        "new directory",
        "import",
    ] {
        assert!(text.to_lowercase().contains(next), "{text}");
    }
}

#[test]
fn a_backup_is_made_before_a_restore_and_is_a_way_back() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let before = fill(&manager);
    let backup = create(&backups);
    let ruined = ruin(&manager);
    let report = run(&backups, backup.id, &RestoreOptions::default()).unwrap();
    assert_eq!(read(&manager), before);
    let safety = backups
        .show(report.safety_backup.unwrap())
        .unwrap()
        .manifest;
    assert_eq!(safety.tags, [SAFETY_TAG]);
    assert!(safety.label.unwrap().contains(&backup.id.to_string()));
    backups.show(backup.id).unwrap();
    // A whole restore is undone by its namespace, without reading a backup.
    let replaced = report.replaced.as_ref().unwrap().parse().unwrap();
    manager.undo(replaced, 0).unwrap();
    assert_eq!(read(&manager), ruined);
    // A part is undone by the backup that was made before.
    let user = part("user:1", RestoreMode::Replace);
    let options = RestoreOptions {
        safety_backup: true,
        ..user.clone()
    };
    let safety = run(&backups, backup.id, &options)
        .unwrap()
        .safety_backup
        .unwrap();
    assert_ne!(read(&manager), ruined);
    run(&backups, safety, &user).unwrap();
    assert_eq!(read(&manager), ruined);

    // A state that has nothing is not backed up.
    let (empty, none) = open(&SimDisk::new()).unwrap();
    drop(empty);
    let unknown = run(&none, backup.id, &RestoreOptions::default()).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

/// A safety backup once was an incremental one: it stood on whatever the repository held, so that one
/// flipped byte in the full below it took the way back with it.
#[test]
fn the_backup_before_a_restore_stands_on_nothing_that_may_be_damaged() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let good = create(&backups);
    set(&manager, "", "user:1", "k1", "second").unwrap();
    let bad = create(&backups);
    set(&manager, "", "user:1", "k1", "third").unwrap();
    let last = read(&manager);
    let segment = format!("/seg/{}-", bad.id);
    let listing = disk.listing();
    let segment = listing.iter().find(|path| path.contains(&segment)).unwrap();
    let path = segment.split(' ').next().unwrap();
    disk.edit(path.as_ref(), |bytes| bytes[40] ^= 1).unwrap();
    let progress = Progress::new();
    let report = backups.verify(bad.id, VerifyLevel::Full, &progress);
    assert!(!report.unwrap().is_valid, "the test damages nothing");

    let report = run(&backups, good.id, &RestoreOptions::default()).unwrap();
    assert_ne!(read(&manager), last);
    run(&backups, report.safety_backup.unwrap(), &bare()).unwrap();
    assert_eq!(read(&manager), last);
}

/// The configured limit is for what runs beside the application; a restore is waited for.
#[test]
fn the_limit_of_the_backup_before_a_restore_does_not_hold_the_restore_back() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let backup = create(&backups);
    let config = BackupConfig {
        bytes_per_second_max: 1 << 40,
        ..backups.config().clone()
    };
    let limited = backups_of(&manager, config).unwrap();
    for (asked, left) in [(0, 0), (1 << 41, 1 << 41)] {
        let progress = Progress::new();
        progress.limit_rate(asked);
        let done = limited.restore(backup.id, &RestoreOptions::default(), &progress);
        assert!(done.unwrap().safety_backup.is_some());
        assert_eq!(progress.rate_limit(), left);
    }
}

/// Of several pasts in a repository it is known which one leads where.
#[test]
fn a_backup_says_from_which_past_its_own_was_restored() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let first = create(&backups);
    assert_eq!(first.timeline.parent, None);
    set(&manager, "", "user:1", "k1", "second").unwrap();
    let left = manager.head();
    let done = run(&backups, first.id, &bare()).unwrap();
    let restored = create(&backups).timeline;
    assert_eq!(restored.parent.as_deref(), Some(&*first.timeline.id));
    assert_eq!(restored.fork_sequence, Some(first.sequence_to));
    // An undo goes on from the end of what was replaced.
    manager
        .undo(done.replaced.unwrap().parse().unwrap(), 0)
        .unwrap();
    let undone = create(&backups).timeline;
    assert_eq!(undone.parent.as_deref(), Some(&*first.timeline.id));
    assert_eq!(undone.fork_sequence, Some(left.0));

    let ranges = backups.ranges(&Progress::new()).unwrap().timelines;
    let forks: Vec<_> = ranges
        .iter()
        .map(|of| (of.timeline.as_str(), of.fork_sequence))
        .collect();
    assert_eq!(
        forks,
        [
            (&*first.timeline.id, None),
            (&*restored.id, Some(first.sequence_to)),
            (&*undone.id, Some(left.0))
        ]
    );
    assert_eq!(ranges[1].parent.as_deref(), Some(&*first.timeline.id));
}

#[test]
fn backups_are_compared_with_each_other_and_with_the_state() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let first = create(&backups);
    ruin(&manager);
    let second = create(&backups);
    set(&manager, "", "user:1", "later", "x").unwrap();
    let diff = |from, to: Option<RestoreAt>, selection: &Selection| {
        let found = backups.diff(from, to, selection, &Progress::new()).unwrap();
        [found.added, found.changed, found.removed]
    };
    let whole = Selection::whole();
    // acme has no user:1/k1 before, so two of the three are changed or added elsewhere.
    let grown = diff(first.id, Some(second.id.into()), &whole);
    assert_eq!(grown[2], 1);
    assert_eq!(grown[0] + grown[1], 4);
    assert_eq!(
        diff(second.id, Some(first.id.into()), &whole)[0],
        1,
        "the other way round"
    );
    let user = Selection::new(Some(""), Some("user:1"), None).unwrap();
    assert_eq!(diff(first.id, Some(second.id.into()), &user), [1, 1, 1]);
    assert_eq!(diff(first.id, None, &user), [2, 1, 1]);
    assert_eq!(diff(second.id, None, &whole), [1, 0, 0]);
    let nobody = Selection::new(Some("nobody"), None, None).unwrap();
    let missing = backups.diff(first.id, None, &nobody, &Progress::new());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A tenant is the same one by its name: a restore of a time before it gives its number to another.
#[test]
fn tenants_are_compared_by_their_names() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    let empty = create(&backups);
    set(&manager, "acme", "user:1", "k", "acme's").unwrap();
    set(&manager, "beta", "user:1", "k", "beta's").unwrap();
    let full = create(&backups);
    run(&backups, empty.id, &bare()).unwrap();
    set(&manager, "beta", "user:1", "k", "beta's").unwrap();
    let found = backups
        .diff(full.id, None, &Selection::whole(), &Progress::new())
        .unwrap();
    assert_eq!(
        [found.added, found.changed, found.removed, found.unchanged],
        [0, 0, 1, 1]
    );
    assert_eq!(found.samples.removed[0].tenant, "acme");
    // A part goes to the tenant of that name, whatever its number.
    let acme = RestoreOptions {
        selection: Some(Selection::new(Some("acme"), None, None).unwrap()),
        ..part("*", RestoreMode::Replace)
    };
    let report = run(&backups, full.id, &acme).unwrap();
    assert_eq!(counts(&report), [Some(1), Some(0), Some(0)]);
    assert_eq!(read(&manager)["acme/user:1/k"], "acme's");
}
