//! The one commit path: a queue, and one committer at a time that empties it in order.
//!
//! The committer's role is taken by its thread, or by a blocking caller that finds the queue empty
//! and the role free, which saves it two changes of thread. While one group is being synced the next
//! one gathers in the queue. Whoever holds the role holds the [`Core`].

mod condition;
mod core;
mod group;
mod request;
mod restore;
mod rows;
mod scope;
mod switch;
mod turn;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use event_listener::Event;
use parking_lot::{Condvar, Mutex, MutexGuard};

pub(crate) use self::condition::{Condition, Expect, RangeReads, name_of};
pub(crate) use self::core::Core;
pub(crate) use self::request::{Ack, Changes, Done, Request, ScopeCommand, ScopeWork, Work, lost};
pub(crate) use self::restore::{Restored, begin_state, go_on};
pub(crate) use self::switch::{Heritage, SwitchWork};
pub(crate) use self::turn::{OwnOp, Turn, TurnRows};
use crate::counts::Counts;
use crate::namespace::Namespace;
use crate::thread::spawn;
use crate::watch::Watches;
use crate::{Clock, Error, ErrorKind, Limits, Result, TenantNumber};

/// How often the committer lets other threads run before it takes a group that is smaller than the
/// last one. Those who were in the last group are waking up and about to come again; a group without
/// them would cost them a whole sync. A lone caller never waits.
const GATHER_YIELDS_MAX: usize = 32;

pub(crate) struct Committer {
    queue: Mutex<Queue>,
    wake: Condvar,
    core: Mutex<Option<Core>>,
    /// The first failure after which nothing is written.
    poison: OnceLock<String>,
    namespace: ArcSwapOption<Namespace>,
    /// Told of every commit, of another namespace and of the end.
    pub(crate) published: Event,
    pub(crate) watches: Watches,
    pub(crate) counts: Counts,
    pub(crate) clock: Arc<dyn Clock>,
    limits: Limits,
    flush_interval: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: OnceLock<ThreadId>,
    close_error: Mutex<Option<Error>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Request>,
    bytes: u64,
    /// The role of the committer is taken.
    busy: bool,
    /// How many requests were taken from the queue the last time.
    taken: usize,
    closed: bool,
    /// When the oldest relaxed commit must be flushed.
    flush_at: Option<Instant>,
}

impl Queue {
    fn flush_is_due(&self) -> bool {
        self.flush_at.is_some_and(|at| at <= Instant::now())
    }
}

impl Committer {
    /// Starts the committer of a namespace.
    pub(crate) fn start(
        namespace: Namespace,
        tenant_next: TenantNumber,
        clock: Arc<dyn Clock>,
        limits: Limits,
        flush_interval: Duration,
    ) -> Result<Arc<Committer>> {
        let namespace = Arc::new(namespace);
        let committer = Arc::new(Committer {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            core: Mutex::new(Some(Core::new(namespace.clone(), tenant_next))),
            poison: OnceLock::new(),
            namespace: ArcSwapOption::new(Some(namespace)),
            published: Event::new(),
            watches: Watches::default(),
            counts: Counts::default(),
            clock,
            limits,
            flush_interval,
            thread: Mutex::new(None),
            thread_id: OnceLock::new(),
            close_error: Mutex::new(None),
        });
        let own = committer.clone();
        let handle = spawn("statekeep-commit", move || own.run_thread())?;
        let _ = committer.thread_id.set(handle.thread().id());
        *committer.thread.lock() = Some(handle);
        Ok(committer)
    }

    /// The namespace that reads use.
    pub(crate) fn namespace(&self) -> Result<arc_swap::Guard<Option<Arc<Namespace>>>> {
        let guard = self.namespace.load();
        if guard.is_some() {
            Ok(guard)
        } else {
            Err(Error::Closed)
        }
    }

    /// As [`Committer::namespace`], to be kept.
    pub(crate) fn namespace_arc(&self) -> Result<Arc<Namespace>> {
        self.namespace.load_full().ok_or(Error::Closed)
    }

    /// For [`Committer::put_in_use`] alone.
    pub(crate) fn set_namespace(&self, namespace: Option<Arc<Namespace>>) {
        self.namespace.store(namespace);
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits until no commit is on its way to the backend. What a reader saw of one is then wholly
    /// there.
    pub(crate) fn settle(&self) {
        drop(self.core.lock());
    }

    /// Carries out a request and waits for its outcome, on any thread.
    pub(crate) fn run_blocking(&self, work: Work) -> Result<Done> {
        let (ack, outcome) = Ack::blocking();
        let request = Request::new(work, ack);
        let mut queue = self.queue.lock();
        self.check_open(&queue)?;
        // After a group of several the thread gathers the next one, whose members come at once.
        if !queue.busy && queue.waiting.is_empty() && queue.taken <= 1 {
            queue.busy = true;
            let due = queue.flush_is_due();
            drop(queue);
            self.work(&mut VecDeque::from([request]), due);
        } else {
            self.enqueue(queue, request)?;
        }
        outcome.wait()
    }

    /// Hands a request to the committer's thread. Dropping the future does not take it back.
    pub(crate) async fn run(self: &Arc<Self>, work: Work) -> Result<Done> {
        let (ack, outcome) = Ack::future();
        {
            let queue = self.queue.lock();
            self.check_open(&queue)?;
            self.enqueue(queue, Request::new(work, ack))?;
        }
        outcome.await.unwrap_or_else(|_| Err(lost()))
    }

    fn check_open(&self, queue: &Queue) -> Result<()> {
        if queue.closed {
            Err(Error::Closed)
        } else {
            self.check_poison()
        }
    }

    fn enqueue(&self, mut queue: MutexGuard<'_, Queue>, request: Request) -> Result<()> {
        let bytes = queue.bytes + request.bytes() as u64;
        let commits = queue.waiting.len() as u64 + 1;
        let full = |name, limit| {
            self.counts.refused();
            let message = format!("too much waits for the committer ({name} = {limit}); try again");
            Err(Error::other(ErrorKind::Busy, message))
        };
        if commits > self.limits.queue_commits_max {
            return full("limits.queue_commits_max", self.limits.queue_commits_max);
        }
        if bytes > self.limits.queue_bytes_max && commits > 1 {
            return full("limits.queue_bytes_max", self.limits.queue_bytes_max);
        }
        queue.bytes = bytes;
        queue.waiting.push_back(request);
        let free = !queue.busy;
        drop(queue);
        if free {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Commits that wait, and the bytes of their changes.
    pub(crate) fn queued(&self) -> (u64, u64) {
        let queue = self.queue.lock();
        (queue.waiting.len() as u64, queue.bytes)
    }

    /// Fails once the state is poisoned.
    pub(crate) fn check_poison(&self) -> Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some(reason) => Err(Error::Poisoned {
                reason: reason.clone(),
            }),
        }
    }

    /// Stops all writing; the first reason stays.
    pub(crate) fn poison(&self, reason: String) -> Error {
        // Set before it is told: whoever reads the line finds that it is so.
        let told = reason.clone();
        let reason = self.poison.get_or_init(|| reason).clone();
        tracing::error!(reason = %told, "the state takes no more writes");
        Error::Poisoned { reason }
    }

    /// Does requests as the holder of the role, flushes when that is due, so that writers who never
    /// rest do not put it off, and gives the role up.
    fn work(&self, requests: &mut VecDeque<Request>, flush: bool) {
        let dirty = self.with_core(|core| {
            core.work(self, requests);
            if flush {
                // A failure poisons the state.
                let _ = core.flush(self);
            }
            core.dirty && self.poison.get().is_none()
        });
        let mut queue = self.queue.lock();
        queue.busy = false;
        let arm = dirty && (flush || queue.flush_at.is_none());
        if arm {
            queue.flush_at = Instant::now().checked_add(self.flush_interval);
        } else if !dirty {
            queue.flush_at = None;
        }
        // The thread may have seen the time of a flush pass while the role was taken.
        let more = arm || queue.closed || !queue.waiting.is_empty() || queue.flush_is_due();
        drop(queue);
        if more {
            self.wake.notify_one();
        }
    }

    /// Runs the holder's work. A panic in it poisons the state; requests that it dropped are told.
    fn with_core(&self, work: impl FnOnce(&mut Core) -> bool) -> bool {
        let mut core = self.core.lock();
        let Some(core) = core.as_mut() else {
            return false;
        };
        match catch_unwind(AssertUnwindSafe(|| work(core))) {
            Ok(dirty) => dirty,
            Err(_) => {
                let _ = self.poison("the committer panicked".to_owned());
                false
            }
        }
    }

    /// The committer's thread.
    fn run_thread_step(&self) -> bool {
        let mut queue = self.queue.lock();
        loop {
            if !queue.busy {
                if !queue.waiting.is_empty() {
                    queue.busy = true;
                    let expected = queue.taken;
                    for _ in 0..GATHER_YIELDS_MAX {
                        if queue.waiting.len() >= expected || queue.closed {
                            break;
                        }
                        MutexGuard::unlocked(&mut queue, std::thread::yield_now);
                    }
                    queue.taken = queue.waiting.len();
                    queue.bytes = 0;
                    let mut requests = std::mem::take(&mut queue.waiting);
                    let due = queue.flush_is_due();
                    drop(queue);
                    self.work(&mut requests, due);
                    return true;
                }
                if queue.closed {
                    return false;
                }
            }
            match queue.flush_at {
                Some(at) if at > Instant::now() => drop(self.wake.wait_until(&mut queue, at)),
                Some(_) if !queue.busy => {
                    queue.busy = true;
                    drop(queue);
                    self.work(&mut VecDeque::new(), true);
                    return true;
                }
                _ => self.wake.wait(&mut queue),
            }
        }
    }

    fn run_thread(&self) {
        while self.run_thread_step() {}
        let mut error = None;
        self.with_core(|core| {
            error = core.flush(self).and_then(|()| self.check_poison()).err();
            false
        });
        *self.close_error.lock() = error;
        *self.core.lock() = None;
        self.put_in_use(None);
    }

    /// Ends the committer: what waits is done, everything is flushed. Later requests are `Closed`.
    pub(crate) fn close(&self) -> Result<()> {
        self.queue.lock().closed = true;
        self.wake.notify_one();
        if self.thread_id.get() == Some(&std::thread::current().id()) {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        if let Some(handle) = thread.take() {
            let _ = handle.join();
        }
        match self.close_error.lock().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl Committer {
    /// Whether somebody is at work between two commits.
    pub(crate) fn is_held(&self) -> bool {
        self.core.try_lock().is_none()
    }

    /// Waits until so many requests stand in the queue.
    pub(crate) fn wait_for_queue(&self, waiting: usize) {
        while self.queue.lock().waiting.len() < waiting {
            std::thread::yield_now();
        }
    }

    /// The last change of each key up to a commit, as the journal tells it: its sequence, or `None`
    /// for a delete.
    pub(crate) fn journal_until(
        &self,
        last: crate::Sequence,
    ) -> std::collections::BTreeMap<Vec<u8>, Option<crate::Sequence>> {
        use crate::journal::{ChangeOp, read_journal};
        let namespace = self.namespace_arc().unwrap();
        let mut keys = std::collections::BTreeMap::new();
        let range = crate::KeyRange::default();
        let mut cursor = namespace
            .backend
            .scan(crate::Space::Journal, range)
            .unwrap();
        let visit = &mut |key: &[u8], row: &[u8]| {
            let sequence = crate::stored_key::split_journal_key(key).unwrap();
            for (op, key) in read_journal(row).unwrap().changes {
                if sequence <= last {
                    keys.insert(key.to_vec(), (op == ChangeOp::Put).then_some(sequence));
                }
            }
        };
        while cursor.next_batch(100, visit).unwrap() > 0 {}
        drop(cursor);
        keys
    }
}
