//! Each call that the engine makes to its backends fails, breaks off or takes its time, one after the
//! other, while everything is done that a state can do, swap, undo and restore among it: nothing that
//! was acknowledged is lost, no error is kept from the caller, writing stops exactly where the outcome
//! in the store in use is not known, reads go on, and what is opened afterwards is whole, on the
//! backend that the caller was told, and works.

mod flaky;
mod switch;
mod work;

use std::sync::Arc;

use statekeep::engine::{Keep, OpenOptions};
use statekeep::{Durability, ErrorKind, Result, StateManager};
use statekeep_core::check::check_consistency;
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;

use flaky::{Fault, FlakyPlugins, Mode};
use work::{Rows, TestClock, Work, read};

/// More calls of a kind than the work makes.
const CALLS_MAX: u64 = 2_000;

struct State {
    disk: SimDisk,
    fault: Arc<Fault>,
    clock: Arc<TestClock>,
}

impl State {
    fn new() -> State {
        State {
            disk: SimDisk::new(),
            fault: Arc::default(),
            clock: Arc::default(),
        }
    }

    /// Opens the state; without a backend's name on the one that it has.
    fn open(&self, backend: &str) -> Result<Arc<StateManager>> {
        let mut options = OpenOptions::new("/state", backend);
        options.vfs = self.disk.vfs();
        options.clock = self.clock.clone();
        options.durability = Durability::Sync;
        options.flush_interval_ms = 3_600_000;
        options.upkeep_interval_ms = 0;
        options.archive_codec = "store".to_owned();
        options.keep = Keep {
            age_ms: None,
            commits: Some(4),
        };
        let plugins = FlakyPlugins {
            fault: self.fault.clone(),
            inner: TestPlugins::shared(self.disk.vfs()),
        };
        let manager = StateManager::open(options, Arc::new(plugins))?;
        self.fault.uses_last();
        Ok(manager)
    }
}

/// What is in memory only does not outlive the manager.
fn stored(mut rows: Rows) -> Rows {
    rows.retain(|name, _| name.0 != "user:m");
    rows
}

/// Does the work with a fault in the n-th call of its kind; answers, when it was made, whether that
/// was in the store in use.
fn strike(mode: Mode, nth: u64) -> Option<bool> {
    let what = format!("{mode:?} at call {nth}");
    let state = State::new();
    let mut work = Work::new(&state, state.open("log").unwrap(), Rows::new());
    work.is_torn = mode == Mode::UnknownTorn;
    work.is_stored = mode == Mode::Delay;
    state.fault.arm(mode, nth);
    let tenant = work.manager.default_tenant().blocking();
    state.fault.meanwhile(move || drop(read(&tenant).unwrap()));
    work.run(1);
    state.fault.disarm();
    let errors: Vec<String> = (work.errors.iter())
        .map(|(at, error)| format!("{at}: {error}"))
        .collect();
    // Reads go on, whatever has happened.
    work.read().unwrap();
    let closed = work.manager.close().map_err(|error| error.kind());
    let has_struck = state.fault.has_struck();
    let struck = has_struck.then(|| state.fault.has_struck_in_use());
    let stops = mode.poisons() && struck == Some(true);
    let expected = if stops {
        Err(ErrorKind::Poisoned)
    } else {
        Ok(())
    };
    assert_eq!(closed, expected, "{what}: {errors:#?}");
    let most = match mode {
        // A group that is refused is tried again, commit by commit.
        Mode::RefusedTwice => 2,
        Mode::Delay => 0,
        _ => 1,
    };
    // What removes the rows of dropped indexes is nobody's call: it logs its errors.
    let told = has_struck && matches!(mode, Mode::Get | Mode::Flush);
    assert!(
        !told || !errors.is_empty(),
        "{what}: the error was swallowed"
    );
    assert!(
        stops || errors.len() <= if has_struck { most } else { 0 },
        "{what}: {errors:#?}"
    );
    for (at, error) in work.errors.iter().skip(1).filter(|_| stops) {
        // A swap reads first, and what it reads may be what the unknown commit has left.
        let read_on = *at == "swap" && error.kind() == ErrorKind::Conflict;
        assert!(
            read_on || error.kind() == ErrorKind::Poisoned,
            "{what}, {at}: {error}"
        );
    }
    let (rows, unknown, backend) = (work.rows, work.unknown, work.backend);
    let opened = state.open("").and_then(|manager| {
        check_consistency(&manager)?;
        Ok(manager)
    });
    let manager = match opened {
        Ok(manager) => manager,
        // A commit of which a part was applied is found out.
        Err(error) if mode == Mode::UnknownTorn => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            return struck;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    // A switch is made or not made, as the caller was told.
    assert_eq!(manager.backend_name(), backend, "{what}");
    let held = read(&manager.default_tenant().blocking()).unwrap();
    let known = held == stored(rows.clone()) || Some(&held) == unknown.map(stored).as_ref();
    assert!(
        known,
        "{what}: it holds {held:?} and {rows:?} was acknowledged\n{errors:#?}"
    );
    // It works as if nothing had happened.
    let mut work = Work::new(&state, manager, held);
    work.run(2);
    assert!(
        work.errors.is_empty(),
        "{what}, opened again: {:?}",
        work.errors
    );
    check_consistency(&work.manager).unwrap();
    work.manager.close().unwrap();
    let manager = state.open("").unwrap();
    assert_eq!(manager.backend_name(), work.backend);
    check_consistency(&manager).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(
        read(&manager.default_tenant().blocking()).unwrap(),
        stored(work.rows),
        "{what}"
    );
    struck
}

#[test]
fn no_failing_call_loses_what_was_acknowledged() {
    for mode in Mode::ALL {
        let struck: Vec<bool> = (1..CALLS_MAX).map_while(|nth| strike(mode, nth)).collect();
        assert!(
            struck.len() + 1 < CALLS_MAX as usize,
            "{mode:?}: it has no end"
        );
        let in_use = struck.iter().filter(|in_use| **in_use).count();
        let other = struck.len() - in_use;
        assert!(in_use > 0, "{mode:?}: no call of the kind is made");
        // The store that a swap fills, or that an undo goes back to.
        assert!(
            other > 0,
            "{mode:?}: none of another store than the one in use"
        );
        println!("{mode:?}: each of {in_use} calls failed once, and {other} of other stores");
    }
}
