//! Snapshots: the state as it was at one commit, while writers go on.
//!
//! A snapshot is a sequence and no copy. It pins its past: no history or journal row after it is
//! trimmed while it lives. It reads its own namespace to the end, also after a restore or `close`.

mod at;
mod candidates;
mod changes;
mod diff;
mod history;
mod least_keys;
mod past_keys;
mod past_walk;
mod scan;
mod since;
mod versions;
mod view;

use std::sync::Arc;

pub(crate) use at::{last_until, row_in};
pub use changes::{Changes, KeyChange};
pub(crate) use diff::DiffAhead;
pub use diff::{DiffChange, DiffEntry, DiffOptions, DiffPage};
pub use history::{HistoryOptions, HistoryPage, Version};
pub use scan::SnapshotScan;
pub use since::{PastPoint, Since};
pub use versions::{NOT_ENDED, PastVersions};
pub use view::TenantSnapshot;

use crate::commit::Committer;
use crate::journal::{HistoryRow, read_history};
use crate::namespace::Namespace;
use crate::needs::LeaseId;
use crate::record::{is_over, read_stamps};
use crate::stored_key::{push_history_key, split_history_key};
use crate::{Error, KeyRange, Limits, Result, Sequence, Space, StateManager, TenantNumber, UnixMs};

/// The state as it was at one commit.
pub struct Snapshot {
    committer: Arc<Committer>,
    namespace: Arc<Namespace>,
    sequence: Sequence,
    time: UnixMs,
    /// Keys whose time has come by then are not there; `None` shows them.
    expired_at: Option<UnixMs>,
    /// A transaction's, which may be taken back; `None` for a pin.
    lease: Option<LeaseId>,
}

/// Where a timeline left another one, by a restore of its past or by an undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineFork {
    /// The other one's id.
    pub timeline: String,
    /// The last commit that both have.
    pub sequence: Sequence,
}

/// Whose data a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFacts {
    /// The state's id, a ULID.
    pub state_id: String,
    /// The timeline's id, a ULID; a restore starts a new one.
    pub timeline: String,
    /// Which timeline it left, and where; `None` where no restore made it, or that is not known.
    pub fork: Option<TimelineFork>,
    /// When the state was created.
    pub created: UnixMs,
    /// Named tenants by number; the default tenant has number 0 and no name.
    pub tenants: Vec<(TenantNumber, String)>,
}

impl StateManager {
    /// A snapshot of the last commit.
    pub fn snapshot(self: &Arc<Self>) -> Result<Snapshot> {
        let namespace = self.committer.namespace_arc()?;
        Ok(Snapshot::of_head(&self.committer, &namespace))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        match self.lease {
            Some(lease) => self.namespace.unlease(lease),
            None => self.namespace.unpin(self.sequence),
        }
    }
}

impl Snapshot {
    /// A snapshot of the last commit of a namespace.
    pub(crate) fn of_head(committer: &Arc<Committer>, namespace: &Arc<Namespace>) -> Snapshot {
        let (sequence, time) = namespace.pin_head();
        Snapshot {
            expired_at: Some(committer.clock.now().max(time)),
            committer: committer.clone(),
            namespace: namespace.clone(),
            sequence,
            time,
            lease: None,
        }
    }

    /// A snapshot of the last commit for a transaction, and when that began. Once the transaction is
    /// too old its past may be let go: what was read counts only while [`Snapshot::is_kept`].
    pub(crate) fn for_transaction(
        committer: &Arc<Committer>,
        namespace: &Arc<Namespace>,
    ) -> (Snapshot, UnixMs) {
        let now = committer.clock.now();
        let ((sequence, time), lease, began) = namespace.lease_head(now);
        let snapshot = Snapshot {
            expired_at: Some(began),
            committer: committer.clone(),
            namespace: namespace.clone(),
            sequence,
            time,
            lease: Some(lease),
        };
        (snapshot, began)
    }

    /// Whether the past that it reads is still kept.
    pub(crate) fn is_kept(&self) -> bool {
        (self.lease).is_none_or(|lease| self.namespace.has_lease(lease))
    }

    /// The last commit that it holds.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The time of that commit.
    pub fn time(&self) -> UnixMs {
        self.time
    }

    /// The moment by which expiry is judged; `UnixMs(i64::MIN)` shows all records.
    pub fn as_of(&self) -> UnixMs {
        self.expired_at.unwrap_or(UnixMs(i64::MIN))
    }

    /// Whose data it holds. Tenants that came after it may be listed; they have no keys in it.
    pub fn facts(&self) -> StateFacts {
        StateFacts {
            state_id: self.namespace.state.id.to_string(),
            timeline: self.namespace.timeline.to_string(),
            fork: self.namespace.fork.map(|fork| TimelineFork {
                timeline: fork.timeline.to_string(),
                sequence: fork.sequence,
            }),
            created: self.namespace.state.created,
            tenants: self.namespace.tenants(),
        }
    }

    /// All records in the order of their keys.
    pub fn scan(&self) -> Result<SnapshotScan<'_>> {
        self.scan_range(KeyRange::default())
    }

    /// The records of a range of stored keys, in their order; the range's direction is not heeded.
    pub(crate) fn scan_range(&self, range: KeyRange<'_>) -> Result<SnapshotScan<'_>> {
        SnapshotScan::open(self, range)
    }

    /// Shows also records whose time has come.
    pub(crate) fn with_expired(mut self) -> Snapshot {
        self.expired_at = None;
        self
    }

    pub(crate) fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.committer.limits()
    }

    /// Waits until every commit that a reader may have seen a row of is wholly there.
    pub(crate) fn settle(&self) {
        self.committer.settle();
    }

    /// The bytes of the record that a stored key had, if it was there.
    pub fn record(&self, data_key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.stored(data_key)?.filter(|record| self.shows(record)))
    }

    /// As `record`, also of a key whose time has come.
    fn stored(&self, data_key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut record = Vec::new();
        if self
            .namespace
            .backend
            .get(Space::Data, data_key, &mut record)?
        {
            let (sequence, _) = read_stamps(&record).map_err(|error| in_row(data_key, error))?;
            if sequence <= self.sequence {
                return Ok(Some(record));
            }
        }
        // The commit that changed the key may not be there with all of its rows yet.
        self.committer.settle();
        self.past(data_key)
    }

    /// Whether a key that was changed since had a record whose time had come; of a version that a
    /// rule has trimmed that is not known.
    fn had_ended(&self, data_key: &[u8]) -> Result<bool> {
        match self.past(data_key) {
            Ok(record) => Ok(record.is_some_and(|record| !self.shows(&record))),
            Err(Error::Compacted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the time of a record has not come.
    pub(crate) fn shows(&self, record: &[u8]) -> bool {
        (self.expired_at).is_none_or(|now| !is_over(record, || now))
    }

    /// The record of a key that was changed since: the history row that spans the snapshot.
    fn past(&self, data_key: &[u8]) -> Result<Option<Vec<u8>>> {
        let (mut lo, mut hi) = (Vec::new(), Vec::new());
        push_range(data_key, self.sequence, &mut lo, &mut hi);
        let range = KeyRange {
            lo: &lo,
            hi: Some(&hi),
            reverse: true,
        };
        let mut found = Ok(None);
        self.namespace
            .backend
            .scan(Space::History, range)?
            .next_batch(1, &mut |key, row| {
                found = self.spanning(key, row);
            })?;
        found
    }

    fn spanning(&self, key: &[u8], row: &[u8]) -> Result<Option<Vec<u8>>> {
        let (data_key, first) = split_history_key(key)?;
        let (end, record) = match read_history(row).map_err(|error| in_row(data_key, error))? {
            HistoryRow::Record(end, record) => (end, record),
            HistoryRow::Trimmed(oldest) if oldest > self.sequence => {
                let what = match crate::split_key(data_key) {
                    Ok((_, scope, key)) => format!("`{key}` in {scope}"),
                    Err(_) => data_key.escape_ascii().to_string(),
                };
                return Err(Error::Compacted { what, oldest });
            }
            HistoryRow::Trimmed(_) => return Ok(None),
        };
        let (sequence, _) = read_stamps(record).map_err(|error| in_row(data_key, error))?;
        if sequence != first {
            let reason = format!(
                "it is of commit {} and stored as of {}",
                sequence.0, first.0
            );
            return Err(in_row(
                data_key,
                Error::corrupt("superseded record", reason),
            ));
        }
        Ok((end > self.sequence).then(|| record.to_vec()))
    }
}

/// The range of the history rows of a key whose first commit is not after `at`.
fn push_range(data_key: &[u8], at: Sequence, lo: &mut Vec<u8>, hi: &mut Vec<u8>) {
    push_history_key(lo, data_key, Sequence(0));
    push_history_key(hi, data_key, Sequence(at.0.saturating_add(1)));
}

/// Says which key an error of a row belongs to.
pub(crate) fn in_row(data_key: &[u8], error: Error) -> Error {
    match crate::split_key(data_key) {
        Ok((_, scope, key)) => crate::read::in_key(&scope, &key, error),
        Err(_) => error,
    }
}
