//! Watching: the changes of a state in the order of its commits, from any commit whose past is kept.
//!
//! A watch is a place in the journal and no queue: a reader that is slow or gone costs the writers
//! nothing and takes no memory, it only keeps the past after its place from being trimmed. What is
//! handed out has been committed; of several watches each sees everything.

mod backup;
mod change;
mod cursor;
mod filter;
mod hold;
mod source;

use std::sync::Arc;
use std::time::{Duration, Instant};

use event_listener::Listener;
use parking_lot::Mutex;

use self::backup::check_not_own;
pub(crate) use self::backup::{is_backup_cursor, is_lapsed, lapsed_by, let_go_of_backups};
pub use self::change::Change;
pub use self::cursor::{CURSOR_NAME_BYTES_MAX, CURSORS_MAX, CursorInfo};
pub(crate) use self::cursor::{CursorRow, Position};
use self::cursor::{check_cursor_name, create_cursor, store_position};
use self::filter::Filter;
use self::hold::Lease;
pub(crate) use self::hold::Watches;
use self::source::{Reader, Source, Step};
use crate::counts::Operation;
use crate::namespace::{Namespace, TenantSlot};
use crate::tenant::aside;
use crate::{BlockingTenant, Error, Plugins, Result, Sequence, StateManager, Tenant};

/// Most live watches of a state.
pub const WATCHES_MAX: usize = 4_096;

/// Where a watch begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first commit after the call.
    #[default]
    Now,
    /// With the first commit after this one, as it follows a snapshot of it.
    Sequence(Sequence),
    /// After what was last acknowledged by a watch of this durable cursor, which is created at the
    /// head when it is not there. 1 to 128 bytes of letters, digits and `.` `-` `_` `:` `/`.
    Cursor(String),
}

/// Which changes are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// Where to begin.
    pub from: Start,
    /// Only scopes that match this: `*` any characters, `?` any one; `\` beside them is refused.
    pub scope: Option<String>,
    /// Only keys that match this; `\` is refused.
    pub key: Option<String>,
    /// Hand out values too, not only what was changed.
    pub values: bool,
}

impl Default for WatchOptions {
    /// Every change from now on, with its value.
    fn default() -> WatchOptions {
        WatchOptions {
            from: Start::Now,
            scope: None,
            key: None,
            values: true,
        }
    }
}

/// A reader of changes. Its calls may come from any thread; a change goes to one of them. Dropping
/// it lets go of the past that it needs.
///
/// A change whose value cannot be read is answered with the error, again and again; a watch without
/// values passes it.
pub struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    lease: Lease,
    plugins: Arc<dyn Plugins>,
    tenant: Option<Arc<TenantSlot>>,
    filter: Filter,
    values: bool,
    cursor: Option<String>,
    created: bool,
    source: Mutex<Source>,
}

impl BlockingTenant {
    /// Watches the changes of this tenant.
    ///
    /// # Errors
    /// `Compacted`, with the oldest commit, when the past to begin with has been trimmed;
    /// `InvalidArgument` for a commit to come, a glob or a name that cannot be; `Busy` when a watch
    /// reads the cursor already; `TooLarge` beyond [`WATCHES_MAX`] or [`CURSORS_MAX`].
    pub fn watch(&self, options: &WatchOptions) -> Result<Watch> {
        Watch::start(&self.manager, Some(self.slot.clone()), options)
    }
}

impl Tenant {
    /// As [`BlockingTenant::watch`], without blocking.
    pub async fn watch(&self, options: &WatchOptions) -> Result<Watch> {
        let (tenant, options) = (self.blocking(), options.clone());
        aside(move || tenant.watch(&options)).await
    }
}

impl StateManager {
    /// Watches the changes of all tenants; errors as for [`BlockingTenant::watch`].
    pub fn watch(&self, options: &WatchOptions) -> Result<Watch> {
        Watch::start(self, None, options)
    }
}

impl Watch {
    fn start(
        manager: &StateManager,
        tenant: Option<Arc<TenantSlot>>,
        options: &WatchOptions,
    ) -> Result<Watch> {
        manager.committer.counts.operation(Operation::Watch);
        let filter = Filter::new(options.scope.as_deref(), options.key.as_deref())?;
        let cursor = match &options.from {
            Start::Cursor(name) => Some(name.clone()),
            Start::Now | Start::Sequence(_) => None,
        };
        if let Some(name) = &cursor {
            check_cursor_name(name)?;
            check_not_own(name)?;
        }
        let lease = Lease::take(&manager.committer, cursor.as_deref())?;
        let mut created = false;
        let source = loop {
            if let Some(source) = lease.begin(|namespace| begin(namespace, &options.from))? {
                break source;
            }
            if let Some(name) = &cursor {
                created |= create_cursor(&manager.committer, name)?;
            }
        };
        Ok(Watch {
            shared: Arc::new(Shared {
                lease,
                plugins: manager.plugins().clone(),
                tenant,
                filter,
                values: options.values,
                cursor,
                created,
                source: Mutex::new(source),
            }),
        })
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// `Closed` once the state or the watch is closed.
    pub fn next_blocking(&self) -> Result<Change> {
        loop {
            if let Some(change) = self.wait(None)? {
                return Ok(change);
            }
        }
    }

    /// The next change, or `None` when none came within the time; zero only looks.
    ///
    /// # Errors
    /// `Closed` once the state or the watch is closed.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Change>> {
        self.wait(Instant::now().checked_add(timeout))
    }

    /// Waits until there is a change to hand out, and leaves it there; whether there is one. For those
    /// who wait on another thread than the one that takes the change, as an event loop does.
    ///
    /// # Errors
    /// `Closed` once the state or the watch is closed.
    pub fn ready_timeout(&self, timeout: Duration) -> Result<bool> {
        let until = Instant::now().checked_add(timeout);
        Ok(self.wait_for(until, |_| Some(()))?.is_some())
    }

    fn wait(&self, until: Option<Instant>) -> Result<Option<Change>> {
        self.wait_for(until, Shared::take)
    }

    /// Waits for what `found` makes of a change that is there.
    fn wait_for<T>(
        &self,
        until: Option<Instant>,
        found: impl Fn(&Shared) -> Option<T>,
    ) -> Result<Option<T>> {
        let published = &self.shared.lease.committer.published;
        loop {
            if let Some(change) = self.poll(until, &found)? {
                return Ok(Some(change));
            }
            // Listens first and looks then, so that no commit comes between the two.
            let listener = published.listen();
            if let Some(change) = self.poll(until, &found)? {
                return Ok(Some(change));
            }
            match until {
                None => listener.wait(),
                Some(until) => {
                    if listener.wait_deadline(until).is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What `found` makes of the next change if there is one; looks no further once the time is over.
    fn poll<T>(
        &self,
        until: Option<Instant>,
        found: impl Fn(&Shared) -> Option<T>,
    ) -> Result<Option<T>> {
        loop {
            match self.shared.step()? {
                Step::Ready => {
                    if let Some(found) = found(&self.shared) {
                        return Ok(Some(found));
                    }
                }
                Step::Nothing => return Ok(None),
                Step::Again if until.is_some_and(|until| Instant::now() >= until) => {
                    return Ok(None);
                }
                Step::Again => {}
            }
        }
    }

    /// As [`Watch::next_blocking`], without blocking. A future that is dropped loses no change.
    pub async fn next(&self) -> Result<Change> {
        loop {
            if let Some(change) = self.poll_aside().await? {
                return Ok(change);
            }
            let listener = self.shared.lease.committer.published.listen();
            if let Some(change) = self.poll_aside().await? {
                return Ok(change);
            }
            listener.await;
        }
    }

    async fn poll_aside(&self) -> Result<Option<Change>> {
        loop {
            if self.shared.is_idle()? {
                return Ok(None);
            }
            let shared = self.shared.clone();
            match aside(move || shared.step()).await? {
                Step::Ready => {
                    if let Some(change) = self.shared.take() {
                        return Ok(Some(change));
                    }
                }
                Step::Nothing => return Ok(None),
                Step::Again => {}
            }
        }
    }

    /// Stores, as the position of the watch's cursor, that everything handed out so far has been
    /// dealt with. It is on stable storage within `flush_interval_ms`; what is not acknowledged by
    /// then is handed out again after a crash. Call it now and then when nothing matches too: until
    /// then the past since the last time is kept.
    ///
    /// # Errors
    /// `InvalidArgument` for a watch without a cursor, `Closed` once it is closed.
    pub fn acknowledge(&self) -> Result<()> {
        let work = self.shared.acknowledgement()?;
        self.shared.lease.committer.run_blocking(work).map(drop)
    }

    /// As [`Watch::acknowledge`], without blocking.
    pub async fn acknowledge_async(&self) -> Result<()> {
        let work = self.shared.acknowledgement()?;
        self.shared.lease.committer.run(work).await.map(drop)
    }

    /// Whether the watch's cursor was not there and has been created at the head.
    pub fn created_cursor(&self) -> bool {
        self.shared.created
    }

    /// Ends the watch, also for those who wait for it; later calls answer `Closed`.
    pub fn close(&self) {
        self.shared.lease.release();
        self.shared.lease.committer.published.notify(usize::MAX);
    }

    /// Changes and bytes of keys that are held in memory.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        self.shared.source.lock().held()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A read aside may outlive the watch; it ends here all the same.
        self.shared.lease.release();
    }
}

impl Shared {
    fn step(&self) -> Result<Step> {
        self.source.lock().advance(&Reader {
            committer: &self.lease.committer,
            plugins: &*self.plugins,
            hold: &self.lease.hold,
            tenant: self.tenant.as_deref(),
            filter: &self.filter,
            values: self.values,
        })
    }

    fn take(&self) -> Option<Change> {
        self.source.lock().take()
    }

    /// Whether it is certain, without reading, that there is nothing to hand out.
    fn is_idle(&self) -> Result<bool> {
        match self.source.try_lock() {
            Some(source) => source.is_idle(&self.lease.hold),
            None => Ok(false),
        }
    }

    fn acknowledgement(&self) -> Result<crate::commit::Work> {
        self.lease.hold.current()?;
        let Some(cursor) = &self.cursor else {
            let reason = "the watch was started without a cursor";
            return Err(Error::invalid("acknowledgement", reason));
        };
        Ok(store_position(cursor, self.source.lock().handed()))
    }
}

/// Pins where a watch begins, and stands there; `None` when its cursor is not there.
fn begin(namespace: &Namespace, from: &Start) -> Result<Option<(Sequence, Source)>> {
    let timeline = namespace.timeline;
    let source = |sequence| Source::new(Position::new(timeline, sequence), None);
    match from {
        Start::Now => {
            let (head, _) = namespace.pin_head();
            Ok(Some((head, source(head))))
        }
        Start::Sequence(sequence) => {
            let head = namespace.head().0;
            if *sequence > head {
                let reason = format!("{} is to come; the last commit is {}", sequence.0, head.0);
                return Err(Error::invalid("sequence", reason));
            }
            let what = format!("the changes after commit {}", sequence.0);
            namespace.pin(*sequence, &what)?;
            Ok(Some((*sequence, source(*sequence))))
        }
        Start::Cursor(name) => {
            let Some(row) = namespace.cursor(name) else {
                return Ok(None);
            };
            let position = row.position;
            let what = format!("the changes after the cursor `{name}`");
            namespace.pin(position.sequence, &what)?;
            let restored = (position.timeline != timeline)
                .then(|| (Position::new(timeline, position.sequence), row.updated));
            Ok(Some((position.sequence, Source::new(position, restored))))
        }
    }
}
