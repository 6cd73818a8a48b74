//! The one table of metrics: names as Prometheus stores them, kinds, labels, help.
//!
//! To add a metric, add a line here, have a file under `collect` put its value, and add its row to
//! `docs/metrics.md`; a line without a value does not compile cleanly, one without a row fails a
//! test. Names follow the Prometheus conventions: base units at the end, counters in `_total`. A name
//! is never given another meaning.

use super::Kind;

/// What there is to know about one metric.
#[derive(Debug)]
pub(super) struct Family {
    /// With prefix, unit and the `_total` of a counter.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Beside `state_id`, which every sample has.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

macro_rules! families {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// A metric of the table.
        #[derive(Copy, Clone, Debug)]
        pub(super) enum Metric {
            $($id),*
        }

        /// All metrics, in the order in which they are shown and numbered.
        pub(super) const TABLE: &[Family] = &[$(Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        }),*];
    };
}

families! {
    StateInfo: Gauge "statekeep_state_info" ["path", "backend", "timeline", "version"]
        "Always 1; what the state is.";
    Poisoned: Gauge "statekeep_poisoned" []
        "1 when the state takes no more writes until it is opened again.";
    Head: Gauge "statekeep_head_sequence" [] "The last commit.";
    HeadTime: Gauge "statekeep_head_timestamp_seconds" [] "The time of the last commit.";
    Floor: Gauge "statekeep_floor_sequence" [] "The oldest commit whose state can be read.";
    Tenants: Gauge "statekeep_tenants" [] "Named tenants that have been written to.";
    StorageBytes: Gauge "statekeep_storage_bytes" ["namespace"]
        "Bytes of files of the namespace in use, and of those that restores and swaps replaced.";
    ReplacedNamespaces: Gauge "statekeep_replaced_namespaces" []
        "Namespaces that a restore or swap replaced and nobody has released.";
    SwapRunning: Gauge "statekeep_swap_running" [] "1 while the backend is being swapped.";
    EphemeralBytes: Gauge "statekeep_ephemeral_bytes" []
        "Memory that values of class ephemeral take.";

    Operations: Counter "statekeep_operations_total" ["op"]
        "Reads by what was asked for; a get, exists or get in a batch counts each key.";

    Commits: Counter "statekeep_commits_total" ["outcome"]
        "Commits that were handed in, by their outcome.";
    CommitSeconds: Histogram "statekeep_commit_seconds" []
        "Time from handing a commit in to its outcome.";
    GroupSize: Histogram "statekeep_commit_group_size" []
        "Commits that the backend took as one.";
    BackendCommitSeconds: Histogram "statekeep_backend_commit_seconds" []
        "Time that the backend took for a group of commits, with its sync.";
    CommitBytes: Counter "statekeep_commit_bytes_total" []
        "Keys and values handed to the backend by commits, with history, journal and indexes.";
    QueueCommits: Gauge "statekeep_queue_commits" [] "Commits that wait for their turn.";
    QueueBytes: Gauge "statekeep_queue_bytes" [] "Bytes of the changes that wait for their turn.";

    CacheHits: Counter "statekeep_cache_hits_total" []
        "Gets answered by the cache of hot records.";
    CacheMisses: Counter "statekeep_cache_misses_total" [] "Gets that had to ask the backend.";
    CacheHitRatio: Gauge "statekeep_cache_hit_ratio" []
        "Hits of all gets since the counts began; without a sample before the first get.";
    CacheEntries: Gauge "statekeep_cache_entries" [] "Records that the cache holds.";
    CacheBytes: Gauge "statekeep_cache_bytes" [] "Memory that the cached records take.";
    CacheMaxBytes: Gauge "statekeep_cache_max_bytes" []
        "Memory that cached records may take; 0 when the cache is off.";
    CacheEvictions: Counter "statekeep_cache_evictions_total" []
        "Records that left the cache to make room for others.";

    Pins: Gauge "statekeep_pins" []
        "Snapshots, transactions, running backups and watches that keep a past from being trimmed.";
    OldestPin: Gauge "statekeep_oldest_pin_sequence" []
        "The oldest commit that one of them needs; without a sample when there is none.";
    Watches: Gauge "statekeep_watches" [] "Watches that are open.";
    CursorLag: Gauge "statekeep_cursor_lag_commits" ["cursor"]
        "Commits between a durable cursor and the last one.";

    UpkeepRunning: Gauge "statekeep_upkeep_running" [] "1 while a sweep or trim runs.";
    UpkeepPaused: Gauge "statekeep_upkeep_paused" [] "1 while the upkeep is paused.";
    UpkeepFailing: Gauge "statekeep_upkeep_failing" []
        "1 from a sweep or trim that failed until it succeeds.";
    UpkeepFailures: Counter "statekeep_upkeep_failures_total" [] "Sweeps and trims that failed.";
    UpkeepLastRun: Gauge "statekeep_upkeep_last_run_timestamp_seconds" []
        "When the last sweep or trim ended; without a sample before the first one.";
    SweptKeys: Counter "statekeep_swept_keys_total" [] "Expired keys that sweeps removed.";
    TrimmedRows: Counter "statekeep_trimmed_rows_total" ["space"]
        "Rows of the past that trims removed.";

    Backups: Gauge "statekeep_backups" ["kind"] "Backups in the repository that can be used.";
    BackupBytes: Gauge "statekeep_backup_stored_bytes" []
        "Bytes of files that these backups wrote.";
    BackupNewest: Gauge "statekeep_backup_newest_timestamp_seconds" []
        "The moment that the newest of them shows; without a sample when there is none.";
    BackupBegun: Gauge "statekeep_backup_begun_timestamp_seconds" []
        "When the last of them was begun, also where nothing had changed; without a sample when there is none.";
    BackupVerified: Gauge "statekeep_backup_verified_timestamp_seconds" []
        "When one of them was last read wholly and found good; without a sample when none was.";
    BackupRestoreTested: Gauge "statekeep_backup_restore_tested_timestamp_seconds" []
        "When a restore test last ended well; without a sample when none did.";
    BackupProblems: Gauge "statekeep_backup_problems" []
        "Manifests that cannot be used, and what does not belong among them.";
    BackupReadable: Gauge "statekeep_backup_repository_readable" []
        "0 when the repository cannot be listed; the other metrics of backups then have no sample.";

    ScheduleEnabled: Gauge "statekeep_backup_schedule_enabled" []
        "1 when backups are made on a schedule.";
    ScheduleRunning: Gauge "statekeep_backup_schedule_running" []
        "1 while a scheduled backup is being made.";
    ScheduleFailing: Gauge "statekeep_backup_schedule_failing" []
        "1 from a scheduled backup that failed until one is made.";
    ScheduleRuns: Counter "statekeep_backup_schedule_runs_total" ["outcome"]
        "Scheduled backups that were made, and those that failed.";
    ScheduleNext: Gauge "statekeep_backup_schedule_next_timestamp_seconds" []
        "When the next one is due or tried again; without a sample when there is no schedule.";

    Alerts: Gauge "statekeep_alert" ["alert", "severity"]
        "Alerts that hold, by rule and severity; 0 for those that do not.";
    RepositoryBytes: Gauge "statekeep_backup_repository_bytes" []
        "Bytes of segments and runs in the repository.";
    RepositoryMaxBytes: Gauge "statekeep_backup_repository_max_bytes" []
        "How many there may be, by retention.storage_bytes_max; without a sample when any number may.";
    ChainLength: Gauge "statekeep_backup_chain_length" []
        "Incrementals on the full that the newest backup needs, itself counted.";
    TrashBackups: Gauge "statekeep_backup_trash" []
        "Backups that are deleted and not removed yet.";
    TrashBytes: Gauge "statekeep_backup_trash_bytes" []
        "Bytes of segments that these wrote; what others need of them stays.";
    Cleanups: Counter "statekeep_backup_cleanups_total" ["outcome"]
        "Cleanups that were done, and those that failed.";
    CleanupFailing: Gauge "statekeep_backup_cleanup_failing" []
        "1 from a cleanup that failed until one is done.";
    CleanupLastRun: Gauge "statekeep_backup_cleanup_last_run_timestamp_seconds" []
        "When the last cleanup ended; without a sample before the first one.";
    CleanupNext: Gauge "statekeep_backup_cleanup_next_timestamp_seconds" []
        "When the next scheduled cleanup is due or tried again; without a sample when there is no schedule.";
    CleanupDeleted: Counter "statekeep_backup_cleanup_deleted_total" []
        "Backups that cleanups deleted.";
    CleanupFreed: Counter "statekeep_backup_cleanup_freed_bytes_total" []
        "Bytes that cleanups freed.";
    DiskBytes: Gauge "statekeep_disk_size_bytes" ["holds"]
        "Bytes that are used or can be on the disk that holds the state, the backups or both.";
    DiskFreeBytes: Gauge "statekeep_disk_free_bytes" ["holds"]
        "Bytes that can be used on it.";

    ForecastLimit: Gauge "statekeep_forecast_limit_seconds" ["limit"]
        "Time until a limit is reached, by the forecast; without a sample for never, and of too few backups.";

    PluginCalls: Counter "statekeep_plugin_calls_total" ["plugin"]
        "Calls into a plugin, by all states of the process.";
    PluginErrors: Counter "statekeep_plugin_errors_total" ["plugin"]
        "Calls into a plugin that failed.";
    PluginPanics: Counter "statekeep_plugin_panics_total" ["plugin"]
        "Panics that a plugin reported.";
    PluginBytes: Counter "statekeep_plugin_bytes_total" ["plugin"]
        "Bytes handed to a plugin and received from it.";
    PluginTimedCalls: Counter "statekeep_plugin_timed_calls_total" ["plugin"]
        "Calls whose time was taken: 1 in 64.";
    PluginTimedSeconds: Counter "statekeep_plugin_timed_seconds_total" ["plugin"]
        "Time of those calls.";
    PluginCounter: Counter "statekeep_plugin_counter_total" ["plugin", "name"]
        "A counter that a plugin reports itself.";
    PluginGauge: Gauge "statekeep_plugin_gauge" ["plugin", "name"]
        "A gauge that a plugin reports itself.";
}
