//! Namespaces that were replaced by a restore or a swap: listed, gone back to, released.
//!
//! They stay in the state's folder until they are released. Going back writes one journal row into
//! the old namespace, so that sequences go on rising, and leaves the other one as the undo of the
//! undo.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::commit::{Heritage, SwitchWork, Turn, Work, go_on};
use crate::journal::{CommitKind, read_journal};
use crate::meta::Meta;
use crate::namespace::Namespace;
use crate::state_dir::NamespaceId;
use crate::stored_key::{journal_key, split_journal_key};
use crate::{
    Backend, Cursor, Error, ErrorKind, KeyRange, Result, Sequence, Space, StateManager, UnixMs,
};

/// Namespaces that were in use in this process before the one in use, and may still be read.
#[derive(Default)]
pub(crate) struct Lineage {
    members: Mutex<Vec<Member>>,
    /// Held while one is opened or removed.
    at_work: Mutex<()>,
}

struct Member {
    id: NamespaceId,
    namespace: Weak<Namespace>,
    open: Weak<()>,
}

impl Lineage {
    /// Takes note of a namespace that is about to be replaced.
    pub(crate) fn add(&self, namespace: &Arc<Namespace>) {
        let mut members = self.members.lock();
        members.retain(|member| member.open.strong_count() > 0);
        members.push(Member {
            id: namespace.id,
            namespace: Arc::downgrade(namespace),
            open: Arc::downgrade(&namespace.open),
        });
    }

    /// Whether the backend of a namespace is open because somebody still reads it.
    fn is_open(&self, id: NamespaceId) -> bool {
        let members = self.members.lock();
        let mut same = members.iter().filter(|member| member.id == id);
        same.any(|member| member.open.strong_count() > 0)
    }

    /// A namespace that somebody still reads.
    ///
    /// # Errors
    /// `Busy` while the last reader's end closes its backend.
    fn find(&self, id: NamespaceId) -> Result<Option<Arc<Namespace>>> {
        let members = self.members.lock();
        let mut same = members.iter().rev().filter(|member| member.id == id);
        let found = same.find_map(|member| member.namespace.upgrade());
        drop(members);
        if found.is_none() && self.is_open(id) {
            return Err(busy(id, "is just being closed"));
        }
        Ok(found)
    }
}

/// What there is to know about a namespace.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NamespaceStatus {
    /// Its identity and folder.
    pub namespace: NamespaceId,
    /// Short name of its backend.
    pub backend: String,
    /// When its making began.
    #[serde(rename = "created_unix_ms")]
    pub created: UnixMs,
    /// It is the one in use.
    pub is_current: bool,
    /// It is not the one in use, and a snapshot still reads it.
    pub is_read: bool,
    /// Bytes of its files.
    pub bytes: u64,
}

impl StateManager {
    /// Every namespace in the state's folder, oldest first: the one in use, and those that a restore
    /// or swap replaced.
    pub fn namespaces(&self) -> Result<Vec<NamespaceStatus>> {
        let current = self.committer.namespace_arc()?;
        let status = |info: crate::NamespaceInfo| {
            let is_current = info.namespace == current.id;
            Ok(NamespaceStatus {
                namespace: info.namespace,
                backend: info.backend,
                created: info.created,
                is_current,
                is_read: !is_current && current.lineage.is_open(info.namespace),
                bytes: current.dir.namespace_bytes(info.namespace)?,
            })
        };
        current.dir.namespaces()?.into_iter().map(status).collect()
    }

    /// Goes back to a namespace that a restore or swap replaced, between two commits, and answers the
    /// sequence of that, which is higher than any before. The state is then as it was when that
    /// namespace was replaced, with its history; the timeline is a new one, records in memory only
    /// are gone. The namespace that was in use stays and can be gone back to in the same way.
    ///
    /// # Errors
    /// `Conflict`, with their number, when more than `commits_lost_max` commits were made that the
    /// namespace does not have; `NotFound`; `Busy`; errors of the backend. With any error but
    /// `Indeterminate` the state is as it was.
    pub fn undo(
        self: &Arc<Self>,
        namespace: NamespaceId,
        commits_lost_max: u64,
    ) -> Result<Sequence> {
        self.committer.check_poison()?;
        // Held to the end, so that no backend is closed while commits wait.
        let current = self.committer.namespace_arc()?;
        let (dir, lineage) = (current.dir.clone(), current.lineage.clone());
        let _alone = lineage.at_work.lock();
        check_kept(&current, namespace)?;
        let open = lineage.find(namespace)?;
        let backend = match &open {
            Some(open) => open.backend.clone(),
            None => dir.open_namespace(namespace)?,
        };
        if open.is_none() && !backend.capabilities().persistent {
            let message = format!("{namespace} kept its rows in memory only, and they are gone");
            return Err(Error::other(ErrorKind::NotFound, message));
        }
        let head = current.head().0;
        let lost = commits_lost(&current, head, &*backend)?;
        check_lost(namespace, lost, commits_lost_max)?;
        let from = current.id;
        let work = SwitchWork {
            from: Some(from),
            to: namespace,
            complete: Box::new({
                let backend = backend.clone();
                move |turn: &Turn<'_>| {
                    let lost = lost + turn.head.0.saturating_sub(head.0);
                    check_lost(namespace, lost, commits_lost_max)?;
                    let before = Meta::load(&*backend)?;
                    let detail = serde_json::json!({
                        "undo": true,
                        "namespace": namespace.to_string(),
                        "replaced": from.to_string(),
                        "commits_lost": lost,
                    });
                    go_on(turn, &*backend, before, &detail.to_string())?;
                    Ok(backend)
                }
            }),
            heritage: open.map_or(Heritage::Nothing, Heritage::Returns),
            dir: dir.clone(),
            replace: Box::new({
                let dir = dir.clone();
                // Its backend is what its own document says.
                move || dir.replace_current(namespace, "").map(drop)
            }),
        };
        let done = self.committer.run_blocking(Work::Switch(Box::new(work)))?;
        drop(backend);
        self.note_backend(&dir);
        // An index may have been half built or half removed there.
        if let Err(error) = self.index_worker.start(&self.committer) {
            tracing::error!(%error, "indexes are built at the next opening");
        }
        Ok(done.head)
    }

    /// Removes a namespace that is not in use, for good: what it was the undo of can no longer be
    /// undone.
    ///
    /// # Errors
    /// `Conflict` for the one in use, `Busy` while a snapshot or backup still reads it, `NotFound`.
    pub fn release_namespace(&self, namespace: NamespaceId) -> Result<()> {
        let current = self.committer.namespace_arc()?;
        let _alone = current.lineage.at_work.lock();
        check_kept(&current, namespace)?;
        if current.lineage.is_open(namespace) {
            return Err(busy(namespace, "is still read by a snapshot or backup"));
        }
        current.dir.remove_namespace(namespace)
    }
}

/// Checks that a namespace is there and not in use.
fn check_kept(current: &Namespace, namespace: NamespaceId) -> Result<()> {
    if namespace == current.id {
        let message = format!("{namespace} is in use; only a namespace that was replaced can be");
        let message = format!("{message} gone back to or released");
        return Err(Error::other(ErrorKind::Conflict, message));
    }
    let all = current.dir.namespaces()?;
    if all.iter().any(|info| info.namespace == namespace) {
        return Ok(());
    }
    let message = format!(
        "there is no {namespace} in {}",
        current.dir.path().display()
    );
    Err(Error::other(ErrorKind::NotFound, message))
}

fn busy(namespace: NamespaceId, why: &str) -> Error {
    let message = format!("{namespace} {why}; try again when that has ended");
    Error::other(ErrorKind::Busy, message)
}

fn check_lost(namespace: NamespaceId, lost: u64, most: u64) -> Result<()> {
    if lost <= most {
        return Ok(());
    }
    let commits = match lost {
        1 => "commit was",
        _ => "commits were",
    };
    let message = format!(
        "{lost} {commits} made that {namespace} does not have and that would be lost; to go back all \
         the same, allow so many to be lost"
    );
    Err(Error::other(ErrorKind::Conflict, message))
}

/// The journal of a namespace from its end.
struct Backwards<'a> {
    cursor: Box<dyn Cursor + 'a>,
    row: Option<(Sequence, Vec<u8>)>,
}

impl<'a> Backwards<'a> {
    /// From a commit on.
    fn open(backend: &'a dyn Backend, last: Sequence) -> Result<Backwards<'a>> {
        let hi = journal_key(Sequence(last.0.saturating_add(1)));
        let range = KeyRange {
            lo: &[],
            hi: Some(&hi),
            reverse: true,
        };
        let mut backwards = Backwards {
            cursor: backend.scan(Space::Journal, range)?,
            row: None,
        };
        backwards.step()?;
        Ok(backwards)
    }

    fn step(&mut self) -> Result<()> {
        let mut found = Ok(None);
        self.cursor.next_batch(1, &mut |key, row| {
            found = split_journal_key(key).map(|sequence| Some((sequence, row.to_vec())));
        })?;
        self.row = found?;
        Ok(())
    }

    /// 1 for a commit, 0 for a restore or undo; and whether it is the first of its namespace, as that
    /// of a restore is and that of an undo is not.
    fn weight(&self) -> Result<(u64, bool)> {
        let Some((_, row)) = &self.row else {
            return Ok((0, false));
        };
        let row = read_journal(row)?;
        if row.kind != CommitKind::Restore {
            return Ok((1, false));
        }
        let detail: serde_json::Value = serde_json::from_str(row.detail.unwrap_or("null"))
            .map_err(|error| Error::corrupt("journal row of a restore", error.to_string()))?;
        Ok((
            0,
            detail.get("undo") != Some(&serde_json::Value::Bool(true)),
        ))
    }
}

/// How many commits the namespace in use has up to its head that another one does not have, back to
/// the last that they share. Restores and undos are none. Each of what was trimmed counts.
fn commits_lost(current: &Namespace, head: Sequence, other: &dyn Backend) -> Result<u64> {
    let floor = Meta::load(other)?.floor;
    let mut own = Backwards::open(&*current.backend, head)?;
    let mut its = Backwards::open(other, Sequence(u64::MAX - 1))?;
    let mut lost = 0u64;
    let mut is_first = false;
    loop {
        match (&own.row, &its.row) {
            // A number is given once, so rows that are equal are one commit, and all before it too.
            (Some(row), Some(other)) if row == other => return Ok(lost),
            (Some((sequence, _)), Some((other, _))) if sequence < other => its.step()?,
            (Some((sequence, _)), other) => {
                if other.is_none() && *sequence <= floor {
                    return Ok(lost);
                }
                let weight;
                (weight, is_first) = own.weight()?;
                lost += weight;
                own.step()?;
            }
            (None, other) => {
                let shared = other.as_ref().map_or(floor, |(sequence, _)| *sequence);
                let trimmed = current.floor().0.saturating_sub(shared.0);
                // Nothing was trimmed before the first row of a namespace.
                return Ok(lost + if is_first { 0 } else { trimmed });
            }
        }
    }
}
