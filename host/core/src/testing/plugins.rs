//! Backends and codecs for tests that load no plugin.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::LogBackend;
use crate::vfs::Vfs;
use crate::{
    Backend, BackendConfig, BackupFacts, Circumstances, Codec, Error, ErrorKind, Plugins, Result,
    RetentionPolicy, Verdict, Vote,
};

/// Offers the backends `log` and `log2` (the same engine under another name), `memory` (not
/// persistent), the codec `store`, and the policy `newest`, all over one file layer.
pub struct TestPlugins {
    vfs: Arc<dyn Vfs>,
}

impl TestPlugins {
    /// Plugins whose backends keep their files in `vfs`.
    pub fn shared(vfs: Arc<dyn Vfs>) -> Arc<TestPlugins> {
        Arc::new(TestPlugins { vfs })
    }
}

fn unknown(kind: &str, name: &str, known: &str) -> Error {
    let message = format!("there is no {kind} `{name}` here; known are {known}");
    Error::other(ErrorKind::NotFound, message)
}

impl Plugins for TestPlugins {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        let vfs = Arc::clone(&self.vfs);
        match name {
            "log" | "log2" => Ok(Arc::new(LogBackend::open(vfs, &config.directory)?)),
            "memory" => Ok(Arc::new(LogBackend::volatile(vfs, &config.directory))),
            _ => Err(unknown("backend", name, "log, log2, memory")),
        }
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        match name {
            "store" => Ok(Arc::new(StoreCodec)),
            _ => Err(unknown("codec", name, "store")),
        }
    }

    fn retention(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn RetentionPolicy>> {
        let number = options.get("keep").and_then(Value::as_u64).unwrap_or(0);
        let keep = usize::try_from(number).unwrap_or(usize::MAX);
        match name {
            "newest" => Ok(Arc::new(Newest { keep })),
            _ => Err(unknown("retention policy", name, "newest")),
        }
    }

    fn has_retention(&self, name: &str) -> Result<bool> {
        Ok(name == "newest")
    }
}

/// Keeps the newest `keep` backups and forgets all others.
struct Newest {
    keep: usize,
}

impl RetentionPolicy for Newest {
    fn name(&self) -> &str {
        "newest"
    }

    fn evaluate(
        &self,
        backups: &Arc<[BackupFacts]>,
        _circumstances: &Arc<Circumstances>,
    ) -> Result<Vec<Vote>> {
        let first = backups.len().saturating_sub(self.keep);
        let vote = |i| Vote {
            verdict: match i >= first {
                true => Verdict::Keep,
                false => Verdict::Forget,
            },
            priority: 0,
            reason: format!("the newest {}", self.keep),
        };
        Ok((0..backups.len()).map(vote).collect())
    }
}

/// A codec that keeps every byte as it is.
pub struct StoreCodec;

impl Codec for StoreCodec {
    fn name(&self) -> &str {
        "store"
    }

    fn compress(&self, _level: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        out.extend_from_slice(src);
        Ok(())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        if src.len() != raw_len {
            let reason = format!("{} bytes instead of {raw_len}", src.len());
            return Err(Error::corrupt("stored block", reason));
        }
        self.compress(None, src, out)
    }
}
