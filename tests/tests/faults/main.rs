//! Each call that the engine makes to its backend fails, breaks off or takes its time, one after the
//! other, while everything is done that a state can do: nothing that was acknowledged is lost, no
//! error is kept from the caller, writing stops exactly where the outcome is not known, reads go on,
//! and what is opened afterwards is whole and works.

mod flaky;
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

    fn open(&self) -> Result<Arc<StateManager>> {
        let mut options = OpenOptions::new("/state", "log");
        options.vfs = self.disk.vfs();
        options.clock = self.clock.clone();
        options.durability = Durability::Sync;
        options.flush_interval_ms = 3_600_000;
        options.upkeep_interval_ms = 0;
        options.archive_codec = "store".to_owned();
        options.keep = Keep { age_ms: None, commits: Some(4) };
        let plugins = FlakyPlugins {
            fault: self.fault.clone(),
            inner: TestPlugins::shared(self.disk.vfs()),
        };
        StateManager::open(options, Arc::new(plugins))
    }
}

/// What is in memory only does not outlive the manager.
fn stored(mut rows: Rows) -> Rows {
    rows.retain(|name, _| name.0 != "user:m");
    rows
}

/// Does the work with a fault in the n-th call of its kind; answers whether it was made.
fn strike(mode: Mode, nth: u64) -> bool {
    let what = format!("{mode:?} at call {nth}");
    let state = State::new();
    let mut work = Work::new(state.open().unwrap(), state.clock.clone(), Rows::new());
    state.fault.arm(mode, nth);
    let tenant = work.manager.default_tenant().blocking();
    state.fault.meanwhile(move || drop(read(&tenant).unwrap()));
    work.run(1);
    let has_struck = state.fault.disarm();
    let errors: Vec<String> = work.errors.iter().map(|(at, e)| format!("{at}: {e}")).collect();
    let poisoned = work.manager.info().unwrap().poisoned;
    assert_eq!(poisoned.is_some(), has_struck && mode.poisons(), "{what}: {errors:#?}");
    match mode {
        // A group that is refused is tried again, commit by commit.
        Mode::Refused => assert!(work.errors.len() <= 1, "{what}: {errors:#?}"),
        Mode::RefusedTwice => assert!(!has_struck || work.errors.len() <= 2, "{what}: {errors:#?}"),
        Mode::Delay => assert!(errors.is_empty(), "{what}: {errors:#?}"),
        _ => assert_eq!(!errors.is_empty(), has_struck, "{what}: {errors:#?}"),
    }
    for (at, error) in work.errors.iter().skip(1).filter(|_| mode.poisons()) {
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{what}, {at}: {error}");
    }
    // Reads go on, whatever has happened.
    work.read().unwrap();
    let closed = work.manager.close().map_err(|error| error.kind());
    assert_eq!(closed, if poisoned.is_some() { Err(ErrorKind::Poisoned) } else { Ok(()) }, "{what}");
    let (rows, unknown) = (work.rows, work.unknown);
    let opened = state.open().and_then(|manager| {
        check_consistency(&manager)?;
        Ok(manager)
    });
    let manager = match opened {
        Ok(manager) => manager,
        // A commit of which a part was applied is found out.
        Err(error) if mode == Mode::UnknownTorn => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            return has_struck;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    let held = read(&manager.default_tenant().blocking()).unwrap();
    let known = held == stored(rows.clone()) || Some(&held) == unknown.map(stored).as_ref();
    assert!(known, "{what}: it holds {held:?} and {rows:?} was acknowledged\n{errors:#?}");
    // It works as if nothing had happened.
    let mut work = Work::new(manager, state.clock.clone(), held);
    work.run(2);
    assert!(work.errors.is_empty(), "{what}, opened again: {:?}", work.errors);
    check_consistency(&work.manager).unwrap();
    work.manager.close().unwrap();
    let manager = state.open().unwrap();
    check_consistency(&manager).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(read(&manager.default_tenant().blocking()).unwrap(), stored(work.rows), "{what}");
    has_struck
}

#[test]
fn no_failing_call_loses_what_was_acknowledged() {
    for mode in Mode::ALL {
        let struck = (1..CALLS_MAX).find(|nth| !strike(mode, *nth)).unwrap() - 1;
        assert!(struck > 2, "{mode:?}: {struck} calls were made");
        println!("{mode:?}: each of {struck} calls failed once");
    }
}
