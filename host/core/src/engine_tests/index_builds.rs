//! Building indexes, with writers, crashes and restores in between.

use std::thread;

use super::groups::gated;
use super::hooked::HookPlugins;
use super::indexes::{LOW, ask, definition, explained, fill, keys, n, rows_of_indexes, set};
use super::*;
use crate::check::check_consistency;
use crate::thread::REFUSED;
use crate::{
    Error, ErrorKind, IndexState, RecordCodec, RecordHeader, RecordKind, RestoreSource, Sequence,
    Space, TenantNumber, TrimOptions, data_key, encode_record,
};

#[test]
fn an_index_is_built_while_writers_go_on() {
    let disk = SimDisk::new();
    let (hook, plugins) = HookPlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 60);
    let (writer, mut at) = (tenant.clone(), 0);
    hook.set(move |space| {
        // Between the rows that the build reads: replace, delete and add, before and behind it.
        if space == Space::Data && at < 60 {
            let k = format!("k{:03}", at * 7 % 60);
            match at % 3 {
                0 => set(&writer, "agent:7", &k, &format!("{{\"n\":{}}}", at + 1000)),
                1 => drop(writer.remove("agent:7", &k)),
                _ => set(&writer, "agent:9", &k, r#"{"n":1}"#),
            }
            at += 1;
        }
    });
    manager.create_index(n("n")).unwrap().wait().unwrap();
    hook.clear();
    check_consistency(&manager).unwrap();
    let page = ask(&tenant, LOW);
    let found: Vec<_> = page.rows.iter().map(|row| row.scope.to_string()).collect();
    assert!(found.contains(&"agent:9".to_owned()), "{found:?}");
    assert_eq!(page.facts.index.as_deref(), Some("n"));
}

#[test]
fn a_build_can_be_cancelled_and_ends_with_the_state() {
    let disk = SimDisk::new();
    let (hook, plugins) = HookPlugins::over(disk.vfs());
    let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 10);
    // The build waits before its first record until the test has the lock.
    let gate = Arc::new(parking_lot::Mutex::new(()));
    let (held, inside) = (gate.lock(), gate.clone());
    hook.set(move |space| {
        if space == Space::Data && thread::current().name() == Some("statekeep-index") {
            drop(inside.lock());
        }
    });
    let build = manager.create_index(n("n")).unwrap();
    assert_eq!(build.progress().state, IndexState::Building);
    assert_eq!(explained(&tenant, LOW).index, None);
    let waiter = build.clone();
    build.cancel().unwrap();
    assert_eq!(waiter.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    let build = manager.create_index(n("n")).unwrap();
    drop(held);
    let closing = manager.close();
    let waited = build.wait();
    assert!(
        waited.is_ok() || matches!(&waited, Err(error) if error.kind() == ErrorKind::Closed),
        "{waited:?}"
    );
    closing.unwrap();
    drop((manager, build, waiter, tenant, hook));
    let manager = open(&disk);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    check_consistency(&manager).unwrap();
}

#[test]
fn a_restored_state_has_its_indexes_built_anew() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let acme = manager.tenant("acme").unwrap().blocking();
    set(&acme, "agent:1", "before", r#"{"n":1}"#);
    let build = manager
        .create_index(definition("n", "acme", "agent:*", "$.n"))
        .unwrap();
    build.wait().unwrap();
    let gone = definition("gone", "missing", "*", "$.n");
    manager.create_index(gone).unwrap().wait().unwrap();
    let mut builder = manager
        .begin_restore(RestoreSource {
            state_id: "x".to_owned(),
            sequence: Sequence(3),
            tenants: vec![(TenantNumber(9), "acme".to_owned())],
        })
        .unwrap();
    for at in 0..3u8 {
        let mut header = RecordHeader::new(RecordKind::Json);
        header.sequence = Sequence(2);
        let name = data_key(TenantNumber(9), &scope("agent:1"), &key(&format!("r{at}")));
        let json = format!("{{\"n\":{at}}}");
        if at == 2 {
            header.codec = Some(RecordCodec {
                name: "store".to_owned(),
                raw_len: json.len() as u64,
            });
        }
        let record = encode_record(&header, json.as_bytes()).unwrap();
        builder.put(&name, &record).unwrap();
    }
    builder.finish().unwrap();
    for index in ["n", "gone"] {
        let found = manager.list_indexes().unwrap();
        let found = found
            .into_iter()
            .find(|info| info.definition.name == index)
            .unwrap();
        manager
            .create_index(found.definition)
            .unwrap()
            .wait()
            .unwrap();
    }
    check_consistency(&manager).unwrap();
    let page = ask(&acme, LOW);
    assert_eq!(
        (keys(&page), page.facts.index.as_deref()),
        (
            vec!["r0".to_owned(), "r1".to_owned(), "r2".to_owned()],
            Some("n")
        )
    );
    set(
        &manager.tenant("missing").unwrap().blocking(),
        "user:1",
        "k",
        r#"{"n":1}"#,
    );
    check_consistency(&manager).unwrap();
    manager.close().unwrap();
    check_consistency(&open(&disk)).unwrap();
}

/// Each call of the build fails or is the last before the power goes; afterwards the index is built
/// to its end and agrees with the data.
#[test]
fn a_build_that_is_cut_off_anywhere_goes_on_at_the_next_opening() {
    let base = SimDisk::new();
    let manager = open(&base);
    fill(&manager.default_tenant().blocking(), 300);
    manager.close().unwrap();
    drop(manager);
    let mut struck = 0;
    for call in 1.. {
        let disk = base.restart();
        let made = (|| -> Result<(), Error> {
            let manager = open_with(options(disk.vfs()))?;
            disk.kill_at(call);
            manager.create_index(n("n"))?.wait()
        })();
        if !disk.fault_struck() {
            made.unwrap();
            break;
        }
        struck += 1;
        for seed in 0..4 {
            let manager = open(&disk.crash(seed));
            check_consistency(&manager).unwrap();
            // Declared or not, it is there when it is declared again.
            manager.create_index(n("n")).unwrap().wait().unwrap();
            check_consistency(&manager).unwrap();
            let page = ask(&manager.default_tenant().blocking(), LOW);
            assert_eq!(
                (keys(&page), page.facts.examined),
                (
                    vec!["k000".to_owned(), "k001".to_owned(), "k002".to_owned()],
                    3
                )
            );
            manager.close().unwrap();
        }
    }
    assert!(struck > 4, "only {struck} calls");
}

/// The power goes at each call of a drop: the index is there with all of its rows, or it is gone and
/// the next opening removes the rows that are left.
#[test]
fn a_drop_that_is_cut_off_anywhere_goes_on_at_the_next_opening() {
    let base = SimDisk::new();
    let manager = open(&base);
    fill(&manager.default_tenant().blocking(), 1_200);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    manager.close().unwrap();
    drop(manager);
    let (mut struck, mut gone) = (0, 0);
    for call in 1.. {
        let disk = base.restart();
        let manager = open(&disk);
        disk.kill_at(call);
        let dropped = manager.drop_index("n");
        // A fault on the way may have stopped the removal; closing waits for what goes on.
        let _ = manager.close();
        drop(manager);
        if !disk.fault_struck() {
            dropped.unwrap();
            break;
        }
        struck += 1;
        for seed in 0..4 {
            let manager = open(&disk.crash(seed));
            check_consistency(&manager).unwrap();
            if manager.list_indexes().unwrap().is_empty() {
                while rows_of_indexes(&manager) > 0 {
                    thread::yield_now();
                }
                gone += 1;
            } else {
                assert!(dropped.is_err());
                assert_eq!(rows_of_indexes(&manager), 1_200);
            }
            manager.close().unwrap();
        }
    }
    assert!(struck > 1 && gone > 0, "{struck} calls, {gone} gone");
}

#[test]
fn rows_of_a_dropped_index_that_could_not_be_removed_are_told_and_tried_again() {
    let (gate, manager) = gated(|_| {});
    let tenant = manager.default_tenant().blocking();
    fill(&tenant, 10);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    gate.order(|orders| orders.refuse_in = Some(Space::Index));
    manager.drop_index("n").unwrap();
    let told = loop {
        match manager.upkeep().index_error {
            Some(told) => break told,
            None => thread::yield_now(),
        }
    };
    assert!(told.contains("the disk is full"), "{told}");
    assert_eq!(rows_of_indexes(&manager), 10);
    gate.order(|orders| orders.refuse_in = None);
    // Asking what a trim would do changes nothing.
    manager.trim(&TrimOptions { dry_run: true }).unwrap();
    assert_eq!(manager.upkeep().index_error, Some(told));
    manager.trim(&TrimOptions::default()).unwrap();
    while rows_of_indexes(&manager) > 0 || manager.upkeep().index_error.is_some() {
        thread::yield_now();
    }
    check_consistency(&manager).unwrap();
}

/// The thread of the commits went on and kept the state locked until the process ended.
#[test]
fn an_opening_that_fails_lets_the_state_go() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    manager.create_index(n("n")).unwrap().wait().unwrap();
    assert_eq!(
        open_with(options(disk.vfs())).err().unwrap().kind(),
        ErrorKind::Busy
    );
    drop(manager);
    for name in ["statekeep-commit", "statekeep-index", "statekeep-upkeep"] {
        REFUSED.set(Some(name));
        let error = open_with(options(disk.vfs())).err().unwrap();
        REFUSED.set(None);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(name), "{error}");
        open(&disk).close().unwrap();
    }
}
