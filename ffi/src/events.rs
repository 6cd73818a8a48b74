//! `statekeep_events`: what happens to a state as a whole, such as backups and alerts, for whoever
//! subscribes.
//!
//! A subscription has a queue of a bounded length, and says how many events it lost when nobody read. It
//! does not keep the state open: with the last handle of the manager it ends. A handle that is bound to a
//! tenant is refused with PERMISSION_DENIED, since events concern every tenant.

use std::ffi::c_char;
use std::time::Duration;

use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{self, EventFilter, EventKind};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input;
use crate::manager::{Manager, manager};

/// An opaque subscription to events.
#[repr(C)]
pub struct Events {
    _opaque: [u8; 0],
}

/// What a `statekeep_events` stands for.
struct Subscription(engine::Events);

impl Kind for Subscription {
    const NUMBER: u64 = 11;
    const NAME: &'static str = "statekeep_events";
    type C = Events;
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsForm {
    kinds: Option<Vec<String>>,
    subject: Option<String>,
    queue_max: Option<usize>,
}

impl EventsForm {
    fn filter(self) -> Result<EventFilter, Failure> {
        let kinds = self.kinds.unwrap_or_default();
        let kinds = kinds.iter().map(|kind| EventKind::parse(kind));
        let all = EventFilter::default();
        Ok(EventFilter {
            kinds: kinds.collect::<Result<_, _>>()?,
            subject: self.subject,
            queue_max: self.queue_max.unwrap_or(all.queue_max),
        })
    }
}

/// Subscribes to events; close it with `statekeep_events_close`. `options` is a JSON object or empty:
/// `kinds` (array of `alert_raised`, `alert_changed`, `alert_cleared`, `backup_created`, `backup_failed`,
/// `backup_deleted`, `backup_undeleted`, `cleanup_done`, `cleanup_failed`, `verify_done`, `restore_done`;
/// all when missing), `subject` (text with `*` and `?`), `queue_max` (how many may wait, 1024 when
/// missing). The alerts that hold come first, then what happens from now on. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_events_open(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Events,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let lease = manager.whole("a subscription to events")?;
        // SAFETY: the header's contract for inputs.
        let form: EventsForm = unsafe { input::options(options, options_len) }?;
        let events = lease.host().manager.events().subscribe(&form.filter()?)?;
        let events = handle::insert(Subscription(events))?;
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, events) };
        Ok(())
    })
}

/// Waits for the next event. TIMEOUT, without an error object, when none came within `timeout_ms`; a
/// negative one waits as long as it takes, 0 only looks. CLOSED once the subscription is closed, and once
/// the state is closed and nothing waits, also for those who are waiting. The event is a JSON object:
/// `number`, `time_unix_ms`, `kind`, `subject`, `correlation_id` and `principal` (null where nobody said),
/// `standing` (an alert that held before the subscription began), `lost` (so many events right before this
/// one were dropped, since the queue was full), `detail` (an object). `[any-thread]`: an event goes to one
/// of the callers. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_events_next(
    events: *const Events,
    timeout_ms: i64,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let events = handle::get::<Subscription>(events)?;
        let event = match u64::try_from(timeout_ms).map(Duration::from_millis) {
            Err(_) => Some(events.0.next_blocking()?),
            Ok(timeout) => events.0.next_timeout(timeout)?,
        };
        let event = event.ok_or_else(|| Failure::new(Status::TIMEOUT, String::new()))?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, engine::to_text(&event)?) };
        Ok(())
    })
}

/// Ends a subscription; NULL is allowed. Calls that wait in `statekeep_events_next` on other threads end
/// with CLOSED. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_events_close(events: *mut Events) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !events.is_null() {
            let subscription = handle::get::<Subscription>(events)?;
            subscription.0.close();
            handle::close::<Subscription>(events)?;
        }
        Ok(())
    })
}
