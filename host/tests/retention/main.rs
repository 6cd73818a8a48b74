//! What the built-in policies keep of real backups, through the plugin ABI, by a clock that stands still.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of tests for no test"
)]

mod copies;
mod many;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use statekeep::backup::DescribedBackup;
use statekeep::engine::{Clock, OpenOptions, Plugins};
use statekeep::{
    BackupConfig, BackupId, BackupManager, CleanupOptions, CleanupReport, Config, CreateOptions,
    Floor, Key, Progress, RestoreOptions, RetentionRule, Scope, SetOptions, StateManager, UnixMs,
    Value, VerifyLevel,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-06-01T12:00Z.
const NOW: i64 = 1_780_315_200_000;

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

/// A state with its backups.
struct Site {
    _dir: tempfile::TempDir,
    clock: Arc<TestClock>,
    manager: Arc<StateManager>,
    backups: BackupManager,
}

impl Site {
    fn new(toml: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::from_toml(toml).unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(NOW - 1_000 * DAY)));
        let plugins: Arc<dyn Plugins> = Arc::new(statekeep::registry(&config).unwrap());
        let options = OpenOptions {
            clock: clock.clone(),
            upkeep_interval_ms: 0,
            ..OpenOptions::new(dir.path().join("state"), "redb")
        };
        let manager = StateManager::open(options, plugins).unwrap();
        let settings = BackupConfig {
            dir: dir.path().join("backups"),
            codec: "zstd".to_owned(),
            level: None,
            threads: 1,
            cores_free: 0,
            incremental: config.backup_incremental(),
            history: false,
            chain_max: config.backup_chain_max(),
            bytes_per_second_max: 0,
        };
        let backups = BackupManager::open(manager.clone(), settings).unwrap();
        let backups = backups.with_retention(config.retention().unwrap());
        let site = Site {
            _dir: dir,
            clock,
            manager,
            backups,
        };
        site.set("k", 0);
        site
    }

    /// Sets the clock.
    fn at(&self, time: i64) -> &Site {
        self.clock.0.store(time, Ordering::SeqCst);
        self
    }

    fn set(&self, name: &str, value: u64) {
        let tenant = self.manager.default_tenant().blocking();
        let value = Value::json(value.to_string()).unwrap();
        let (scope, key) = (Scope::global(), Key::new(name).unwrap());
        tenant
            .set(&scope, &key, value, SetOptions::default())
            .unwrap();
    }

    fn get(&self, name: &str) -> Option<String> {
        let tenant = self.manager.default_tenant().blocking();
        let found = tenant
            .get(&Scope::global(), &Key::new(name).unwrap())
            .unwrap();
        found.map(|value| value.to_json().unwrap().to_string())
    }

    fn back_up(&self, incremental: bool) -> BackupId {
        let options = CreateOptions {
            incremental: Some(incremental),
            ..CreateOptions::default()
        };
        self.backups.create(&options, &Progress::new()).unwrap().id
    }

    /// Fulls of so many hours ago, which come oldest first.
    fn aged(&self, hours: &[i64]) -> Vec<BackupId> {
        let made = hours
            .iter()
            .map(|hours| self.at(NOW - hours * HOUR).back_up(false));
        let made = made.collect();
        self.at(NOW);
        made
    }

    fn clean(&self, rule: Option<RetentionRule>) -> CleanupReport {
        let options = CleanupOptions {
            rule,
            grace_ms: Some(0),
            ..CleanupOptions::default()
        };
        let plan = CleanupOptions {
            dry_run: true,
            ..options.clone()
        };
        let run = |options| self.backups.cleanup(options, &Progress::new()).unwrap();
        let (plan, again) = (run(&plan), run(&plan));
        assert_eq!(plan.decisions, again.decisions, "a plan is always the same");
        let done = run(&options);
        assert_eq!(plan.decisions, done.decisions);
        assert_eq!(
            (plan.would_delete, done.failure.clone()),
            (done.deleted, None)
        );
        done
    }

    fn listed(&self) -> Vec<BackupId> {
        let list = self.backups.list().unwrap();
        assert!(list.problems.is_empty(), "{list:?}");
        list.backups.iter().map(|backup| backup.id).collect()
    }

    fn verify(&self, id: BackupId) {
        let report = self.backups.verify(id, VerifyLevel::Full, &Progress::new());
        let report = report.unwrap();
        assert!(report.is_valid, "{report:?}");
    }
}

fn policy(name: &str, options: &[(&str, serde_json::Value)]) -> Option<RetentionRule> {
    Some(RetentionRule::policy(name, options))
}

#[test]
fn seven_days_keep_what_is_three_days_old_and_not_what_is_ten() {
    let site = Site::new("[backup]\nmax_backup_age = \"7d\"\n[retention]\nautomatic = false");
    let made = site.aged(&[240, 72]);
    let report = site.clean(None);
    assert_eq!(
        (report.deleted, report.collected.purged),
        (1, vec![made[0]])
    );
    assert_eq!(site.listed(), made[1..]);
}

#[test]
fn a_count_of_three_keeps_the_three_newest_of_five() {
    let site = Site::new("");
    let made = site.aged(&[5, 4, 3, 2, 1]);
    let report = site.clean(policy("count", &[("keep", json!(3))]));
    assert_eq!(
        (report.evaluated, report.retained, report.deleted),
        (5, 3, 2)
    );
    assert_eq!(site.listed(), made[2..]);
}

#[test]
fn age_and_count_hold_together() {
    let days = [9, 8, 4, 3, 2, 1].map(|days| days * 24);
    for (count, age, kept) in [(3, "7d", 3), (5, "84h", 3), (5, "7d", 4), (9, "30d", 6)] {
        let toml = format!(
            "[backup]\nmax_backups = {count}\nmax_backup_age = \"{age}\"\n[retention]\nautomatic = false"
        );
        let site = Site::new(&toml);
        let made = site.aged(&days);
        site.clean(None);
        assert_eq!(site.listed(), made[6 - kept..], "{count} backups, {age}");
    }
}

#[test]
fn an_age_alone_keeps_the_newest_verified_full_and_its_chain_however_old_all_are() {
    let site = Site::new("");
    let mut made = Vec::new();
    for (n, incremental) in [false, true, true, false, true].into_iter().enumerate() {
        site.set("k", n as u64);
        let days = 40 - i64::try_from(n).unwrap();
        made.push(site.at(NOW - days * DAY).back_up(incremental));
    }
    site.at(NOW);
    for id in [made[0], made[1]] {
        site.verify(id);
    }
    let report = site.clean(policy("age", &[("max_age", json!("7d"))]));
    let floors: Vec<_> = report.decisions.iter().map(|judged| judged.floor).collect();
    let expected = [
        Some(Floor::NewestVerifiedFull),
        Some(Floor::NewestVerified),
        None,
        Some(Floor::NewestFull),
        Some(Floor::Newest),
    ];
    assert_eq!(floors, expected);
    assert_eq!(site.listed(), [made[0], made[1], made[3], made[4]]);
    let bare = RestoreOptions {
        safety_backup: false,
        ..RestoreOptions::default()
    };
    site.backups
        .restore(made[1], &bare, &Progress::new())
        .unwrap();
    assert_eq!(site.get("k").as_deref(), Some("1"));
}

#[test]
fn chains_at_the_limit_stay_restorable() {
    let toml = "[backup]\nmax_backups = 3\nincremental_enabled = true\nchain_max = 2\n\
                [retention]\nautomatic = true\ngrace = 0";
    let site = Site::new(toml);
    let mut states = BTreeMap::new();
    for n in 0..10_u64 {
        site.at(NOW + i64::try_from(n).unwrap() * HOUR);
        site.set("k", n);
        site.set(&format!("k{}", n % 4), n);
        let id = site.back_up(true);
        let names = ["k", "k0", "k1", "k2", "k3"];
        states.insert(id, names.map(|name| site.get(name)));
        let listed = site.listed();
        assert!(listed.contains(&id) && listed.len() <= 6, "{listed:?}");
    }
    let listed = site.listed();
    assert!(listed.len() >= 3 && listed.len() < 10, "{listed:?}");
    let bare = RestoreOptions {
        safety_backup: false,
        ..RestoreOptions::default()
    };
    let own: Vec<_> = listed.iter().filter(|id| states.contains_key(id)).collect();
    assert!(own.len() >= 2);
    for id in own {
        site.verify(*id);
        site.backups.restore(*id, &bare, &Progress::new()).unwrap();
        let names = ["k", "k0", "k1", "k2", "k3"];
        assert_eq!(names.map(|name| site.get(name)), states[id]);
    }
}

#[test]
fn a_limit_of_none_keeps_the_backup_just_made_and_the_oldest_can_be_restored_at_a_limit() {
    let site = Site::new("[backup]\nmax_backups = 0\n[retention]\ngrace = 0");
    for n in 0..3 {
        let id = site.at(NOW + n * HOUR).back_up(false);
        assert_eq!(site.listed(), [id]);
    }
    let site = Site::new("[backup]\nmax_backups = 2\n[retention]\ngrace = 0");
    let mut made = Vec::new();
    for n in 0..3 {
        site.set("k", n);
        let now = NOW + i64::try_from(n).unwrap() * HOUR;
        made.push(site.at(now).back_up(false));
    }
    assert_eq!(site.listed(), made[1..]);
    let oldest = made[1];
    let report = site
        .backups
        .restore(oldest, &RestoreOptions::default(), &Progress::new())
        .unwrap();
    assert!(report.safety_backup.is_some() && report.warnings.is_empty());
    assert_eq!(site.get("k").as_deref(), Some("1"));
    assert_eq!(site.listed().len(), 3);
}

#[test]
fn where_nobody_has_an_opinion_and_where_nothing_is_nothing_goes() {
    let site = Site::new("");
    let roomy = || policy("size", &[("max_bytes", json!(1_u64 << 40))]);
    let empty = site.clean(roomy());
    assert_eq!((empty.evaluated, empty.deleted), (0, 0));
    let made = site.aged(&[9_000, 5_000, 1]);
    let report = site.clean(roomy());
    assert_eq!((report.retained, report.deleted), (3, 0));
    let said: Vec<_> = report.decisions.iter().map(|judged| judged.floor).collect();
    assert_eq!(said, [None; 3], "by no floor");
    assert_eq!(site.listed(), made);
}

#[test]
fn a_size_counts_within_a_group_as_the_group_says() {
    let small = json!({ "policy": "size", "max_bytes": 1 });
    let year = json!({ "policy": "age", "max_age": "365d" });
    for (group, kept) in [("any", 4), ("all", 1)] {
        let site = Site::new("");
        let made = site.aged(&[96, 72, 48, 24]);
        let rule = json!({ group: [small, year] });
        let rule: RetentionRule = serde_json::from_value(rule).unwrap();
        let report = site.clean(Some(rule));
        assert_eq!(site.listed(), made[4 - kept..], "{group}: {report:?}");
    }
}

/// What the first cleanup deleted takes its bytes until the end of the grace. Counted, it would have the next
/// one delete as much again, until one backup was left.
#[test]
fn a_size_forgets_no_more_because_of_what_is_deleted_already() {
    let site = Site::new("");
    let made = site.aged(&[120, 96, 72, 48, 24]);
    let bytes: Vec<u64> = (site.backups.list().unwrap().backups.iter())
        .map(|backup| backup.stored_bytes)
        .collect();
    let limit: u64 = bytes[2..].iter().sum();
    let size = || policy("size", &[("max_bytes", json!(limit))]);
    assert_eq!(site.clean(size()).deleted, 2);
    assert_eq!(site.clean(size()).deleted, 0);
    assert_eq!(site.listed(), made[2..]);
}

/// On 25 October the clocks of Berlin show the hour from two to three twice, on 29 March not at all.
#[test]
fn calendars_are_those_of_the_time_zone_also_when_its_clocks_change() {
    let zone = "[retention]\ntime_zone = \"Europe/Berlin\"";
    // 2026-10-25T00:00+02:00, then every half hour up to 04:30+01:00.
    let midnight = 1_792_879_200_000;
    let site = Site::new(zone);
    let made: Vec<_> = (0..12)
        .map(|n| site.at(midnight + n * HOUR / 2).back_up(false))
        .collect();
    let report = site.clean(policy("calendar", &[("hourly", json!(24))]));
    let first_of_hours: Vec<_> = made.iter().copied().step_by(2).collect();
    assert_eq!(report.retained, 7, "six hours, and the newest");
    assert_eq!(site.listed(), [&first_of_hours[..], &made[11..]].concat());

    let days = |toml: &str| {
        let site = Site::new(toml);
        // 2026-03-27T23:30Z.
        let evening = 1_774_654_200_000;
        let mut made = Vec::new();
        for n in 0..3 {
            made.push(site.at(evening - HOUR + n * DAY).back_up(false));
            made.push(site.at(evening + n * DAY).back_up(false));
            made.push(site.at(evening + HOUR + n * DAY).back_up(false));
        }
        site.clean(policy("calendar", &[("daily", json!(30))]));
        let place = |id| made.iter().position(|made| *made == id).unwrap();
        site.listed().into_iter().map(place).collect::<Vec<_>>()
    };
    // In Berlin at 23:30, 00:30 and 01:30 while it is winter; on the 30th at 00:30, 01:30 and 02:30.
    assert_eq!(days(zone), [0, 1, 4, 6, 8]);
    assert_eq!(days(""), [0, 2, 5, 8]);
}

/// The backups of more than a year at one each hour. It is the only figure that a test holds: the policies are
/// pure functions, which take some ten milliseconds of it.
#[test]
fn ten_thousand_backups_are_evaluated_in_less_than_a_second() {
    const COUNT: i64 = 10_000;
    let site = Site::new("");
    let described = |n: i64| DescribedBackup {
        started_unix_ms: Some(NOW - (COUNT - n) * HOUR),
        kind: (n % 24 != 0).then(|| "incremental".to_owned()),
        parent: (n % 24 != 0).then(|| n.to_string()),
        verified: Some(n % 100 == 0),
        stored_bytes: 1 << 20,
        ..DescribedBackup::default()
    };
    let backups: Vec<_> = (0..COUNT).map(described).collect();
    let rules = [
        ("count", json!({ "policy": "count", "keep": 100 }), 113),
        ("age", json!({ "policy": "age", "max_age": "10d" }), 257),
        (
            "calendar",
            json!({ "policy": "calendar", "hourly": 24, "daily": 7, "weekly": 4, "monthly": 12, "yearly": 3 }),
            0,
        ),
        (
            "size",
            json!({ "policy": "size", "max_bytes": 1_u64 << 30 }),
            0,
        ),
        ("importance", json!({ "policy": "importance" }), 0),
    ];
    for (name, rule, retained) in rules {
        let rule: RetentionRule = serde_json::from_value(rule).unwrap();
        let started = Instant::now();
        let trial = site
            .backups
            .try_rule(&rule, Some(&backups), Some(UnixMs(NOW)));
        let took = started.elapsed();
        let trial = trial.unwrap();
        println!(
            "{name}: {} of {COUNT} stay, judged in {took:?}",
            trial.retained
        );
        assert_eq!(
            (trial.evaluated, trial.failure),
            (COUNT.unsigned_abs(), None)
        );
        assert!(trial.retained > 0 && trial.would_delete > 0, "{name}");
        if retained > 0 {
            assert_eq!(trial.retained, retained, "{name}");
        }
        assert!(took < Duration::from_secs(1), "{name} took {took:?}");
        let again = site
            .backups
            .try_rule(&rule, Some(&backups), Some(UnixMs(NOW)));
        assert_eq!(again.unwrap().decisions, trial.decisions);
    }
}
