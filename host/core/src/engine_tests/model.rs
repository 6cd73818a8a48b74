//! Random operations against a map, with the state opened again in between.

use std::collections::BTreeMap;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::check::check_consistency;
use crate::{
    Batch, Durability, ListOptions, RecordHeader, RecordKind, RestoreSource, Sequence,
    TenantNumber, data_key, encode_record,
};

const TENANTS: [&str; 2] = ["", "acme"];
const SCOPES: [&str; 4] = ["global", "custom:a", "custom:a:b", "step:a/b"];
const KEYS: [&str; 4] = ["k", "k:b", "k%", "ü"];

/// A tenant, a scope and a key by index.
type Name = (usize, usize, usize);

#[derive(Clone, Debug)]
enum Op {
    Change(Vec<(usize, usize, Option<u16>)>, usize, bool),
    Clear(usize, usize),
    Copy(usize, usize, usize),
    Move(usize, usize, usize),
    Flush,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let change = (0..4usize, 0..4usize, any::<Option<u16>>());
    let changes = prop::collection::vec(change, 1..4);
    prop_oneof![
        12 => (changes, 0..2usize, any::<bool>()).prop_map(|(c, t, sync)| Op::Change(c, t, sync)),
        1 => (0..2usize, 0..4usize).prop_map(|(t, s)| Op::Clear(t, s)),
        1 => (0..2usize, 0..4usize, 1..4usize).prop_map(|(t, s, d)| Op::Copy(t, s, (s + d) % 4)),
        1 => (0..2usize, 0..4usize, 1..4usize).prop_map(|(t, s, d)| Op::Move(t, s, (s + d) % 4)),
        1 => Just(Op::Flush),
        1 => Just(Op::Reopen),
    ]
}

#[derive(Default)]
struct Model(BTreeMap<Name, u16>);

impl Model {
    fn scope(&self, tenant: usize, scope: usize) -> Vec<(Name, u16)> {
        let inside = |(name, _): &(&Name, &u16)| (name.0, name.1) == (tenant, scope);
        self.0
            .iter()
            .filter(inside)
            .map(|(name, value)| (*name, *value))
            .collect()
    }
}

fn apply(manager: &Arc<StateManager>, model: &mut Model, op: &Op) {
    let handle = |tenant: usize| manager.tenant(TENANTS[tenant]).unwrap().blocking();
    let named = |s: usize| scope(SCOPES[s]);
    match op {
        Op::Change(changes, tenant, sync) => {
            let mut batch = Batch::new();
            batch.durability(if *sync {
                Durability::Sync
            } else {
                Durability::Relaxed
            });
            for (s, k, value) in changes {
                match value {
                    Some(value) => {
                        batch.set(
                            &named(*s),
                            &key(KEYS[*k]),
                            Value::bytes(value.to_le_bytes()),
                        );
                        model.0.insert((*tenant, *s, *k), *value);
                    }
                    None => {
                        batch.delete(&named(*s), &key(KEYS[*k]));
                        model.0.remove(&(*tenant, *s, *k));
                    }
                }
            }
            handle(*tenant).commit(batch).unwrap();
        }
        Op::Clear(tenant, s) => {
            let there = model.scope(*tenant, *s);
            let count = handle(*tenant).clear_scope(&named(*s)).unwrap();
            assert_eq!(count, there.len() as u64);
            for (name, _) in there {
                model.0.remove(&name);
            }
        }
        Op::Copy(tenant, from, to) | Op::Move(tenant, from, to) => {
            let there = model.scope(*tenant, *from);
            let moved = matches!(op, Op::Move(..));
            let count = if moved {
                handle(*tenant)
                    .move_scope(&named(*from), &named(*to))
                    .unwrap()
            } else {
                handle(*tenant)
                    .copy_scope(&named(*from), &named(*to))
                    .unwrap()
            };
            assert_eq!(count, there.len() as u64);
            for (name, value) in there {
                model.0.insert((*tenant, *to, name.2), value);
                if moved {
                    model.0.remove(&name);
                }
            }
        }
        Op::Flush => manager.flush().unwrap(),
        Op::Reopen => {}
    }
}

fn compare(manager: &Arc<StateManager>, model: &Model) {
    for (t, tenant) in TENANTS.iter().enumerate() {
        let tenant = manager.tenant(tenant).unwrap().blocking();
        let mut scopes = Vec::new();
        for (s, name) in SCOPES.iter().enumerate() {
            let mut expected: Vec<_> = model
                .scope(t, s)
                .into_iter()
                .map(|((_, _, k), value)| (KEYS[k].to_owned(), value.to_le_bytes().to_vec()))
                .collect();
            expected.sort();
            if !expected.is_empty() {
                scopes.push(scope(name));
            }
            let page = tenant
                .scan_page(&scope(name), &ListOptions::default())
                .unwrap();
            let found = page
                .entries
                .into_iter()
                .map(|(key, value)| (key, value.into_bytes()));
            assert_eq!(found.collect::<Vec<_>>(), expected);
        }
        scopes.sort();
        assert_eq!(
            tenant.list_scopes(&Default::default()).unwrap().scopes,
            scopes
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_state_is_what_a_map_would_be(ops in prop::collection::vec(op(), 1..40)) {
        let disk = SimDisk::new();
        let mut manager = open(&disk);
        let mut model = Model::default();
        for op in &ops {
            apply(&manager, &mut model, op);
            if matches!(op, Op::Reopen) {
                manager.close().unwrap();
                manager = open(&disk);
                compare(&manager, &model);
            }
        }
        compare(&manager, &model);
        check_consistency(&manager).unwrap();
    }
}

#[test]
fn writers_and_readers_go_on_through_restores() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let restored = data_key(TenantNumber(3), &scope("global"), &key("restored"));
    thread::scope(|threads| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let tenant = manager
                    .tenant(["", "acme", "bolt"][writer])
                    .unwrap()
                    .blocking();
                threads.spawn(move || {
                    let mut last = 0;
                    for at in 0..300 {
                        let next = tenant.put("global", &format!("{writer}"), &at.to_string());
                        assert!(next > last);
                        last = next;
                        // A restore may have come between the two.
                        let seen = tenant.read("global", &format!("{writer}"));
                        assert!(seen.is_none() || seen == Some(at.to_string()));
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            let mut builder = manager
                .begin_restore(RestoreSource {
                    state_id: manager.state_id(),
                    sequence: Sequence(1),
                    tenants: vec![(TenantNumber(3), "acme".to_owned())],
                })
                .unwrap();
            let mut header = RecordHeader::new(RecordKind::Bytes);
            header.sequence = Sequence(1);
            builder
                .put(&restored, &encode_record(&header, b"x").unwrap())
                .unwrap();
            builder.finish().unwrap();
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
    });
    let acme = manager.tenant("acme").unwrap().blocking();
    assert_eq!(acme.read("global", "restored").as_deref(), Some("x"));
    check_consistency(&manager).unwrap();
    manager.close().unwrap();
    check_consistency(&open(&disk)).unwrap();
}
