//! What live watches hold on to: a namespace, a pin in it, and the one that took its place.
//!
//! Whoever puts another namespace in use, or none, tells every watch in the same step
//! ([`Committer::put_in_use`]), so that the past that a watch still needs is pinned before anybody
//! can trim it. Watches read at their own pace; the committer never waits for one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::WATCHES_MAX;
use crate::commit::Committer;
use crate::namespace::Namespace;
use crate::{Error, ErrorKind, Result, Sequence, UnixMs};

/// All live watches of a state.
#[derive(Default)]
pub(crate) struct Watches(Mutex<Live>);

#[derive(Default)]
struct Live {
    next_id: u64,
    entries: HashMap<u64, Entry>,
}

struct Entry {
    cursor: Option<String>,
    hold: Arc<Hold>,
}

impl Watches {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().entries.len() as u64
    }

    /// Whether a live watch reads a cursor.
    pub(super) fn read_cursor(&self, name: &str) -> bool {
        self.0.lock().reads(name)
    }
}

impl Live {
    fn reads(&self, name: &str) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.cursor.as_deref() == Some(name))
    }
}

impl Committer {
    /// Makes a namespace the one in use, or ends the use of the state, and tells all watches.
    pub(crate) fn put_in_use(&self, namespace: Option<&Arc<Namespace>>) {
        let live = self.watches.0.lock();
        self.set_namespace(namespace.cloned());
        for entry in live.entries.values() {
            match namespace {
                Some(namespace) => entry.hold.replaced(namespace),
                None => entry.hold.end(End::StateClosed),
            }
        }
        drop(live);
        self.published.notify(usize::MAX);
    }
}

/// A watch's place among the live ones, and the use of its cursor; given back when dropped.
pub(super) struct Lease {
    pub(super) committer: Arc<Committer>,
    pub(super) hold: Arc<Hold>,
    id: u64,
}

impl Lease {
    /// # Errors
    /// `Busy` when another watch uses the cursor, `TooLarge` when there are too many watches.
    pub(super) fn take(committer: &Arc<Committer>, cursor: Option<&str>) -> Result<Lease> {
        let mut live = committer.watches.0.lock();
        if let Some(name) = cursor.filter(|name| live.reads(name)) {
            let message = format!("the cursor `{name}` is in use by a watch; close that one first");
            return Err(Error::other(ErrorKind::Busy, message));
        }
        let watches = live.entries.len() as u64 + 1;
        crate::batch::check("live watches", watches, "WATCHES_MAX", WATCHES_MAX as u64)?;
        live.next_id += 1;
        let (id, hold) = (live.next_id, Arc::new(Hold::default()));
        let entry = Entry {
            cursor: cursor.map(str::to_owned),
            hold: hold.clone(),
        };
        live.entries.insert(id, entry);
        drop(live);
        Ok(Lease {
            committer: committer.clone(),
            hold,
            id,
        })
    }

    /// Begins to hold the namespace in use where `pin` pins it; answers what that answers. No
    /// namespace takes its place meanwhile.
    pub(super) fn begin<T>(
        &self,
        pin: impl FnOnce(&Namespace) -> Result<Option<(Sequence, T)>>,
    ) -> Result<Option<T>> {
        let _live = self.committer.watches.0.lock();
        let namespace = self.committer.namespace_arc()?;
        let Some((pinned, begun)) = pin(&namespace)? else {
            return Ok(None);
        };
        *self.hold.0.lock() = State::Live(Held {
            namespace,
            pinned,
            next: None,
        });
        Ok(Some(begun))
    }

    /// Gives everything back; later reads answer that the watch is closed.
    pub(super) fn release(&self) {
        self.committer.watches.0.lock().entries.remove(&self.id);
        self.hold.end(End::WatchClosed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release();
    }
}

/// Why a watch hands out nothing any more.
#[derive(Copy, Clone)]
enum End {
    StateClosed,
    WatchClosed,
    Compacted(Sequence),
}

#[derive(Default)]
pub(super) struct Hold(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    NotBegun,
    Live(Held),
    Ended(End),
}

struct Held {
    namespace: Arc<Namespace>,
    pinned: Sequence,
    /// What has taken the namespace's place; no more is committed to it.
    next: Option<Next>,
}

struct Next {
    namespace: Arc<Namespace>,
    pinned: Sequence,
    /// The commit of the restore, when the namespace is no copy of the one before.
    restored: Option<(Sequence, UnixMs)>,
}

/// The namespace to read.
pub(super) struct Current {
    pub(super) namespace: Arc<Namespace>,
    /// Its head is its last commit: a restored namespace has taken its place.
    pub(super) replaced: bool,
}

impl Hold {
    /// The namespace to read; a copy of it in another backend is moved to at once.
    pub(super) fn current(&self) -> Result<Current> {
        let mut state = self.0.lock();
        let held = match &mut *state {
            State::Live(held) => held,
            State::NotBegun | State::Ended(End::StateClosed) => return Err(Error::Closed),
            State::Ended(End::WatchClosed) => {
                return Err(Error::other(ErrorKind::Closed, "the watch is closed"));
            }
            State::Ended(End::Compacted(oldest)) => {
                return Err(Error::Compacted {
                    what: "the changes that the watch has not handed out".to_owned(),
                    oldest: *oldest,
                });
            }
        };
        if held.next.as_ref().is_some_and(|n| n.restored.is_none()) {
            held.pass();
        }
        Ok(Current {
            namespace: held.namespace.clone(),
            replaced: held.next.is_some(),
        })
    }

    /// Moves on to the restored namespace; answers the restore's commit and time.
    pub(super) fn pass_restore(&self) -> Option<(Arc<Namespace>, Sequence, UnixMs)> {
        match &mut *self.0.lock() {
            State::Live(held) => {
                let (sequence, time) = held.next.as_ref()?.restored?;
                held.pass();
                Some((held.namespace.clone(), sequence, time))
            }
            _ => None,
        }
    }

    /// Lets go of the past before a commit.
    pub(super) fn move_pin(&self, namespace: &Namespace, sequence: Sequence) {
        if let State::Live(held) = &mut *self.0.lock()
            && std::ptr::eq(&*held.namespace, namespace)
            && held.pinned != sequence
            && namespace.pin(sequence, "").is_ok()
        {
            namespace.unpin(held.pinned);
            held.pinned = sequence;
        }
    }

    /// Another namespace has taken the place of the one in use; its head is where it begins.
    fn replaced(&self, namespace: &Arc<Namespace>) {
        let mut state = self.0.lock();
        let State::Live(held) = &mut *state else {
            return;
        };
        let before = held.next.take();
        let restored = match &before {
            _ if namespace.timeline == held.namespace.timeline => None,
            Some(next) if next.namespace.timeline == namespace.timeline => next.restored,
            _ => Some(namespace.head()),
        };
        let pinned = restored.map_or(held.pinned, |(sequence, _)| sequence);
        if let Some(next) = before {
            next.namespace.unpin(next.pinned);
        }
        if namespace.pin(pinned, "").is_err() {
            held.unpin();
            *state = State::Ended(End::Compacted(namespace.floor()));
            return;
        }
        held.next = Some(Next {
            namespace: namespace.clone(),
            pinned,
            restored,
        });
    }

    fn end(&self, end: End) {
        let mut state = self.0.lock();
        match &*state {
            State::Live(held) => held.unpin(),
            State::NotBegun => {}
            State::Ended(_) => return,
        }
        *state = State::Ended(end);
    }
}

impl Held {
    fn pass(&mut self) {
        if let Some(next) = self.next.take() {
            self.namespace.unpin(self.pinned);
            self.namespace = next.namespace;
            self.pinned = next.pinned;
        }
    }

    fn unpin(&self) {
        self.namespace.unpin(self.pinned);
        if let Some(next) = &self.next {
            next.namespace.unpin(next.pinned);
        }
    }
}
