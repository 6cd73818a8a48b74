//! Reads the parts of an open state and puts their metrics.

use std::collections::BTreeMap;

use statekeep_backup::{Alert, AlertRule, Observed, Severity};
use statekeep_core::{NamespaceStatus, Result, UnixMs};
use statekeep_loader::Metric as PluginMetric;

use super::Metrics;
use super::table::Metric::*;
use crate::Host;

/// Kinds of backups that are counted also when there is none.
const BACKUP_KINDS: [&str; 3] = ["full", "incremental", "synthetic"];
const NS_PER_SECOND: f64 = 1e9;

/// The state engine.
pub(super) fn state(host: &Host, metrics: &mut Metrics) -> Result<()> {
    let info = host.manager.info()?;
    let counts = host.manager.counts()?;
    let path = info.path.to_string_lossy();
    let version = env!("CARGO_PKG_VERSION");
    let labels = [&*path, &info.backend, &info.timeline, version];
    metrics.put(StateInfo, &labels, 1);
    metrics.put(Poisoned, &[], info.poisoned.is_some());
    metrics.put(Head, &[], info.head.0);
    metrics.put(HeadTime, &[], seconds(info.head_time));
    metrics.put(Floor, &[], info.floor.0);
    metrics.put(Tenants, &[], info.tenants);
    metrics.put(EphemeralBytes, &[], info.ephemeral_bytes);
    metrics.put(SwapRunning, &[], counts.swap_is_running);
    storage(host, metrics);

    let gets = info.cache.hits + info.cache.misses;
    metrics.put(Operations, &["get"], gets);
    for (op, count) in &counts.operations {
        metrics.put(Operations, &[op], *count);
    }

    for (outcome, count) in [
        ("committed", counts.committed),
        ("unchanged", counts.unchanged),
        ("conflict", counts.conflicts),
        ("refused", counts.refused),
        ("failed", counts.failed),
    ] {
        metrics.put(Commits, &[outcome], count);
    }
    metrics.put_histogram(CommitSeconds, &counts.commit_ns, NS_PER_SECOND);
    metrics.put_histogram(GroupSize, &counts.groups, 1.0);
    metrics.put_histogram(BackendCommitSeconds, &counts.backend_ns, NS_PER_SECOND);
    metrics.put(CommitBytes, &[], counts.commit_bytes);
    metrics.put(QueueCommits, &[], counts.queue_commits);
    metrics.put(QueueBytes, &[], counts.queue_bytes);

    metrics.put(CacheHits, &[], info.cache.hits);
    metrics.put(CacheMisses, &[], info.cache.misses);
    if gets > 0 {
        metrics.put(CacheHitRatio, &[], info.cache.hits as f64 / gets as f64);
    }
    metrics.put(CacheEntries, &[], info.cache.entries);
    metrics.put(CacheBytes, &[], info.cache.bytes);
    metrics.put(CacheMaxBytes, &[], info.cache.bytes_max);
    metrics.put(CacheEvictions, &[], info.cache.evictions);

    metrics.put(Pins, &[], counts.pins);
    if let Some(oldest) = info.oldest_snapshot {
        metrics.put(OldestPin, &[], oldest.0);
    }
    metrics.put(Watches, &[], counts.watches);
    for cursor in host.manager.cursors()? {
        let lag = info.head.0.saturating_sub(cursor.sequence.0);
        metrics.put(CursorLag, &[&cursor.name], lag);
    }

    let upkeep = host.manager.upkeep();
    metrics.put(UpkeepRunning, &[], upkeep.running.is_some());
    metrics.put(UpkeepPaused, &[], upkeep.paused);
    metrics.put(UpkeepFailing, &[], upkeep.last_error.is_some());
    metrics.put(UpkeepFailures, &[], counts.upkeep_failures);
    if let Some(last_run) = upkeep.last_run {
        metrics.put(UpkeepLastRun, &[], seconds(last_run));
    }
    metrics.put(SweptKeys, &[], counts.swept_keys);
    metrics.put(TrimmedRows, &["journal"], counts.trimmed_journal_rows);
    metrics.put(TrimmedRows, &["history"], counts.trimmed_history_rows);
    Ok(())
}

fn storage(host: &Host, metrics: &mut Metrics) {
    let namespaces = match host.manager.namespaces() {
        Ok(namespaces) => namespaces,
        Err(error) => {
            tracing::warn!(%error, "the sizes of the state's files are missing in its metrics");
            return;
        }
    };
    let (current, replaced): (Vec<_>, Vec<_>) = namespaces.iter().partition(|one| one.is_current);
    let bytes = |of: &[&NamespaceStatus]| of.iter().map(|one| one.bytes).sum::<u64>();
    metrics.put(StorageBytes, &["current"], bytes(&current));
    metrics.put(StorageBytes, &["replaced"], bytes(&replaced));
    metrics.put(ReplacedNamespaces, &[], replaced.len() as u64);
}

/// The backup repository.
pub(super) fn backups(host: &Host, metrics: &mut Metrics) {
    let list = host.backups.list();
    metrics.put(BackupReadable, &[], list.is_ok());
    let list = match list {
        Ok(list) => list,
        Err(error) => {
            tracing::warn!(%error, "the backups are missing in the metrics");
            return;
        }
    };
    let mut kinds: BTreeMap<&str, u64> = BACKUP_KINDS.map(|kind| (kind, 0)).into();
    for backup in &list.backups {
        *kinds.entry(backup.kind).or_default() += 1;
    }
    for (kind, count) in kinds {
        metrics.put(Backups, &[kind], count);
    }
    let bytes = list.backups.iter().map(|backup| backup.stored_bytes);
    metrics.put(BackupBytes, &[], bytes.sum::<u64>());
    let times = list.backups.iter().map(|backup| backup.time_unix_ms);
    if let Some(newest) = times.max() {
        metrics.put(BackupNewest, &[], seconds(UnixMs(newest)));
    }
    let backups = list.backups.iter();
    for (metric, time) in [
        (
            BackupBegun,
            backups.clone().map(|one| one.started_unix_ms).max(),
        ),
        (
            BackupVerified,
            backups.filter_map(|one| one.last_verified_unix_ms).max(),
        ),
        (BackupRestoreTested, list.last_restore_test_unix_ms),
    ] {
        if let Some(time) = time {
            metrics.put(metric, &[], seconds(UnixMs(time)));
        }
    }
    metrics.put(BackupProblems, &[], list.problems.len() as u64);
}

/// The scheduled backups.
pub(super) fn schedule(host: &Host, metrics: &mut Metrics) {
    let status = host.schedule.status();
    metrics.put(ScheduleEnabled, &[], status.enabled);
    metrics.put(ScheduleRunning, &[], status.running.is_some());
    metrics.put(ScheduleFailing, &[], status.failures_in_row > 0);
    metrics.put(ScheduleRuns, &["made"], status.runs);
    metrics.put(ScheduleRuns, &["failed"], status.failures);
    if let Some(next) = status.next_run {
        metrics.put(ScheduleNext, &[], seconds(next));
    }
}

/// The alerts, and what their rules look at.
pub(super) fn monitor(host: &Host, metrics: &mut Metrics) {
    let Observed {
        facts,
        alerts,
        forecast,
    } = host.monitor.observed();
    for rule in AlertRule::ALL {
        for severity in [Severity::Warning, Severity::Critical] {
            let of = |alert: &&Alert| (alert.id, alert.severity) == (*rule, severity);
            let count = alerts.iter().filter(of).count() as u64;
            metrics.put(Alerts, &[rule.name(), severity.name()], count);
        }
    }
    if facts.unreadable.is_none() {
        metrics.put(RepositoryBytes, &[], facts.storage_bytes);
        metrics.put(ChainLength, &[], u64::from(facts.chain_length));
        metrics.put(TrashBackups, &[], facts.trash_backups);
        metrics.put(TrashBytes, &[], facts.trash_bytes);
    }
    if let Some(max) = facts.storage_bytes_max {
        metrics.put(RepositoryMaxBytes, &[], max);
    }
    for disk in &facts.disks {
        metrics.put(DiskBytes, &[&disk.holds], disk.bytes);
        metrics.put(DiskFreeBytes, &[&disk.holds], disk.free_bytes);
    }
    let now = host.manager.clock().now().0;
    for reach in &forecast.reaches {
        if let Some(moment) = reach.expected_unix_ms {
            let left = UnixMs(moment.saturating_sub(now).max(0));
            metrics.put(ForecastLimit, &[&reach.limit], seconds(left));
        }
    }
    let cleanups = host.backups.cleanups();
    metrics.put(Cleanups, &["done"], cleanups.runs);
    metrics.put(Cleanups, &["failed"], cleanups.failures);
    metrics.put(CleanupFailing, &[], cleanups.last_error.is_some());
    metrics.put(CleanupDeleted, &[], cleanups.deleted);
    metrics.put(CleanupFreed, &[], cleanups.space_freed);
    if let Some(last) = cleanups.last_unix_ms {
        metrics.put(CleanupLastRun, &[], seconds(UnixMs(last)));
    }
    if let Some(next) = host.cleanups.status().next_run {
        metrics.put(CleanupNext, &[], seconds(next));
    }
}

/// The plugins that were called.
pub(super) fn plugins(host: &Host, metrics: &mut Metrics) {
    for plugin in host.plugins.list() {
        let (id, counters) = (plugin.id.as_str(), plugin.counters);
        if counters.calls > 0 {
            let timed = counters.timed_ns as f64 / NS_PER_SECOND;
            metrics.put(PluginCalls, &[id], counters.calls);
            metrics.put(PluginErrors, &[id], counters.errors);
            metrics.put(PluginPanics, &[id], counters.panics);
            metrics.put(PluginBytes, &[id], counters.bytes);
            metrics.put(PluginTimedCalls, &[id], counters.timed_calls);
            metrics.put(PluginTimedSeconds, &[id], timed);
        }
        for (name, metric) in &plugin.metrics {
            match metric {
                PluginMetric::Counter(count) => metrics.put(PluginCounter, &[id, name], *count),
                PluginMetric::Gauge(value) => metrics.put(PluginGauge, &[id, name], *value),
            }
        }
    }
}

fn seconds(time: UnixMs) -> f64 {
    time.0 as f64 / 1_000.0
}
