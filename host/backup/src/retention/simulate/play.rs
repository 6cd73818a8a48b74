//! The play itself: make a backup, judge, forget, remove what the grace let go, and go to the next.

use std::collections::VecDeque;
use std::sync::Arc;

use statekeep_core::{
    BackupFacts, BackupSort, Circumstances, Error, Progress, Result, UnixMs, Verdict,
};
use ulid::Ulid;

use super::keeper::{Keeper, Keepers};
use super::{Lifeline, SIMULATED_MAX, Sample, SimulateOptions};
use crate::cleanup::RetentionConfig;
use crate::retention::{Decided, Floor, Panel};
use crate::schedule::ScheduleConfig;

/// What came of it.
pub(super) struct Played {
    pub(super) end: UnixMs,
    /// One after each cleanup.
    pub(super) steps: Vec<Sample>,
    pub(super) lifelines: Vec<Lifeline>,
    pub(super) keepers: Vec<Keeper>,
    /// Policies that never kept or forgot anything.
    pub(super) silent: Vec<String>,
    /// Those there at the end that stay only for others that stand on them, and their bytes.
    pub(super) parents: (u64, u64),
}

/// A backup that is there.
struct Live {
    facts: BackupFacts,
    /// Its place among the lifelines.
    place: usize,
    /// That of its parent.
    parent: Option<usize>,
    /// What kept it last, and its place in that decision.
    kept: Option<(usize, usize)>,
}

/// A backup that is in the trash.
struct Trashed {
    place: usize,
    bytes: u64,
    until: UnixMs,
}

struct Play<'a> {
    options: &'a SimulateOptions,
    retention: &'a RetentionConfig,
    live: Vec<Live>,
    trash: VecDeque<Trashed>,
    lifelines: Vec<Lifeline>,
    keepers: Keepers,
    /// The last decision.
    decided: Option<Decided>,
    steps: Vec<Sample>,
    heard: Vec<(String, bool)>,
    /// Incrementals on the newest full one.
    chain: u32,
    newest_full: Option<UnixMs>,
    bytes: u64,
    trash_bytes: u64,
}

pub(super) fn play(
    panel: &Panel<'_>,
    retention: &RetentionConfig,
    options: &SimulateOptions,
    progress: &Progress,
) -> Result<Played> {
    let mut play = Play {
        options,
        retention,
        live: Vec::new(),
        trash: VecDeque::new(),
        lifelines: Vec::new(),
        keepers: Keepers::default(),
        decided: None,
        steps: Vec::new(),
        heard: Vec::new(),
        chain: 0,
        newest_full: None,
        bytes: 0,
        trash_bytes: 0,
    };
    let end = UnixMs(options.start.0.saturating_add_unsigned(options.for_ms));
    let schedule = ScheduleConfig {
        when: options.when.clone(),
        full_every_ms: options.full_every_ms,
        jitter_ms: 0,
        past_ms: None,
    };
    let due = moments(options.start, end, &schedule)?;
    progress.expect(due.len() as u64, options.for_ms);
    let mut before = options.start;
    for at in due {
        progress.check()?;
        play.make(at);
        play.judge(panel, at)?;
        play.sample(at);
        let elapsed = u64::try_from(at.0.saturating_sub(before.0)).unwrap_or(0);
        progress.add(1, elapsed, 0);
        before = at;
    }
    Ok(play.end(end))
}

/// When backups are made, all of them counted before the first is.
fn moments(start: UnixMs, end: UnixMs, schedule: &ScheduleConfig) -> Result<Vec<UnixMs>> {
    let mut due = vec![start];
    let mut next = schedule.after(start, 0);
    while next <= end {
        if due.len() as u64 >= SIMULATED_MAX {
            return Err(Error::TooLarge {
                what: "number of simulated backups",
                actual: SIMULATED_MAX + 1,
                limit_name: "SIMULATED_MAX",
                limit: SIMULATED_MAX,
            });
        }
        due.push(next);
        next = schedule.after(next, 0);
    }
    Ok(due)
}

impl Play<'_> {
    /// One backup as the manager would make it: a full one, an incremental one, or with a chain at its end
    /// a synthetic full and an incremental one on it.
    fn make(&mut self, at: UnixMs) {
        let full_is_old = |age: u64| {
            self.newest_full
                .is_none_or(|full| full.0.saturating_add_unsigned(age) <= at.0)
        };
        let is_full = self.options.chain_max == 0
            || self.live.is_empty()
            || self.options.full_every_ms.is_some_and(full_is_old);
        if is_full {
            self.add(at, BackupSort::Full);
            return;
        }
        if self.chain >= self.options.chain_max {
            self.add(at, BackupSort::Synthetic);
        }
        self.add(at, BackupSort::Incremental);
    }

    fn add(&mut self, at: UnixMs, sort: BackupSort) {
        let place = self.lifelines.len();
        let is_full = sort != BackupSort::Incremental;
        let since_start = at.0.saturating_sub(self.options.start.0);
        let stored_bytes = match is_full {
            true => self.options.sizes.full_after(since_start),
            false => self.options.sizes.incremental_bytes,
        };
        if is_full {
            self.newest_full = Some(at);
        }
        self.chain = if is_full { 0 } else { self.chain + 1 };
        let number = place as u64;
        let nth = |every: u32| number.is_multiple_of(u64::from(every.max(1)));
        let is_verified = self.options.verify_every > 0 && nth(self.options.verify_every);
        let time = u64::try_from(at.0).unwrap_or(0);
        let id = Ulid::from_parts(time, u128::from(number)).to_string();
        let tags = self.options.tags.iter().filter(|tag| nth(tag.every));
        let facts = BackupFacts {
            id: id.clone(),
            series: "simulated".to_owned(),
            label: String::new(),
            tags: tags.map(|tag| tag.tag.clone()).collect(),
            sort,
            is_pinned: false,
            is_verified,
            is_in_use: false,
            is_safety: false,
            parent: None,
            created: at,
            sequence: number + 1,
            records: 0,
            raw_bytes: stored_bytes,
            stored_bytes,
            restores: 0,
        };
        let parent = self.live.last().map(|live| live.place);
        self.live.push(Live {
            facts,
            place,
            parent: parent.filter(|_| !is_full),
            kept: None,
        });
        self.bytes = self.bytes.saturating_add(stored_bytes);
        self.lifelines.push(Lifeline {
            id,
            made_unix_ms: at.0,
            kind: match sort {
                BackupSort::Full => "full",
                BackupSort::Incremental => "incremental",
                BackupSort::Synthetic => "synthetic",
            },
            stored_bytes,
            verified: is_verified,
            forgotten_unix_ms: None,
            removed_unix_ms: None,
            keeper: None,
            reason: String::new(),
        });
    }

    /// The cleanup that follows a backup.
    fn judge(&mut self, panel: &Panel<'_>, now: UnixMs) -> Result<()> {
        let facts: Arc<[BackupFacts]> = self
            .live
            .iter()
            .map(|live| BackupFacts {
                parent: live.parent.and_then(|parent| {
                    self.live
                        .binary_search_by_key(&parent, |live| live.place)
                        .ok()
                }),
                ..live.facts.clone()
            })
            .collect();
        let circumstances = Arc::new(Circumstances {
            now,
            storage_bytes: self.bytes,
            storage_bytes_max: self.retention.storage_bytes_max,
            time_zone: self.retention.time_zone.clone(),
        });
        let decided = panel.decide(&facts, &circumstances, self.retention.safety_grace_ms)?;
        self.listen(&decided);
        let until = UnixMs(now.0.saturating_add_unsigned(self.retention.grace_ms));
        let mut stays = Vec::with_capacity(self.live.len());
        let judged = std::mem::take(&mut self.live)
            .into_iter()
            .zip(&decided.fates);
        for (i, (mut live, fate)) in judged.enumerate() {
            if fate.keep {
                live.kept = Some((self.keepers.place(&decided, i), i));
                stays.push(live);
                continue;
            }
            self.bytes = self.bytes.saturating_sub(live.facts.stored_bytes);
            self.trash_bytes = self.trash_bytes.saturating_add(live.facts.stored_bytes);
            self.trash.push_back(Trashed {
                place: live.place,
                bytes: live.facts.stored_bytes,
                until,
            });
            let keeper = live.kept.map(|(keeper, _)| keeper);
            if let Some(keeper) = keeper {
                self.keepers.count(keeper, false);
            }
            if let Some(line) = self.lifelines.get_mut(live.place) {
                line.forgotten_unix_ms = Some(now.0);
                line.keeper = keeper;
                line.reason = decided.reason(i);
            }
        }
        self.live = stays;
        self.decided = Some(decided);
        while let Some(due) = self.trash.pop_front_if(|trashed| trashed.until <= now) {
            self.trash_bytes = self.trash_bytes.saturating_sub(due.bytes);
            if let Some(line) = self.lifelines.get_mut(due.place) {
                line.removed_unix_ms = Some(now.0);
            }
        }
        Ok(())
    }

    /// Remembers which policies have had an opinion.
    fn listen(&mut self, decided: &Decided) {
        let ballots = decided.ballots.iter();
        if self.heard.is_empty() {
            let names = ballots.clone().map(|ballot| (ballot.policy.clone(), false));
            self.heard = names.collect();
        }
        for ((_, heard), ballot) in self.heard.iter_mut().zip(ballots).filter(|(it, _)| !it.1) {
            let mut votes = ballot.votes.iter();
            *heard = votes.any(|vote| vote.verdict != Verdict::Abstain);
        }
    }

    fn sample(&mut self, at: UnixMs) {
        let oldest = self.live.first().map_or(at, |live| live.facts.created);
        let kept = self.live.len() as u64;
        let mut by_keeper = vec![0; self.keepers.len()];
        for (keeper, _) in self.live.iter().filter_map(|live| live.kept) {
            if let Some(count) = by_keeper.get_mut(keeper) {
                *count += 1;
            }
        }
        self.steps.push(Sample {
            at_unix_ms: at.0,
            kept,
            kept_max: kept,
            by_keeper,
            bytes: self.bytes,
            trash_bytes: self.trash_bytes,
            bytes_max_with_trash: self.bytes.saturating_add(self.trash_bytes),
            oldest_age_ms: u64::try_from(at.0.saturating_sub(oldest.0)).unwrap_or(0),
        });
    }

    fn end(mut self, end: UnixMs) -> Played {
        let mut parents = (0, 0);
        for live in std::mem::take(&mut self.live) {
            let (Some((_, i)), Some(decided)) = (live.kept, &self.decided) else {
                continue;
            };
            let fate = decided.fates.get(i);
            if fate.is_some_and(|fate| fate.floor == Some(Floor::Parent)) {
                parents = (parents.0 + 1, parents.1 + live.facts.stored_bytes);
            }
            let keeper = self.keepers.lasting(decided, i);
            self.keepers.count(keeper, true);
            if let Some(line) = self.lifelines.get_mut(live.place) {
                line.keeper = Some(keeper);
                line.reason = decided.reason(i);
            }
        }
        let (keepers, places) = self.keepers.sorted();
        for line in &mut self.lifelines {
            line.keeper = line.keeper.and_then(|place| places.get(place).copied());
        }
        for step in &mut self.steps {
            let mut sorted = vec![0; keepers.len()];
            for (count, place) in step.by_keeper.iter().zip(&places) {
                if let Some(cell) = sorted.get_mut(*place) {
                    *cell = *count;
                }
            }
            step.by_keeper = sorted;
        }
        let silent = self.heard.into_iter().filter(|(_, heard)| !heard);
        Played {
            end,
            steps: self.steps,
            lifelines: self.lifelines,
            keepers,
            silent: silent.map(|(name, _)| name).collect(),
            parents,
        }
    }
}
