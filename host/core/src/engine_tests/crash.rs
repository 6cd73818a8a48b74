//! Every file call of a run of commits fails, or is the last one before the power goes: nothing that
//! was acknowledged is lost, nothing that was refused shows, and all rows tell one story.

use std::io::ErrorKind as Io;

use super::*;
use crate::check::check_consistency;
use crate::oracle::Oracle;
use crate::vfs::sim::Times;
use crate::{
    Batch, Durability, Error, ErrorKind, RecordHeader, RecordKind, RestoreSource, Sequence,
    TenantNumber, data_key, encode_record,
};

pub(super) type Name = (&'static str, &'static str, String);
pub(super) type Judge = Oracle<Name, String>;

pub(super) fn name(tenant: &'static str, scope: &'static str, key: &str) -> Name {
    (tenant, scope, key.to_owned())
}

pub(super) fn set(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// What is tried, on an open state.
pub(super) type Story = fn(&mut Run);

pub(super) struct Run {
    pub(super) manager: Arc<StateManager>,
    pub(super) judge: Judge,
}

impl Run {
    /// Tells the judge of a commit before and after it is tried.
    pub(super) fn commit<T>(
        &mut self,
        durability: Durability,
        writes: Vec<(Name, Option<String>)>,
        commit: impl FnOnce(&Arc<StateManager>) -> crate::Result<T>,
    ) {
        let id = self.judge.begin(writes);
        match commit(&self.manager) {
            // A durable commit makes those before it durable too.
            Ok(_) if durability == Durability::Sync => self.judge.acknowledge_all(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Indeterminate => {}
            Err(_) => self.judge.refuse(id),
        }
    }

    pub(super) fn put(
        &mut self,
        tenant: &'static str,
        s: &'static str,
        k: &str,
        v: &str,
        d: Durability,
    ) {
        self.commit(d, vec![(name(tenant, s, k), set(v))], |manager| {
            let options = SetOptions::with_durability(d);
            let tenant = manager.tenant(tenant)?.blocking();
            tenant.set(&scope(s), &key(k), Value::bytes(v), options)
        });
    }

    fn restore(&mut self, all: &[Name]) {
        let mut writes: Vec<_> = all.iter().map(|name| (name.clone(), None)).collect();
        writes.push((name("acme", "tool:t", "new"), set("restored")));
        self.commit(Durability::Sync, writes, |manager| {
            let mut builder = manager.begin_restore(RestoreSource {
                state_id: "x".to_owned(),
                sequence: Sequence(3),
                tenants: vec![(TenantNumber(9), "acme".to_owned())],
            })?;
            let mut header = RecordHeader::new(RecordKind::Bytes);
            header.sequence = Sequence(2);
            let data_key = data_key(TenantNumber(9), &scope("tool:t"), &key("new"));
            builder.put(&data_key, &encode_record(&header, b"restored")?)?;
            builder.finish()
        });
    }
}

/// The commits that are tried, on an open state.
fn story(run: &mut Run) {
    use Durability::{Relaxed, Sync};
    run.put("", "global", "a", "1", Sync);
    run.put("acme", "user:1", "a", "2", Relaxed);
    run.put("", "global", "a", "3", Relaxed);
    run.put("acme", "user:1", "b", "4", Sync);
    let pair = vec![
        (name("", "global", "b"), set("5")),
        (name("", "global", "a"), None),
    ];
    run.commit(Sync, pair, |manager| {
        let mut batch = Batch::new();
        batch.set(&scope("global"), &key("b"), Value::bytes("5"));
        batch.delete(&scope("global"), &key("a"));
        manager.default_tenant().blocking().commit(batch)
    });
    run.put("", "global", "a", "6", Relaxed);
    if run.manager.flush().is_ok() {
        run.judge.acknowledge_all();
    }
    let moved = vec![
        (name("acme", "user:1", "a"), None),
        (name("acme", "user:1", "b"), None),
        (name("acme", "user:2", "a"), set("2")),
        (name("acme", "user:2", "b"), set("4")),
    ];
    // What is moved is what is there, which is known only while nothing has failed.
    if run
        .manager
        .info()
        .is_ok_and(|info| info.head == Sequence(6))
    {
        run.commit(Sync, moved, |manager| {
            let tenant = manager.tenant("acme")?.blocking();
            tenant.move_scope(&scope("user:1"), &scope("user:2"))
        });
    }
    let all = [
        name("", "global", "a"),
        name("", "global", "b"),
        name("acme", "user:1", "a"),
        name("acme", "user:1", "b"),
        name("acme", "user:2", "a"),
        name("acme", "user:2", "b"),
    ];
    run.restore(&all);
    run.put("acme", "tool:t", "after", "8", Sync);
    run.put("", "global", "a", "9", Relaxed);
    if run.manager.close().is_ok() {
        run.judge.acknowledge_all();
    }
}

fn try_open(disk: &SimDisk) -> crate::Result<Arc<StateManager>> {
    let open = |backend: &str| {
        let mut options = options(disk.vfs());
        options.backend = backend.to_owned();
        options.flush_interval_ms = 3_600_000;
        open_with(options)
    };
    // A swap may have moved it.
    open("log").or_else(|error| match error.kind() {
        ErrorKind::Conflict => open("log2"),
        _ => Err(error),
    })
}

pub(super) fn run(disk: &SimDisk, story: Story) -> Result<Judge, Error> {
    let mut run = Run {
        manager: try_open(disk)?,
        judge: Judge::new(),
    };
    story(&mut run);
    Ok(run.judge)
}

/// Opens what is left, twice, and answers what is wrong with it.
fn verdict(disk: &SimDisk, judge: &Judge) -> Result<(), String> {
    for _ in 0..2 {
        let manager = try_open(disk).map_err(|error| format!("it does not open: {error}"))?;
        check_consistency(&manager).map_err(|error| error.to_string())?;
        let unfinished = |name: &&String| {
            ["PENDING", ".creating-", ".removing-", ".tmp-"]
                .iter()
                .any(|mark| name.contains(mark))
        };
        if let Some(left) = disk.listing().iter().find(unfinished) {
            return Err(format!("left behind: {left}"));
        }
        judge.check(|(tenant, s, k)| {
            let tenant = manager.tenant(tenant).unwrap().blocking();
            tenant.read(s, k)
        })?;
        manager.close().map_err(|error| error.to_string())?;
    }
    Ok(())
}

pub(super) fn enumerate(base: &SimDisk, seeds: u64, story: Story) -> Vec<String> {
    let modes = [
        None,
        Some((Io::Other, Times::Once)),
        Some((Io::StorageFull, Times::Once)),
        Some((Io::Other, Times::Forever)),
    ];
    let mut faults = Vec::new();
    for mode in modes {
        for n in 1.. {
            let disk = base.restart();
            match mode {
                None => disk.kill_at(n),
                Some((kind, times)) => disk.fail_at(n, kind, times),
            }
            let judge = run(&disk, story).unwrap_or_default();
            if !disk.fault_struck() {
                break;
            }
            let calls = disk.calls();
            let mut left: Vec<_> = (0..seeds).map(|seed| (seed, disk.crash(seed))).collect();
            left.push((u64::MAX, disk.restart()));
            for (seed, disk) in left {
                if let Err(fault) = verdict(&disk, &judge) {
                    let call = calls.get(n as usize - 1);
                    faults.push(format!(
                        "{mode:?} at call {n} {call:?}, seed {seed}: {fault}"
                    ));
                }
            }
        }
    }
    faults
}

#[test]
fn no_fault_at_any_call_loses_what_was_acknowledged() {
    // A state that is there, and one that is created within the run.
    let there = SimDisk::new();
    open(&there).close().unwrap();
    for base in [there, SimDisk::new()] {
        let faults = enumerate(&base, 6, story);
        assert!(
            faults.is_empty(),
            "{} faults:\n{}",
            faults.len(),
            faults.join("\n")
        );
    }
}

#[test]
fn the_harness_finds_a_sync_that_is_left_out() {
    let base = SimDisk::new();
    open(&base).close().unwrap();
    base.skip_syncs(|_| true);
    assert!(!enumerate(&base, 2, story).is_empty());
}
