//! A retention plugin as the core's [`RetentionPolicy`].
//!
//! It blocks for as long as the plugin does: whoever asks gives it a thread and a time limit.

use std::sync::Arc;

use statekeep_core::{
    BackupFacts, BackupSort, Circumstances, Error, REASON_BYTES_MAX, RetentionPolicy, Verdict, Vote,
};
use statekeep_plugin_api::{
    self as abi, BackupInfo, Bytes, Decision, OutBuf, RetentionContext, RetentionV1,
};

use crate::instance::expect_ok;
use crate::{Instance, Plugin, names};

type Result<T, E = Error> = std::result::Result<T, E>;

/// An instance of a policy.
pub(crate) struct PluginPolicy {
    instance: Instance,
    table: &'static RetentionV1,
    name: String,
}

impl PluginPolicy {
    /// Opens an instance.
    pub fn open(plugin: &Plugin, config: &serde_json::Value) -> Result<PluginPolicy> {
        Ok(PluginPolicy {
            table: plugin.interface::<RetentionV1>()?,
            instance: plugin.create(config)?,
            name: names::short(plugin.id()).to_owned(),
        })
    }
}

impl RetentionPolicy for PluginPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn evaluate(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
    ) -> Result<Vec<Vote>> {
        let tags: Vec<Vec<Bytes>> = backups
            .iter()
            .map(|backup| backup.tags.iter().map(|tag| bytes(tag)).collect())
            .collect();
        let infos: Vec<BackupInfo> = backups
            .iter()
            .zip(&tags)
            .map(|(backup, tags)| info(backup, tags))
            .collect();
        let mut reasons = vec![0; backups.len() * REASON_BYTES_MAX];
        let mut decisions: Vec<Decision> = reasons
            .chunks_exact_mut(REASON_BYTES_MAX)
            .map(|reason| Decision {
                verdict: abi::VERDICT_ABSTAIN,
                priority: 0,
                reason: OutBuf {
                    ptr: reason.as_mut_ptr(),
                    cap: REASON_BYTES_MAX,
                    len: 0,
                },
            })
            .collect();
        let context = RetentionContext {
            now_unix_ms: circumstances.now.0,
            storage_bytes: circumstances.storage_bytes,
            storage_bytes_max: circumstances.storage_bytes_max.unwrap_or(u64::MAX),
            time_zone: bytes(&circumstances.time_zone),
        };
        let status = self.instance.call("evaluate", infos.len(), |raw, err| {
            // SAFETY: the table and the instance belong together; infos, context and what they point
            // to live for the call, and each decision's reason is memory of its own.
            unsafe {
                (self.table.evaluate)(
                    raw,
                    infos.as_ptr(),
                    infos.len(),
                    &raw const context,
                    decisions.as_mut_ptr(),
                    err,
                )
            }
        })?;
        let plugin = self.instance.plugin();
        expect_ok(plugin, "evaluate", status).map_err(|failure| failure.error)?;
        let answers = decisions.iter().zip(reasons.chunks_exact(REASON_BYTES_MAX));
        answers
            .zip(backups.iter())
            .map(|((decision, reason), backup)| self.vote(decision, reason, backup))
            .collect()
    }
}

impl PluginPolicy {
    /// What the plugin wrote of one backup; its addresses are not read again.
    fn vote(&self, decision: &Decision, reason: &[u8], backup: &BackupFacts) -> Result<Vote> {
        let verdict = match decision.verdict {
            abi::VERDICT_ABSTAIN => Verdict::Abstain,
            abi::VERDICT_KEEP => Verdict::Keep,
            abi::VERDICT_FORGET => Verdict::Forget,
            other => {
                let how = format!(
                    "answered {other} on backup {}, which is no verdict",
                    backup.id
                );
                return Err(self.instance.misbehaved("evaluate", &how));
            }
        };
        let len = decision.reason.len;
        let Some(reason) = reason.get(..len) else {
            let how = format!("wrote a reason of {len} bytes where {REASON_BYTES_MAX} are allowed");
            return Err(self.instance.misbehaved("evaluate", &how));
        };
        Ok(Vote {
            verdict,
            priority: decision.priority,
            reason: String::from_utf8_lossy(reason).into_owned(),
        })
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::new(text.as_bytes())
}

fn info(backup: &BackupFacts, tags: &[Bytes]) -> BackupInfo {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    BackupInfo {
        id: bytes(&backup.id),
        series: bytes(&backup.series),
        label: bytes(&backup.label),
        tags: tags.as_ptr(),
        tags_len: tags.len(),
        kind: match backup.sort {
            BackupSort::Full => abi::BACKUP_FULL,
            BackupSort::Incremental => abi::BACKUP_INCREMENTAL,
            BackupSort::Synthetic => abi::BACKUP_SYNTHETIC,
        },
        flags: flag(backup.is_pinned, abi::BACKUP_PINNED)
            | flag(backup.is_verified, abi::BACKUP_VERIFIED)
            | flag(backup.is_in_use, abi::BACKUP_IN_USE)
            | flag(backup.is_safety, abi::BACKUP_SAFETY),
        parent: backup
            .parent
            .and_then(|parent| i64::try_from(parent).ok())
            .unwrap_or(-1),
        created_unix_ms: backup.created.0,
        sequence: backup.sequence,
        records: backup.records,
        raw_bytes: backup.raw_bytes,
        stored_bytes: backup.stored_bytes,
        restores: backup.restores,
    }
}
