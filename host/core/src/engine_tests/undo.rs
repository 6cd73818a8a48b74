//! Going back to a namespace that was replaced, and letting go of one.

use super::history::{contents, row};
use super::swaps::{hooked, swap};
use super::*;
use crate::check::check_consistency;
use crate::{DiffOptions, ErrorKind, NamespaceId, RestoreSource, Sequence};

fn kept(manager: &StateManager) -> Vec<NamespaceId> {
    let all = manager.namespaces().unwrap();
    assert_eq!(all.iter().filter(|one| one.is_current).count(), 1);
    let kept = all.iter().filter(|one| !one.is_current);
    kept.map(|one| one.namespace).collect()
}

fn restore(manager: &Arc<StateManager>) -> Sequence {
    let source = RestoreSource {
        state_id: "elsewhere".to_owned(),
        sequence: Sequence(30),
        tenants: Vec::new(),
    };
    manager.begin_restore(source).unwrap().finish().unwrap()
}

#[test]
fn a_swap_is_undone_once_the_commits_that_it_costs_are_confirmed() {
    let (disk, _, manager) = hooked();
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "a", "1");
    tenant.put("global", "a", "2");
    let replaced = swap(&manager, "log2").unwrap().replaced;
    assert_eq!(tenant.put("global", "a", "3"), 3);
    assert_eq!(tenant.put("global", "b", "4"), 4);
    let after_swap = manager.info().unwrap();

    let error = manager.undo(replaced, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .starts_with("2 commits were made that ns-"),
        "{error}"
    );
    assert_eq!(tenant.read("global", "a").as_deref(), Some("3"));

    assert_eq!(manager.undo(replaced, 2).unwrap(), Sequence(5));
    assert_eq!(tenant.read("global", "a").as_deref(), Some("2"));
    assert_eq!(tenant.read("global", "b"), None);
    let info = manager.info().unwrap();
    assert_eq!(
        (&*info.backend, info.head, info.floor),
        ("log", Sequence(5), Sequence(0))
    );
    assert_ne!(info.timeline, after_swap.timeline);
    assert_eq!(info.state_id, after_swap.state_id);
    let past = |sequence| contents(&manager.snapshot_at(Sequence(sequence)).unwrap());
    assert_eq!(past(1), [row("global a", "1", 1)], "history stays readable");
    assert_eq!(past(5), [row("global a", "2", 2)]);
    for undone in [3, 4] {
        let error = tenant.at(Sequence(undone)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        let told = format!("commit {undone} was undone with the namespace that it was made in");
        assert!(error.to_string().contains(&told), "{error}");
        assert!(
            error
                .to_string()
                .contains("commit 2 is the last one before it")
        );
        for (before, after) in [(1, undone), (undone, 5)] {
            let diff = tenant.diff(Sequence(before), Sequence(after), &DiffOptions::default());
            assert_eq!(diff.unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }
    check_consistency(&manager).unwrap();
    assert_eq!(tenant.put("global", "a", "6"), 6);

    // The undo of the undo costs the one commit since; what was before it is all there.
    let other = kept(&manager)[0];
    let error = manager.undo(other, 0).unwrap_err();
    assert!(
        error.to_string().starts_with("1 commit was made"),
        "{error}"
    );
    assert_eq!(manager.undo(other, 1).unwrap(), Sequence(7));
    assert_eq!(tenant.read("global", "a").as_deref(), Some("3"));
    assert_eq!(tenant.read("global", "b").as_deref(), Some("4"));
    // And back: the two commits of the swapped backend count again.
    assert!(
        manager
            .undo(replaced, 1)
            .unwrap_err()
            .to_string()
            .starts_with("2 commits")
    );
    check_consistency(&manager).unwrap();
    manager.close().unwrap();
    drop((manager, tenant));

    let mut options = options(disk.vfs());
    options.backend = "log2".to_owned();
    let manager = open_with(options).unwrap();
    check_consistency(&manager).unwrap();
    let tenant = manager.default_tenant().blocking();
    assert_eq!(tenant.read("global", "b").as_deref(), Some("4"));
    assert_eq!(tenant.put("global", "c", "8"), 8);
    assert_eq!(manager.undo(replaced, 3).unwrap(), Sequence(9));
    assert_eq!(tenant.read("global", "a").as_deref(), Some("6"));
    check_consistency(&manager).unwrap();
}

#[test]
fn a_restore_is_undone_while_a_snapshot_still_reads_what_it_replaced() {
    let (_, _, manager) = hooked();
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "a", "1");
    tenant.put("global", "b", "2");
    let snapshot = manager.snapshot_at(Sequence(1)).unwrap();
    assert_eq!(restore(&manager), Sequence(31));
    assert_eq!(tenant.read("global", "a"), None);
    let replaced = kept(&manager)[0];
    assert!(
        manager
            .namespaces()
            .unwrap()
            .iter()
            .any(|one| one.is_read && one.bytes > 0)
    );
    let error = manager.release_namespace(replaced).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");

    // The restore itself is no commit that is lost.
    assert_eq!(manager.undo(replaced, 0).unwrap(), Sequence(32));
    assert_eq!(tenant.put("global", "a", "3"), 33);
    assert_eq!(contents(&snapshot), [row("global a", "1", 1)]);
    assert_eq!(
        manager.info().unwrap().oldest_snapshot,
        Some(Sequence(1)),
        "its pin counts"
    );
    check_consistency(&manager).unwrap();
    drop(snapshot);
    assert_eq!(manager.info().unwrap().oldest_snapshot, None);
}

#[test]
fn what_is_not_in_use_can_be_released_and_nothing_else() {
    let (disk, _, manager) = hooked();
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "a", "1");
    let before = disk.listing().len();
    let snapshot = manager.snapshot().unwrap();
    let report = swap(&manager, "log2").unwrap();
    for refused in [
        manager.release_namespace(report.namespace),
        manager.undo(report.namespace, 0).map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    }
    let error = manager.release_namespace(report.replaced).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    drop(snapshot);
    manager.release_namespace(report.replaced).unwrap();
    assert_eq!(disk.listing().len(), before, "{:#?}", disk.listing());
    for gone in [
        manager.release_namespace(report.replaced),
        manager.undo(report.replaced, 9).map(drop),
    ] {
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    }
    // Rows in memory go when nobody reads them any more.
    let memory = swap(&manager, "memory").unwrap().namespace;
    swap(&manager, "log").unwrap();
    let error = manager.undo(memory, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(tenant.read("global", "a").as_deref(), Some("1"));
}

fn trimming(
    plugins: Arc<dyn crate::Plugins>,
    vfs: Arc<dyn Vfs>,
) -> (Arc<StateManager>, Arc<TestClock>) {
    let clock = clock();
    let mut options = options(vfs);
    options.clock = clock.clone();
    options.keep = crate::Keep {
        age_ms: None,
        commits: Some(2),
    };
    options.upkeep_interval_ms = 0;
    (StateManager::open(options, plugins).unwrap(), clock)
}

/// A trim went on with the rows that it had found in the namespace before, and took the history of
/// the one that had been gone back to, whose floor said that it was there.
#[test]
fn a_trim_under_way_leaves_the_namespace_alone_that_was_gone_back_to() {
    let disk = SimDisk::new();
    let (hook, plugins) = super::hooked::HookPlugins::over(disk.vfs());
    let (manager, _) = trimming(plugins, disk.vfs());
    let tenant = manager.default_tenant().blocking();
    for value in ["1", "2", "3", "4", "5"] {
        tenant.put("global", "a", value);
    }
    let replaced = swap(&manager, "log2").unwrap().replaced;
    tenant.put("global", "a", "6");
    let (weak, mut undone) = (Arc::downgrade(&manager), false);
    hook.set(move |space| {
        if space == crate::Space::History && !std::mem::replace(&mut undone, true) {
            weak.upgrade().unwrap().undo(replaced, 1).unwrap();
        }
    });
    let error = manager.trim(&crate::TrimOptions::default()).unwrap_err();
    hook.clear();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(manager.info().unwrap().floor, Sequence(0));
    for (sequence, value) in [(1, "1"), (3, "3"), (7, "5")] {
        let view = tenant.at(Sequence(sequence)).unwrap();
        let found = view.get(&scope("global"), &key("a")).unwrap();
        assert_eq!(text(found).as_deref(), Some(value));
    }
    check_consistency(&manager).unwrap();
}

/// The floor came to lie in the gap before an undo, where no row tells its time: a time long past
/// was then answered with the state before the gap.
#[test]
fn times_before_a_gap_are_told_right_once_it_is_trimmed() {
    let disk = SimDisk::new();
    let (manager, clock) = trimming(TestPlugins::shared(disk.vfs()), disk.vfs());
    let tenant = manager.default_tenant().blocking();
    for (time, value) in [(2_000, "1"), (3_000, "2"), (4_000, "3")] {
        clock.set(time);
        tenant.put("global", "a", value);
    }
    let replaced = swap(&manager, "log2").unwrap().replaced;
    for value in ["4", "5", "6", "7"] {
        tenant.put("global", "a", value);
    }
    clock.set(9_000);
    assert_eq!(manager.undo(replaced, 4).unwrap(), Sequence(8));
    for time in [4_000, 5_000, 8_999] {
        assert_eq!(manager.sequence_at(UnixMs(time)).unwrap(), Sequence(3));
    }
    let report = manager.trim(&crate::TrimOptions::default()).unwrap();
    assert_eq!(report.floor, Sequence(3));
    assert_eq!(manager.sequence_at(UnixMs(5_000)).unwrap(), Sequence(3));
    let error = manager.sequence_at(UnixMs(2_500)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    check_consistency(&manager).unwrap();
}

/// The row of an undo was taken for the first of its namespace, as that of a restore is: commits that
/// had been trimmed before it were not counted, and fewer were confirmed than were lost.
#[test]
fn commits_that_were_trimmed_before_an_undo_are_lost_too() {
    let disk = SimDisk::new();
    let (manager, _) = trimming(TestPlugins::shared(disk.vfs()), disk.vfs());
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "a", "1");
    let first = swap(&manager, "log2").unwrap().replaced;
    tenant.put("global", "a", "2");
    assert_eq!(manager.undo(first, 1).unwrap(), Sequence(3));
    let second = kept(&manager).remove(0);
    tenant.put("global", "a", "4");
    tenant.put("global", "a", "5");
    swap(&manager, "log2").unwrap();
    assert_eq!(manager.undo(first, 0).unwrap(), Sequence(6));
    tenant.put("global", "a", "7");
    tenant.put("global", "a", "8");
    let report = manager.trim(&crate::TrimOptions::default()).unwrap();
    assert_eq!(report.floor, Sequence(6));

    // Commits 4, 5, 7 and 8 are not there; all numbers that were trimmed count.
    let error = manager.undo(second, 5).unwrap_err();
    assert!(error.to_string().starts_with("6 commits"), "{error}");
    manager.undo(second, 6).unwrap();
    assert_eq!(tenant.read("global", "a").as_deref(), Some("2"));
}
