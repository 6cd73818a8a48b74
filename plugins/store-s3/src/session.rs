//! Sessions in an object store: who writes, and whether a writer lives.
//!
//! No kernel frees a lock here. A writer puts `lease/.session-SESSION-N` and, while it lives, a later
//! one every [`RENEW_MS`]; it counts as alive for [`SESSION_MS`] after its latest, by the server's
//! clock alone. A writer that was silent for longer may still come back, so death is never certain:
//! a collector claims the commit slot first. Where the server ignores conditions, a writer commits
//! only if it was never silent for long and its latest sign of life was recent when it put, again by
//! the server's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::JoinHandle;
use ulid::Ulid;

use crate::store::Place;

/// A writer shows that it lives so often.
pub const RENEW_MS: u64 = 60_000;
/// A writer counts as alive for so long after its latest sign of life.
pub const SESSION_MS: u64 = 900_000;

pub(crate) const SESSION: &str = ".session-";

/// What a session has shown of itself.
struct Signs {
    number: AtomicU64,
    /// The server's time of the latest sign that came before the one before it had run out. A
    /// writer that was silent for too long never gets a later one.
    last: AtomicI64,
}

/// A writer's session, renewed until it is dropped.
pub(crate) struct Session {
    pub(crate) id: String,
    signs: Arc<Signs>,
    renewal: JoinHandle<()>,
}

impl Session {
    /// Tells whether the writer was surely alive at a moment of the server's clock, with room for a
    /// collector that looks at the same time.
    pub(crate) fn witness(&self) -> impl Fn(i64) -> bool + Send + use<> {
        let signs = Arc::clone(&self.signs);
        move |at| continues(signs.last.load(SeqCst), at)
    }
}

/// Whether a session whose latest sign was then has not run out.
fn within(sign: i64, now: i64) -> bool {
    now.saturating_sub(sign) < i64::try_from(SESSION_MS).unwrap_or(i64::MAX)
}

/// The same, with time to spare.
fn continues(sign: i64, now: i64) -> bool {
    let room = i64::try_from(2 * RENEW_MS).unwrap_or(i64::MAX);
    within(sign, now.saturating_add(room))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

fn leaf(id: &str, number: u64) -> String {
    format!("{SESSION}{id}-{number}")
}

pub(crate) fn is_session(text: &str) -> bool {
    Ulid::from_string(text).is_ok_and(|ulid| ulid.to_string() == text)
}

/// Begins a session; its first sign of life is there when this returns.
pub(crate) async fn begin(place: Arc<Place>) -> object_store::Result<Session> {
    let id = Ulid::new().to_string();
    let signs = Arc::new(Signs {
        number: AtomicU64::new(0),
        last: AtomicI64::new(sign(&place, &id, 0).await?),
    });
    let renewal = tokio::spawn(renew(place, id.clone(), Arc::clone(&signs)));
    Ok(Session { id, signs, renewal })
}

/// Puts a sign of life; the server's time of it.
async fn sign(place: &Place, id: &str, number: u64) -> object_store::Result<i64> {
    let path = place.lease(&leaf(id, number));
    let payload = PutPayload::from_static(b"alive\n");
    place.client.put(&path, payload).await?;
    Ok(place
        .client
        .head(&path)
        .await?
        .last_modified
        .timestamp_millis())
}

async fn renew(place: Arc<Place>, id: String, signs: Arc<Signs>) {
    loop {
        tokio::time::sleep(Duration::from_millis(RENEW_MS)).await;
        let last = signs.number.load(SeqCst);
        let time = match sign(&place, &id, last + 1).await {
            Ok(time) => time,
            Err(error) => {
                tracing::warn!(%error, "a session in the object store was not renewed");
                continue;
            }
        };
        signs.number.store(last + 1, SeqCst);
        if !continues(signs.last.load(SeqCst), time) {
            tracing::warn!(
                "a session in the object store has run out; what it writes is not committed"
            );
            return;
        }
        signs.last.store(time, SeqCst);
        if let Err(error) = place.client.delete(&place.lease(&leaf(&id, last))).await {
            tracing::debug!(%error, "an old sign of life stays behind");
        }
    }
}

/// Ends a session: its signs of life are removed.
pub(crate) async fn end(place: &Place, session: &Session) {
    session.renewal.abort();
    let last = session.signs.number.load(SeqCst);
    for number in last.saturating_sub(1)..=last + 1 {
        let path = place.lease(&leaf(&session.id, number));
        if let Err(error) = place.client.delete(&path).await {
            tracing::debug!(%error, "a sign of life stays behind");
        }
    }
}

/// The time of the server, in milliseconds since 1970-01-01 UTC.
async fn server_time(place: &Place) -> object_store::Result<i64> {
    let path = place.lease(&format!(".clock-{}", Ulid::new()));
    place
        .client
        .put(&path, PutPayload::from_static(b"now\n"))
        .await?;
    let seen = place.client.head(&path).await;
    // What stays is swept with dead sessions.
    drop(place.client.delete(&path).await);
    Ok(seen?.last_modified.timestamp_millis())
}

/// The latest sign of life of a session; `None` when there is none.
async fn latest(place: &Place, session: &str) -> object_store::Result<Option<i64>> {
    let prefix = format!("{SESSION}{session}-");
    let found: Vec<_> = place
        .client
        .list(Some(&place.folder("lease")))
        .try_collect()
        .await?;
    let signs = found.into_iter().filter(|object| {
        object
            .location
            .filename()
            .is_some_and(|leaf| leaf.starts_with(&prefix))
    });
    Ok(signs
        .map(|object| object.last_modified.timestamp_millis())
        .max())
}

/// Whether the writer of a session may still be at work.
pub(crate) async fn is_alive(place: &Place, session: &str) -> object_store::Result<bool> {
    let Some(sign) = latest(place, session).await? else {
        return Ok(false);
    };
    Ok(within(sign, server_time(place).await?))
}

/// Signs of life and clocks of writers that are gone.
pub(crate) async fn dead(place: &Place) -> object_store::Result<Vec<object_store::path::Path>> {
    let found: Vec<_> = place
        .client
        .list(Some(&place.folder("lease")))
        .try_collect()
        .await?;
    let marks: Vec<_> = found
        .into_iter()
        .filter(|object| {
            object
                .location
                .filename()
                .is_some_and(|leaf| leaf.starts_with('.'))
        })
        .collect();
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    let now = server_time(place).await?;
    // The latest of a session speaks for all of it; what is younger than a session is left alone.
    let old = marks
        .into_iter()
        .filter(|object| !within(object.last_modified.timestamp_millis(), now));
    Ok(old.map(|object| object.location).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_runs_out_for_its_writer_before_it_does_for_a_collector() {
        let session = i64::try_from(SESSION_MS).unwrap();
        let renew = i64::try_from(RENEW_MS).unwrap();
        assert!(within(0, session - 1) && !within(0, session));
        assert!(continues(0, session - 2 * renew - 1) && !continues(0, session - 2 * renew));
        // A clock of the server that goes back ends nothing.
        assert!(continues(session, 0));
        assert!(
            is_session("01ARZ3NDEKTSV4RRFFQ69G5FAV") && !is_session("../01ARZ3NDEKTSV4RRFFQ69G5")
        );
    }
}
