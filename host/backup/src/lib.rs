//! The Statekeep backup repository: create, list, verify, restore.
//!
//! A [`BackupManager`] works on the very state manager that the application writes through, so a
//! backup shows one instant while writers go on. A repository is a manifest a backup over
//! immutable sorted runs of segments; nothing in it is ever overwritten, and each file says by
//! itself what it is. Every byte is described in `docs/format.md`.
#![forbid(unsafe_code)]

mod access;
mod attest;
mod background;
mod budget;
mod cleanup;
mod consistent;
mod create;
#[cfg(test)]
mod damage_tests;
mod encryption;
mod exchange;
mod facts;
#[cfg(test)]
mod fault_tests;
mod hex;
mod index;
#[cfg(test)]
mod index_tests;
mod lease;
mod list;
mod local;
mod make;
mod manager;
mod manifest;
mod merge;
mod monitor;
mod name;
mod parent;
mod pin;
mod points;
mod problem;
mod read_run;
mod repository;
mod restore;
mod retention;
mod run;
mod schedule;
mod sealed;
mod segment;
mod store;
mod synthetic;
#[cfg(test)]
mod testing;
mod upkeep;
mod verify;
mod write_run;

pub use attest::Attestation;
pub use cleanup::{
    CleanupOptions, CleanupReport, Collected, DELETED_MAX, DeletedBackup, Deletion, DeletionId,
    RetentionConfig, StateCleanup, StateRows, TrashRow,
};
pub use create::{CODEC_NONE, CreateOptions};
pub use encryption::{
    KDF_LANES_MAX, KDF_MEMORY_KIB_MAX, KDF_PASSES_MAX, KEY_BYTES_MAX, KEYS_MAX, KeyId, KeyInfo,
    KeyKind, KeySource, PASSPHRASE_BYTES_MAX, Passphrase,
};
pub use exchange::{
    EXPORT_FORMAT, ExportFormat, ExportFrom, ExportOptions, ExportReport, ExportTo, ImportFrom,
    ImportMode, ImportOptions, ImportReport, RECORD_HEAD_BYTES_MAX, RecordName, SAMPLES_MAX,
    Samples, TextRecord, parse_records,
};
pub use facts::{COUNT_ROWS_MAX, CountRow, CountedBy, Counts};
pub use hex::{Hash256, HexBytes};
pub use index::{INDEX_AFTER, INDEX_ROWS_MAX};
pub use list::{BackupDetails, BackupList, BackupSummary};
pub use local::LocalStore;
pub use manager::{
    BackupConfig, BackupManager, CHAIN_DEFAULT, CHAIN_MAX, LEVEL_MAX, LEVEL_MIN, StoreOpener,
};
pub use manifest::{
    BackupKind, Manifest, ManifestRef, RUNS_MAX, RunRow, SlotType, TAGS_MAX, TEXT_BYTES_MAX,
    TenantRow, Timeline, parse_manifest,
};
pub use monitor::{
    AGES, AgeStorage, Ahead, Alert, AlertConfig, AlertFacts, AlertRule, Apart, BackupStorage,
    ChainStorage, CleanupStatus, DiskFacts, FORECAST_DAYS, FORECAST_POINTS_MAX,
    FORECAST_POINTS_MIN, FORECAST_SPAN_MS_MIN, FolderStorage, Forecast, ForecastBackup,
    ForecastInput, Growth, Monitor, Observed, Reach, ScopeStorage, SeriesStorage, Severity,
    StorageReport, Stored, alerts, disks_of, forecast, growth, look_apart,
};
pub use name::{BackupId, Folder, LEAF_BYTES_MAX, ObjectName};
pub use points::{Gap, PointRange, Ranges, TimelineRanges};
pub use problem::{Problem, ProblemKind};
pub use restore::{
    BackupDiff, RestoreAt, RestoreMode, RestoreOptions, RestoreReport, RestoreTo, SAFETY_TAG,
};
pub use retention::{
    Ballot, CALLBACKS_MAX, Choice, Floor, Judgement, NamedVote, POLICIES_MAX, PolicyFn,
    RULE_DEPTH_MAX, RetentionRule, is_inside_policy, judge,
};
pub use retention::{
    Coverage, DESCRIBED_MAX, DescribedBackup, Keeper, KeeperKind, Lifeline, PictureFormat,
    SAMPLES_OF_COURSE_MAX, SIMULATED_MAX, Sample, SimulateOptions, Simulation, Sizes, SizesFrom,
    Steady, TagEvery, Trial, simulate, try_rule,
};
pub use run::{Run, RunContent, SegmentRow, parse_run};
pub use schedule::{
    Backups, Cleaned, Cleanups, Daily, EVERY_MS_MIN, JITTER_MS_MAX, SPAN_MS_MAX, ScheduleConfig,
    ScheduleStatus, ScheduledRun, Scheduler, When,
};
pub use sealed::{DOCUMENT_BYTES_MAX, FORMAT_VERSION};
pub use segment::*;
pub use statekeep_core::{Phase, Progress, ProgressSnapshot, StateDigest};
pub use store::{Listing, Object, ObjectInfo, ObjectWriter, Put, Store, read_all};
pub use upkeep::{
    Creation, LOOKED_AT, PruneReport, RepairReport, RepositoryReport, STRAYS_MAX, Stray, StrayKind,
    Strays,
};
pub use verify::{PROBLEMS_MAX, VerifyLevel, VerifyReport};
pub use write_run::THREADS_MAX;

pub(crate) fn out_of_memory(bytes: usize) -> statekeep_core::Error {
    let message = format!("no memory for {bytes} bytes");
    statekeep_core::Error::other(statekeep_core::ErrorKind::OutOfMemory, message)
}
