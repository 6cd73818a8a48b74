//! CURRENT: the one file that says which namespace and backend a state uses.
//!
//! It is replaced by rename and never written in place. Whoever replaces it holds the state's lock.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use ulid::Ulid;

use super::document::{DOCUMENT_BYTES_MAX, FORMAT, seal, unseal};
use super::{NamespaceId, StateId};
use crate::vfs::{ReplaceError, Vfs, read_small, replace_file};
use crate::{Error, Result, UnixMs};

pub(crate) const CURRENT: &str = "CURRENT";
pub(super) const TEMPORARY: &str = "CURRENT.tmp-";

/// What CURRENT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The state that lives in this directory.
    pub state: StateId,
    /// Short name of the backend, such as `fjall`.
    pub backend: String,
    /// The namespace in use.
    pub namespace: NamespaceId,
    /// 1 at creation, one more with each replacement.
    pub generation: u64,
    /// When this CURRENT was written.
    pub written: UnixMs,
}

#[derive(Serialize, Deserialize)]
struct CurrentDocument {
    format: u64,
    state: String,
    backend: String,
    namespace: String,
    generation: u64,
    written_unix_ms: i64,
}

/// A name for a file that is to replace another; swept when it is left behind.
pub(super) fn temporary() -> String {
    format!("{TEMPORARY}{}", Ulid::new())
}

pub(super) fn now() -> UnixMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Current {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        seal(&CurrentDocument {
            format: FORMAT,
            state: self.state.to_string(),
            backend: self.backend.clone(),
            namespace: self.namespace.to_string(),
            generation: self.generation,
            written_unix_ms: self.written.0,
        })
    }

    /// Reads CURRENT of a state directory.
    pub(super) fn read(vfs: &dyn Vfs, state_dir: &Path) -> Result<Current> {
        let path = state_dir.join(CURRENT);
        let what = path.display().to_string();
        let bytes = read_small(vfs, &path, DOCUMENT_BYTES_MAX)?;
        let document: CurrentDocument = unseal(&what, &bytes)?;
        let damage = |error: super::BadId| Error::corrupt(&what, error.to_string());
        Ok(Current {
            state: document.state.parse().map_err(damage)?,
            namespace: document.namespace.parse().map_err(damage)?,
            backend: document.backend,
            generation: document.generation,
            written: UnixMs(document.written_unix_ms),
        })
    }

    /// Puts this CURRENT in the place of the old one, durably.
    pub(super) fn replace(&self, vfs: &dyn Vfs, state_dir: &Path) -> Result<(), ReplaceError> {
        let bytes = self.encode().map_err(ReplaceError::Unchanged)?;
        replace_file(vfs, state_dir, CURRENT, &temporary(), &bytes)
    }
}
