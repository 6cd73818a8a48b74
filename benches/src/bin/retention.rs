//! What a plan for a repository of very many backups costs, policy by policy.
//!
//! `retention [BACKUPS] [ROUNDS] [DIRECTORY]`: backups of one an hour in chains of a day, each with a manifest, a
//! run and a segment of its own. `list` is without an index in a process that has not listed before, with
//! one, and once more in the same process. `plan` is a dry run of a cleanup, which lists again; `judged` is
//! the same rule over the same backups described in memory, so the policies alone. Last, most are deleted by
//! one record and what is left is listed.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on must stop"
)]

#[path = "../../../host/tests/retention/copies.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on must stop"
)]
mod copies;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use statekeep::backup::DescribedBackup;
use statekeep::{
    CleanupOptions, Config, CreateOptions, Host, Key, Progress, RetentionRule, Scope, SetOptions,
    UnixMs,
};
use statekeep_benches::median;

/// Every policy, and all of them in one rule.
fn rules() -> Vec<(&'static str, Value)> {
    let one = [
        ("count", json!({ "policy": "count", "keep": 100 })),
        ("age", json!({ "policy": "age", "max_age": "10d" })),
        (
            "calendar",
            json!({ "policy": "calendar", "hourly": 24, "daily": 7, "weekly": 4, "monthly": 12 }),
        ),
        ("size", json!({ "policy": "size", "max_bytes": 100_000 })),
        ("importance", json!({ "policy": "importance" })),
    ];
    let all: Vec<Value> = one.iter().map(|(_, rule)| rule.clone()).collect();
    one.into_iter()
        .chain([("all five", json!({ "all": all }))])
        .collect()
}

/// Milliseconds of some work, and what it answers.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let answer = work();
    (started.elapsed().as_secs_f64() * 1e3, answer)
}

fn list(host: &Host, count: usize) -> f64 {
    let (took, list) = timed(|| host.backups.list().expect("a list"));
    assert_eq!((list.backups.len(), list.problems.len()), (count, 0));
    took
}

/// In place of the two that are made here.
fn make(host: &Host, count: usize) {
    let tenant = host.manager.default_tenant().blocking();
    let set = |value: u32| {
        let (key, value) = (Key::new("k"), statekeep::Value::json(value.to_string()));
        let (key, value) = (key.expect("a key"), value.expect("JSON"));
        let set = tenant.set(&Scope::global(), &key, value, SetOptions::default());
        set.expect("set");
    };
    let models = [false, true].map(|incremental| {
        set(u32::from(incremental));
        let options = CreateOptions {
            incremental: Some(incremental),
            ..CreateOptions::default()
        };
        host.backups
            .create(&options, &Progress::new())
            .expect("a backup")
    });
    let [full, incremental] = &models;
    let dir = &host.backups.config().dir;
    let now = host.manager.clock().now().0;
    copies::replace(dir, [full, incremental], count, now);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let argument = arguments.next();
        argument.map_or(default, |n| n.parse().expect("a number"))
    };
    let (count, rounds) = (number(10_000), number(5));
    let directory = arguments
        .next()
        .map_or_else(|| PathBuf::from("target/retention"), PathBuf::from);
    let _ = std::fs::remove_dir_all(&directory);
    let config = Config::new(directory.join("state"));
    let open = || -> Arc<Host> { statekeep::open_unscheduled(&config).expect("open") };
    let within = |work: &mut dyn FnMut(&Host)| {
        let host = open();
        work(&host);
        host.close().expect("close");
    };
    within(&mut |host| make(host, count));

    let [mut unindexed, mut indexed, mut again] = [(); 3].map(|()| Vec::new());
    for _ in 0..rounds {
        within(&mut |host| unindexed.push(list(host, count)));
    }
    within(&mut |host| {
        host.backups
            .repair_repository(&Progress::new())
            .expect("an index");
    });
    for _ in 0..rounds {
        within(&mut |host| {
            indexed.push(list(host, count));
            again.push(list(host, count));
        });
    }
    println!("{count} backups, medians of {rounds} rounds, milliseconds");
    let [unindexed, indexed, again] = [unindexed, indexed, again].map(|mut all| median(&mut all));
    println!("list {unindexed:.1}, with an index {indexed:.1}, once more {again:.1}");

    println!(
        "{:>10} {:>8} {:>8} {:>8}",
        "policy", "stay", "plan", "judged"
    );
    within(&mut |host| {
        let rows = host.backups.list().expect("a list").backups;
        let rows = serde_json::to_value(rows).expect("JSON");
        let described: Vec<DescribedBackup> = serde_json::from_value(rows).expect("backups");
        for (name, rule) in rules() {
            let rule: RetentionRule = serde_json::from_value(rule).expect("a rule");
            let options = CleanupOptions {
                dry_run: true,
                rule: Some(rule.clone()),
                ..CleanupOptions::default()
            };
            let (mut plans, mut judged, mut stay) = (Vec::new(), Vec::new(), 0);
            for _ in 0..rounds {
                let (took, plan) = timed(|| host.backups.cleanup(&options, &Progress::new()));
                let plan = plan.expect("a plan");
                assert_eq!((plan.evaluated, plan.failure), (count as u64, None));
                stay = plan.retained;
                plans.push(took);
                let at: Option<UnixMs> = None;
                let (took, trial) = timed(|| host.backups.try_rule(&rule, Some(&described), at));
                assert_eq!(trial.expect("a trial").failure, None);
                judged.push(took);
            }
            let (plan, judged) = (median(&mut plans), median(&mut judged));
            println!("{name:>10} {stay:>8} {plan:>8.1} {judged:>8.1}");
        }
        let options = CleanupOptions {
            rule: Some(RetentionRule::policy("count", &[("keep", json!(100))])),
            ..CleanupOptions::default()
        };
        let (took, report) = timed(|| host.backups.cleanup(&options, &Progress::new()));
        let report = report.expect("a cleanup");
        println!("{} deleted by one record in {took:.1}", report.deleted);
        let left = usize::try_from(report.retained).unwrap_or(usize::MAX);
        let mut lists: Vec<f64> = (0..rounds).map(|_| list(host, left)).collect();
        println!("list of the {left} that are left {:.1}", median(&mut lists));
    });
}
