//! Policies that the program registers: asked with their options, guarded like plugins, and never a reason
//! to lose a backup, whatever they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use serde_json::{Map, Value, json};
use statekeep_backup::{
    BackupManager, CALLBACKS_MAX, CleanupOptions, CleanupReport, Floor, PolicyFn, Progress,
    RetentionConfig, RetentionRule,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    BackupFacts, Circumstances, Error, ErrorKind, REASON_BYTES_MAX, Result, StateManager, Verdict,
    Vote,
};

use crate::cleanup::newest;
use crate::support::{create, open, set};

fn vote(verdict: Verdict, reason: &str) -> Vote {
    Vote {
        verdict,
        priority: 0,
        reason: reason.to_owned(),
    }
}

/// A policy of which only the list matters.
fn policy(
    judge: impl Fn(&[BackupFacts]) -> Result<Vec<Vote>> + Send + Sync + 'static,
) -> Arc<PolicyFn> {
    Arc::new(
        move |backups: &Arc<[BackupFacts]>, _: &Arc<Circumstances>, _: &Map<String, Value>| {
            judge(backups)
        },
    )
}

fn forgets_all() -> Arc<PolicyFn> {
    policy(|backups| Ok(vec![vote(Verdict::Forget, "away with it"); backups.len()]))
}

fn three_backups(disk: &SimDisk) -> (Arc<StateManager>, BackupManager) {
    let (manager, backups) = open(disk).unwrap();
    for n in 0..3 {
        set(&manager, "", "global", "k", &format!("value {n}")).unwrap();
        create(&backups);
    }
    (manager, backups)
}

fn clean(backups: &BackupManager, rule: RetentionRule) -> CleanupReport {
    let options = CleanupOptions {
        rule: Some(rule),
        ..CleanupOptions::default()
    };
    backups.cleanup(&options, &Progress::new()).unwrap()
}

/// The cleanup deletes nothing and says why; the next one with a sane policy works.
fn fails(backups: &BackupManager, name: &str, why: &str) {
    let report = clean(backups, RetentionRule::policy(name, &[]));
    let failure = report.failure.unwrap();
    assert!(failure.contains(name) && failure.contains(why), "{failure}");
    assert_eq!((report.deleted, report.evaluated), (0, 0));
    assert_eq!(backups.list().unwrap().backups.len(), 3);
    assert!(backups.trash().unwrap().is_empty());
    let sane = CleanupOptions {
        dry_run: true,
        rule: Some(newest(2)),
        ..CleanupOptions::default()
    };
    let plan = backups.cleanup(&sane, &Progress::new()).unwrap();
    assert_eq!((plan.failure, plan.would_delete), (None, 1));
}

#[test]
fn a_registered_policy_is_asked_with_its_options_and_its_reasons_are_told() {
    let disk = SimDisk::new();
    let (_manager, backups) = three_backups(&disk);
    let keep_from =
        |backups: &Arc<[BackupFacts]>, _: &Arc<Circumstances>, options: &Map<String, Value>| {
            let keep = options["keep"].as_u64().unwrap() as usize;
            let first = backups.len() - keep;
            let judge = |i| match i < first {
                true => vote(Verdict::Forget, "long\nago"),
                false => vote(Verdict::Keep, &"é".repeat(REASON_BYTES_MAX)),
            };
            Ok((0..backups.len()).map(judge).collect())
        };
    backups
        .register_policy("mine", Arc::new(keep_from))
        .unwrap();
    let report = clean(
        &backups,
        RetentionRule::policy("mine", &[("keep", json!(2))]),
    );
    assert_eq!((report.deleted, report.failure), (1, None));
    assert_eq!(report.decisions[0].reason, "mine: long ago");
    let kept = &report.decisions[1].votes[0];
    assert_eq!(
        (kept.policy.as_str(), kept.vote.reason.len()),
        ("mine", REASON_BYTES_MAX)
    );
}

#[test]
fn floors_hold_against_a_callback_that_forgets_all() {
    let disk = SimDisk::new();
    let (_manager, backups) = three_backups(&disk);
    let oldest = backups.list().unwrap().backups[0].id;
    backups.pin(oldest).unwrap();
    backups.register_policy("hostile", forgets_all()).unwrap();
    let report = clean(&backups, RetentionRule::policy("hostile", &[]));
    assert_eq!((report.deleted, report.retained), (1, 2));
    assert_eq!(report.decisions[0].floor, Some(Floor::Pinned));
    assert!(report.decisions[2].keep);
}

#[test]
fn a_callback_that_lies_errs_or_panics_deletes_nothing() {
    let disk = SimDisk::new();
    let (_manager, backups) = three_backups(&disk);
    let forget = || vote(Verdict::Forget, "");
    let error = |_: &[BackupFacts]| Err(Error::other(ErrorKind::Io, "the calendar is away"));
    for (name, function, why) in [
        ("less", policy(move |_| Ok(vec![forget()])), "judged 1 of 3"),
        (
            "more",
            policy(move |_| Ok(vec![forget(); 9])),
            "judged 9 of 3",
        ),
        ("errs", policy(error), "the calendar is away"),
        (
            "panics",
            policy(|_| panic!("out of ideas")),
            "panicked: out of ideas",
        ),
    ] {
        backups.register_policy(name, function).unwrap();
        fails(&backups, name, why);
        // Not poisoned: the same again.
        fails(&backups, name, why);
        backups.unregister_policy(name).unwrap();
        fails(&backups, name, "nobody registered it in this program");
    }
    // Of several one that fails is enough.
    backups.register_policy("errs", policy(error)).unwrap();
    let rule = RetentionRule::Any {
        any: vec![newest(1), RetentionRule::policy("errs", &[])],
    };
    let report = clean(&backups, rule);
    assert!(report.failure.is_some() && report.deleted == 0);
}

#[test]
fn a_callback_that_hangs_is_left_alone_until_it_is_back() {
    let disk = SimDisk::new();
    let (_manager, backups) = three_backups(&disk);
    let backups = backups.with_retention(RetentionConfig {
        policy_time_limit_ms: 100,
        ..RetentionConfig::default()
    });
    let (calls, hangs) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(true)),
    );
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let (counted, hanging) = (Arc::clone(&calls), Arc::clone(&hangs));
    let stuck = move |backups: &[BackupFacts]| {
        counted.fetch_add(1, Ordering::SeqCst);
        if hanging.load(Ordering::SeqCst) {
            let _ = wait.lock().recv();
        }
        Ok(vec![vote(Verdict::Forget, ""); backups.len()])
    };
    backups.register_policy("stuck", policy(stuck)).unwrap();
    let asked = || clean(&backups, RetentionRule::policy("stuck", &[]));
    let failure = asked().failure.unwrap();
    assert!(
        failure.contains("stuck did not answer within 0.1 s"),
        "{failure}"
    );
    let failure = asked().failure.unwrap();
    assert!(failure.contains("has not answered"), "{failure}");
    assert_eq!(calls.load(Ordering::SeqCst), 1, "it was not asked again");
    assert_eq!(backups.list().unwrap().backups.len(), 3);
    // Others are asked meanwhile. A machine may be too busy for the short limit: asked until it is not.
    while clean(&backups, newest(2)).failure.is_some() {}
    assert_eq!(backups.list().unwrap().backups.len(), 2);
    hangs.store(false, Ordering::SeqCst);
    go_on.send(()).unwrap();
    let report = loop {
        let report = asked();
        if report.failure.is_none() {
            break report;
        }
    };
    assert_eq!((report.evaluated, report.deleted), (2, 1));
}

#[test]
fn names_are_taken_once_and_given_back() {
    let disk = SimDisk::new();
    let (_manager, backups) = open(&disk).unwrap();
    let kind = |name: &str| {
        let refused = backups.register_policy(name, forgets_all());
        refused.unwrap_err().kind()
    };
    backups.register_policy("mine", forgets_all()).unwrap();
    assert_eq!(kind("mine"), ErrorKind::AlreadyExists);
    assert_eq!(kind("newest"), ErrorKind::AlreadyExists, "a plugin's");
    assert_eq!(kind("org.example.mine"), ErrorKind::InvalidArgument);
    for n in 1..CALLBACKS_MAX {
        backups
            .register_policy(&format!("p{n}"), forgets_all())
            .unwrap();
    }
    assert_eq!(kind("one-more"), ErrorKind::TooLarge);
    backups.unregister_policy("mine").unwrap();
    let again = backups.unregister_policy("mine").unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    backups.register_policy("mine", forgets_all()).unwrap();
}

/// What ends with a policy ends once, after its last call, and before its removal returns.
#[test]
fn a_removal_waits_for_the_call_that_runs() {
    struct Ends(Arc<AtomicUsize>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let disk = SimDisk::new();
    let (_manager, backups) = three_backups(&disk);
    let ends = Arc::new(AtomicUsize::new(0));
    let end = Ends(Arc::clone(&ends));
    let (entered, is_inside) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let has_returned = AtomicBool::new(false);
    let waits = move |backups: &[BackupFacts]| {
        let _end = &end;
        entered.send(()).unwrap();
        wait.lock().recv().unwrap();
        Ok(vec![vote(Verdict::Keep, ""); backups.len()])
    };
    backups.register_policy("slow", policy(waits)).unwrap();
    std::thread::scope(|scope| {
        let cleanup = scope.spawn(|| clean(&backups, RetentionRule::policy("slow", &[])));
        is_inside.recv().unwrap();
        let removal = scope.spawn(|| {
            backups.unregister_policy("slow").unwrap();
            has_returned.store(true, Ordering::SeqCst);
            ends.load(Ordering::SeqCst)
        });
        // Enough for a removal that does not wait to return; one that waits is not disturbed.
        for _ in 0..10_000 {
            std::thread::yield_now();
        }
        assert!(!has_returned.load(Ordering::SeqCst), "a call is running");
        assert_eq!(ends.load(Ordering::SeqCst), 0);
        go_on.send(()).unwrap();
        assert_eq!(removal.join().unwrap(), 1);
        assert_eq!(cleanup.join().unwrap().failure, None);
    });
}

#[test]
fn a_policy_cannot_remove_one_and_dies_with_the_manager() {
    let disk = SimDisk::new();
    let (_manager, backups) = three_backups(&disk);
    let backups = Arc::new(backups);
    let weak = Arc::downgrade(&backups);
    let removes = move |_: &[BackupFacts]| {
        let backups = weak.upgrade().unwrap();
        backups.unregister_policy("removes")?;
        Ok(Vec::new())
    };
    let function = policy(removes);
    let alive = Arc::downgrade(&function);
    backups.register_policy("removes", function).unwrap();
    fails(&backups, "removes", "from inside a policy");
    drop(backups);
    assert!(alive.upgrade().is_none());
}
