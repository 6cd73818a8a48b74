//! The Statekeep state engine: names, records, the commit path, namespaces and snapshots.
//!
//! One [`StateManager`] per state directory, shared as `Arc`, all locks inside it. Every change
//! takes one path: limits, encode, committer, backend, acknowledge. The core knows backends and
//! codecs as traits ([`Backend`], [`Codec`]) and no plugin ABI; the loader adapts plugins to them.
#![forbid(unsafe_code)]

mod atomic;
mod backend;
mod batch;
mod blocking;
mod bulk;
mod bytes;
mod cache;
#[cfg(any(test, feature = "sim"))]
pub mod check;
mod codec;
mod commit;
mod counts;
mod digest;
mod ephemeral;
mod error;
mod events;
mod index;
mod journal;
mod json;
mod list;
mod manager;
mod meant;
mod merged;
mod meta;
mod names;
mod namespace;
mod needs;
mod options;
mod pace;
mod past_rows;
mod progress;
#[cfg(any(test, feature = "sim"))]
pub use statekeep_oracle as oracle;
mod query;
mod read;
mod record;
mod restore;
mod retention;
mod row_batch;
mod rules;
mod selection;
mod snapshot;
mod state_dir;
mod stored_key;
mod swap;
mod tenant;
#[cfg(any(test, feature = "sim"))]
pub mod testing;
mod thread;
mod transaction;
mod upkeep;
mod value;
pub mod vfs;
mod watch;

pub use atomic::{Expected, Number};
pub use backend::*;
pub use batch::{Batch, Expiry, SetOptions};
pub use blocking::BlockingTenant;
pub use cache::CacheFacts;
pub use codec::*;
pub use counts::{HistogramCounts, StateCounts};
pub use digest::StateDigest;
pub use error::{Error, ErrorKind, Result};
pub use events::{
    EVENT_SUBSCRIBERS_MAX, EVENTS_QUEUE_DEFAULT, EVENTS_QUEUE_MAX, EVENTS_STANDING_MAX, Event,
    EventBus, EventFilter, EventKind, Events, News,
};
pub use index::{
    INDEX_NAME_BYTES_MAX, INDEXES_MAX, IndexBuild, IndexDefinition, IndexInfo, IndexState,
};
pub use journal::{ChangeOp, CommitKind, ORIGIN_BYTES_MAX};
pub use json::{ChangeFacts, RecordFacts, base64, from_base64};
pub use list::{EntryPage, EntryVisitor, ListOptions, Page, ScopeListOptions, ScopePage};
pub use manager::{StateInfo, StateManager};
pub use meant::{edits, meant};
pub use names::*;
pub use options::*;
pub use past_rows::{HistoryFacts, JournalFacts, inspect_history, inspect_journal};
pub use progress::{Phase, Progress, ProgressSnapshot};
pub use query::{
    Explain, ExplainOrder, PATH_BYTES_MAX, PATH_SEGMENTS_MAX, QUERY_FILTER_BYTES_MAX,
    QUERY_FILTER_DEPTH_MAX, QUERY_IN_MAX, QUERY_ORDER_MAX, QUERY_SELECT_MAX, QUERY_TEXT_BYTES_MAX,
    QUERY_WHERE_MAX, Query, QueryFacts, QueryPage, QueryRow,
};
pub use read::Record;
pub use record::{
    Class, RECORD_FORMAT, RecordCodec, RecordHeader, RecordKind, encode_record, inspect_record,
    unpack_record,
};
pub use restore::{FreshState, NamespaceBuilder, RestoreDone, RestoreSource, RestoredState};
pub use retention::{
    BackupFacts, BackupSort, Circumstances, REASON_BYTES_MAX, RetentionPolicy, Verdict, Vote,
};
pub use rules::{HistoryLimits, RULES_MAX, Rule, check_rules};
pub use selection::{SelectedKeys, Selection};
pub use snapshot::{
    Changes, DiffChange, DiffEntry, DiffOptions, DiffPage, HistoryOptions, HistoryPage, KeyChange,
    NOT_ENDED, PastPoint, PastVersions, Since, Snapshot, SnapshotScan, StateFacts, TenantSnapshot,
    TimelineFork, Version,
};
pub use state_dir::{
    BadId, CreateOptions, Current, Init, NamespaceId, NamespaceInfo, Opened, PendingNamespace,
    StateDir, StateId,
};
pub use stored_key::{data_key, split_key};
pub use swap::{NamespaceStatus, SwapReport};
pub use tenant::Tenant;
pub use transaction::{
    ATTEMPTS_MAX, DETAIL_BYTES_MAX, Savepoint, TransactOptions, Transaction, TransactionOptions,
};
pub use upkeep::{
    EXPIRED_COUNTED_MAX, StateLimits, SweepReport, TrimOptions, TrimReport, UpkeepStatus,
};
pub use value::*;
pub use watch::{
    CURSOR_NAME_BYTES_MAX, CURSORS_MAX, Change, CursorInfo, Start, WATCHES_MAX, Watch, WatchOptions,
};

#[cfg(test)]
mod engine_tests;
