//! Every stretch of the past that can be restored, and every gap between.

use std::collections::BTreeMap;

use serde::Serialize;
use statekeep_core::Result;

use super::journal::first_row;
use super::{first_sequence, manifests};
use crate::manifest::Manifest;
use crate::name::BackupId;
use crate::read_run::ReadTask;
use crate::repository::Repository;

/// What a repository can give back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ranges {
    /// One for each past that there are backups of, the oldest first.
    pub timelines: Vec<TimelineRanges>,
}

/// What can be restored of one past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineRanges {
    /// Its id.
    pub timeline: String,
    /// The past that it left by a restore or an undo, where that is known.
    pub parent: Option<String>,
    /// The last sequence that both have.
    pub fork_sequence: Option<u64>,
    /// The state's id.
    pub state: String,
    /// It is the past that the open state goes on with.
    pub is_current: bool,
    /// Stretches without gaps, in order.
    pub ranges: Vec<PointRange>,
    /// What lies between them.
    pub gaps: Vec<Gap>,
}

/// A stretch of which every sequence can be restored; of one sequence for a backup without history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PointRange {
    /// Its first sequence.
    pub sequence_from: u64,
    /// Its last sequence.
    pub sequence_to: u64,
    /// The time of its first commit, where it is known: milliseconds since 1970-01-01 UTC.
    pub time_from_unix_ms: Option<i64>,
    /// The time of its last commit.
    pub time_to_unix_ms: i64,
    /// The backups that make it up, oldest first.
    pub backups: Vec<BackupId>,
}

/// Sequences that no backup has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The last sequence before it that can be restored.
    pub after_sequence: u64,
    /// The first sequence behind it that can be restored.
    pub before_sequence: u64,
    /// The time of the last commit before it.
    pub after_unix_ms: i64,
    /// The time of the first commit behind it, where it is known.
    pub before_unix_ms: Option<i64>,
}

/// What can be restored. `own` is the timeline of the open state.
pub(crate) fn ranges(repository: &Repository, task: &ReadTask<'_>, own: &str) -> Result<Ranges> {
    let mut groups: BTreeMap<String, Vec<Manifest>> = BTreeMap::new();
    for manifest in manifests(repository)? {
        let group = groups.entry(manifest.timeline.id.clone()).or_default();
        group.push(manifest);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| group.first().map(|manifest| manifest.id));
    let mut timelines = Vec::new();
    for (timeline, group) in groups {
        let ranges = stretches(repository, task, &group)?;
        let gaps = ranges.windows(2).filter_map(gap).collect();
        let first = group.first();
        timelines.push(TimelineRanges {
            is_current: timeline == own,
            timeline,
            parent: first.and_then(|manifest| manifest.timeline.parent.clone()),
            fork_sequence: first.and_then(|manifest| manifest.timeline.fork_sequence),
            state: first
                .map(|manifest| manifest.state.clone())
                .unwrap_or_default(),
            ranges,
            gaps,
        });
    }
    Ok(Ranges { timelines })
}

fn gap(pair: &[PointRange]) -> Option<Gap> {
    let [before, behind] = pair else { return None };
    Some(Gap {
        after_sequence: before.sequence_to,
        before_sequence: behind.sequence_from,
        after_unix_ms: before.time_to_unix_ms,
        before_unix_ms: behind.time_from_unix_ms,
    })
}

fn stretches(
    repository: &Repository,
    task: &ReadTask<'_>,
    group: &[Manifest],
) -> Result<Vec<PointRange>> {
    let mut sorted: Vec<&Manifest> = group.iter().collect();
    sorted.sort_by_key(|m| (first_sequence(m), m.sequence_to));
    let mut ranges: Vec<PointRange> = Vec::new();
    for manifest in sorted {
        let from = first_sequence(manifest);
        if let Some(last) = ranges.last_mut()
            && from <= last.sequence_to.saturating_add(1)
        {
            if manifest.sequence_to >= last.sequence_to {
                last.sequence_to = manifest.sequence_to;
                last.time_to_unix_ms = last.time_to_unix_ms.max(manifest.time_unix_ms);
            }
            last.backups.push(manifest.id);
            continue;
        }
        let known = group.iter().find(|m| m.sequence_to == from);
        let time = match known {
            Some(m) => Some(m.time_unix_ms),
            None => first_row(repository, task, manifest)?
                .filter(|row| row.sequence.0 == from)
                .map(|row| row.time.0),
        };
        ranges.push(PointRange {
            sequence_from: from,
            sequence_to: manifest.sequence_to,
            time_from_unix_ms: time,
            time_to_unix_ms: manifest.time_unix_ms,
            backups: vec![manifest.id],
        });
    }
    ranges.iter_mut().for_each(|range| range.backups.sort());
    Ok(ranges)
}
