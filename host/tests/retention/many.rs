//! Plans for a repository that holds ten thousand backups.

use serde_json::json;
use statekeep::backup::DescribedBackup;
use statekeep::{CleanupOptions, CreateOptions, Progress, RetentionRule, UnixMs};

use crate::copies::{CHAIN, replace};
use crate::{DAY, NOW, Site};

const COUNT: usize = 10_000;

#[test]
fn ten_thousand_real_backups_are_planned_for_and_deleted_as_one() {
    let site = Site::new("");
    let make = |incremental| {
        let options = CreateOptions {
            incremental: Some(incremental),
            ..CreateOptions::default()
        };
        site.backups.create(&options, &Progress::new()).unwrap()
    };
    let full = make(false);
    site.set("k", 1);
    let incremental = make(true);
    assert_eq!(incremental.parent, Some(full.id));
    let dir = &site.backups.config().dir;
    let made = replace(dir, [&full, &incremental], COUNT, NOW);
    site.at(NOW);
    assert_eq!(site.listed(), made);
    // The newest verified one and its chain up to it, which no policy can forget: two backups.
    site.verify(made[200 * CHAIN]);
    site.verify(made[200 * CHAIN + 1]);
    let listed = site.backups.list().unwrap().backups;
    let rows = serde_json::to_value(&listed).unwrap();
    let described: Vec<DescribedBackup> = serde_json::from_value(rows).unwrap();

    // The last chain has 16, and the first backup of a day is the fifth of its chain.
    let bytes_of = |chains: u64| {
        let last = full.stored_bytes + 15 * incremental.stored_bytes;
        last + (chains - 1) * (full.stored_bytes + 23 * incremental.stored_bytes)
    };
    let rules = [
        (json!({ "policy": "count", "keep": 100 }), Some(112 + 2)),
        (json!({ "policy": "age", "max_age": "10d" }), Some(256 + 2)),
        (
            json!({ "policy": "calendar", "daily": 7 }),
            Some(16 + 6 * 5 + 2),
        ),
        (
            json!({ "policy": "size", "max_bytes": bytes_of(10) }),
            Some(16 + 9 * 24 + 2),
        ),
        (json!({ "policy": "importance" }), None),
    ];
    for (rule, retained) in rules {
        let rule: RetentionRule = serde_json::from_value(rule).unwrap();
        let plan = CleanupOptions {
            dry_run: true,
            rule: Some(rule.clone()),
            ..CleanupOptions::default()
        };
        let plan = site.backups.cleanup(&plan, &Progress::new()).unwrap();
        assert_eq!((plan.evaluated, &plan.failure), (COUNT as u64, &None));
        assert!(plan.would_delete > 0 && plan.deleted == 0);
        if let Some(retained) = retained {
            assert_eq!(plan.retained, retained, "{rule:?}");
        }
        let trial = site
            .backups
            .try_rule(&rule, Some(&described), Some(UnixMs(NOW)));
        assert!(trial.unwrap().decisions == plan.decisions, "{rule:?}");
    }

    let options = CleanupOptions {
        rule: Some(RetentionRule::policy("count", &[("keep", json!(100))])),
        grace_ms: Some(DAY.unsigned_abs()),
        ..CleanupOptions::default()
    };
    let report = site.backups.cleanup(&options, &Progress::new()).unwrap();
    assert_eq!((report.deleted, report.space_freed), (9_886, 0));
    let kept = [&made[4_800..4_802], &made[9_888..]].concat();
    assert_eq!(site.listed(), kept);
    assert_eq!(site.backups.trash().unwrap().len(), 9_886);
    let again = site.backups.cleanup(&options, &Progress::new()).unwrap();
    assert_eq!((again.evaluated, again.deleted), (114, 0));
    site.backups.undelete(made[0]).unwrap();
    site.verify(made[0]);
    assert_eq!(site.listed()[1..], kept);
}
