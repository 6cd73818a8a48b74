//! Events: what happened to a state as a whole, told to whoever subscribed, as it happens.
//!
//! Telling never waits and never fails, so no event can turn work that was done into an error. Each
//! subscriber has a queue of a bounded length; what it loses, because it does not read, is counted and
//! told with the next event. Events are not stored: whoever subscribes late gets those that stand, such
//! as alerts that were raised and not cleared, and then what comes.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::{Serialize, Serializer};
use wildmatch::WildMatch;

use crate::{Clock, Error, ErrorKind, Result, UnixMs};

/// Events that a subscriber's queue holds unless it asks for another number.
pub const EVENTS_QUEUE_DEFAULT: usize = 1_024;
/// Most events that a subscriber's queue may hold.
pub const EVENTS_QUEUE_MAX: usize = 65_536;
/// Most live subscribers of a state.
pub const EVENT_SUBSCRIBERS_MAX: usize = 1_024;
/// Most events that stand at a time; the oldest goes when there are more.
pub const EVENTS_STANDING_MAX: usize = 1_024;

macro_rules! kinds {
    ($($(#[$doc:meta])* $id:ident $name:literal;)*) => {
        /// What happened.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $id),*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &[EventKind] = &[$(EventKind::$id),*];

            /// The word for people and JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $(EventKind::$id => $name),*
                }
            }
        }
    };
}

kinds! {
    /// A limit was reached, or something fails; it stands until it is cleared.
    AlertRaised "alert_raised";
    /// An alert that stands has another severity.
    AlertChanged "alert_changed";
    /// An alert does not hold any more.
    AlertCleared "alert_cleared";
    /// A backup was made.
    BackupCreated "backup_created";
    /// A backup could not be made.
    BackupFailed "backup_failed";
    /// Backups were deleted; they can be undeleted for their grace.
    BackupDeleted "backup_deleted";
    /// The deletion of a backup was taken back.
    BackupUndeleted "backup_undeleted";
    /// A cleanup ended.
    CleanupDone "cleanup_done";
    /// A cleanup could not be done, or a policy failed and nothing was decided.
    CleanupFailed "cleanup_failed";
    /// A verification ended, whatever it found.
    VerifyDone "verify_done";
    /// A restore ended.
    RestoreDone "restore_done";
}

impl EventKind {
    /// The kind of a name.
    ///
    /// # Errors
    /// `InvalidArgument` for a name of none.
    pub fn parse(name: &str) -> Result<EventKind> {
        let found = EventKind::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            let reason = format!("`{shown}` is none of {}", names.join(", "));
            Error::invalid("kind of events", reason)
        })
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// What happened.
    pub kind: EventKind,
    /// To what: a backup's id, an alert's id and subject.
    pub subject: String,
    /// What it belongs to, where that was said.
    pub correlation_id: Option<String>,
    /// Who caused it, where that was said.
    pub principal: Option<String>,
    /// More, as a JSON object.
    pub detail: serde_json::Value,
}

impl News {
    /// News that nobody in particular caused.
    pub fn new(kind: EventKind, subject: impl Into<String>, detail: serde_json::Value) -> News {
        News {
            kind,
            subject: subject.into(),
            correlation_id: None,
            principal: None,
            detail,
        }
    }

    /// The same, caused by somebody; an empty name is none.
    #[must_use]
    pub fn by(mut self, principal: &str) -> News {
        self.principal = (!principal.is_empty()).then(|| principal.to_owned());
        self
    }

    /// The same as part of a piece of work; an empty name is none.
    #[must_use]
    pub fn of(mut self, correlation_id: &str) -> News {
        self.correlation_id = (!correlation_id.is_empty()).then(|| correlation_id.to_owned());
        self
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Rises by one with each event of the open state, from 1.
    pub number: u64,
    /// When it was told.
    #[serde(rename = "time_unix_ms")]
    pub time: UnixMs,
    /// What happened.
    pub kind: EventKind,
    /// To what: a backup's id, an alert's id and subject.
    pub subject: String,
    /// What it belongs to, where that was said.
    pub correlation_id: Option<String>,
    /// Who caused it, where that was said.
    pub principal: Option<String>,
    /// It was told before the subscription began and holds still.
    pub standing: bool,
    /// So many events right before this one were dropped from the queue of this subscriber, since it was
    /// full.
    pub lost: u64,
    /// More, as a JSON object.
    pub detail: serde_json::Value,
}

/// Which events a subscriber gets, and how many wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// Only these kinds; all when empty.
    pub kinds: Vec<EventKind>,
    /// Only subjects that match: `*` any characters, `?` any one.
    pub subject: Option<String>,
    /// Most events that wait, 1 to [`EVENTS_QUEUE_MAX`].
    pub queue_max: usize,
}

impl Default for EventFilter {
    fn default() -> EventFilter {
        EventFilter {
            kinds: Vec::new(),
            subject: None,
            queue_max: EVENTS_QUEUE_DEFAULT,
        }
    }
}

/// Where events are told. Shared by all threads.
pub struct EventBus {
    clock: Arc<dyn Clock>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    last: u64,
    standing: Vec<(String, Event)>,
    queues: Vec<Weak<Queue>>,
    closed: bool,
}

struct Queue {
    kinds: Vec<EventKind>,
    subject: Option<WildMatch>,
    max: usize,
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    lost: u64,
    closed: bool,
}

impl EventBus {
    /// A bus without subscribers.
    pub fn new(clock: Arc<dyn Clock>) -> EventBus {
        EventBus {
            clock,
            told: Mutex::default(),
        }
    }

    /// Tells that something happened.
    pub fn tell(&self, news: News) {
        self.put(news, |_, _| {});
    }

    /// Tells something that stands under a key until [`EventBus::tell_over`] of that key; it takes the
    /// place of what stood there.
    pub fn tell_standing(&self, key: &str, news: News) {
        self.put(news, |standing, event| {
            standing.retain(|(held, _)| held != key);
            if standing.len() >= EVENTS_STANDING_MAX {
                standing.remove(0);
            }
            let event = Event {
                standing: true,
                ..event.clone()
            };
            standing.push((key.to_owned(), event));
        });
    }

    /// Tells that what stood under a key does not any more.
    pub fn tell_over(&self, key: &str, news: News) {
        self.put(news, |standing, _| standing.retain(|(held, _)| held != key));
    }

    fn put(&self, news: News, stand: impl FnOnce(&mut Vec<(String, Event)>, &Event)) {
        let mut told = self.told.lock();
        if told.closed {
            return;
        }
        told.last += 1;
        let event = Event {
            number: told.last,
            time: self.clock.now(),
            kind: news.kind,
            subject: news.subject,
            correlation_id: news.correlation_id,
            principal: news.principal,
            standing: false,
            lost: 0,
            detail: news.detail,
        };
        stand(&mut told.standing, &event);
        // Under the lock, so that every queue has them in the order of their numbers.
        told.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => queue.offer(&event),
            None => false,
        });
    }

    /// Subscribes to what matches: first what stands now, then all that comes.
    ///
    /// # Errors
    /// `InvalidArgument` for a length of the queue that cannot be, `TooLarge` beyond
    /// [`EVENT_SUBSCRIBERS_MAX`], `Closed`.
    pub fn subscribe(&self, filter: &EventFilter) -> Result<Events> {
        if !(1..=EVENTS_QUEUE_MAX).contains(&filter.queue_max) {
            let reason = format!("{} is not within 1 to {EVENTS_QUEUE_MAX}", filter.queue_max);
            return Err(Error::invalid("length of the queue of events", reason));
        }
        let queue = Arc::new(Queue {
            kinds: filter.kinds.clone(),
            subject: filter.subject.as_deref().map(WildMatch::new),
            max: filter.queue_max,
            waiting: Mutex::default(),
            wake: Condvar::new(),
        });
        let mut told = self.told.lock();
        if told.closed {
            return Err(Error::Closed);
        }
        told.queues.retain(|queue| queue.strong_count() > 0);
        if told.queues.len() >= EVENT_SUBSCRIBERS_MAX {
            return Err(Error::TooLarge {
                what: "number of subscribers to events",
                actual: told.queues.len() as u64 + 1,
                limit_name: "EVENT_SUBSCRIBERS_MAX",
                limit: EVENT_SUBSCRIBERS_MAX as u64,
            });
        }
        for (_, event) in &told.standing {
            queue.offer(event);
        }
        told.queues.push(Arc::downgrade(&queue));
        Ok(Events { queue })
    }

    /// Ends all subscriptions: what waits is handed out, then they answer `Closed`.
    pub(crate) fn close(&self) {
        let mut told = self.told.lock();
        told.closed = true;
        for queue in told.queues.drain(..).filter_map(|queue| queue.upgrade()) {
            queue.close();
        }
    }
}

impl Queue {
    fn matches(&self, event: &Event) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&event.kind);
        let subject = self.subject.as_ref();
        of_kind && subject.is_none_or(|glob| glob.matches(&event.subject))
    }

    /// Takes an event that matches; `false` when nobody reads any more.
    fn offer(&self, event: &Event) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        if self.matches(event) {
            if waiting.events.len() >= self.max
                && let Some(dropped) = waiting.events.pop_front()
            {
                waiting.lost += 1 + dropped.lost;
            }
            waiting.events.push_back(event.clone());
            self.wake.notify_one();
        }
        true
    }

    fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_all();
    }
}

/// A subscriber's events. Its calls may come from any thread; an event goes to one of them. Dropped, the
/// subscription ends.
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    /// The next event; `None` when none came in time.
    ///
    /// # Errors
    /// `Closed` once the subscription or the state is closed and nothing waits any more.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Event>> {
        // A wait that ends later than there is a time has no end.
        self.take(Instant::now().checked_add(timeout))
    }

    /// The next event, however long it takes.
    ///
    /// # Errors
    /// `Closed`.
    pub fn next_blocking(&self) -> Result<Event> {
        let gone = || Error::other(ErrorKind::Internal, "a wait without an end has ended");
        self.take(None)?.ok_or_else(gone)
    }

    fn take(&self, until: Option<Instant>) -> Result<Option<Event>> {
        let mut waiting = self.queue.waiting.lock();
        loop {
            if let Some(mut event) = waiting.events.pop_front() {
                event.lost = std::mem::take(&mut waiting.lost);
                return Ok(Some(event));
            }
            if waiting.closed {
                return Err(Error::Closed);
            }
            let is_late = match until {
                Some(until) => self.queue.wake.wait_until(&mut waiting, until).timed_out(),
                None => {
                    self.queue.wake.wait(&mut waiting);
                    false
                }
            };
            if is_late && waiting.events.is_empty() && !waiting.closed {
                return Ok(None);
            }
        }
    }

    /// Ends the subscription, also for those who wait for its next event.
    pub fn close(&self) {
        self.queue.close();
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
