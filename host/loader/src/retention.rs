//! A retention plugin as the core's [`RetentionPolicy`].
//!
//! A policy may take its time or never answer, so each evaluation runs on a thread of its own that
//! owns all that the plugin sees. One that is not back within the time limit is left to itself, and
//! the policy is asked nothing more until it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use statekeep_core::{
    BackupFacts, BackupSort, Circumstances, Error, ErrorKind, RetentionPolicy, Verdict, Vote,
};
use statekeep_plugin_api::{
    self as abi, BackupInfo, Bytes, Decision, OutBuf, RetentionContext, RetentionV1,
};

use crate::instance::expect_ok;
use crate::{Instance, Plugin, names};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest reason that is kept of a policy; more is cut.
pub const REASON_BYTES_MAX: usize = 256;

/// An instance of a policy.
pub(crate) struct PluginPolicy {
    asked: Arc<Asked>,
    name: String,
    time_limit: Duration,
}

/// What the thread of an evaluation shares with the policy.
struct Asked {
    instance: Instance,
    table: &'static RetentionV1,
    /// An evaluation has not come back.
    is_away: AtomicBool,
}

impl PluginPolicy {
    /// Opens an instance.
    pub fn open(
        plugin: &Plugin,
        config: &serde_json::Value,
        time_limit: Duration,
    ) -> Result<PluginPolicy> {
        let table = plugin.interface::<RetentionV1>()?;
        let instance = plugin.create(config)?;
        Ok(PluginPolicy {
            asked: Arc::new(Asked {
                instance,
                table,
                is_away: AtomicBool::new(false),
            }),
            name: names::short(plugin.id()).to_owned(),
            time_limit,
        })
    }

    fn late(&self, how: &str) -> Error {
        let seconds = self.time_limit.as_secs_f64();
        let message = format!(
            "policy {} {how} within {seconds} s; nothing was decided",
            self.name
        );
        Error::other(ErrorKind::Timeout, message)
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
        if self.asked.is_away.swap(true, Ordering::AcqRel) {
            return Err(self.late("was asked before and has not answered"));
        }
        let (send, answer) = channel();
        let asked = Arc::clone(&self.asked);
        let (backups, circumstances) = (Arc::clone(backups), Arc::clone(circumstances));
        let thread = std::thread::Builder::new().name("statekeep-policy".to_owned());
        let started = thread.spawn(move || {
            let votes = asked.evaluate(&backups, &circumstances);
            asked.is_away.store(false, Ordering::Release);
            // Nobody waits any more when it took too long.
            let _ = send.send(votes);
        });
        if let Err(error) = started {
            self.asked.is_away.store(false, Ordering::Release);
            let message = format!("no thread for policy {}: {error}", self.name);
            return Err(Error::other(ErrorKind::Unavailable, message));
        }
        match answer.recv_timeout(self.time_limit) {
            Ok(votes) => votes,
            Err(RecvTimeoutError::Timeout) => Err(self.late("did not answer")),
            Err(RecvTimeoutError::Disconnected) => Err(self.late("ended without an answer")),
        }
    }
}

impl Asked {
    fn evaluate(
        &self,
        backups: &[BackupFacts],
        circumstances: &Circumstances,
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
            .zip(backups)
            .map(|((decision, reason), backup)| self.vote(decision, reason, backup))
            .collect()
    }

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
        let reason = String::from_utf8_lossy(reason);
        Ok(Vote {
            verdict,
            priority: decision.priority,
            reason: reason
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
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
