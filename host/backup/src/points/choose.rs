//! From a wanted moment to the backup that gives it.

use std::collections::{BTreeMap, BTreeSet};

use statekeep_core::{Error, ErrorKind, Result, Sequence, UnixMs};

use super::journal::last_where;
use super::{Chosen, first_sequence, manifests};
use crate::manifest::{Manifest, Timeline};
use crate::merge::Point;
use crate::name::BackupId;
use crate::read_run::ReadTask;
use crate::repository::Repository;
use crate::restore::RestoreAt;

/// The backup and the point in it for a wanted moment: one that shows exactly it, or the smallest
/// whose history spans it. `own` is the state's timeline, `wanted` the one that was asked for. Without
/// that a moment before a restore is looked for in the timeline that the restore left, as far as the
/// state came through it.
///
/// # Errors
/// `NotFound` with the nearest points before and after; `InvalidArgument` when it is not clear which
/// past is meant.
pub(crate) fn choose(
    repository: &Repository,
    task: &ReadTask<'_>,
    at: RestoreAt,
    own: &Timeline,
    wanted: Option<&str>,
) -> Result<Chosen> {
    if let RestoreAt::Backup(id) = at {
        return Ok(Chosen::end(repository.manifest(id)?.0));
    }
    let all = manifests(repository)?;
    let pasts = pasts(&all, own, wanted)?;
    let mut by_timeline: BTreeMap<String, Vec<Manifest>> = BTreeMap::new();
    for manifest in all {
        let of = by_timeline.entry(manifest.timeline.id.clone());
        of.or_default().push(manifest);
    }
    let of = |timeline: &str| by_timeline.get(timeline).map_or(&[][..], Vec::as_slice);
    for past in &pasts {
        let own = of(&past.timeline);
        let found = match at {
            RestoreAt::Sequence(sequence) => by_sequence(own, sequence).map(|m| (m, sequence)),
            RestoreAt::Time(time) => by_time(repository, task, own, time)?,
            RestoreAt::Backup(_) => None,
        };
        let Some((manifest, sequence)) = found.filter(|(_, found)| *found <= past.until) else {
            continue;
        };
        let point = if sequence == manifest.sequence_to {
            Point::End
        } else {
            let time = time_of(repository, task, own, manifest, sequence)?;
            Point::Sequence(Sequence(sequence), time)
        };
        let manifest = manifest.clone();
        return Ok(Chosen { manifest, point });
    }
    let timeline = pasts.first().map_or(own.id.as_str(), |past| &past.timeline);
    let others = by_timeline.iter().filter(|(id, _)| *id != timeline);
    let others: Vec<&Manifest> = others.flat_map(|(_, manifests)| manifests).collect();
    Err(no_backup(of(timeline), &others, timeline, at))
}

/// The point of a moment in one backup, which its history must span.
///
/// # Errors
/// `NotFound` with the sequences and times that it has.
pub(crate) fn within(
    repository: &Repository,
    task: &ReadTask<'_>,
    id: BackupId,
    at: RestoreAt,
) -> Result<Chosen> {
    let own = [repository.manifest(id)?.0];
    let [manifest] = &own;
    let found = match at {
        RestoreAt::Sequence(sequence) => by_sequence(&own, sequence).map(|_| sequence),
        RestoreAt::Time(time) => by_time(repository, task, &own, time)?.map(|(_, found)| found),
        RestoreAt::Backup(_) => Some(manifest.sequence_to),
    };
    let Some(sequence) = found else {
        let (first, last) = (first_sequence(manifest), manifest.sequence_to);
        let message = format!(
            "backup {id} has not {}: it has sequences {first} to {last}, the last of {}; the ranges \
             of backups show which one has it",
            described(at),
            shown(manifest.time_unix_ms)
        );
        return Err(Error::other(ErrorKind::NotFound, message));
    };
    if sequence == manifest.sequence_to {
        return Ok(Chosen::end(manifest.clone()));
    }
    let time = time_of(repository, task, &own, manifest, sequence)?;
    Ok(Chosen {
        manifest: manifest.clone(),
        point: Point::Sequence(Sequence(sequence), time),
    })
}

/// A timeline, and the last sequence of it that is meant.
struct Past {
    timeline: String,
    until: u64,
}

impl Past {
    fn whole(timeline: &str) -> Past {
        Past {
            timeline: timeline.to_owned(),
            until: u64::MAX,
        }
    }
}

/// The timelines that a state came through, its own first, as far as backups tell.
fn lineage(all: &[Manifest], own: &Timeline) -> Vec<Past> {
    let mut pasts = vec![Past::whole(&own.id)];
    let mut until = u64::MAX;
    let mut at = own;
    while let (Some(parent), Some(fork)) = (&at.parent, at.fork_sequence) {
        // What goes in a circle is no past.
        if pasts.iter().any(|past| past.timeline == *parent) {
            break;
        }
        until = until.min(fork);
        pasts.push(Past {
            timeline: parent.clone(),
            until,
        });
        match all.iter().find(|m| m.timeline.id == *parent) {
            Some(manifest) => at = &manifest.timeline,
            None => break,
        }
    }
    pasts
}

/// Where a moment is looked for, in this order.
fn pasts(all: &[Manifest], own: &Timeline, wanted: Option<&str>) -> Result<Vec<Past>> {
    let known: BTreeSet<&str> = all.iter().map(|m| m.timeline.id.as_str()).collect();
    if let Some(wanted) = wanted {
        return match known.get(wanted) {
            Some(id) => Ok(vec![Past::whole(id)]),
            None => Err(Error::other(
                ErrorKind::NotFound,
                format!("there is no backup of timeline {wanted}; the ranges of backups show them"),
            )),
        };
    }
    let pasts = lineage(all, own);
    let leads = |past: &Past| known.contains(past.timeline.as_str());
    match (known.first(), known.len()) {
        (Some(only), 1) => Ok(vec![Past::whole(only)]),
        (None, _) => Ok(pasts),
        _ if pasts.iter().any(leads) => Ok(pasts),
        _ => {
            let known: Vec<_> = known.into_iter().collect();
            let reason = format!(
                "the state's own has no backup, and the repository has {}; give one as the timeline",
                known.join(", ")
            );
            Err(Error::invalid("timeline", reason))
        }
    }
}

/// What reading a backup costs, in a word: the runs and the records beyond the point.
fn cost(manifest: &Manifest) -> (u64, usize) {
    (manifest.sequence_to, manifest.needs().count())
}

fn by_sequence(own: &[Manifest], sequence: u64) -> Option<&Manifest> {
    let spans = |m: &&Manifest| (first_sequence(m)..=m.sequence_to).contains(&sequence);
    own.iter().filter(spans).min_by_key(|m| {
        let exact = m.sequence_to == sequence;
        (!exact, cost(m))
    })
}

fn by_time<'a>(
    repository: &Repository,
    task: &ReadTask<'_>,
    own: &'a [Manifest],
    time: UnixMs,
) -> Result<Option<(&'a Manifest, u64)>> {
    // From its last commit to the moment of the backup nothing was committed.
    let shows = |m: &&Manifest| {
        let until = m.as_of_unix_ms.max(m.time_unix_ms);
        (m.time_unix_ms..=until).contains(&time.0)
    };
    let exact = own.iter().filter(shows);
    let exact = exact.max_by_key(|m| (m.sequence_to, std::cmp::Reverse(cost(m))));
    let mut spanning: Vec<_> = own
        .iter()
        .filter(|m| m.history_from.is_some() && m.time_unix_ms >= time.0)
        .collect();
    spanning.sort_by_key(|m| cost(m));
    let exact = exact.map(|m| (m, m.sequence_to));
    for manifest in spanning {
        let last = last_where(repository, task, manifest, &|row| row.time <= time)?;
        let from = first_sequence(manifest);
        let sequence = match last {
            Some(row) if row.sequence.0 >= from => row.sequence.0,
            // Before the first commit after `from`: is it also after `from`?
            _ => match time_of(repository, task, own, manifest, from)? {
                Some(begin) if begin <= time => from,
                _ => continue,
            },
        };
        // Several commits may have one time.
        return Ok(match exact {
            Some((_, later)) if later >= sequence => exact,
            // The backup that tells of the time need not be the smallest that has the commit.
            _ => Some((by_sequence(own, sequence).unwrap_or(manifest), sequence)),
        });
    }
    Ok(exact)
}

/// The time of a commit that a backup spans, where it is known.
pub(super) fn time_of(
    repository: &Repository,
    task: &ReadTask<'_>,
    own: &[Manifest],
    manifest: &Manifest,
    sequence: u64,
) -> Result<Option<UnixMs>> {
    let until = |row: &statekeep_core::JournalFacts| row.sequence.0 <= sequence;
    if let Some(row) = last_where(repository, task, manifest, &until)? {
        return Ok(Some(row.time));
    }
    let same = own.iter().find(|m| m.sequence_to == sequence);
    Ok(same.map(|m| UnixMs(m.time_unix_ms)))
}

/// A time for people, as precise as commits are.
fn shown(unix_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(unix_ms) {
        Ok(time) => format!("{time:.3}"),
        // Beyond the calendar's years.
        Err(_) => format!("{unix_ms} ms"),
    }
}

fn described(at: RestoreAt) -> String {
    match at {
        RestoreAt::Sequence(sequence) => format!("sequence {sequence}"),
        RestoreAt::Time(time) => format!("the time {}", shown(time.0)),
        RestoreAt::Backup(id) => format!("backup {id}"),
    }
}

fn no_backup(own: &[Manifest], others: &[&Manifest], timeline: &str, at: RestoreAt) -> Error {
    let what = described(at);
    let is_before = |m: &&Manifest| match at {
        RestoreAt::Time(time) => m.time_unix_ms <= time.0,
        RestoreAt::Sequence(sequence) => m.sequence_to <= sequence,
        RestoreAt::Backup(_) => false,
    };
    let before = own.iter().filter(is_before).max_by_key(|m| m.sequence_to);
    let after = own
        .iter()
        .filter(|m| !is_before(m))
        .min_by_key(|m| first_sequence(m));
    let mut message = format!("no backup of timeline {timeline} has {what}");
    if let Some(m) = before {
        let (to, time) = (m.sequence_to, shown(m.time_unix_ms));
        message += &format!("; nearest before: sequence {to} of {time}, backup {}", m.id);
    }
    if let Some(m) = after {
        let from = first_sequence(m);
        message += &format!("; nearest after: sequence {from}, backup {}", m.id);
        if from == m.sequence_to {
            message += &format!(" of {}", shown(m.time_unix_ms));
        }
    }
    let elsewhere: BTreeSet<&str> = others
        .iter()
        .filter(|m| match at {
            RestoreAt::Sequence(n) => (first_sequence(m)..=m.sequence_to).contains(&n),
            // When its history begins is in its journal, which is not read for a hint.
            RestoreAt::Time(time) => {
                let is_before = time.0 <= m.as_of_unix_ms.max(m.time_unix_ms);
                is_before && (m.history_from.is_some() || m.time_unix_ms <= time.0)
            }
            RestoreAt::Backup(_) => false,
        })
        .map(|m| m.timeline.id.as_str())
        .collect();
    if !elsewhere.is_empty() {
        let ids: Vec<_> = elsewhere.into_iter().collect();
        message += &format!(
            "; timeline {} {} it: give it as the timeline if you mean it",
            ids.join(", "),
            match at {
                RestoreAt::Time(_) => "may have",
                _ => "has",
            }
        );
    }
    Error::other(ErrorKind::NotFound, message)
}
