//! Retention policies: a pure function from the list of backups to one decision for each.

use statekeep_plugin_api as api;
use statekeep_plugin_api::{BackupInfo, ErrorOut, Instance, RetentionContext, Status};

use crate::{Error, Plugin, Result, guard, memory};

/// A retention policy.
pub trait Retention: Plugin {
    /// One decision for each backup, in the order of `backups`, which are of one series and sorted
    /// by creation, oldest first. The same input gives the same output; nothing is read from
    /// outside: the time is in `context`.
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>>;
}

/// Kind of backup.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BackupKind {
    /// Everything.
    Full,
    /// What changed since its parent.
    Incremental,
    /// A full merged from a chain.
    Synthetic,
    /// A kind that this SDK does not know.
    Other(u32),
}

/// One backup as a policy sees it.
#[derive(Clone, Debug)]
pub struct Backup<'a> {
    /// Identifier.
    pub id: &'a str,
    /// Series it belongs to.
    pub series: &'a str,
    /// Label given by the user, may be empty.
    pub label: &'a str,
    /// Tags given by the user.
    pub tags: Vec<&'a str>,
    /// Full, incremental or synthetic.
    pub kind: BackupKind,
    /// Never forget.
    pub pinned: bool,
    /// Its last verify was good.
    pub verified: bool,
    /// A restore or verify is reading it.
    pub in_use: bool,
    /// Made by the host before a restore.
    pub safety: bool,
    /// Index of the parent in the list.
    pub parent: Option<usize>,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub created_unix_ms: i64,
    /// The state's sequence that it holds.
    pub sequence: u64,
    /// Records in it.
    pub records: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes that only this backup holds in the repository.
    pub stored_bytes: u64,
    /// How often it was restored.
    pub restores: u64,
}

/// The circumstances of an evaluation.
#[derive(Copy, Clone, Debug)]
pub struct Context<'a> {
    /// The moment of the evaluation, milliseconds since 1970-01-01 UTC.
    pub now_unix_ms: i64,
    /// Bytes that all backups of the repository wrote, of every series, but for deleted ones.
    pub storage_bytes: u64,
    /// Configured limit of the repository.
    pub storage_bytes_max: Option<u64>,
    /// IANA time zone for calendar rules; empty means UTC.
    pub time_zone: &'a str,
}

/// What a policy says of a backup.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// No opinion; not a vote.
    Abstain = api::VERDICT_ABSTAIN,
    /// It stays.
    Keep = api::VERDICT_KEEP,
    /// It may go.
    Forget = api::VERDICT_FORGET,
}

/// What a policy says about one backup, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Keep, forget or abstain.
    pub verdict: Verdict,
    /// Among backups to forget, lower goes first.
    pub priority: i32,
    /// The reason in words.
    pub reason: String,
}

impl Decision {
    /// It stays.
    pub fn keep(reason: impl Into<String>) -> Decision {
        Decision::new(Verdict::Keep, reason)
    }

    /// It may go.
    pub fn forget(reason: impl Into<String>) -> Decision {
        Decision::new(Verdict::Forget, reason)
    }

    /// No opinion.
    pub fn abstain(reason: impl Into<String>) -> Decision {
        Decision::new(Verdict::Abstain, reason)
    }

    fn new(verdict: Verdict, reason: impl Into<String>) -> Decision {
        Decision {
            verdict,
            priority: 0,
            reason: reason.into(),
        }
    }
}

/// # Safety
/// Everything that `raw` points to is valid for the lifetime that is chosen.
unsafe fn backup<'a>(raw: &'a BackupInfo, count: usize) -> Result<Backup<'a>> {
    let parent = match raw.parent {
        -1 => None,
        parent => match usize::try_from(parent) {
            Ok(parent) if parent < count => Some(parent),
            _ => {
                let text = format!("parent {parent} is not in the list of {count} backups");
                return Err(Error::invalid(text));
            }
        },
    };
    // SAFETY: the caller's promise.
    unsafe {
        Ok(Backup {
            id: memory::text(raw.id, "id")?,
            series: memory::text(raw.series, "series")?,
            label: memory::text(raw.label, "label")?,
            tags: memory::items(raw.tags, raw.tags_len, "tags")?
                .iter()
                .map(|tag| memory::text(*tag, "tag"))
                .collect::<Result<_>>()?,
            kind: match raw.kind {
                api::BACKUP_FULL => BackupKind::Full,
                api::BACKUP_INCREMENTAL => BackupKind::Incremental,
                api::BACKUP_SYNTHETIC => BackupKind::Synthetic,
                other => BackupKind::Other(other),
            },
            pinned: raw.flags & api::BACKUP_PINNED != 0,
            verified: raw.flags & api::BACKUP_VERIFIED != 0,
            in_use: raw.flags & api::BACKUP_IN_USE != 0,
            safety: raw.flags & api::BACKUP_SAFETY != 0,
            parent,
            created_unix_ms: raw.created_unix_ms,
            sequence: raw.sequence,
            records: raw.records,
            raw_bytes: raw.raw_bytes,
            stored_bytes: raw.stored_bytes,
            restores: raw.restores,
        })
    }
}

unsafe extern "C" fn evaluate<T: Retention>(
    instance: *const Instance,
    backups: *const BackupInfo,
    backups_len: usize,
    context: *const RetentionContext,
    decisions: *mut api::Decision,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin, `backups_len` backups and room for as
    // many decisions, all valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let backups = memory::items(backups, backups_len, "backups")?
                .iter()
                .map(|raw| backup(raw, backups_len))
                .collect::<Result<Vec<_>>>()?;
            let raw = memory::reference(context, "context")?;
            if decisions.is_null() && backups_len > 0 {
                return Err(memory::null("decisions"));
            }
            let context = Context {
                now_unix_ms: raw.now_unix_ms,
                storage_bytes: raw.storage_bytes,
                storage_bytes_max: (raw.storage_bytes_max != u64::MAX)
                    .then_some(raw.storage_bytes_max),
                time_zone: memory::text(raw.time_zone, "time_zone")?,
            };
            let answers = slot.plugin.evaluate(&backups, &context)?;
            if answers.len() != backups_len {
                return Err(Error::new(
                    Status::INTERNAL,
                    format!("{} decisions on {backups_len} backups", answers.len()),
                ));
            }
            for (i, answer) in answers.iter().enumerate() {
                let decision = &mut *decisions.add(i);
                decision.verdict = answer.verdict as u32;
                decision.priority = answer.priority;
                guard::write_text(&mut decision.reason, &answer.reason);
            }
            Ok(Status::OK)
        })
    }
}

/// The table of a retention policy.
#[doc(hidden)]
pub const fn table<T: Retention>() -> api::RetentionV1 {
    api::RetentionV1 {
        struct_size: size_of::<api::RetentionV1>(),
        abi_hash: <api::RetentionV1 as api::Interface>::ABI_HASH,
        evaluate: evaluate::<T>,
    }
}
