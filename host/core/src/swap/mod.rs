//! Live swap: the whole state moves to another backend, or anew to the same, while it is used.
//!
//! Copy as of one commit, follow the journal, publish the new namespace, follow and verify, follow
//! until little is left, change over between two commits. Reads never wait; writes wait for the
//! change-over alone. Until CURRENT is replaced, whatever goes wrong leaves the state as it was and
//! removes the copy. The old namespace stays as the undo: see the file `kept`.

mod copy;
mod feed;
mod follow;
mod kept;
mod verify;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub(crate) use self::feed::SwapFeed;
use self::follow::At;
pub(crate) use self::kept::Lineage;
pub use self::kept::NamespaceStatus;
use crate::bulk::Bulk;
use crate::commit::{Committer, Heritage, SwitchWork, Turn, TurnRows, Work};
use crate::namespace::Namespace;
use crate::state_dir::{NamespaceId, StateDir};
use crate::{
    Backend, Durability, Error, Phase, Progress, Result, Sequence, Snapshot, StateDigest,
    StateManager,
};

/// So few commits are left to the change-over.
const TAIL_COMMITS: u64 = 64;
/// How long the follower works before it looks whether it comes nearer to the head, and how often it
/// may find that it does not before it holds commits up.
const ROUND: Duration = Duration::from_millis(100);
const SLOW_ROUNDS_MAX: usize = 5;
/// Commits are held up for so long at a time when they come faster than the target takes them.
const HOLD: Duration = Duration::from_millis(10);

/// What a swap did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SwapReport {
    /// Short name of the backend before.
    pub from: String,
    /// Short name of the backend now.
    pub to: String,
    /// The namespace in use now.
    pub namespace: NamespaceId,
    /// The namespace before, kept for [`StateManager::undo`].
    pub replaced: NamespaceId,
    /// Records that both sides had when they were compared.
    pub records: u64,
    /// Bytes of their keys and of the records.
    pub bytes: u64,
    /// Their digest, which both sides had.
    pub digest: StateDigest,
    /// The last commit before the change-over; the new backend has it, the next one only it has.
    pub sequence: Sequence,
    /// Microseconds that commits waited for the change-over.
    pub pause_us: u64,
    /// Commits that were made meanwhile and taken over.
    pub catch_up_commits: u64,
}

/// A namespace that is being copied: nothing of it is trimmed until this is dropped.
struct Source {
    committer: Arc<Committer>,
    namespace: Arc<Namespace>,
    floor: Sequence,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.namespace.unpin(self.floor);
        self.namespace.swap_feed.end();
    }
}

/// A swap under way: where the target is.
struct Swap {
    source: Arc<Source>,
    progress: Progress,
    bulk: Bulk,
    /// The last commit that the target has.
    done: Sequence,
    /// Commits taken over since the copy.
    followed: u64,
    /// The meta rows that the target has.
    meta: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Records that were changed and may not be in the target yet.
    unwritten: HashMap<Vec<u8>, Option<Vec<u8>>>,
    unwritten_bytes: usize,
}

/// Marks an operation as ended, however it ends.
struct Ends<'a>(&'a Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Done);
    }
}

impl StateManager {
    /// Moves the whole state to another backend, or anew to the one it has, while clients go on
    /// reading and writing: records, history, journal, indexes, tenants and cursors. Sequences,
    /// timeline, snapshots and handles stay valid. `options` are the backend's own; they hold until
    /// the state is closed, later openings take the configuration's. Runs on the caller's thread;
    /// `progress` tells how far it is and cancels it.
    ///
    /// # Errors
    /// `Busy` while another swap is under way, `TooLarge` for a record that the backend cannot hold,
    /// `Corrupt` when the copy is not the state, `Conflict` when the state was restored or undone
    /// meanwhile, `Cancelled`, errors of the backend. With any error but `Indeterminate` the state is
    /// as it was and the copy is removed. With `Indeterminate` the state takes no more writes; close
    /// and open it again, then look.
    pub fn swap_backend(
        self: &Arc<Self>,
        backend: &str,
        options: &serde_json::Value,
        progress: &Progress,
    ) -> Result<SwapReport> {
        let _ends = Ends(progress);
        progress.enter(Phase::Preparing);
        let (source, snapshot) = begin(&self.committer)?;
        let dir = source.namespace.dir.clone();
        let from = dir.current();
        let pending = dir.create_namespace(backend, options, &|_, _| Ok(()))?;
        let target = pending.backend().clone();
        if !target.capabilities().persistent {
            tracing::warn!(
                backend,
                "this backend keeps the state only until it is closed"
            );
        }
        let mut swap = Swap {
            bulk: Bulk::new(target.capabilities()),
            done: snapshot.sequence(),
            followed: 0,
            meta: BTreeMap::new(),
            unwritten: HashMap::new(),
            unwritten_bytes: 0,
            progress: progress.clone(),
            source: source.clone(),
        };
        swap.expect()?;
        progress.enter(Phase::Copying);
        swap.copy(&snapshot, &*target)?;
        drop(snapshot);
        progress.enter(Phase::Following);
        swap.flush(&*target, Durability::Relaxed)?;
        drop(target);
        let (id, target) = pending.publish()?;
        let work = Published {
            dir: dir.clone(),
            id,
            target,
        };
        match work.change_over(swap) {
            Ok(report) => {
                let to = dir.current().backend;
                dir.set_backend_options(&to, options.clone());
                self.note_backend(&dir);
                Ok(SwapReport {
                    from: from.backend,
                    to,
                    replaced: from.namespace,
                    ..report
                })
            }
            Err(error) => {
                dir.give_up(id, &error);
                Err(error)
            }
        }
    }

    /// Takes note of the backend that is in use now.
    pub(crate) fn note_backend(&self, dir: &StateDir) {
        *self.backend_name.lock() = dir.current().backend;
        if let Err(error) = dir.settle_current() {
            tracing::warn!(%error, "the namespace in use is still marked as unfinished");
        }
    }
}

/// Starts to copy the namespace in use, between two commits.
fn begin(committer: &Arc<Committer>) -> Result<(Arc<Source>, Snapshot)> {
    let begun = Arc::new(Mutex::new(None));
    let work = {
        let (begun, committer) = (begun.clone(), committer.clone());
        move |turn: &Turn<'_>| {
            turn.namespace.swap_feed.begin()?;
            let source = Source {
                floor: turn.namespace.pin_floor(),
                namespace: turn.namespace.clone(),
                committer: committer.clone(),
            };
            let snapshot = Snapshot::of_head(&committer, turn.namespace).with_expired();
            *begun.lock() = Some((Arc::new(source), snapshot));
            Ok(TurnRows::default())
        }
    };
    committer.run_blocking(Work::turn(0, work))?;
    let begun = begun.lock().take();
    begun.ok_or(Error::Closed)
}

/// A copy under its own name, which is not in use yet.
struct Published {
    dir: StateDir,
    id: NamespaceId,
    target: Arc<dyn Backend>,
}

impl Published {
    /// Brings the copy to the head, proves it, and puts it in use. Answers all of the report but who
    /// was replaced.
    fn change_over(self, swap: Swap) -> Result<SwapReport> {
        let (source, progress) = (swap.source.clone(), swap.progress.clone());
        let swap = Arc::new(Mutex::new(swap));
        self.come_near(&swap)?;
        let verified = {
            let mut swap = swap.lock();
            // Whole before the snapshot, so that the swap has been told of all their rows by then.
            let ready = source.namespace.index.ready();
            let snapshot = Snapshot::of_head(&source.committer, &source.namespace).with_expired();
            swap.follow(&*self.target, snapshot.sequence(), At::Side, None)?;
            swap.flush(&*self.target, Durability::Relaxed)?;
            progress.enter(Phase::Verifying);
            swap.verify(&snapshot, &ready, &*self.target)?
        };
        progress.enter(Phase::Following);
        self.come_near(&swap)?;
        // What the change-over has to sync itself is then little.
        self.target.flush()?;
        source.committer.run_blocking(Work::Flush)?;

        progress.check()?;
        progress.enter(Phase::Committing);
        let work = SwitchWork {
            from: Some(source.namespace.id),
            to: self.id,
            complete: Box::new({
                let (swap, target) = (swap.clone(), self.target.clone());
                move |turn| {
                    let mut swap = swap.lock();
                    swap.follow(&*target, turn.head, At::Turn, None)?;
                    swap.finish(&*target)?;
                    Ok(target)
                }
            }),
            heritage: Heritage::Continues,
            dir: self.dir.clone(),
            replace: Box::new({
                let (dir, id) = (self.dir.clone(), self.id);
                // Its backend is what its own document says.
                move || dir.replace_current(id, "").map(drop)
            }),
        };
        let done = source
            .committer
            .run_blocking(Work::Switch(Box::new(work)))?;
        let catch_up_commits = swap.lock().followed;
        Ok(SwapReport {
            from: String::new(),
            to: String::new(),
            namespace: self.id,
            replaced: source.namespace.id,
            records: verified.rows,
            bytes: verified.bytes,
            digest: verified.digest,
            sequence: done.head,
            pause_us: done.count,
            catch_up_commits,
        })
    }

    /// Follows until so little is left that the change-over can do it.
    fn come_near(&self, swap: &Arc<Mutex<Swap>>) -> Result<()> {
        let source = swap.lock().source.clone();
        let behind = || {
            let done = swap.lock().done;
            source.namespace.head().0.0.saturating_sub(done.0)
        };
        let mut slow_rounds = 0;
        loop {
            let before = behind();
            if before <= TAIL_COMMITS {
                return Ok(());
            }
            if slow_rounds < SLOW_ROUNDS_MAX {
                let head = source.namespace.head().0;
                let end = Instant::now().checked_add(ROUND);
                let mut swap = swap.lock();
                swap.follow(&*self.target, head, At::Side, end)?;
                swap.flush(&*self.target, Durability::Relaxed)?;
            } else {
                let (swap, target) = (swap.clone(), self.target.clone());
                let hold = move |turn: &Turn<'_>| {
                    let end = Instant::now().checked_add(HOLD);
                    swap.lock().follow(&*target, turn.head, At::Turn, end)?;
                    Ok(TurnRows::default())
                };
                source.committer.run_blocking(Work::turn(0, hold))?;
            }
            slow_rounds += usize::from(behind() >= before);
        }
    }
}
