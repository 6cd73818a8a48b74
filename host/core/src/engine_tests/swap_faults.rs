//! Every file call of swaps, undos and releases fails, or is the last one before the power goes: what
//! is left opens as the old namespace or the new one, whole, and nothing unfinished stays.

use super::crash::{Run, enumerate, name, set};
use super::*;
use crate::{Durability, NamespaceId, Progress};

fn swap(manager: &Arc<StateManager>, to: &str) -> crate::Result<NamespaceId> {
    let progress = Progress::new();
    let report = manager.swap_backend(to, &serde_json::json!({}), &progress)?;
    Ok(report.replaced)
}

fn story(run: &mut Run) {
    use Durability::{Relaxed, Sync};
    run.put("", "global", "a", "1", Sync);
    run.put("acme", "user:1", "b", "2", Sync);
    run.put("", "global", "a", "3", Relaxed);
    // A swap changes nothing, and makes all before it durable.
    let mut first = None;
    run.commit(Sync, vec![], |manager| {
        first = Some(swap(manager, "log2")?);
        Ok(())
    });
    run.put("", "global", "a", "4", Relaxed);
    run.put("acme", "user:1", "c", "5", Sync);
    if let Some(first) = first {
        let back = vec![
            (name("", "global", "a"), set("3")),
            (name("acme", "user:1", "c"), None),
        ];
        let mut undone = false;
        run.commit(Sync, back, |manager| {
            manager.undo(first, 2)?;
            undone = true;
            Ok(())
        });
        if undone {
            run.put("", "global", "d", "6", Sync);
            // That removes files and makes no commit durable.
            run.commit(Relaxed, vec![], |manager| {
                let kept = manager.namespaces()?;
                for kept in kept.iter().filter(|kept| !kept.is_current) {
                    manager.release_namespace(kept.namespace)?;
                }
                Ok(())
            });
        }
    }
    run.put("", "global", "a", "7", Sync);
    if run.manager.close().is_ok() {
        run.judge.acknowledge_all();
    }
}

fn base() -> SimDisk {
    let base = SimDisk::new();
    open(&base).close().unwrap();
    base
}

#[test]
fn a_swap_stopped_at_any_call_leaves_the_old_backend_or_the_new() {
    let faults = enumerate(&base(), 4, story);
    assert!(
        faults.is_empty(),
        "{} faults, the first:\n{}",
        faults.len(),
        faults[0]
    );
}

#[test]
fn the_story_goes_to_its_end_and_a_left_out_sync_is_found() {
    let disk = base().restart();
    let judge = super::crash::run(&disk, story).unwrap();
    assert!(judge.acknowledged() >= 8, "{}", judge.acknowledged());
    let base = base();
    base.skip_syncs(|call| call.name == "sync_dir");
    assert!(!enumerate(&base, 4, story).is_empty());
}
