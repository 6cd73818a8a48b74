//! The monitor: looks at a state's backups now and then, and tells which alerts came, changed and went.
//!
//! Its thread wakes every interval and whenever a backup, cleanup, verification or restore ended here.
//! Rounds follow one another; asking for one from any thread is the same as a round of the thread.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use statekeep_core::{
    Clock, Error, ErrorKind, EventFilter, EventKind, Events, News, Result, UnixMs,
};

use super::alerts::{Alert, AlertConfig, AlertFacts};
use super::facts::{Remembered, facts};
use super::forecast::Forecast;
use super::rules::alerts;
use crate::manager::BackupManager;
use crate::schedule::{Backups, Scheduler};

/// After these another look is worth it before the interval is over.
const WAKERS: [EventKind; 8] = [
    EventKind::BackupCreated,
    EventKind::BackupFailed,
    EventKind::BackupDeleted,
    EventKind::BackupUndeleted,
    EventKind::CleanupDone,
    EventKind::CleanupFailed,
    EventKind::VerifyDone,
    EventKind::RestoreDone,
];

/// The monitor of a state. Dropped, it is closed.
pub struct Monitor {
    watcher: Arc<Watcher>,
    thread: Mutex<Option<(Arc<Events>, JoinHandle<()>)>>,
}

struct Watcher {
    backups: Arc<BackupManager>,
    schedule: Arc<Scheduler<Backups>>,
    config: AlertConfig,
    clock: Arc<dyn Clock>,
    opened: UnixMs,
    remembered: Remembered,
    /// Held for a round.
    seen: Mutex<Option<Observed>>,
}

/// What a round saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What the rules looked at.
    pub facts: AlertFacts,
    /// The alerts that hold, worst first.
    pub alerts: Vec<Alert>,
    /// How state and backups grow.
    pub forecast: Forecast,
}

impl Monitor {
    /// The monitor of `backups`. It does nothing of itself before [`Monitor::start`].
    pub fn new(
        backups: &Arc<BackupManager>,
        schedule: &Arc<Scheduler<Backups>>,
        config: AlertConfig,
        clock: Arc<dyn Clock>,
    ) -> Monitor {
        Monitor {
            watcher: Arc::new(Watcher {
                backups: Arc::clone(backups),
                schedule: Arc::clone(schedule),
                config,
                opened: clock.now(),
                clock,
                remembered: Remembered::default(),
                seen: Mutex::default(),
            }),
            thread: Mutex::default(),
        }
    }

    /// Starts its thread, if it has an interval and no thread yet.
    ///
    /// # Errors
    /// `Unavailable` when the system has no more threads to give, `Closed` when the state is.
    pub fn start(&self) -> Result<()> {
        let mut thread = self.thread.lock();
        let interval = Duration::from_millis(self.watcher.config.interval_ms);
        if thread.is_some() || interval.is_zero() {
            return Ok(());
        }
        let filter = EventFilter {
            kinds: WAKERS.to_vec(),
            // All of them say the same: look again.
            queue_max: 1,
            subject: None,
        };
        let events = Arc::new(self.watcher.backups.state().events().subscribe(&filter)?);
        let (watcher, heard) = (Arc::clone(&self.watcher), Arc::clone(&events));
        let name = "statekeep-monitor";
        let builder = std::thread::Builder::new().name(name.to_owned());
        let started = builder.spawn(move || {
            while heard.next_timeout(interval).is_ok() {
                watcher.check();
            }
        });
        let joined = started.map_err(|error| {
            let message = format!("cannot start the thread `{name}`: {error}");
            Error::other(ErrorKind::Unavailable, message)
        })?;
        *thread = Some((events, joined));
        Ok(())
    }

    /// As [`Monitor::check`], and answers all that was seen.
    pub fn look(&self) -> Observed {
        self.watcher.check()
    }

    /// Looks now: tells the events of what changed, and answers the alerts that hold, worst first.
    /// What cannot be read is an alert itself.
    pub fn check(&self) -> Vec<Alert> {
        self.watcher.check().alerts
    }

    /// What the last round saw; looks when there was none, or no thread does.
    pub fn observed(&self) -> Observed {
        let is_watched = self.thread.lock().is_some();
        let seen = self.watcher.seen.lock().clone();
        seen.filter(|_| is_watched)
            .unwrap_or_else(|| self.watcher.check())
    }

    /// Its limits.
    pub fn config(&self) -> &AlertConfig {
        &self.watcher.config
    }

    /// Ends its thread.
    pub fn close(&self) {
        if let Some((events, thread)) = self.thread.lock().take() {
            events.close();
            // A panic of it was counted where it was caught.
            let _ = thread.join();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.close();
    }
}

impl Watcher {
    fn check(&self) -> Observed {
        let mut last = self.seen.lock();
        let now = self.clock.now();
        let status = self.schedule.status();
        let (mut facts, forecast) = facts(&self.backups, &status, &self.remembered, now);
        facts.opened_unix_ms = self.opened.0;
        let mut found = alerts(&facts, &self.config, now);
        let held = last.take().unwrap_or_default().alerts;
        for alert in &mut found {
            // It was noticed then.
            let before = held.iter().find(|held| held.key() == alert.key());
            if let Some(before) = before {
                alert.since_unix_ms = alert.since_unix_ms.min(before.since_unix_ms);
            }
            self.tell(before, alert);
        }
        for over in held
            .iter()
            .filter(|held| found.iter().all(|alert| alert.key() != held.key()))
        {
            let news = News::new(EventKind::AlertCleared, over.key(), json!(over));
            let events = self.backups.state().events();
            events.tell_over(&over.key(), news);
        }
        let seen = Observed {
            facts,
            alerts: found,
            forecast,
        };
        *last = Some(seen.clone());
        seen
    }

    fn tell(&self, before: Option<&Alert>, alert: &Alert) {
        let kind = match before {
            None => EventKind::AlertRaised,
            Some(before) if before.severity != alert.severity => EventKind::AlertChanged,
            Some(_) => return,
        };
        if kind == EventKind::AlertRaised {
            let (id, message) = (alert.id.name(), &alert.message);
            tracing::warn!(
                alert = id,
                subject = alert.subject,
                message,
                "an alert was raised"
            );
        }
        let news = News::new(kind, alert.key(), json!(alert));
        let events = self.backups.state().events();
        events.tell_standing(&alert.key(), news);
    }
}
