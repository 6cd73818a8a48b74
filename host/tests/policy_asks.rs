//! A policy that a program registers asks what retention is in force, while that is set, tried, simulated and
//! carried out. Whoever holds a lock meanwhile that the answer needs fails here: the policy does not answer
//! within its time.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use statekeep::backup::{CleanupOptions, RetentionRule};
use statekeep::engine::{BackupFacts, Circumstances, Verdict, Vote};
use statekeep::{
    Config, CreateOptions, ErrorKind, Host, Progress, RetentionView, SimulateRequest, UnixMs,
};

/// What the policy was told is in force, call by call.
type Told = Arc<Mutex<Vec<Option<String>>>>;

/// Registers a policy that keeps all, and looks at all that can be looked at before it says so.
fn register(host: &Arc<Host>) -> Told {
    let told = Told::default();
    let (within, notes): (Weak<Host>, Told) = (Arc::downgrade(host), Arc::clone(&told));
    let asks =
        move |backups: &Arc<[BackupFacts]>, _: &Arc<Circumstances>, _: &Map<String, Value>| {
            let host = within.upgrade().unwrap();
            let view = RetentionView::of(&host.retained())?;
            assert_eq!(host.backups.retention().rule, view.rule);
            host.backups.list()?;
            host.backups.trash()?;
            let refused = host.set_retention(&Map::new()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Reentrant);
            notes.lock().push(view.rule_in_words);
            let keep = Vote {
                verdict: Verdict::Keep,
                priority: 0,
                reason: String::new(),
            };
            Ok(vec![keep; backups.len()])
        };
    host.backups
        .register_policy("asks", Arc::new(asks))
        .unwrap();
    told
}

fn settings(settings: Value) -> Map<String, Value> {
    serde_json::from_value(settings).unwrap()
}

#[test]
fn a_policy_may_ask_what_is_in_force_while_that_is_set_tried_simulated_and_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("state"));
    config.set("retention.policy_timeout", "30s").unwrap();
    let host = statekeep::open_unscheduled(&config).unwrap();
    let told = register(&host);
    let progress = Progress::new;
    for _ in 0..2 {
        host.backups
            .create(&CreateOptions::default(), &progress())
            .unwrap();
    }

    let rule = json!({ "policies": [{ "policy": "asks" }], "grace": "1d" });
    let set = host.set_retention(&settings(rule)).unwrap();
    let asks = set.rule_in_words;
    assert!(asks.as_deref().is_some_and(|words| words.contains("asks")));
    assert_eq!(
        std::mem::take(&mut *told.lock()),
        [None],
        "the one from before"
    );
    host.set_retention(&settings(json!({ "grace": "2d" })))
        .unwrap();
    assert_eq!(std::mem::take(&mut *told.lock()), vec![asks.clone()]);

    for dry_run in [true, false] {
        let options = CleanupOptions {
            dry_run,
            ..CleanupOptions::default()
        };
        let report = host.backups.cleanup(&options, &progress()).unwrap();
        assert_eq!((report.failure, report.retained), (None, 2));
    }
    let rule = RetentionRule::policy("asks", &[]);
    let trial = host.backups.try_rule(&rule, None, None).unwrap();
    assert_eq!((trial.failure, trial.retained), (None, 2));
    assert_eq!(std::mem::take(&mut *told.lock()), vec![asks.clone(); 3]);

    let request = SimulateRequest {
        for_ms: Some(3 * 86_400_000),
        every_ms: Some(86_400_000),
        ..SimulateRequest::default()
    };
    let plan = request.plan(&host.retained(), None, UnixMs(0)).unwrap();
    let simulated = host
        .backups
        .simulate(&plan.rule, &plan.retention, &plan.options, &progress());
    assert_eq!(simulated.unwrap().kept, 4);
    let told = std::mem::take(&mut *told.lock());
    assert!(!told.is_empty() && told.iter().all(|words| *words == asks));
    host.close().unwrap();
}
