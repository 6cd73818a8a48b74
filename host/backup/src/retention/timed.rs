//! A policy's code on a thread of its own, with a time limit: plugins and callbacks alike.
//!
//! A policy may take its time, panic or never answer. Making, asking and ending one each run on a
//! thread that owns all that the policy sees. One that is not back in time is left to itself, and no
//! policy of its name is asked until it is.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use statekeep_core::{
    BackupFacts, Circumstances, Error, ErrorKind, REASON_BYTES_MAX, Result, RetentionPolicy, Vote,
};

/// The policies that have not come back in time, by name, and how many calls of each are out.
#[derive(Default)]
pub(super) struct Late(Mutex<BTreeMap<String, usize>>);

/// Runs the code of the policy `name` and waits for it no longer than `limit`.
#[derive(Clone)]
pub(super) struct Guarded {
    name: String,
    limit: Duration,
    late: Arc<Late>,
}

/// Where a call is; whoever is second to look knows what the first did.
enum Turn {
    Running,
    Answered,
    GivenUp,
}

impl Guarded {
    pub(super) fn new(name: &str, limit: Duration, late: &Arc<Late>) -> Guarded {
        Guarded {
            name: name.to_owned(),
            limit,
            late: Arc::clone(late),
        }
    }

    /// Runs `work`, unless an earlier call is still out.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.late.0.lock().contains_key(&self.name) {
            return Err(self.timeout("was asked before and has not answered"));
        }
        self.run_anyway(work)
    }

    fn run_anyway<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (send, answer) = sync_channel(1);
        let turn = Arc::new(Mutex::new(Turn::Running));
        let (own, shared) = (self.clone(), Arc::clone(&turn));
        let thread = std::thread::Builder::new().name("statekeep-policy".to_owned());
        let started = thread.spawn(move || own.work(work, &send, &shared));
        if let Err(error) = started {
            let message = format!("no thread for policy {}: {error}", self.name);
            return Err(Error::other(ErrorKind::Unavailable, message));
        }
        self.wait(&answer, &turn)
    }

    fn work<T>(
        &self,
        work: impl FnOnce() -> Result<T>,
        send: &SyncSender<Result<T>>,
        turn: &Mutex<Turn>,
    ) {
        let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let message = format!("it panicked: {}", text.unwrap_or("without a text"));
            // Dropping a payload of others could panic again.
            std::mem::forget(payload);
            Err(Error::other(ErrorKind::Panic, message))
        });
        // Nobody waits any more when it took too long.
        let _ = send.send(answer);
        let mut turn = turn.lock();
        if matches!(*turn, Turn::GivenUp) {
            self.late.back(&self.name);
        }
        *turn = Turn::Answered;
    }

    fn wait<T>(&self, answer: &Receiver<Result<T>>, turn: &Mutex<Turn>) -> Result<T> {
        match answer.recv_timeout(self.limit) {
            Ok(answer) => answer.map_err(|error| self.failed(&error)),
            Err(RecvTimeoutError::Disconnected) => Err(self.timeout("ended without an answer")),
            Err(RecvTimeoutError::Timeout) => {
                let mut turn = turn.lock();
                if let (Turn::Answered, Ok(answer)) = (&*turn, answer.try_recv()) {
                    return answer.map_err(|error| self.failed(&error));
                }
                *turn = Turn::GivenUp;
                *self.late.0.lock().entry(self.name.clone()).or_default() += 1;
                Err(self.timeout("did not answer"))
            }
        }
    }

    fn failed(&self, error: &Error) -> Error {
        let message = format!("policy {} failed: {error}", self.name);
        Error::other(error.kind(), message)
    }

    fn timeout(&self, how: &str) -> Error {
        let seconds = self.limit.as_secs_f64();
        let message = format!(
            "policy {} {how} within {seconds} s (retention.policy_timeout); nothing was decided",
            self.name
        );
        Error::other(ErrorKind::Timeout, message)
    }
}

impl Late {
    fn back(&self, name: &str) {
        let mut late = self.0.lock();
        if let Some(out) = late.get_mut(name) {
            *out -= 1;
            if *out == 0 {
                late.remove(name);
            }
        }
    }
}

/// A policy whose every call is guarded, and whose answers are checked.
pub(super) struct Timed {
    guarded: Guarded,
    name: String,
    /// Only `None` while it is dropped.
    policy: Option<Arc<dyn RetentionPolicy>>,
}

impl Timed {
    pub(super) fn new(guarded: Guarded, policy: Arc<dyn RetentionPolicy>) -> Timed {
        Timed {
            guarded,
            name: policy.name().to_owned(),
            policy: Some(policy),
        }
    }
}

impl RetentionPolicy for Timed {
    fn name(&self) -> &str {
        &self.name
    }

    fn evaluate(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
    ) -> Result<Vec<Vote>> {
        let policy = self.policy.clone();
        let (list, circumstances) = (Arc::clone(backups), Arc::clone(circumstances));
        let votes = self.guarded.run(move || match policy {
            Some(policy) => policy.evaluate(&list, &circumstances),
            None => Ok(Vec::new()),
        })?;
        if votes.len() != backups.len() {
            let message = format!("it judged {} of {} backups", votes.len(), backups.len());
            let error = Error::other(ErrorKind::Plugin, message);
            return Err(self.guarded.failed(&error));
        }
        Ok(votes.into_iter().map(told).collect())
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let policy = self.policy.take();
        // The end of a plugin's instance is its own code too, which may hang.
        let ended = self.guarded.run_anyway(move || {
            drop(policy);
            Ok(())
        });
        if let Err(error) = ended {
            tracing::warn!(%error, "a policy was not ended");
        }
    }
}

/// A vote whose reason is short enough to be kept, and a line.
fn told(mut vote: Vote) -> Vote {
    let end = vote.reason.floor_char_boundary(REASON_BYTES_MAX);
    vote.reason.truncate(end);
    if vote.reason.contains(char::is_control) {
        vote.reason = vote.reason.replace(char::is_control, " ");
    }
    vote
}
