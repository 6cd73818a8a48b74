//! One secondary index: what it covers, how far it is built, and its meta row.
//!
//! The meta row's payload is JSON: `id`, `tenant` (its name), `scope`, `path`, `state` (`building` or
//! `ready`), `position` (the last data key that the build has dealt with, hexadecimal), `scanned` and
//! `indexed` (records that the build has read, and that got a row).

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::value_prefix;
use crate::query::order::Scalar;
use crate::query::path::Path;
use crate::query::pattern::ScopePattern;
use crate::{Error, ErrorKind, Result, TenantNumber};

/// Most secondary indexes of a state.
pub const INDEXES_MAX: usize = 64;
/// Longest name of an index in bytes.
pub const INDEX_NAME_BYTES_MAX: usize = 128;

/// How far an index is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    /// Changes are kept, what was there before is being added; it serves no query yet.
    Building,
    /// It serves queries.
    Ready,
}

/// The payload of an index's meta row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct StoredIndex {
    pub(crate) id: u32,
    pub(crate) tenant: String,
    pub(crate) scope: String,
    pub(crate) path: String,
    pub(crate) state: IndexState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<String>,
    pub(crate) scanned: u64,
    pub(crate) indexed: u64,
}

impl StoredIndex {
    pub(crate) fn to_json(&self) -> String {
        // A structure of texts and numbers has a JSON form; it would show as a corrupt row.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn from_json(what: &str, json: &[u8]) -> Result<StoredIndex> {
        serde_json::from_slice(json).map_err(|error| Error::corrupt(what, error.to_string()))
    }
}

/// An index of a namespace.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) tenant: String,
    pub(crate) number: TenantNumber,
    pub(crate) scope: ScopePattern,
    pub(crate) path: Path,
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// How far the build of an index is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) ready: bool,
    /// The last data key that was dealt with.
    pub(crate) position: Option<Vec<u8>>,
    pub(crate) scanned: u64,
    pub(crate) indexed: u64,
    /// Why the build stands still until the state is opened again.
    pub(crate) failure: Option<(ErrorKind, String)>,
    pub(crate) dropped: bool,
}

impl Index {
    pub(crate) fn new(name: &str, number: TenantNumber, stored: &StoredIndex) -> Result<Index> {
        let position = match &stored.position {
            Some(text) => Some(crate::query::token::unhex(text).ok_or_else(|| {
                Error::corrupt(format!("index `{name}`"), "its position is not hexadecimal")
            })?),
            None => None,
        };
        Ok(Index {
            name: name.to_owned(),
            id: stored.id,
            tenant: stored.tenant.clone(),
            number,
            scope: ScopePattern::parse(&stored.scope)?,
            path: Path::parse(&stored.path)?,
            progress: Mutex::new(Progress {
                ready: stored.state == IndexState::Ready,
                position,
                scanned: stored.scanned,
                indexed: stored.indexed,
                ..Progress::default()
            }),
            changed: Condvar::new(),
        })
    }

    /// The meta row's payload with a progress.
    pub(crate) fn stored(&self, progress: &Progress) -> StoredIndex {
        StoredIndex {
            id: self.id,
            tenant: self.tenant.clone(),
            scope: self.scope.text().to_owned(),
            path: self.path.text().to_owned(),
            state: match progress.ready {
                true => IndexState::Ready,
                false => IndexState::Building,
            },
            position: progress.position.as_deref().map(crate::query::token::hex),
            scanned: progress.scanned,
            indexed: progress.indexed,
        }
    }

    /// The meta row's payload of the same index in a namespace where it has no rows.
    pub(crate) fn stored_anew(&self) -> StoredIndex {
        self.stored(&Progress::default())
    }

    /// Whether the record of a key has a row here, when it has a value at the path.
    pub(crate) fn has_key(&self, data_key: &[u8]) -> bool {
        data_key.starts_with(&self.number.0.to_be_bytes()) && self.scope.has_key(data_key)
    }

    /// The row of a document, if the path leads to a value that has a place in the order.
    pub(crate) fn row(&self, json: &str, data_key: &[u8]) -> Option<Vec<u8>> {
        let scalar = Scalar::read(self.path.find(json)?)?;
        let mut key = value_prefix(self.id);
        scalar.push(&mut key);
        key.extend_from_slice(data_key);
        Some(key)
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    pub(crate) fn is_ready(&self) -> bool {
        let progress = self.progress.lock();
        progress.ready && !progress.dropped
    }

    /// Replaces the progress and tells those who wait.
    pub(crate) fn advance(&self, progress: Progress) {
        *self.progress.lock() = progress;
        self.changed.notify_all();
    }

    pub(crate) fn fail(&self, error: &Error) {
        self.progress.lock().failure = Some((error.kind(), error.to_string()));
        self.changed.notify_all();
    }

    pub(crate) fn drop_it(&self) {
        self.progress.lock().dropped = true;
        self.changed.notify_all();
    }

    /// Waits until the index serves queries, or never will; `false` when the time ran out before.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Result<bool> {
        let mut progress = self.progress.lock();
        loop {
            if progress.dropped {
                let message = format!("the index `{}` was dropped", self.name);
                return Err(Error::other(ErrorKind::Cancelled, message));
            }
            if progress.ready {
                return Ok(true);
            }
            if let Some((kind, reason)) = &progress.failure {
                let message = format!("the index `{}` is not built: {reason}", self.name);
                return Err(Error::other(*kind, message));
            }
            match until {
                None => self.changed.wait(&mut progress),
                Some(until) if self.changed.wait_until(&mut progress, until).timed_out() => {
                    return Ok(false);
                }
                Some(_) => {}
            }
        }
    }
}

/// Checks the name of an index.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > INDEX_NAME_BYTES_MAX || !name.chars().all(plain) {
        let reason =
            format!("it takes 1 to {INDEX_NAME_BYTES_MAX} letters, digits, `.`, `-` and `_`");
        return Err(Error::invalid("index name", reason));
    }
    Ok(())
}
