//! What the C ABI uses of the host, and how the host's errors become status codes.

use serde_json::{Map, Value as Json, json};
use statekeep_plugin_api::Status;

pub(crate) use statekeep_host::backup::is_inside_policy;
pub(crate) use statekeep_host::engine::{
    BackupFacts, BackupSort, Change, Circumstances, Class, DiffOptions, EntryVisitor, Expected,
    Expiry, HistoryOptions, IndexDefinition, IndexInfo, NamespaceId, Number, Page, Phase, Query,
    REASON_BYTES_MAX, Record, Savepoint, ScopePage, Sequence, Start, StateInfo, TenantSnapshot,
    TransactOptions, Transaction, TransactionOptions, TrimOptions, UnixMs, UpkeepStatus, Verdict,
    Vote, Watch, WatchOptions,
};
pub(crate) use statekeep_host::plugins::inspect;
pub(crate) use statekeep_host::{
    BackupDetails, BackupId, Batch, BlockingTenant, Config, CreateOptions, Durability, Error,
    ErrorKind, Host, Key, KeyId, KeySource, ListOptions, Passphrase, Progress, RestoreAt,
    RestoreOptions, RestoreTo, Scope, ScopeListOptions, SetOptions, Value, ValueKind, VerifyLevel,
    open,
};
pub(crate) use statekeep_host::{
    CleanupOptions, ExportFormat, ExportFrom, ExportOptions, ExportTo, ImportFrom, ImportMode,
    ImportOptions, RetentionRule, Selection,
};
pub(crate) use statekeep_host::{
    DescribedBackup, PictureFormat, RetentionView, SimulateRequest, Simulation, named_rule,
    rule_in_force,
};
pub(crate) use statekeep_host::{EventFilter, EventKind, Events};

/// The status code of an error.
pub(crate) fn status_of(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::NotFound => Status::NOT_FOUND,
        ErrorKind::InvalidArgument => Status::INVALID_ARGUMENT,
        ErrorKind::Unsupported => Status::UNSUPPORTED,
        ErrorKind::Io => Status::IO,
        ErrorKind::Corrupt => Status::CORRUPT,
        ErrorKind::Conflict => Status::CONFLICT,
        ErrorKind::Indeterminate => Status::INDETERMINATE,
        ErrorKind::TooLarge => Status::TOO_LARGE,
        ErrorKind::Unavailable => Status::UNAVAILABLE,
        ErrorKind::Busy => Status::BUSY,
        ErrorKind::Closed => Status::CLOSED,
        ErrorKind::Poisoned => Status::POISONED,
        ErrorKind::Panic => Status::PANIC,
        ErrorKind::PermissionDenied => Status::PERMISSION_DENIED,
        ErrorKind::Vetoed => Status::VETOED,
        ErrorKind::Reentrant => Status::REENTRANT,
        ErrorKind::Compacted => Status::COMPACTED,
        ErrorKind::Cancelled => Status::CANCELLED,
        ErrorKind::Timeout => Status::TIMEOUT,
        ErrorKind::AlreadyExists => Status::ALREADY_EXISTS,
        ErrorKind::NoSpace => Status::NO_SPACE,
        ErrorKind::ReadOnly => Status::READ_ONLY,
        ErrorKind::Incompatible => Status::INCOMPATIBLE,
        ErrorKind::Plugin => Status::PLUGIN,
        ErrorKind::OutOfMemory => Status::OUT_OF_MEMORY,
        // A kind that this file does not know yet is a fault of ours.
        _ => Status::INTERNAL,
    }
}

/// What an error knows beside its text.
pub(crate) fn facts_of(error: &Error) -> Map<String, Json> {
    let facts = match error {
        Error::TooLarge {
            what,
            actual,
            limit_name,
            limit,
        } => {
            json!({"what": what, "actual": actual, "limit_name": limit_name, "limit": limit})
        }
        Error::Invalid { what, reason } => json!({"what": what, "reason": reason}),
        Error::Changed { what, current, .. } => {
            json!({"what": what, "current_sequence": current})
        }
        Error::Compacted { what, oldest } => json!({"what": what, "oldest_sequence": oldest}),
        Error::Busy { path, holder } => json!({"path": path.to_string_lossy(), "holder": holder}),
        Error::File {
            action,
            path,
            source,
        } => json!({
            "action": action,
            "path": path.to_string_lossy(),
            "os_error": source.raw_os_error(),
        }),
        _ => Json::Null,
    };
    match facts {
        Json::Object(facts) => facts,
        _ => Map::new(),
    }
}

/// A document of the host as JSON text, numbers as they are stored.
pub(crate) fn to_text(document: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(document)
        .map_err(|error| Error::other(ErrorKind::Internal, error.to_string()))
}
