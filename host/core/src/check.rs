//! The judge of a state's rows: data, history, journal and head must tell one story.
//!
//! For crash tests of this and other crates. It holds the names of all versions in memory and is to
//! be called while nobody writes.

use std::collections::BTreeMap;

use crate::journal::{ChangeOp, CommitKind, HistoryRow, read_history, read_journal};
use crate::namespace::Namespace;
use crate::record::{RecordView, read_stamps};
use crate::stored_key::{split_history_key, split_journal_key, split_key};
use crate::{
    Backend, Error, KeyRange, Result, Sequence, Space, StateManager, TenantNumber, UnixMs,
};

/// A version of a key: from which commit to before which one; the current one has no end.
type Version = (Sequence, Option<Sequence>);

/// Reads every row of a state and checks that
/// - the journal has one row a commit from after the floor to the head, its times never go back;
/// - each key's versions are exactly those that the journal tells, with no gap and no overlap;
/// - each record and row can be read, and belongs to a tenant that is known;
/// - each secondary index has exactly the rows that the records give.
pub fn check_consistency(manager: &StateManager) -> Result<()> {
    let namespace = manager.committer.namespace_arc()?;
    let (versions, trimmed) = read_versions(&namespace)?;
    let changes = read_changes(&namespace)?;
    let floor = namespace.floor();
    for key in versions.keys().chain(changes.keys()) {
        check_key(key, &namespace)?;
        // What ended before is trimmed, or about to be.
        let known = trimmed.get(key).copied().unwrap_or_default().max(floor);
        let kept = |version: &Version| version.1.is_none_or(|end| end > known);
        let stored = versions.get(key).map_or(&[][..], Vec::as_slice);
        let spans =
            |version: &&Version| version.0 <= floor && version.1.is_none_or(|end| end > floor);
        let before = stored.iter().find(spans).map(|version| version.0);
        let mut told = expected(changes.get(key).map_or(&[][..], Vec::as_slice), before);
        told.retain(kept);
        let stored: Vec<_> = stored.iter().copied().filter(kept).collect();
        if stored != told {
            let reason = format!("the rows hold {stored:?} and the journal tells {told:?}");
            return Err(inconsistent(
                &format!("versions of {}", key.escape_ascii()),
                reason,
            ));
        }
    }
    crate::index::check::check_indexes(&namespace)
}

fn inconsistent(what: &str, reason: String) -> Error {
    Error::corrupt(what, reason)
}

fn check_key(key: &[u8], namespace: &Namespace) -> Result<()> {
    let (tenant, _, _) = split_key(key)?;
    let known = namespace.tenants();
    if tenant == TenantNumber(0) || known.iter().any(|(number, _)| *number == tenant) {
        return Ok(());
    }
    Err(inconsistent(
        &format!("key {}", key.escape_ascii()),
        "its tenant has no name".to_owned(),
    ))
}

pub(crate) type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// The rows of a range, in order.
pub(crate) fn rows(
    backend: &dyn Backend,
    space: Space,
    range: KeyRange<'_>,
    visit: &mut Visitor<'_>,
) -> Result<()> {
    let mut cursor = backend.scan(space, range)?;
    let mut last: Option<Vec<u8>> = None;
    loop {
        let mut outcome = Ok(());
        let read = cursor.next_batch(256, &mut |key, row| {
            if outcome.is_ok() {
                outcome = match &last {
                    Some(last) if last.as_slice() >= key => {
                        let what = format!("scan of {space:?}");
                        Err(inconsistent(
                            &what,
                            format!("{} is out of order", key.escape_ascii()),
                        ))
                    }
                    _ => visit(key, row),
                };
                last = Some(key.to_vec());
            }
        })?;
        outcome?;
        if read == 0 {
            return Ok(());
        }
    }
}

type Versions = BTreeMap<Vec<u8>, Vec<Version>>;
/// Keys whose versions before a commit have been trimmed.
type Trimmed = BTreeMap<Vec<u8>, Sequence>;

fn read_versions(namespace: &Namespace) -> Result<(Versions, Trimmed)> {
    let (mut versions, mut trimmed) = (Versions::new(), Trimmed::new());
    rows(
        &*namespace.backend,
        Space::History,
        KeyRange::default(),
        &mut |key, row| {
            let (data_key, first) = split_history_key(key)?;
            let (end, record) = match read_history(row)? {
                HistoryRow::Record(end, record) => (end, record),
                HistoryRow::Trimmed(end) => {
                    trimmed.insert(data_key.to_vec(), end);
                    return Ok(());
                }
            };
            let (sequence, _) = read_stamps(record)?;
            if sequence != first {
                let reason = format!("its record is of commit {}", sequence.0);
                return Err(inconsistent(
                    &format!("history row {}", key.escape_ascii()),
                    reason,
                ));
            }
            versions
                .entry(data_key.to_vec())
                .or_default()
                .push((first, Some(end)));
            Ok(())
        },
    )?;
    rows(
        &*namespace.backend,
        Space::Data,
        KeyRange::default(),
        &mut |key, record| {
            let header = RecordView::read(record)?.header;
            versions
                .entry(key.to_vec())
                .or_default()
                .push((header.sequence, None));
            Ok(())
        },
    )?;
    Ok((versions, trimmed))
}

type Changes = BTreeMap<Vec<u8>, Vec<(Sequence, ChangeOp)>>;

fn read_changes(namespace: &Namespace) -> Result<Changes> {
    let mut changes = Changes::new();
    let bottom = namespace.floor();
    let (mut last, mut last_time) = (bottom, UnixMs(i64::MIN));
    rows(
        &*namespace.backend,
        Space::Journal,
        KeyRange::default(),
        &mut |key, row| {
            let sequence = split_journal_key(key)?;
            let row = read_journal(row)?;
            // Left by a trim that was broken off; the next one goes on.
            if sequence < bottom {
                return Ok(());
            }
            // The floor's own row stays for its time; an undo or restore may leave a gap.
            let floor = sequence == last && sequence == bottom;
            let follows = match row.kind {
                CommitKind::Restore => sequence > last,
                _ => sequence.0 == last.0 + 1,
            };
            if !(floor || follows) || row.time < last_time {
                let reason = format!("commit {} at {} follows {}", sequence.0, row.time.0, last.0);
                return Err(inconsistent("journal", reason));
            }
            (last, last_time) = (sequence, row.time);
            for (op, key) in row.changes.into_iter().filter(|_| !floor) {
                changes
                    .entry(key.to_vec())
                    .or_default()
                    .push((sequence, op));
            }
            Ok(())
        },
    )?;
    let (head, time) = namespace.head();
    if last != head || (last_time != time && last_time.0 != i64::MIN) {
        let reason = format!("it ends with {} and the head is {}", last.0, head.0);
        return Err(inconsistent("journal", reason));
    }
    Ok(changes)
}

/// The versions of a key that its changes make, after one that was there before the floor.
fn expected(changes: &[(Sequence, ChangeOp)], before: Option<Sequence>) -> Vec<Version> {
    let mut versions = Vec::new();
    let mut current = before;
    for (sequence, op) in changes {
        versions.extend(current.take().map(|first| (first, Some(*sequence))));
        current = (*op == ChangeOp::Put).then_some(*sequence);
    }
    versions.extend(current.map(|first| (first, None)));
    versions
}
