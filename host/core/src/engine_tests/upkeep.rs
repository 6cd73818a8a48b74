//! Sweeping what expired and trimming the past: what stays readable, what is refused, what is held.

use super::*;
use crate::check::check_consistency;
use crate::{
    Class, ErrorKind, Expiry, HistoryLimits, HistoryOptions, Keep, KeyRange, ListOptions, Rule,
    Sequence, Space, TrimOptions,
};

fn open_keeping(
    disk: &SimDisk,
    keep: Keep,
    rules: Vec<Rule>,
) -> (Arc<StateManager>, Arc<TestClock>) {
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.keep = keep;
    options.rules = rules;
    options.upkeep_interval_ms = 0;
    (open_with(options).unwrap(), clock)
}

fn keep(commits: Option<u64>, age_ms: Option<u64>) -> Keep {
    Keep { age_ms, commits }
}

fn rows(manager: &StateManager, space: Space) -> usize {
    let namespace = manager.committer.namespace_arc().unwrap();
    let mut cursor = namespace.backend.scan(space, KeyRange::default()).unwrap();
    let mut count = 0;
    while cursor.next_batch(100, &mut |_, _| count += 1).unwrap() > 0 {}
    count
}

#[test]
fn the_sweeper_removes_what_expired_through_the_commit_path() {
    let disk = SimDisk::new();
    let (manager, clock) = open_keeping(&disk, keep(None, None), Vec::new());
    let tenant = manager.tenant("acme").unwrap().blocking();
    let ttl = |ms, class| SetOptions {
        expires: Some(Expiry::After(ms)),
        class: Some(class),
        ..SetOptions::default()
    };
    let s = scope("session:1");
    for n in 0..1_200u64 {
        let (k, v) = (key(&format!("k{n:04}")), Value::bytes("v"));
        tenant.set(&s, &k, v, ttl(n + 1, Class::Bulk)).unwrap();
    }
    let memory = ttl(5, Class::Ephemeral);
    tenant
        .set(&s, &key("memory"), Value::bytes("v"), memory)
        .unwrap();
    clock.set(1_600);
    // Set anew, it does not go with its old life.
    tenant.put("session:1", "k0000", "again");
    let head = manager.head();
    assert_eq!(manager.sweep().unwrap().removed, 600);
    assert!(manager.head() > head, "the removal is a commit");
    assert_eq!(rows(&manager, Space::Data), 601);
    assert_eq!(rows(&manager, Space::Index), 600);
    assert_eq!(manager.sweep().unwrap().removed, 0);
    let page = tenant.list(&s, &ListOptions::default()).unwrap();
    assert_eq!((page.keys.len(), page.keys[0].as_str()), (601, "k0000"));
    let version = tenant
        .history(&s, &key("k0001"), &HistoryOptions::default())
        .unwrap();
    assert_eq!(version.versions[0].kind, Some(crate::CommitKind::Expire));
    assert_eq!(manager.upkeep().last_sweep.unwrap().removed, 0);
    check_consistency(&manager).unwrap();
}

#[test]
fn the_past_is_forgotten_up_to_what_is_kept_and_asking_for_it_is_told() {
    let disk = SimDisk::new();
    let (manager, _) = open_keeping(&disk, keep(Some(3), None), Vec::new());
    let tenant = manager.default_tenant().blocking();
    for n in 1..=10 {
        tenant.put("agent:1", "plan", &n.to_string());
    }
    tenant.put("agent:1", "once", "v");
    let dry = manager.trim(&TrimOptions { dry_run: true }).unwrap();
    assert_eq!((dry.floor_before, dry.floor), (Sequence(0), Sequence(8)));
    assert_eq!(rows(&manager, Space::Journal), 11);
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!(
        (report.floor, report.journal_rows, report.history_rows),
        (Sequence(8), 7, 7)
    );
    assert_eq!(dry.bytes, report.bytes);
    assert_eq!(report.held_by, [""; 0]);
    let (s, k) = (scope("agent:1"), key("plan"));
    let at = |n| {
        tenant
            .at(Sequence(n))
            .and_then(|view| view.get(&s, &k))
            .map(text)
    };
    assert_eq!(at(8).unwrap().as_deref(), Some("8"));
    assert_eq!(at(10).unwrap().as_deref(), Some("10"));
    let error = at(7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert!(
        error
            .to_string()
            .contains("the oldest that can be read is 8"),
        "{error}"
    );
    let page = tenant.history(&s, &k, &HistoryOptions::default()).unwrap();
    assert_eq!(
        (page.versions.len(), page.compacted),
        (3, Some(Sequence(8)))
    );
    check_consistency(&manager).unwrap();
    manager.close().unwrap();
    drop((tenant, manager));
    let (manager, _) = open_keeping(&disk, keep(Some(3), None), Vec::new());
    assert_eq!(manager.info().unwrap().floor, Sequence(8));
    assert_eq!(
        manager.trim(&TrimOptions::default()).unwrap().journal_rows,
        0
    );
    check_consistency(&manager).unwrap();
}

#[test]
fn age_is_counted_from_the_time_of_commits_and_the_state_then_stays_readable() {
    let disk = SimDisk::new();
    let (manager, clock) = open_keeping(&disk, keep(None, Some(1_000)), Vec::new());
    let tenant = manager.default_tenant().blocking();
    for time in [1_000, 2_000, 3_000, 4_000] {
        clock.set(time);
        tenant.put("agent:1", "plan", &time.to_string());
    }
    clock.set(4_500);
    // At 3,500 the state was that of commit 3.
    assert_eq!(
        manager.trim(&TrimOptions::default()).unwrap().floor,
        Sequence(3)
    );
    let read = |time| {
        tenant
            .at_time(UnixMs(time))
            .map(|view| text(view.get(&scope("agent:1"), &key("plan")).unwrap()))
    };
    assert_eq!(read(3_500).unwrap().as_deref(), Some("3000"));
    assert_eq!(read(3_000).unwrap().as_deref(), Some("3000"));
    assert_eq!(read(2_999).unwrap_err().kind(), ErrorKind::Compacted);
}

#[test]
fn a_snapshot_holds_the_past_that_it_needs_and_is_named() {
    let disk = SimDisk::new();
    let history = HistoryLimits {
        versions: Some(0),
        ..HistoryLimits::default()
    };
    let rule = Rule {
        scope: Some("agent:*".to_owned()),
        history: Some(history),
        ..Rule::default()
    };
    let (manager, _) = open_keeping(&disk, keep(Some(0), None), vec![rule]);
    let tenant = manager.default_tenant().blocking();
    for n in 1..=5 {
        tenant.put("agent:1", "plan", &n.to_string());
    }
    let held = tenant.snapshot().unwrap();
    for n in 6..=9 {
        tenant.put("agent:1", "plan", &n.to_string());
    }
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!(report.floor, Sequence(5));
    assert_eq!(report.held_by, ["a snapshot, backup or watch at commit 5"]);
    let read = || text(held.get(&scope("agent:1"), &key("plan")).unwrap());
    assert_eq!(read().as_deref(), Some("5"));
    check_consistency(&manager).unwrap();
    drop(held);
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!((report.floor, report.history_rows), (Sequence(9), 4));
    assert_eq!(rows(&manager, Space::History), 0);
    check_consistency(&manager).unwrap();
}

#[test]
fn a_rule_keeps_fewer_versions_of_its_keys_and_reading_them_is_refused_not_wrong() {
    let disk = SimDisk::new();
    let history = HistoryLimits {
        versions: Some(2),
        ..HistoryLimits::default()
    };
    let rule = Rule {
        key: Some("status".to_owned()),
        history: Some(history),
        ..Rule::default()
    };
    let (manager, _) = open_keeping(&disk, keep(None, None), vec![rule]);
    let tenant = manager.default_tenant().blocking();
    for n in 1..=6 {
        tenant.put("agent:1", "status", &n.to_string());
        tenant.put("agent:1", "plan", &n.to_string());
    }
    let report = manager.trim(&TrimOptions::default()).unwrap();
    assert_eq!((report.floor, report.history_rows), (Sequence(0), 3));
    let s = scope("agent:1");
    let at = |n, k: &str| tenant.at(Sequence(n)).unwrap().get(&s, &key(k)).map(text);
    assert_eq!(at(1, "plan").unwrap(), None);
    assert_eq!(at(2, "plan").unwrap().as_deref(), Some("1"));
    // Versions 1 to 3 ended with commits 3, 5 and 7.
    let error = at(6, "status").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert!(error.to_string().contains("`status` in agent:1"), "{error}");
    assert_eq!(at(7, "status").unwrap().as_deref(), Some("4"));
    let page = tenant
        .history(&s, &key("status"), &HistoryOptions::default())
        .unwrap();
    assert_eq!(
        (page.versions.len(), page.compacted),
        (3, Some(Sequence(7)))
    );
    check_consistency(&manager).unwrap();
    assert_eq!(
        manager.trim(&TrimOptions::default()).unwrap().history_rows,
        0
    );
}

#[test]
fn a_paused_upkeep_does_nothing_until_it_is_resumed() {
    let disk = SimDisk::new();
    let (manager, _) = open_keeping(&disk, keep(Some(1), None), Vec::new());
    let tenant = manager.default_tenant().blocking();
    for n in 1..=3 {
        tenant.put("agent:1", "plan", &n.to_string());
    }
    manager.pause_upkeep();
    assert!(manager.upkeep().paused);
    let error = manager.trim(&TrimOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    manager.resume_upkeep();
    assert_eq!(
        manager.trim(&TrimOptions::default()).unwrap().floor,
        Sequence(2)
    );
}

/// A pass over all history looks once at who needs what; who comes meanwhile must not lose it.
#[test]
fn who_begins_to_read_the_past_during_a_trim_keeps_it() {
    let disk = SimDisk::new();
    let (manager, _) = open_keeping(&disk, keep(None, None), Vec::new());
    let tenant = manager.default_tenant().blocking();
    for n in 1..=6 {
        tenant.put("agent:1", "plan", &n.to_string());
    }
    let namespace = manager.committer.namespace_arc().unwrap();
    let write = |free| {
        let op = crate::commit::OwnOp::Delete(Space::History, b"nothing\0".to_vec());
        manager
            .upkeep
            .write(&namespace, Some(Sequence(free)), vec![op])
    };
    write(5).unwrap();
    let view = tenant.at(Sequence(4)).unwrap();
    assert_eq!(write(5).unwrap_err().kind(), ErrorKind::Conflict);
    write(4).unwrap();
    drop(view);
    write(5).unwrap();
}
