//! A namespace: one generation of a backend's data, in a folder of its own.
//!
//! `ns-ID/NAMESPACE` describes it, `ns-ID/engine/` belongs to the backend. A namespace appears
//! under its name only when it is complete and on stable storage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::current::now;
use super::document::{DOCUMENT_BYTES_MAX, FORMAT, seal, unseal};
use super::{Init, NamespaceId, StateId};
use crate::vfs::{Vfs, failed, read_small, write_new_synced};
use crate::{Backend, BackendConfig, Error, Plugins, Result, UnixMs};

const NAMESPACE: &str = "NAMESPACE";
const ENGINE: &str = "engine";

/// What a namespace says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// Its identity and folder.
    pub namespace: NamespaceId,
    /// Short name of the backend that reads it.
    pub backend: String,
    /// The state it belongs to.
    pub state: StateId,
    /// When its making began.
    pub created: UnixMs,
}

#[derive(Serialize, Deserialize)]
struct NamespaceDocument {
    format: u64,
    namespace: String,
    backend: String,
    state: String,
    created_unix_ms: i64,
}

impl NamespaceInfo {
    pub(super) fn read(vfs: &dyn Vfs, folder: &Path) -> Result<NamespaceInfo> {
        let path = folder.join(NAMESPACE);
        let what = path.display().to_string();
        let bytes = read_small(vfs, &path, DOCUMENT_BYTES_MAX)?;
        let document: NamespaceDocument = unseal(&what, &bytes)?;
        let damage = |error: super::BadId| Error::corrupt(&what, error.to_string());
        Ok(NamespaceInfo {
            namespace: document.namespace.parse().map_err(damage)?,
            state: document.state.parse().map_err(damage)?,
            backend: document.backend,
            created: UnixMs(document.created_unix_ms),
        })
    }

    /// Reads NAMESPACE and checks that it is the one that was looked for.
    pub(super) fn expect(
        vfs: &dyn Vfs,
        folder: &Path,
        namespace: NamespaceId,
        state: StateId,
    ) -> Result<NamespaceInfo> {
        let found = NamespaceInfo::read(vfs, folder)?;
        if (found.namespace, found.state) == (namespace, state) {
            return Ok(found);
        }
        let reason = format!(
            "it describes {} of state {}, and {namespace} of state {state} is expected; was a \
             folder copied or renamed by hand?",
            found.namespace, found.state
        );
        Err(Error::corrupt(
            folder.join(NAMESPACE).display().to_string(),
            reason,
        ))
    }
}

/// What it takes to make or open the backend of a namespace.
#[derive(Clone)]
pub(super) struct Engine {
    pub(super) plugins: Arc<dyn Plugins>,
    pub(super) name: String,
    pub(super) options: serde_json::Value,
}

impl Engine {
    /// Opens the backend in the folder of a namespace.
    pub(super) fn open(&self, folder: &Path) -> Result<Arc<dyn Backend>> {
        let config = BackendConfig {
            directory: folder.join(ENGINE),
            options: self.options.clone(),
        };
        self.plugins.open_backend(&self.name, &config)
    }

    /// Builds a namespace in a folder that is not there yet; nothing of it is durable on return.
    pub(super) fn build(
        &self,
        vfs: &dyn Vfs,
        folder: &Path,
        namespace: NamespaceId,
        state: StateId,
        init: &Init<'_>,
    ) -> Result<Arc<dyn Backend>> {
        let engine: PathBuf = folder.join(ENGINE);
        for dir in [folder, &engine] {
            vfs.create_dir(dir)
                .map_err(failed("create the directory", dir))?;
        }
        let document = NamespaceDocument {
            format: FORMAT,
            namespace: namespace.to_string(),
            backend: self.name.clone(),
            state: state.to_string(),
            created_unix_ms: now().0,
        };
        write_new_synced(vfs, &folder.join(NAMESPACE), &seal(&document)?)?;
        let backend = self.open(folder)?;
        init(&*backend, &state)?;
        Ok(backend)
    }

    /// Closes a backend that is to be opened again from another folder; one that keeps its rows in
    /// the process is handed back to be used on.
    pub(super) fn close(&self, backend: Arc<dyn Backend>) -> Result<Option<Arc<dyn Backend>>> {
        backend.flush()?;
        if !backend.capabilities().persistent {
            return Ok(Some(backend));
        }
        if Arc::strong_count(&backend) > 1 {
            return Err(Error::other(
                crate::ErrorKind::Busy,
                "the backend of a new namespace is still in use; let go of it before publishing",
            ));
        }
        drop(backend);
        Ok(None)
    }
}
