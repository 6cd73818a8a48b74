//! Statekeep: durable state for applications, over plugins.
//!
//! [`open`] joins the parts: one [`StateManager`] per state directory, the [`BackupManager`] over
//! that very manager, and the [`plugins::Registry`] that both take their plugins from. A program
//! depends on this crate alone; it re-exports what the parts offer.
//!
//! ```
//! use statekeep::{Config, Key, Scope, SetOptions, Value};
//!
//! # #[tokio::main(flavor = "multi_thread", worker_threads = 1)]
//! # async fn main() -> statekeep::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let state_dir = dir.path().join("state");
//! let host = statekeep::open(&Config::new(&state_dir))?;
//! let state = host.manager.default_tenant();
//! let agent: Scope = "agent:planner".parse()?;
//! let plan = Key::new("plan")?;
//!
//! state.set(&agent, &plan, Value::json(r#"{"step": 1}"#)?, SetOptions::default()).await?;
//! let value = state.get(&agent, &plan).await?;
//! assert_eq!(value, Some(Value::json(r#"{"step": 1}"#)?));
//! host.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! A transaction reads and changes at one moment, or not at all; [`Tenant::transact`] runs it again
//! when somebody else changed what it had read. Every commit can be read again later.
//!
//! ```
//! use statekeep::{Config, Key, Scope, SetOptions, TransactOptions, Value};
//!
//! # fn main() -> statekeep::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let state_dir = dir.path().join("state");
//! let host = statekeep::open(&Config::new(&state_dir))?;
//! let state = host.manager.default_tenant().blocking();
//! let (task, owner): (Scope, Key) = ("custom:task-7".parse()?, Key::new("owner")?);
//!
//! let claim = |agent: &str| {
//!     state.transact(&TransactOptions::default(), |txn| {
//!         if txn.exists(&task, &owner)? {
//!             return Ok(false);
//!         }
//!         txn.set(&task, &owner, Value::bytes(agent), SetOptions::default())?;
//!         Ok(true)
//!     })
//! };
//! assert!(claim("planner")?);
//! let then = host.manager.head();
//! assert!(!claim("critic")?);
//!
//! state.delete(&task, &owner, SetOptions::default())?;
//! assert_eq!(state.at(then)?.get(&task, &owner)?, Some(Value::bytes("planner")));
//! host.close()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod builtin;
mod config;
mod doctor;
mod host;
mod metrics;
mod remote;
mod retention;

pub use config::{Config, Key as ConfigKey, Kind as ConfigKind, Source};
pub use doctor::{Diagnosis, FINDINGS_MAX, Finding, Gravity, LAG_COMMITS_MAX, examine};
pub use host::{Host, Schedules, open, open_unscheduled, registry};
pub use metrics::{Kind as MetricKind, MetricFamily, Metrics, Sample, SampleValue};
pub use retention::{
    RetentionView, SettingRow, SimulatePlan, SimulateRequest, named_rule, retention_key,
    rule_in_force,
};

pub use statekeep_backup::{
    AgeStorage, Ahead, Alert, AlertConfig, AlertFacts, AlertRule, BackupStorage, ChainStorage,
    CleanupStatus, DiskFacts, FolderStorage, Forecast, Growth, Monitor, Observed, Reach,
    ScopeStorage, SeriesStorage, Severity, StorageReport, Stored,
};
pub use statekeep_backup::{
    BackupConfig, BackupDetails, BackupDiff, BackupId, BackupKind, BackupList, BackupManager,
    BackupSummary, Backups, Cleaned, Cleanups, CreateOptions, Creation, KeyId, KeyInfo, KeyKind,
    KeySource, Manifest, Passphrase, Phase, PointRange, Problem, ProblemKind, Progress,
    ProgressSnapshot, PruneReport, Ranges, RepairReport, RepositoryReport, RestoreAt, RestoreMode,
    RestoreOptions, RestoreReport, RestoreTo, ScheduleConfig, ScheduleStatus, ScheduledRun,
    Scheduler, Stray, StrayKind, Strays, VerifyLevel, VerifyReport,
};
pub use statekeep_backup::{
    CleanupOptions, CleanupReport, Collected, Deletion, DeletionId, Floor, Judgement,
    RetentionConfig, RetentionRule, StateCleanup, StateRows, TrashRow,
};
pub use statekeep_backup::{
    DescribedBackup, PictureFormat, SimulateOptions, Simulation, Sizes, SizesFrom, TagEvery, Trial,
    simulate, try_rule,
};
pub use statekeep_backup::{
    ExportFormat, ExportFrom, ExportOptions, ExportReport, ExportTo, ImportFrom, ImportMode,
    ImportOptions, ImportReport, RecordName, Samples,
};
pub use statekeep_core::{
    Batch, BlockingTenant, CacheFacts, Change, ChangeOp, Class, CommitKind, CursorInfo, DiffChange,
    DiffEntry, DiffOptions, DiffPage, Durability, EntryPage, EntryVisitor, Error, ErrorKind, Event,
    EventFilter, EventKind, Events, Expected, Expiry, Explain, ExplainOrder, HistoryLimits,
    HistoryOptions, HistoryPage, IndexBuild, IndexDefinition, IndexInfo, IndexState, Keep, Key,
    Limits, ListOptions, NamespaceId, NamespaceStatus, Number, Page, Query, QueryFacts, QueryPage,
    QueryRow, Record, Result, Rule, Savepoint, Scope, ScopeKind, ScopeListOptions, ScopePage,
    Selection, Sequence, SetOptions, Start, StateInfo, StateManager, SwapReport, SweepReport,
    Tenant, TenantSnapshot, TransactOptions, Transaction, TransactionOptions, TrimOptions,
    TrimReport, UnixMs, UpkeepStatus, Value, ValueKind, Version, Watch, WatchOptions,
};

/// Finding, checking and listing plugins.
pub mod plugins {
    pub use statekeep_loader::*;
}

pub use statekeep_plugin_sdk::size;

/// The state engine with its seams: backends, codecs, the file layer.
pub mod engine {
    pub use statekeep_core::*;
}

/// The backup repository with its formats.
pub mod backup {
    pub use statekeep_backup::*;
}
