//! What backups, cleanups, verifications and restores tell: an event each, and what the last cleanup did.
//!
//! Telling cannot fail, and comes after the work: nothing here turns what was done into an error.

use serde::Serialize;
use serde_json::{Value, json};
use statekeep_core::{Error, EventKind, News, Result};

use crate::cleanup::{CleanupOptions, CleanupReport, Deletion};
use crate::manager::BackupManager;
use crate::manifest::Manifest;
use crate::name::BackupId;
use crate::restore::{RestoreOptions, RestoreReport};
use crate::verify::VerifyReport;

/// What cleanups of this process did. Dry runs are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanupStatus {
    /// Cleanups that ended well.
    pub runs: u64,
    /// Those that could not be done, or in which a policy failed.
    pub failures: u64,
    /// Backups that they deleted.
    pub deleted: u64,
    /// Backups that they removed for good.
    pub purged: u64,
    /// Bytes that they freed.
    pub space_freed: u64,
    /// When the last one ended, milliseconds since 1970-01-01 UTC.
    pub last_unix_ms: Option<i64>,
    /// Since when each of them failed, milliseconds since 1970-01-01 UTC; `None` when the last one did
    /// not.
    pub failing_since_unix_ms: Option<i64>,
    /// Why the last one failed, until one does not.
    pub last_error: Option<String>,
}

/// What an error is, for the detail of an event.
fn cause(error: &Error) -> Value {
    json!({ "error": error.to_string(), "error_kind": format!("{:?}", error.kind()) })
}

impl BackupManager {
    fn tell(&self, news: News) {
        self.state().events().tell(news);
    }

    /// What the cleanups of this process did.
    pub fn cleanups(&self) -> CleanupStatus {
        self.cleanups.lock().clone()
    }

    pub(crate) fn tell_backup(&self, made: &Result<Manifest>) {
        self.tell(match made {
            Ok(manifest) => {
                let detail = json!({
                    "kind": manifest.kind.name(),
                    "sequence": manifest.sequence_to,
                    "records": manifest.records,
                    "stored_bytes": manifest.stored_bytes,
                    "full_reason": manifest.full_reason,
                    "label": manifest.label,
                    "tags": manifest.tags,
                });
                News::new(EventKind::BackupCreated, manifest.id.to_string(), detail)
            }
            Err(error) => News::new(EventKind::BackupFailed, "", cause(error)),
        });
    }

    pub(crate) fn tell_deletion(&self, deletion: &Deletion) {
        let detail = json!({
            "backups": deletion.backups.len(),
            "grace_until_unix_ms": deletion.grace_until_unix_ms,
        });
        let news = News::new(EventKind::BackupDeleted, deletion.id.to_string(), detail);
        self.tell(news.by(&deletion.principal));
    }

    pub(crate) fn tell_undeletion(&self, id: BackupId) {
        let detail = json!({});
        self.tell(News::new(
            EventKind::BackupUndeleted,
            id.to_string(),
            detail,
        ));
    }

    pub(crate) fn tell_cleanup(&self, options: &CleanupOptions, outcome: &Result<CleanupReport>) {
        if options.dry_run {
            return;
        }
        let failure = match outcome {
            Ok(report) => report.failure.clone(),
            Err(error) => Some(error.to_string()),
        };
        self.note_cleanup(outcome.as_ref().ok(), failure.clone());
        let subject = match outcome {
            Ok(report) => report.deletion.map(|id| id.to_string()),
            Err(_) => None,
        };
        let subject = subject.unwrap_or_default();
        if let Ok(report) = outcome
            && report.deleted > 0
        {
            let detail = json!({
                "backups": report.deleted,
                "grace_until_unix_ms": report.grace_until_unix_ms,
            });
            let news = News::new(EventKind::BackupDeleted, subject.clone(), detail);
            self.tell(news.by(&options.principal));
        }
        let (kind, detail) = match (outcome, failure) {
            (Err(error), _) => (EventKind::CleanupFailed, cause(error)),
            (Ok(report), failure) => {
                let kind = match failure {
                    Some(_) => EventKind::CleanupFailed,
                    None => EventKind::CleanupDone,
                };
                let detail = json!({
                    "evaluated": report.evaluated,
                    "deleted": report.deleted,
                    "purged": report.collected.purged.len(),
                    "space_freed": report.space_freed,
                    "postponed": report.collected.postponed,
                    "error": failure,
                    "duration_ms": report.duration_ms,
                });
                (kind, detail)
            }
        };
        self.tell(News::new(kind, subject, detail).by(&options.principal));
    }

    fn note_cleanup(&self, report: Option<&CleanupReport>, failure: Option<String>) {
        let now = self.state().clock().now().0;
        let mut status = self.cleanups.lock();
        status.last_unix_ms = Some(now);
        match failure {
            Some(_) => {
                status.failures += 1;
                status.failing_since_unix_ms.get_or_insert(now);
            }
            None => {
                status.runs += 1;
                status.failing_since_unix_ms = None;
            }
        }
        status.last_error = failure;
        if let Some(report) = report {
            status.deleted += report.deleted;
            status.purged += report.collected.purged.len() as u64;
            status.space_freed = status.space_freed.saturating_add(report.space_freed);
        }
    }

    pub(crate) fn tell_verification(&self, id: BackupId, outcome: &Result<VerifyReport>) {
        let detail = match outcome {
            Ok(report) => json!({
                "is_valid": report.is_valid,
                "level": report.level,
                "errors": report.errors.len(),
            }),
            Err(error) => cause(error),
        };
        self.tell(News::new(EventKind::VerifyDone, id.to_string(), detail));
    }

    pub(crate) fn tell_restore(&self, options: &RestoreOptions, outcome: &Result<RestoreReport>) {
        if options.dry_run {
            return;
        }
        let (subject, detail) = match outcome {
            Ok(report) => {
                let detail = json!({
                    "is_done": true,
                    "sequence": report.sequence,
                    "backup_sequence": report.backup_sequence,
                    "records": report.records,
                    "safety_backup": report.safety_backup,
                    "replaced": report.replaced,
                });
                (report.id.to_string(), detail)
            }
            Err(error) => {
                let mut detail = cause(error);
                detail["is_done"] = false.into();
                (String::new(), detail)
            }
        };
        let news = News::new(EventKind::RestoreDone, subject, detail);
        self.tell(news.by(&options.principal).of(&options.correlation_id));
    }
}
