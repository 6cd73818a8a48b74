//! Reading the past: by commit and by time, versions of a key, and what differs between two commits.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::gate::GatePlugins;
use super::*;
use crate::{
    ChangeOp, CommitKind, DiffChange, DiffOptions, ErrorKind, Expiry, HistoryOptions, ListOptions,
    ScopeListOptions, Sequence, TenantSnapshot,
};

fn open_at(disk: &SimDisk) -> (Arc<StateManager>, Arc<TestClock>) {
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    (open_with(options).unwrap(), clock)
}

fn value(view: &TenantSnapshot, s: &str, k: &str) -> Option<String> {
    text(view.get(&scope(s), &key(k)).unwrap())
}

#[test]
fn the_state_is_read_as_it_was_at_a_commit_and_at_a_time() {
    let disk = SimDisk::new();
    let (manager, clock) = open_at(&disk);
    let tenant = manager.default_tenant().blocking();
    let mut at = Vec::new();
    for (time, v) in [(2_000, "a"), (3_000, "b"), (3_000, "c")] {
        clock.set(time);
        at.push(Sequence(tenant.put("agent:1", "plan", v)));
    }
    clock.set(5_000);
    tenant.remove("agent:1", "plan").unwrap();
    tenant.put("agent:2", "x", "y");
    clock.set(6_000);
    let by_time = |time| value(&tenant.at_time(UnixMs(time)).unwrap(), "agent:1", "plan");
    let told = [1_999, 2_000, 2_999, 3_000, 4_999, 5_000, 6_000].map(by_time);
    let expected = [None, Some("a"), Some("a"), Some("c"), Some("c"), None, None];
    assert_eq!(told, expected.map(|v| v.map(str::to_owned)));
    for (sequence, v) in at.iter().zip(["a", "b", "c"]) {
        let view = tenant.at(*sequence).unwrap();
        assert_eq!(value(&view, "agent:1", "plan").as_deref(), Some(v));
        let all = ListOptions::default();
        assert_eq!(view.list(&scope("agent:1"), &all).unwrap().keys, ["plan"]);
        let scopes = view.list_scopes(&ScopeListOptions::default()).unwrap();
        assert_eq!(scopes.scopes, [scope("agent:1")]);
    }
    assert_eq!(
        value(&tenant.at(Sequence(0)).unwrap(), "agent:1", "plan"),
        None
    );
    let error = tenant.at(Sequence(99)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = tenant.at_time(UnixMs(6_001)).err().unwrap();
    assert!(error.to_string().contains("in the future"), "{error}");
}

#[test]
fn an_expiring_key_is_there_until_its_time_in_the_past_too() {
    let disk = SimDisk::new();
    let (manager, clock) = open_at(&disk);
    let tenant = manager.default_tenant().blocking();
    let ttl = SetOptions {
        expires: Some(Expiry::At(UnixMs(1_500))),
        ..SetOptions::default()
    };
    let (s, k) = (scope("user:1"), key("otp"));
    let set = tenant.set(&s, &k, Value::bytes("42"), ttl).unwrap();
    clock.set(2_000);
    let later = Sequence(tenant.put("user:1", "other", "v"));
    let at = |time| value(&tenant.at_time(UnixMs(time)).unwrap(), "user:1", "otp");
    assert_eq!((at(1_499).as_deref(), at(1_500)), (Some("42"), None));
    let page = tenant.diff(set, later, &DiffOptions::default()).unwrap();
    let told: Vec<_> = page
        .entries
        .iter()
        .map(|e| (e.key.as_str(), e.change))
        .collect();
    assert_eq!(
        told,
        [("other", DiffChange::Added), ("otp", DiffChange::Removed)]
    );
    // Written anew without a sweep, it had gone all the same.
    tenant.put("user:1", "otp", "43");
    let again = tenant.diff(set, later, &DiffOptions::default()).unwrap();
    assert_eq!(again, page);
}

#[test]
fn a_keys_versions_say_who_made_them_and_where_it_was_deleted() {
    let disk = SimDisk::new();
    let (manager, _) = open_at(&disk);
    let plain = manager.default_tenant().blocking();
    let tenant = plain.with_origin("agent-7", "run-1").unwrap();
    let (s, k) = (scope("agent:1"), key("plan"));
    tenant.put("agent:1", "plan", "a");
    plain.put("agent:1", "other", "-");
    plain.put("agent:1", "plan", "b");
    tenant.remove("agent:1", "plan").unwrap();
    tenant.put("agent:1", "plan", "c");
    let page = |before, limit| {
        let options = HistoryOptions { before, limit };
        plain.history(&s, &k, &options).unwrap()
    };
    let short = |page: &crate::HistoryPage| -> Vec<_> {
        let versions = page.versions.iter();
        let facts = versions.map(|v| {
            let value = v.record.as_ref().map(|r| r.value.as_bytes()[0] as char);
            (
                v.sequence.0,
                v.until.map(|u| u.0),
                value,
                v.principal.clone(),
            )
        });
        facts.collect()
    };
    let who = |who: &str| who.to_owned();
    let all = [
        (5, None, Some('c'), who("agent-7")),
        (4, Some(5), None, who("agent-7")),
        (3, Some(4), Some('b'), who("")),
        (1, Some(3), Some('a'), who("agent-7")),
    ];
    let whole = page(None, 0);
    assert_eq!(short(&whole), all);
    assert_eq!((whole.next, whole.compacted), (None, None));
    let delete = &whole.versions[1];
    assert_eq!(
        (delete.op, delete.kind),
        (ChangeOp::Delete, Some(CommitKind::Commit))
    );
    assert_eq!(whole.versions[0].correlation_id, "run-1");
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = page(before, 1);
        assert_eq!(page.versions.len(), 1);
        paged.extend(short(&page));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(paged, all);
}

/// A diff of many pages read the whole journal for each of them.
#[test]
fn the_pages_of_a_diff_share_one_reading_of_the_journal() {
    let disk = SimDisk::new();
    let (gate, plugins) = GatePlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let tenant = manager.default_tenant().blocking();
    let before = Sequence(tenant.put("tool:t", "00", "old"));
    let names: Vec<_> = (0..20).map(|n| format!("{n:02}")).collect();
    let put = |name: &String| Sequence(tenant.put("tool:t", name, "new"));
    let after = names.iter().map(put).max().unwrap();
    let mut options = DiffOptions {
        limit: 3,
        ..DiffOptions::default()
    };
    let passes = || gate.orders.lock().journal_passes;
    let (begun, mut told) = (passes(), Vec::new());
    loop {
        let page = tenant.diff(before, after, &options).unwrap();
        told.extend(page.entries.iter().map(|e| e.key.as_str().to_owned()));
        options.after = page.next;
        if options.after.is_none() {
            break;
        }
        // Neither what is written meanwhile nor another diff changes the answer.
        tenant.put("tool:t", "99", "later");
        if told.len() == 6 {
            let other = tenant
                .diff(before, Sequence(after.0 - 1), &options)
                .unwrap();
            assert_eq!(other.entries.len(), 3);
        }
    }
    assert_eq!(told, names);
    // One for the first page, one for the other diff, and one since that one took its place.
    assert_eq!(passes() - begun, 3);
}

/// Random commits, each key's value at each commit by a map, and the map compared with every way
/// to read the past.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6u8, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
        1 => (0..6u8).prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 1..40)
}

type Model = BTreeMap<String, String>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_past_reads_as_it_was(steps in steps(), filler in 0..1_500u16) {
        let disk = SimDisk::new();
        let (manager, _) = open_at(&disk);
        let tenant = manager.default_tenant().blocking();
        let mut models = vec![(Sequence(0), Model::new())];
        for step in &steps {
            let mut model = models.last().unwrap().1.clone();
            let sequence = match step {
                Step::Put(k, v) => {
                    model.insert(format!("k{k}"), v.to_string());
                    Some(tenant.put("tool:t", &format!("k{k}"), &v.to_string()))
                }
                Step::Delete(k) => {
                    model.remove(&format!("k{k}"));
                    tenant.remove("tool:t", &format!("k{k}"))
                }
            };
            if let Some(sequence) = sequence {
                models.push((Sequence(sequence), model));
            }
        }
        // Enough commits later a scan reads history rows instead of the journal.
        let relaxed = SetOptions::with_durability(crate::Durability::Relaxed);
        for n in 0..filler {
            let v = Value::bytes(n.to_string());
            tenant.set(&scope("user:u"), &key("filler"), v, relaxed).unwrap();
        }
        let s = scope("tool:t");
        for (sequence, model) in &models {
            let view = tenant.at(*sequence).unwrap();
            let page = view.scan_page(&s, &ListOptions::default()).unwrap();
            let read: Model = page.entries.into_iter()
                .map(|(k, v)| (k, text(Some(v)).unwrap())).collect();
            prop_assert_eq!(&read, model);
            for k in 0..6 {
                let k = format!("k{k}");
                prop_assert_eq!(value(&view, "tool:t", &k), model.get(&k).cloned());
            }
        }
        for (a, from) in &models {
            for (b, to) in models.iter().filter(|(b, _)| b >= a) {
                let options = DiffOptions { scope: Some(s.clone()), limit: 2, ..DiffOptions::default() };
                let mut told = BTreeMap::new();
                let mut after = None;
                loop {
                    let options = DiffOptions { after, ..options.clone() };
                    let page = tenant.diff(*a, *b, &options).unwrap();
                    told.extend(page.entries.into_iter().map(|e| (e.key.as_str().to_owned(), e.change)));
                    after = page.next;
                    if after.is_none() { break; }
                }
                let keys = from.keys().chain(to.keys());
                let expected: BTreeMap<_, _> = keys.filter_map(|k| {
                    let change = match (from.get(k), to.get(k)) {
                        (None, Some(_)) => DiffChange::Added,
                        (Some(_), None) => DiffChange::Removed,
                        (Some(a), Some(b)) if a != b => DiffChange::Changed,
                        _ => return None,
                    };
                    Some((k.clone(), change))
                }).collect();
                prop_assert_eq!(told, expected);
            }
        }
    }
}
